from pathlib import Path

import pytest

FEDERATION = """\
[coordinator]
address = "localhost:7443"

[plan]
run = { name = "spring", rounds = 2, seed = 7 }
cohort = { n_min = 2, max_colluding = 0 }
privacy = { mode = "none" }
aggregation = { clip_norm = 5.0 }
semantics = { dimension = 16 }
encoder = { dimension = 8, num_blocks = 1, feed_forward_dimension = 8, projector_dimension = 8 }

[[markets]]
name = "fr"
data = { kind = "csv", path = "orders.csv" }

[[markets]]
name = "uk"
data = { kind = "csv", path = "orders.csv" }
"""


@pytest.fixture
def federation_file(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text(FEDERATION)
    return path
