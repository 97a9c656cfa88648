"""Every way of tampering with a finished run: `fecosr audit` exits with 1 and names the record."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.verification import audit_run
from fecosr.cli.app import app
from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.run import FederationRun, run_federation
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import countersign, decode_kept, encode_kept
from fecosr.ledger.log import append, decode_entry, encode_entry, genesis, verify_log
from fecosr.ledger.records import RoundReleased, RunCompleted
from fecosr.privacy.accounting import pld_epsilon
from fecosr.privacy.events import Event
from fecosr.storage.spending_store import SPENDING_FILE
from tests.reference.private_federation import LOCAL, PRIVACY, PrivateFederation
from tests.reference.run_folder import keep
from tests.reference.small_federation import NUM_PARAMETERS

DE = NodeId("de")
Tampered = tuple[int, str]
"""The record that must be named, and the rule."""


BOTH_MODES = pytest.mark.parametrize("privacy", [PRIVACY, LOCAL], ids=["distributed", "local"])


@pytest.fixture(scope="module", params=[PRIVACY, LOCAL], ids=["distributed", "local"])
def federation(request: pytest.FixtureRequest) -> PrivateFederation:
    return PrivateFederation(accountants={"pld": pld_epsilon}, privacy=request.param, rounds=2)


@pytest.fixture(scope="module")
def run(federation: PrivateFederation) -> FederationRun:
    small = federation.small
    return run_federation(small.setup, federation.nodes(), small.initial, federation.train, small.entropy)


@pytest.fixture
def folder(federation: PrivateFederation, run: FederationRun, tmp_path: Path) -> Path:
    """Return a run folder written by the stores that the processes write with, with its report."""
    keep(federation.small, run, tmp_path)
    report = privacy_report(audit_run(tmp_path))
    (tmp_path / "privacy_report.json").write_text(json.dumps(report), encoding="utf-8")
    return tmp_path


def audited(folder: Path) -> tuple[int, list[Tampered]]:
    """Return the exit code of `fecosr audit --json` and what it names."""
    done = CliRunner().invoke(app, ["audit", str(folder), "--json"])
    said = json.loads(done.stdout)
    assert said["verified"] == (done.exit_code == 0)
    return done.exit_code, [(finding["record"], finding["rule"]) for finding in said["findings"]]


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "coordinator" / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def write(folder: Path, lines: list[bytes]) -> None:
    (folder / "coordinator" / "ledger.jsonl").write_bytes(b"".join(lines))


def flipped_byte(folder: Path, federation: PrivateFederation) -> Tampered:
    del federation
    data = bytearray(b"".join(lines_of(folder)))
    place = sum(map(len, lines_of(folder)[:4])) + 40
    data[place] ^= 1
    (folder / "coordinator" / "ledger.jsonl").write_bytes(bytes(data))
    return 4, ""


def dropped_record(folder: Path, federation: PrivateFederation) -> Tampered:
    del federation
    lines = lines_of(folder)
    write(folder, [*lines[:5], *lines[6:]])
    return 5, "sequence"


def dropped_end(folder: Path, federation: PrivateFederation) -> Tampered:
    del federation
    write(folder, lines_of(folder)[:-1])
    return len(lines_of(folder)), "truncated"


def reordered_records(folder: Path, federation: PrivateFederation) -> Tampered:
    del federation
    lines = lines_of(folder)
    lines[2], lines[3] = lines[3], lines[2]
    write(folder, lines)
    return 2, "sequence"


def forged_signature(folder: Path, federation: PrivateFederation) -> Tampered:
    """Let somebody who has not the coordinator's key sign a record that suits them."""
    lines, public = lines_of(folder), federation.small.setup.key.public
    entries = [decode_entry(line[:-1], number) for number, line in enumerate(lines)]
    place = next(entry.seq for entry in entries if isinstance(entry.body, RoundReleased))
    before, body = verify_log(entries[:place], public), entries[place].body
    assert isinstance(body, RoundReleased)
    forged, _ = append(before, replace(body, model_out=bytes(32)), SigningKey(sha256(b"somebody")))
    lines[place] = encode_entry(forged) + b"\n"
    write(folder, lines)
    return place, "signature"


def two_histories(folder: Path, federation: PrivateFederation) -> Tampered:
    """Let the coordinator tell one market of another end than all the others."""
    entries = [decode_entry(line[:-1], number) for number, line in enumerate(lines_of(folder))]
    log, key = genesis(federation.small.plan.run), federation.small.setup.key
    for entry in entries:
        body = RunCompleted(9, bytes(32)) if isinstance(entry.body, RunCompleted) else entry.body
        _, log = append(log, body, key)
    path = folder / DE / "checkpoints.jsonl"
    kept = [decode_kept(line) for line in path.read_bytes().splitlines()]
    other = countersign(sign_checkpoint(log.head, key), DE, federation.small.keys[DE])
    path.write_bytes(b"".join(encode_kept(head) + b"\n" for head in (*kept[:-1], other)))
    return kept[-2].checkpoint.size, "fork"


def edited_epsilon(folder: Path, federation: PrivateFederation) -> Tampered:
    del federation
    path = folder / "privacy_report.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said["privacy"][0]["epsilon"] *= 0.9
    path.write_text(json.dumps(said), encoding="utf-8")
    entries = [decode_entry(line[:-1], number) for number, line in enumerate(lines_of(folder))]
    last = max(entry.seq for entry in entries if isinstance(entry.body, RoundReleased))
    return last, "privacy_report"


TAMPERINGS: list[Callable[[Path, PrivateFederation], Tampered]] = [
    flipped_byte,
    dropped_record,
    dropped_end,
    reordered_records,
    forged_signature,
    two_histories,
    edited_epsilon,
]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_tampering_is_found_and_its_record_named(
    folder: Path, federation: PrivateFederation, tamper: Callable[[Path, PrivateFederation], Tampered]
) -> None:
    assert audited(folder) == (0, [])
    record, rule = tamper(folder, federation)
    code, findings = audited(folder)
    assert code == 1
    assert any(found == record and (not rule or rule == said) for found, said in findings), findings


@BOTH_MODES
def test_a_round_beyond_the_budget_is_found_and_its_record_named(
    tmp_path: Path, privacy: UserPrivacy
) -> None:
    """All parties conspire: neither coordinator nor markets enforce the budget, and everything is signed."""
    tight = replace(privacy, epsilon=pld_epsilon({_event(privacy): 1}, privacy.delta) * 1.05)
    careless = PrivateFederation(accountants={"blind": lambda *_: 0.0}, privacy=tight, rounds=2)
    small = careless.small
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fecosr.federation.round.affordable_sums", lambda *_: None)
        run = run_federation(small.setup, careless.nodes(), small.initial, careless.train, small.entropy)
    keep(small, run, tmp_path)
    assert (tmp_path / DE / SPENDING_FILE).read_bytes().count(b'"charged"') == 2
    code, findings = audited(tmp_path)
    assert code == 1
    records = [record for record, rule in findings if rule == "budget"]
    first = next(entry.seq for entry in run.ledger if isinstance(entry.body, RoundReleased))
    assert records
    assert all(record > first for record in records), "the second round is the one beyond it"


def _event(privacy: UserPrivacy) -> Event:
    mechanism = PrivateFederation(privacy=privacy).small.plan.mechanism(NUM_PARAMETERS, 4)
    assert mechanism is not None
    return privacy.event(mechanism)
