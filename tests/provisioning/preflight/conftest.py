import secrets
import socket
from pathlib import Path

import pytest

from fecosr.config.plan import Plan
from fecosr.config.toml import validate
from fecosr.data.settings import DataSettings
from fecosr.ids import NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import AUTHORITY_FOLDER, Kits, provision
from fecosr.provisioning.preflight.kit import Kit, read_kit
from fecosr.rpc.certificates import Credential
from tests.reference.loopback import DE, FR, NOW

PLAN = {
    "run": {"name": "spring", "rounds": 4, "seed": 7},
    "cohort": {"n_min": 2, "max_colluding": 0},
    "privacy": {"mode": "none"},
    "aggregation": {"clip_norm": 5.0},
    "encoder": {"dimension": 8, "num_blocks": 1, "feed_forward_dimension": 8, "projector_dimension": 8},
    "semantics": {"dimension": 16},
}
ORDERS = "user,item,timestamp\n" + "".join(
    f"u{user},i{item},{1000 + item}\n" for user in range(6) for item in range(6)
)


@pytest.fixture
def port() -> int:
    """Return a port of this machine that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number: int = taken.getsockname()[1]
    return number


@pytest.fixture
def kits(tmp_path: Path, port: int) -> Kits:
    """Return kits that are as they should be, today."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    data = DataSettings(kind="csv", path=str(tmp_path / "orders.csv"))
    address = f"127.0.0.1:{port}"
    return provision(
        validate(PLAN, Plan, source="test"),
        {name: MarketSection(name=name, data=data) for name in (DE, FR)},
        tmp_path / "kits",
        coordinator=CoordinatorSection(address=address, listen=address),
        days=365,
        now=NOW,
        entropy=secrets.token_bytes,
    )


@pytest.fixture
def authority(kits: Kits) -> Credential:
    """Return what these kits were signed with."""
    folder = kits.coordinator.parents[1] / AUTHORITY_FOLDER
    return Credential((folder / "certificate.pem").read_bytes(), (folder / "key.pem").read_bytes())


@pytest.fixture
def node(kits: Kits) -> Kit:
    return read_kit(kits.nodes[NodeId(DE)].parent, NOW)


@pytest.fixture
def coordinator(kits: Kits) -> Kit:
    return read_kit(kits.coordinator.parent, NOW)
