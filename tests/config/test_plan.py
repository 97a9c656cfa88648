from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fecosr.config.plan import Plan, load_plan
from fecosr.config.toml import validate
from fecosr.crypto.labels import sha256
from fecosr.errors import ConfigError
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.optimisers import Adaptive, Sgd
from fecosr.federation.sketch import SketchTerms
from fecosr.federation.user_privacy import LocalPrivacy
from fecosr.secagg.messages import Phase

SMALLEST: dict[str, Any] = {
    "run": {"name": "spring", "rounds": 3, "seed": 1},
    "cohort": {"n_min": 3, "max_colluding": 1},
    "privacy": {"mode": "none"},
    "aggregation": {"clip_norm": 10.0},
}


def plan_with(section: str, **values: object) -> Plan:
    changed = deepcopy(SMALLEST)
    changed.setdefault(section, {}).update(values)
    return validate(changed, Plan, source="plan.toml")


def test_equal_plans_have_equal_hashes_however_they_are_written(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(
        '[run]\nname = "spring"\nrounds = 3\nseed = 1\n[cohort]\nn_min = 3\nmax_colluding = 1\n'
        '[privacy]\nmode = "none"\n[aggregation]\nclip_norm = 10\n'
    )
    second.write_text(
        '[aggregation]\nclip_norm = 10.0\nweight_exponent = 0.5\n[privacy]\nmode = "none"\n'
        '[cohort]\nmax_colluding = 1\nn_min = 3\n[run]\nseed = 1\nrounds = 3\nname = "spring"\n'
    )
    assert load_plan(first).hash() == load_plan(second).hash()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("run", {"rounds": 4}),
        ("cohort", {"n_min": 4}),
        ("aggregation", {"clip_norm": 10.5}),
        ("s2ce", {"alpha": 0.25}),
        ("semantics", {"seed": 5}),
        ("deadlines", {"phase_seconds": 7.0}),
    ],
)
def test_any_setting_changes_the_hash(section: str, values: dict[str, object]) -> None:
    assert plan_with(section, **values).hash() != plan_with("run").hash()


def test_the_hash_is_of_the_canonical_text() -> None:
    plan = plan_with("run")
    assert plan.hash() == sha256(plan.canonical().encode())
    assert plan.federation().hash() == plan.hash()
    assert plan.federation().text == plan.canonical()


def test_training_has_its_own_deadline() -> None:
    federation = plan_with("deadlines", training_seconds=99.0, phase_seconds=7.0).federation()
    assert federation.phase_seconds[Phase.ADVERTISE_KEYS] == 99.0
    assert federation.phase_seconds[Phase.UNMASK] == 7.0


def test_the_server_optimiser_is_fedavg_unless_the_plan_says_otherwise() -> None:
    assert plan_with("run").federation().server == Sgd()
    adam = plan_with("aggregation", server={"optimiser": "adam", "learning_rate": 0.02})
    assert adam.federation().server == Adaptive("adam", learning_rate=0.02)


def test_a_run_stops_early_only_if_the_plan_says_so() -> None:
    assert plan_with("run").federation().early_stopping is None
    assert plan_with("run").federation().releases_validation is False
    changed = {**SMALLEST, "privacy": {"mode": "none", "validation": "released"}}
    stopping = validate({**changed, "early_stopping": {"patience": 2, "min_rounds": 3}}, Plan, source="p")
    assert stopping.federation().early_stopping == EarlyStopping(patience=2, min_rounds=3)
    assert stopping.federation().releases_validation is True
    for rounds in (2, 10_001):
        values = {**changed, "run": {**SMALLEST["run"], "rounds": rounds}}
        values["early_stopping"] = {"patience": 2, "min_rounds": 3}
        with pytest.raises(ConfigError, match="and at most 10000"):
            validate(values, Plan, source="p")


