"""Which process of a node this is, and what is not divided."""

import pytest

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError
from fecosr.federation.policy import NodePolicy
from market_node.shards import shard_of

PLAN: dict[str, object] = {
    "run": {"name": "spring", "rounds": 3, "seed": 1},
    "cohort": {"n_min": 3, "max_colluding": 1},
    "privacy": {"mode": "none"},
    "aggregation": {"clip_norm": 10.0},
}
PRIVATE = {
    "mode": "distributed",
    "privacy_unit": "user",
    "neighboring_relation": "add_or_remove_one",
    "holds_against": "coordinator_and_max_colluding_nodes",
    "epsilon": 8.0,
    "delta": 1e-5,
    "clip_norm": 0.5,
    "noise_multiplier": 2.0,
    "sampling_probability": 0.25,
    "expected_users": 500.0,
}
CONFIG = NodeConfig(
    market="isle",
    coordinator="localhost:7443",
    data=DataSettings(kind="synthetic", market="isle"),
    policy=NodePolicy(n_min=3, max_colluding=1, max_rounds=3, max_clip_norm=10.0),
)
TWO = {"RANK": "1", "WORLD_SIZE": "2"}


def divided(**changed: object) -> NodeConfig:
    return CONFIG.model_copy(update={"num_shards": 2, **changed})


def test_one_process_is_the_whole_node() -> None:
    assert shard_of({}, CONFIG, Plan.model_validate(PLAN)) == 0


def test_torchrun_says_which_shard_a_process_is() -> None:
    assert shard_of(TWO, divided(), Plan.model_validate(PLAN)) == 1


@pytest.mark.parametrize(
    ("environment", "config", "said"),
    [
        ({}, divided(), "num_shards is 2, and 1 processes were started .torchrun --standalone"),
        (TWO, CONFIG, "num_shards is 1, and 2 processes were started .set num_shards"),
        (TWO, divided(device="cuda"), "training on a GPU cannot be divided"),
    ],
)
def test_a_start_that_does_not_fit_the_configuration_is_refused(
    environment: dict[str, str], config: NodeConfig, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        shard_of(environment, config, Plan.model_validate(PLAN))


@pytest.mark.parametrize(
    ("section", "said"),
    [({"semantics": {"kind": "behaviour"}}, "made from behaviour"), ({"privacy": PRIVATE}, "private rounds")],
)
def test_what_cannot_be_divided_is_refused_by_name(section: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.* cannot be divided"):
        shard_of(TWO, divided(), _plan(section))


def _plan(section: dict[str, object]) -> Plan:
    content = {**PLAN, **section}
    if "privacy" in section:
        content["aggregation"] = {}
    return Plan.model_validate(content)
