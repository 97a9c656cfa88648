from pathlib import Path

import pytest

from fecosr.audit.empirical.terms import Effort, Terms, new_plan, plan_of_run, terms_of
from fecosr.config.plan import Plan
from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ConfigError
from fecosr.federation.user_privacy import DistributedPrivacy
from fecosr.ids import NodeId, RunId
from fecosr.ledger.log import append, encode_entry, genesis
from fecosr.ledger.records import PrivacyTerms, RunOpened

KEY = SigningKey(sha256(b"coordinator"))


def _run_folder(folder: Path, plan_json: str) -> Path:
    opened = RunOpened(
        run=RunId("spring"),
        plan_hash=sha256(plan_json.encode()),
        plan_json=plan_json,
        roster={NodeId("fr"): KEY.public},
        coordinator=KEY.public,
        version="test",
        initial_model_hash=bytes(32),
        num_parameters=10,
        privacy=PrivacyTerms("distributed", "user", "add_or_remove_one", 1.0, 2.0, 1e-5),
    )
    entry, _ = append(genesis(RunId("spring")), opened, KEY)
    (folder / "coordinator").mkdir(parents=True)
    (folder / "coordinator" / "ledger.jsonl").write_bytes(encode_entry(entry) + b"\n")
    return folder


def test_the_plan_of_a_run_is_audited_as_it_was_recorded(terms: Terms, tmp_path: Path) -> None:
    found = terms_of(plan_of_run(_run_folder(tmp_path, terms.plan.canonical())))
    assert found == terms
    assert isinstance(found.promise, DistributedPrivacy)


def test_vectors_from_files_give_way_to_those_of_ids(terms: Terms) -> None:
    changed = terms.plan.model_dump()
    changed["semantics"] = {
        "kind": "wordllama",
        "dimension": 64,
        "embedding": "words",
        "embedding_hash": "ab" * 32,
    }
    assert terms_of(Plan.model_validate(changed)).learning.semantics.kind == "item_ids"


def test_the_last_markets_collude_and_the_noise_is_counted_without_theirs(terms: Terms) -> None:
    assert terms.colluding == {terms.markets[-1]}
    assert terms.mechanism().num_shares == len(terms.markets) - 1


@pytest.mark.parametrize("content", [None, b"", b"nonsense\n"])
def test_refuses_a_folder_without_a_plan(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "coordinator").mkdir()
        (tmp_path / "coordinator" / "ledger.jsonl").write_bytes(content)
    with pytest.raises(ConfigError):
        plan_of_run(tmp_path)


def test_refuses_a_plan_of_other_settings_or_without_a_promise(terms: Terms, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not know"):
        plan_of_run(_run_folder(tmp_path, '{"run": {"name": "spring"}}'))
    changed = terms.plan.model_dump()
    changed["privacy"] = {"mode": "none"}
    changed["aggregation"]["clip_norm"] = 1.0
    with pytest.raises(ConfigError, match='mode "none"'):
        terms_of(Plan.model_validate(changed))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0.0},
        {"epsilon": float("nan")},
        {"delta": 1.0},
        {"delta": 0.5},
        {"rounds": 0},
        {"sampling_probability": 1.5},
    ],
)
def test_refuses_terms_that_cannot_be(effort: Effort, wrong: dict[str, float]) -> None:
    usual = {"epsilon": 2.0, "delta": 1e-5, "rounds": 2, "sampling_probability": 0.5}
    with pytest.raises(ConfigError):
        new_plan(**{**usual, **wrong}, effort=effort)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"num_canaries": 5}, {"num_runs": 2}, {"num_users": 0}])
def test_refuses_effort_that_is_none(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        Effort(**wrong)
