from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fecosr.provisioning.federation_file import FederationFile, load_federation
from fecosr.provisioning.kits import Kits, provision

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

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def federation_file(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text(FEDERATION)
    return path


@pytest.fixture
def federation(federation_file: Path) -> FederationFile:
    return load_federation(federation_file)


def counting_entropy() -> Callable[[int], bytes]:
    calls = iter(range(1, 256))
    return lambda size: bytes([next(calls)]) * size


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
