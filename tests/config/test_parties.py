from pathlib import Path

import pytest

from fecosr.config.address import address_option
from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ConfigError
from fecosr.secagg.parameters import MAX_CLIENTS

SEED = bytes(range(32))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_paths_count_from_the_file_they_stand_in(tmp_path: Path) -> None:
    config = load_coordinator(
        write(tmp_path / "coordinator.toml", 'listen = "127.0.0.1:0"\nstorage = "here"\n')
    )
    assert config.storage == tmp_path / "here"
    assert config.plan == tmp_path / "plan.toml"
    assert config.tls.key == tmp_path / "tls" / "key.pem"


NODE = """market = "fr"
coordinator = "localhost:7443"
[data]
kind = "synthetic"
market = "fr"
[policy]
n_min = 3
max_colluding = 1
max_rounds = 10
max_clip_norm = 10.0
"""


def test_a_node_names_its_market_data_and_policy(tmp_path: Path) -> None:
    config = load_node(write(tmp_path / "node.toml", NODE))
    assert (config.market, config.data.kind, config.policy.n_min) == ("fr", "synthetic", 3)
    assert config.storage == tmp_path / "state"


def test_a_node_trains_where_it_is_told_to_and_finds_out_by_itself(tmp_path: Path) -> None:
    assert load_node(write(tmp_path / "node.toml", NODE)).device == "auto"
    assert load_node(write(tmp_path / "node.toml", f'device = "cuda"\n{NODE}')).device == "cuda"
    with pytest.raises(ConfigError, match="device"):
        load_node(write(tmp_path / "node.toml", f'device = "gpu"\n{NODE}'))


def test_data_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    text = NODE.replace('kind = "synthetic"', 'kind = "csv"\npath = "sales.csv"')
    assert load_node(write(tmp_path / "node.toml", text)).data.path == str(tmp_path / "sales.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('market = "fr"\nc', 'market = "coordinator"\nc', r"node\.toml:1: market: .*not a market name"),
        ("localhost:7443", "localhost", r"node\.toml:2: coordinator: 'localhost' is not HOST:PORT"),
        ("localhost:7443", "localhost:65536", "is not HOST:PORT"),
        ("n_min = 3", "n_min = 2", "hides nobody"),
        ("max_rounds = 10", "max_rounds = 0", "max_rounds"),
        ("max_clip_norm = 10.0", "max_clip_norm = inf", "max_clip_norm"),
        ("max_rounds = 10", "max_rounds = 10\nmin_ring_bits = 20", "min_ring_bits must be one of 16, 24, 32"),
        ("[policy]", "[polcy]", "polcy|policy"),
    ],
)
def test_a_node_that_cannot_work_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in NODE
    with pytest.raises(ConfigError, match=message):
        load_node(write(tmp_path / "node.toml", NODE.replace(old, new)))


@pytest.mark.parametrize("text", ["nonsense", ":7443", "host:", "host:port", "host:123456", "a b:1", "h:1\n"])
def test_an_address_option_is_as_strict_as_the_file(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--listen: .* is not HOST:PORT"):
        address_option("--listen", text)


def test_an_address_option_may_name_host_or_ip_address() -> None:
    assert address_option("--listen", "0.0.0.0:0") == "0.0.0.0:0"
    assert address_option("--listen", "fecosr.example.org:65535") == "fecosr.example.org:65535"


def test_the_policy_has_no_defaults(tmp_path: Path) -> None:
    without = NODE.partition("[policy]")[0]
    with pytest.raises(ConfigError, match="policy: is missing"):
        load_node(write(tmp_path / "node.toml", without))


def test_an_identity_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    path.write_bytes(SEED)
    path.chmod(0o600)
    assert load_identity(path).public == SigningKey(SEED).public
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        load_identity(path)


def test_an_identity_of_another_size_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    path.write_bytes(SEED[:31])
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_identity(path)
    assert SEED[:8].hex() not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_identity(tmp_path / "absent.key")


def roster_text(**nodes: str) -> str:
    lines = "".join(f'{name} = "{key}"\n' for name, key in nodes.items())
    return f'coordinator = "{"aa" * 32}"\n[nodes]\n{lines}'


def test_a_roster_pins_every_identity(tmp_path: Path) -> None:
    roster = load_roster(write(tmp_path / "roster.toml", roster_text(uk="bb" * 32, de="cc" * 32)))
    assert roster.coordinator == b"\xaa" * 32
    assert list(roster.nodes) == ["de", "uk"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"de": "bb" * 32}, "nodes"),
        ({"de": "bb" * 32, "uk": "bb" * 32}, "share one identity"),
        ({"de": "aa" * 32, "uk": "bb" * 32}, "share one identity"),
        ({"de": "bb" * 31, "uk": "cc" * 32}, "nodes.de"),
        ({"DE": "bb" * 32, "uk": "cc" * 32}, "not a market name"),
    ],
)
def test_a_roster_that_pins_nothing_is_refused(tmp_path: Path, nodes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_roster(write(tmp_path / "roster.toml", roster_text(**nodes)))


def test_a_roster_of_more_nodes_than_an_aggregation_can_hold_is_refused(tmp_path: Path) -> None:
    nodes = {f"m{number}": f"{number:064x}" for number in range(MAX_CLIENTS + 1)}
    with pytest.raises(ConfigError, match=f"nodes: .* at most {MAX_CLIENTS} items"):
        load_roster(write(tmp_path / "roster.toml", roster_text(**nodes)))
    del nodes[f"m{MAX_CLIENTS}"]
    assert len(load_roster(write(tmp_path / "roster.toml", roster_text(**nodes))).nodes) == MAX_CLIENTS