@pytest.mark.parametrize("section", ["run", "cohort", "privacy", "aggregation"])
def test_nothing_that_decides_privacy_has_a_default(section: str) -> None:
    changed = {name: values for name, values in SMALLEST.items() if name != section}
    with pytest.raises(ConfigError, match="is missing"):
        validate(changed, Plan, source="plan.toml")


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("run", {"name": "Spring!"}, "not a run name"),
        ("cohort", {"n_min": 2}, "hides nobody"),
        ("cohort", {"participation": 0.0}, "participation"),
        ("cohort", {"participation": 3.5}, "whole number"),
        ("cohort", {"participation": 2}, "at least cohort.n_min"),
        ("privacy", {"mode": "some"}, "privacy: mode"),
        ("privacy", {"validation": "secret"}, "privacy.validation"),
        ("early_stopping", {"patience": 2}, 'needs privacy.validation = "released"'),
        ("early_stopping", {"min_rounds": 1}, "min_rounds"),
        ("aggregation", {"clip_norm": float("inf")}, "clip_norm"),
        ("encoder", {"num_heads": 7}, "num_heads"),
        ("s2ce", {"alhpa": 0.1}, "unknown key"),
        (
            "aggregation",
            {"server": {"optimiser": "adagrad"}},
            "server: optimiser = 'adagrad' is none of 'sgd', 'adam', 'yogi'",
        ),
        ("aggregation", {"server": {"learning_rate": 0.1}}, r"server: 'optimiser' is missing \(add it\)"),
        ("aggregation", {"server": {"optimiser": "adam"}}, "learning_rate: is missing"),
        ("aggregation", {"server": {"optimiser": "sgd", "tau": 0.1}}, "unknown key"),
        ("aggregation", {"server": {"optimiser": "yogi", "learning_rate": 0.1, "beta2": 1.0}}, "beta2"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(section: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_with(section, **values)


PRIVATE: dict[str, Any] = {
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


def private_plan(**sections: dict[str, object]) -> Plan:
    values = {**SMALLEST, "privacy": PRIVATE, "aggregation": {}, **sections}
    return validate(values, Plan, source="plan.toml")


def test_a_private_plan_bounds_users_and_releases_nothing_else() -> None:
    plan = private_plan().federation()

    assert plan.privacy is not None
    assert (plan.clip_norm, plan.privacy.epsilon, plan.privacy.delta) == (0.5, 8.0, 1e-5)
    assert not plan.releases_validation
    mechanism = plan.mechanism(1000, 5)
    assert mechanism is not None
    assert mechanism.num_shares == 2
    assert mechanism.noise_multiplier >= 2.0
    assert plan_with("run").federation().privacy is None


@pytest.mark.parametrize("name", sorted(PRIVATE.keys() - {"mode"}))
def test_no_term_of_a_private_plan_has_a_default(name: str) -> None:
    section = {key: value for key, value in PRIVATE.items() if key != name}
    with pytest.raises(ConfigError, match=f"{name}: is missing"):
        private_plan(privacy=section)


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ({"privacy": {**PRIVATE, "validation": "released"}}, "validation: unknown key"),
        ({"privacy": {**PRIVATE, "privacy_unit": "interaction"}}, "privacy_unit"),
        ({"privacy": {**PRIVATE, "delta": 0.01}}, "delta must be below"),
        ({"early_stopping": {"patience": 2}}, "early_stopping would follow"),
        ({"s2ce": {"support": "catalogue"}}, "support must not be"),
        ({"local_training": {"label_smoothing": 0.1}}, "label_smoothing must be 0"),
        ({"aggregation": {"clip_norm": 1.0}}, "bounds markets"),
        ({"aggregation": {"ring_bits": 16}}, "ring_bits must be 32"),
        ({"semantics": {"kind": "behaviour"}}, "noise would drown: use titles or ids"),
    ],
)
def test_what_would_reach_a_later_round_without_noise_is_refused(
    sections: dict[str, dict[str, object]], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        private_plan(**sections)


LOCAL: dict[str, Any] = {
    **PRIVATE,
    "mode": "local",
    "holds_against": "everybody_outside_the_market",
    "steps": 4,
}


def local_plan(**sections: dict[str, object]) -> Plan:
    values = {**SMALLEST, "privacy": LOCAL, **sections}
    return validate(values, Plan, source="plan.toml")


def test_a_market_that_adds_its_own_noise_needs_nobody_elses() -> None:
    plan = local_plan(aggregation={"clip_norm": 10.0, "ring_bits": 16}).federation()

    assert isinstance(plan.privacy, LocalPrivacy)
    assert (plan.clip_norm, plan.privacy.clip_norm, plan.privacy.steps) == (10.0, 0.5, 4)
    assert not plan.releases_validation
    mechanisms = {plan.mechanism(1000, num_nodes) for num_nodes in (3, 5, 50)}
    (mechanism,) = mechanisms
    assert mechanism is not None
    assert (mechanism.num_shares, mechanism.clip_norm) == (1, 0.5)
    assert mechanism.noise_multiplier >= 2.0


@pytest.mark.parametrize("name", sorted(LOCAL.keys() - {"mode"}))
def test_no_term_of_a_local_plan_has_a_default(name: str) -> None:
    section = {key: value for key, value in LOCAL.items() if key != name}
    with pytest.raises(ConfigError, match=f"{name}: is missing"):
        local_plan(privacy=section)


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ({"privacy": {**LOCAL, "validation": "released"}}, "validation: unknown key"),
        ({"privacy": {**LOCAL, "holds_against": PRIVATE["holds_against"]}}, "holds_against"),
        ({"privacy": {**LOCAL, "steps": 0}}, "steps"),
        ({"privacy": {**LOCAL, "delta": 0.01}}, "delta must be below"),
        ({"early_stopping": {"patience": 2}}, '"local" early_stopping would follow'),
        ({"s2ce": {"support": "catalogue"}}, '"local" s2ce.support must not be'),
        ({"local_training": {"label_smoothing": 0.1}}, "label_smoothing must be 0"),
        ({"local_training": {"proximal": 0.1}}, "proximal must be 0"),
        ({"aggregation": {}}, 'clip_norm is needed in privacy mode "local"'),
        ({"semantics": {"kind": "behaviour"}}, "noise would drown: use titles or ids"),
    ],
)
def test_what_would_leave_a_market_without_noise_is_refused(
    sections: dict[str, dict[str, object]], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        local_plan(**sections)


def test_a_plan_without_privacy_needs_a_bound_on_updates() -> None:
    with pytest.raises(ConfigError, match="clip_norm is needed"):
        validate({**SMALLEST, "aggregation": {}}, Plan, source="plan.toml")


@pytest.mark.parametrize("kind", ["wordllama", "minilm", "folder", "vectors"])
def test_a_plan_pins_the_files_of_an_embedding(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"embedding_hash is missing.*fecosr semantics {kind} prints it"):
        plan_with("semantics", kind=kind)
    plan = plan_with("semantics", kind=kind, embedding="e5-small", embedding_hash="ab" * 32)
    # Every manifest holds the hash of this text, and so does the ledger.
    assert f'"embedding":"e5-small","embedding_hash":"{"ab" * 32}"' in plan.canonical()
    other = plan_with("semantics", kind=kind, embedding="e5-small", embedding_hash="cd" * 32)
    assert plan.hash() != other.hash()


def test_semantics_from_behaviour_bring_a_sketch_round() -> None:
    plan = validate(
        {**SMALLEST, "semantics": {"kind": "behaviour", "dimension": 64, "sketch_buckets": 512}},
        Plan,
        source="plan.toml",
    ).federation()
    assert plan.sketch == SketchTerms(512 * 64, 20_000.0)
    assert plan.first_round == 0


def test_other_semantics_bring_none() -> None:
    plan = validate(SMALLEST, Plan, source="plan.toml").federation()
    assert (plan.sketch, plan.first_round) == (None, 1)
