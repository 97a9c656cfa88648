"""What can happen to the bytes of a ledger, and where the audit sees it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fecosr.audit.findings import Status
from fecosr.audit.verification import audit_run
from tests.reference.audited_run import AuditedRun, ledger_of, lines_of


def _flips(run_dir: Path, positions: range) -> None:
    whole = ledger_of(run_dir).read_bytes()
    for position in positions:
        flipped = bytes([whole[position] ^ 1])
        ledger_of(run_dir).write_bytes(whole[:position] + flipped + whole[position + 1 :])
        report = audit_run(run_dir)
        record = whole[:position].count(b"\n")
        assert report.status is Status.NOT_VERIFIED, position
        assert record in {finding.record for finding in report.findings}, position


def test_a_flipped_bit_is_found_where_it_is(run_dir: Path) -> None:
    _flips(run_dir, range(0, ledger_of(run_dir).stat().st_size, 251))


@pytest.mark.slow
def test_every_flipped_byte_is_found_where_it_is(run_dir: Path) -> None:
    _flips(run_dir, range(ledger_of(run_dir).stat().st_size))


def test_every_line_feed_matters(run_dir: Path) -> None:
    whole = ledger_of(run_dir).read_bytes()
    for position in [place for place, byte in enumerate(whole) if byte == ord("\n")]:
        for instead in (b"", b" ", b"\r\n", b"\n\n"):
            ledger_of(run_dir).write_bytes(whole[:position] + instead + whole[position + 1 :])
            assert audit_run(run_dir).status is Status.NOT_VERIFIED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_byte_in_any_place_is_accepted(
    run_dir: Path, honest: AuditedRun, data: st.DataObject
) -> None:
    whole = b"".join(honest.signed(honest.bodies)[0])
    position = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[position]))
    ledger_of(run_dir).write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
    assert not audit_run(run_dir).verified


def test_every_dropped_record_is_found(run_dir: Path) -> None:
    lines = lines_of(run_dir)
    for place in range(len(lines)):
        ledger_of(run_dir).write_bytes(b"".join([*lines[:place], *lines[place + 1 :]]))
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert place in {finding.record for finding in report.findings}


def test_reordered_and_repeated_records_are_found(run_dir: Path) -> None:
    lines = lines_of(run_dir)
    for place in range(len(lines) - 1):
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        doubled = [*lines[: place + 1], *lines[place:]]
        for tampered in (swapped, doubled):
            ledger_of(run_dir).write_bytes(b"".join(tampered))
            assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_records_after_a_bad_one_are_said_to_be_unchecked(run_dir: Path) -> None:
    lines = lines_of(run_dir)
    lines[3] = lines[3].replace(b'"unmasked":false', b'"unmasked":true ')
    ledger_of(run_dir).write_bytes(b"".join(lines))
    (finding,) = audit_run(run_dir).findings
    assert finding.message.endswith(f"The {len(lines) - 4} records after it were not checked.")


def test_bytes_that_are_no_ledger_at_all_are_not_verified(run_dir: Path) -> None:
    for data in (b"\x00" * 100, b"\n", b"{}\n", b"[]", b"not a ledger\n" * 3):
        ledger_of(run_dir).write_bytes(data)
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert report.facts is None
        assert report.as_json()["rounds"] == 0
