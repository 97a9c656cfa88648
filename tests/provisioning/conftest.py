from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.ids import COORDINATOR
from fecosr.provisioning.federation_file import FederationFile, load_federation
from fecosr.provisioning.kits import Kits, provision
from tests.reference.enrolment_office import DE, FR, NOW, Office, counting_entropy

FEDERATION = """\
[coordinator]
address = "fed.example.org:7443"

[plan.run]
name = "spring"
rounds = 4
seed = 7

[plan.cohort]
n_min = 2
max_colluding = 0

[plan.privacy]
mode = "none"

[plan.aggregation]
clip_norm = 5.0

[plan.encoder]
dimension = 8
num_blocks = 1
feed_forward_dimension = 8
projector_dimension = 8

[plan.semantics]
dimension = 16

[[markets]]
name = "ca"

[markets.data]
kind = "synthetic"
market = "ca"

[[markets]]
name = "de"
num_threads = 2
device = "cpu"

[markets.data]
kind = "csv"
path = "orders.csv"
market = "de"

[markets.policy]
n_min = 3
max_colluding = 1
max_rounds = 2
max_clip_norm = 1.0
"""


@pytest.fixture
def federation_file(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text(FEDERATION)
    return path


@pytest.fixture
def federation(federation_file: Path) -> FederationFile:
    return load_federation(federation_file)


@pytest.fixture
def make_kits(federation: FederationFile) -> Callable[[Path], Kits]:
    def make(out: Path, storage: Path | None = None) -> Kits:
        return provision(
            federation.plan,
            federation.by_name(),
            out,
            coordinator=federation.coordinator,
            days=30,
            now=NOW,
            entropy=counting_entropy(),
            storage=storage,
        )

    return make


@pytest.fixture
def office(tmp_path: Path, federation: FederationFile) -> Office:
    return Office(tmp_path / "office", federation)


@pytest.fixture
def running(office: Office) -> Office:
    """Return an office whose parties all have their kits."""
    office.enrol(COORDINATOR, DE, FR)
    for party in (COORDINATOR, DE, FR):
        office.accept(party, office.package(party))
    return office
