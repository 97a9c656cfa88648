"""What can happen to the files of a run folder, and what the audit says to it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fecosr.audit.findings import Status
from fecosr.audit.models import check_models
from fecosr.audit.verification import audit_run
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import Checkpoint, encode_checkpoint, sign_checkpoint
from fecosr.ledger.log import Head, decode_entry
from fecosr.ledger.records import RunCompleted
from fecosr.storage.parameters import write_parameters
from tests.reference.audited_run import DE, MARKETS, US, AuditedRun, make_run


def _rules(run_dir: Path) -> set[str]:
    return {finding.rule for finding in audit_run(run_dir).findings}


def test_an_honest_run_is_verified(run_dir: Path) -> None:
    report = audit_run(run_dir)
    assert report.findings == ()
    assert report.verified
    assert report.status.exit_code == 0
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.aborted, report.facts.is_completed) == (2, 1, True)
    assert report.facts.sums == {"de": 2, "fr": 2, "jp": 1, "us": 2}
    assert set(report.facts.vouched.values()) == {report.facts.num_records}


def test_a_copy_elsewhere_is_verified_and_left_as_it_is(run_dir: Path, tmp_path: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    copy = tmp_path / "elsewhere"
    shutil.copytree(run_dir, copy)
    assert audit_run(copy).verified
    assert files(copy) == files(run_dir)


def test_the_auditor_may_bring_the_roster(run_dir: Path, tmp_path: Path, honest: AuditedRun) -> None:
    own = tmp_path / "own.toml"
    own.write_text(honest.roster_toml(), encoding="utf-8")
    (run_dir / "roster.toml").unlink()
    assert audit_run(run_dir, roster=own).verified


def test_the_word_of_another_coordinator_is_worth_nothing(
    run_dir: Path, tmp_path: Path, honest: AuditedRun
) -> None:
    own = tmp_path / "own.toml"
    stranger = SigningKey(b"\x09" * 32).public.hex()
    own.write_text(honest.roster_toml().replace(honest.coordinator.public.hex(), stranger), encoding="utf-8")
    report = audit_run(run_dir, roster=own)
    assert report.status is Status.NOT_VERIFIED
    assert [(finding.record, finding.rule) for finding in report.findings] == [(0, "signature")]


def _ledger(run_dir: Path) -> Path:
    return run_dir / "coordinator" / "ledger.jsonl"


def _lines(run_dir: Path) -> list[bytes]:
    return _ledger(run_dir).read_bytes().splitlines(keepends=True)


def _flips(run_dir: Path, positions: range) -> None:
    whole = _ledger(run_dir).read_bytes()
    for position in positions:
        flipped = bytes([whole[position] ^ 1])
        _ledger(run_dir).write_bytes(whole[:position] + flipped + whole[position + 1 :])
        report = audit_run(run_dir)
        record = whole[:position].count(b"\n")
        assert report.status is Status.NOT_VERIFIED, position
        assert record in {finding.record for finding in report.findings}, position


def test_a_flipped_bit_is_found_where_it_is(run_dir: Path) -> None:
    _flips(run_dir, range(0, _ledger(run_dir).stat().st_size, 251))


@pytest.mark.slow
def test_every_flipped_byte_is_found_where_it_is(run_dir: Path) -> None:
    _flips(run_dir, range(_ledger(run_dir).stat().st_size))


def test_every_line_feed_matters(run_dir: Path) -> None:
    whole = _ledger(run_dir).read_bytes()
    for position in [place for place, byte in enumerate(whole) if byte == ord("\n")]:
        for instead in (b"", b" ", b"\r\n", b"\n\n"):
            _ledger(run_dir).write_bytes(whole[:position] + instead + whole[position + 1 :])
            assert audit_run(run_dir).status is Status.NOT_VERIFIED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_byte_in_any_place_is_accepted(
    run_dir: Path, honest: AuditedRun, data: st.DataObject
) -> None:
    whole = b"".join(honest.chained(honest.bodies)[0])
    position = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[position]))
    _ledger(run_dir).write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
    assert not audit_run(run_dir).verified


def test_every_dropped_record_is_found(run_dir: Path) -> None:
    lines = _lines(run_dir)
    for place in range(len(lines)):
        _ledger(run_dir).write_bytes(b"".join([*lines[:place], *lines[place + 1 :]]))
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert place in {finding.record for finding in report.findings}


def test_reordered_and_repeated_records_are_found(run_dir: Path) -> None:
    lines = _lines(run_dir)
    for place in range(len(lines) - 1):
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        doubled = [*lines[: place + 1], *lines[place:]]
        for tampered in (swapped, doubled):
            _ledger(run_dir).write_bytes(b"".join(tampered))
            assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_records_after_a_bad_one_are_said_to_be_unchecked(run_dir: Path) -> None:
    lines = _lines(run_dir)
    lines[3] = lines[3].replace(b'"unmasked":false', b'"unmasked":true ')
    _ledger(run_dir).write_bytes(b"".join(lines))
    (finding,) = audit_run(run_dir).findings
    assert finding.message.endswith(f"The {len(lines) - 4} records after it were not checked.")


def test_every_cut_tail_is_found_through_the_kept_checkpoints(run_dir: Path) -> None:
    lines = _lines(run_dir)
    for size in range(1, len(lines)):
        _ledger(run_dir).write_bytes(b"".join(lines[:size]))
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert "truncated" in {finding.rule for finding in report.findings}


def test_a_cut_tail_that_nobody_vouches_for_is_missing_not_verified(
    honest: AuditedRun, tmp_path: Path
) -> None:
    honest.write(tmp_path / "cut", honest.bodies[:-1], vouching=())
    report = audit_run(tmp_path / "cut")
    assert report.status is Status.UNUSABLE
    assert {finding.rule for finding in report.findings} == {"run_completed", "witness"}


def test_a_second_history_signed_by_the_coordinator_is_found(honest: AuditedRun, tmp_path: Path) -> None:
    honest.write(tmp_path / "fork")
    other = honest.replaced(RunCompleted, lambda body: RunCompleted(body.rounds, b"\x00" * 32))
    _, heads = honest.chained(other)
    (tmp_path / "fork" / DE / "checkpoints.jsonl").write_bytes(honest.checkpoints(heads))
    report = audit_run(tmp_path / "fork")
    assert [(finding.record, finding.rule) for finding in report.findings] == [(len(other) - 1, "fork")]
    assert "de" in report.findings[0].message


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda folder: (folder / "roster.toml").unlink(), "roster"),
        (lambda folder: (folder / "roster.toml").write_text("coordinator = 1"), "roster"),
        (lambda folder: _ledger(folder).unlink(), "ledger"),
        (lambda folder: _ledger(folder).write_bytes(b""), "ledger"),
        (lambda folder: shutil.rmtree(folder / "coordinator"), "ledger"),
        (lambda folder: shutil.rmtree(folder / "coordinator" / "models"), "model_file"),
        (lambda folder: (folder / "us" / "checkpoints.jsonl").unlink(), "witness"),
        (shutil.rmtree, "roster"),
    ],
)
def test_a_missing_file_is_named_and_never_a_pass(run_dir: Path, damage: Damage, rule: str) -> None:
    damage(run_dir)
    report = audit_run(run_dir)
    assert report.status is Status.UNUSABLE
    assert report.status.exit_code == 2
    assert [finding.rule for finding in report.findings] == [rule]


def test_a_tampered_ledger_is_not_excused_by_a_missing_file(run_dir: Path) -> None:
    _ledger(run_dir).write_bytes(_ledger(run_dir).read_bytes()[:-1])
    (run_dir / "us" / "checkpoints.jsonl").unlink()
    assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_a_market_that_never_got_to_keep_anything_is_no_objection(honest: AuditedRun, tmp_path: Path) -> None:
    honest.write(tmp_path / "run", vouching=(DE,))
    report = audit_run(tmp_path / "run")
    assert report.verified
    assert report.facts is not None
    assert (report.facts.vouched[DE], report.facts.vouched[US]) == (len(honest.bodies), 0)


def test_a_market_without_any_part_in_the_run_owes_nothing(honest: AuditedRun, tmp_path: Path) -> None:
    single = make_run(rounds=1)
    single.write(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "jp")
    assert audit_run(tmp_path / "run").verified
    shutil.rmtree(tmp_path / "run" / "us")
    assert _rules(tmp_path / "run") == {"witness"}


def test_models_of_earlier_rounds_may_be_gone_but_not_changed(run_dir: Path, honest: AuditedRun) -> None:
    initial, first, final = (
        run_dir / "coordinator" / "models" / f"{h.hex()}.safetensors" for h in honest.models
    )
    initial.unlink()
    assert audit_run(run_dir).verified
    write_parameters(first, np.ones(5, dtype=np.float32), {})
    assert _rules(run_dir) == {"model_file"}
    first.unlink()
    final.write_bytes(final.read_bytes()[:-1])
    report = audit_run(run_dir)
    assert report.status is Status.NOT_VERIFIED
    assert [finding.message for finding in report.findings] == [f"{final.name} is damaged."]


def test_a_model_of_another_size_is_found(run_dir: Path) -> None:
    entries = [decode_entry(line[:-1], place) for place, line in enumerate(_lines(run_dir))]
    found = list(check_models(run_dir / "coordinator" / "models", entries, 6, None))
    assert [finding.message.endswith("has 5 parameters, not 6.") for finding in found] == [True] * 3


def _keep(run_dir: Path, market: str, *checkpoints: Checkpoint) -> None:
    lines = b"".join(encode_checkpoint(checkpoint) + b"\n" for checkpoint in checkpoints)
    (run_dir / market / "checkpoints.jsonl").write_bytes(lines)


def test_checkpoints_are_judged_like_the_ledger(run_dir: Path, honest: AuditedRun) -> None:
    _, heads = honest.chained(honest.bodies)
    stranger = SigningKey(b"\x09" * 32)
    good, late = (sign_checkpoint(heads[size], honest.coordinator) for size in (2, 3))
    forged = sign_checkpoint(heads[-1], stranger)
    other_run = sign_checkpoint(Head(RunId("other"), 2, heads[2].hash), honest.coordinator)
    for kept in ((forged,), (late, good), (other_run,), (good, other_run)):
        _keep(run_dir, US, *kept)
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert [finding.rule for finding in report.findings] == ["checkpoint"]
        assert "us" in report.findings[0].message


@pytest.mark.parametrize("lost", [1, 2, 50])
def test_a_damaged_checkpoint_file_is_found(run_dir: Path, lost: int) -> None:
    path = run_dir / "us" / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes()[:-lost])
    assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_a_checkpoint_of_the_empty_ledger_is_accepted(run_dir: Path, honest: AuditedRun) -> None:
    _, heads = honest.chained(honest.bodies)
    _keep(run_dir, US, *(sign_checkpoint(head, honest.coordinator) for head in (heads[0], heads[-1])))
    assert audit_run(run_dir).verified


def test_bytes_that_are_no_ledger_at_all_are_not_verified(run_dir: Path) -> None:
    for data in (b"\x00" * 100, b"\n", b"{}\n", b"[]", b"not a ledger\n" * 3):
        _ledger(run_dir).write_bytes(data)
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert report.facts is None
        assert report.as_json()["rounds"] == 0


def test_the_markets_of_the_run_are_those_of_the_roster(run_dir: Path) -> None:
    report = audit_run(run_dir)
    assert report.facts is not None
    assert tuple(report.facts.opened.roster) == MARKETS
