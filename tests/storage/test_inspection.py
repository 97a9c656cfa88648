from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.records import Body, NodeConvicted, RunAborted
from fecosr.storage.append_only import AppendOnlyLines
from fecosr.storage.checkpoint_store import CheckpointStore
from fecosr.storage.inspection import inspect_coordinator, inspect_node, is_held, node_run
from fecosr.storage.ledger_store import LedgerStore
from fecosr.storage.run_store import RunStore
from tests.reference.audited_run import JP, MARKETS, lines_with, make_run

RUN = make_run()


def coordinator_folder(folder: Path, bodies: Sequence[Body]) -> Path:
    lines, _ = RUN.signed(bodies)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    return folder


def test_a_run_that_is_over(tmp_path: Path) -> None:
    found = inspect_coordinator(coordinator_folder(tmp_path, RUN.bodies))
    assert found is not None
    assert (found.run, found.state, found.running) == ("trial", "completed", False)
    assert (found.round, found.rounds, found.phase, found.restarts) == (2, 2, "", 1)
    assert (found.records, found.size_bytes) == (len(RUN.bodies), (tmp_path / "ledger.jsonl").stat().st_size)
    assert found.released is not None
    assert (found.released.round, found.released.survivors) == (2, MARKETS)
    assert set(found.markets.values()) == {"was in the last sum"}


def test_who_was_convicted_of_what(tmp_path: Path) -> None:
    convicted = NodeConvicted(1, 2, bytes(32), JP, "misdealt_shares", bytes(32))
    again = replace(convicted, evidence=bytes([1]) * 32)
    other = replace(convicted, fault="unusable_shares")
    found = inspect_coordinator(
        coordinator_folder(tmp_path, (*RUN.bodies[:8], convicted, again, other, *RUN.bodies[8:]))
    )
    assert found is not None
    assert found.convicted == {JP: ("misdealt_shares", "unusable_shares")}


# The first attempt of the recorded run is records 1 to 3, the second begins with record 4.
PHASES = [
    (1, "waiting", 0, ""),
    (2, "round", 1, "training, advertise_keys"),
    (4, "waiting", 1, ""),
    (5, "round", 2, "training, advertise_keys"),
    (6, "round", 2, "share_keys, masked_input"),
    (7, "round", 2, "consistency"),
    (8, "round", 2, "unmask"),
    (9, "waiting", 0, ""),
]


@pytest.mark.parametrize(("records", "state", "attempt", "phase"), PHASES)
def test_what_is_under_way_follows_from_the_last_record(
    tmp_path: Path, records: int, state: str, attempt: int, phase: str
) -> None:
    found = inspect_coordinator(coordinator_folder(tmp_path, RUN.bodies[:records]))
    assert found is not None
    assert (found.state, found.attempt, found.phase) == (state, attempt, phase)
    assert found.round == (2 if records == 9 else 1)


def test_markets_are_followed_through_a_round(tmp_path: Path) -> None:
    cohort = inspect_coordinator(coordinator_folder(tmp_path, RUN.bodies[:6]))
    assert cohort is not None
    assert set(cohort.markets.values()) == {"in the cohort"}
    fixed = inspect_coordinator(coordinator_folder(tmp_path, RUN.bodies[:7]))
    assert fixed is not None
    assert fixed.markets[JP].startswith("dropped out: ")
    assert {fixed.markets[name] for name in MARKETS if name != JP} == {"in the sum"}


def test_why_a_run_was_given_up_is_told(tmp_path: Path) -> None:
    given_up = [*RUN.bodies[:4], RunAborted(0, "too_few_adverts")]
    found = inspect_coordinator(coordinator_folder(tmp_path, given_up))
    assert found is not None
    assert (found.state, found.last_reason, found.released) == ("aborted", "too_few_adverts", None)


def test_a_record_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    lines, _ = RUN.signed(RUN.bodies)
    torn = b"".join(lines[:5]) + lines[5][:40]
    (tmp_path / "ledger.jsonl").write_bytes(torn)
    found = inspect_coordinator(tmp_path)
    assert found is not None
    assert found.records == 5
    assert (tmp_path / "ledger.jsonl").read_bytes() == torn, "nothing is mended"
    (tmp_path / "ledger.jsonl").write_bytes(lines[0][:9])
    assert inspect_coordinator(tmp_path) is None


def test_a_ledger_that_does_not_verify_is_an_error(tmp_path: Path) -> None:
    lines, _ = RUN.signed(RUN.bodies)
    (tmp_path / "ledger.jsonl").write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(LedgerError):
        inspect_coordinator(tmp_path)
    (tmp_path / "ledger.jsonl").write_bytes(lines[1])
    with pytest.raises(LedgerError, match="does not open a run"):
        inspect_coordinator(tmp_path)
    with pytest.raises(StorageError, match="cannot be read"):
        inspect_coordinator(tmp_path / "absent")


def test_a_running_coordinator_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    coordinator_folder(tmp_path, RUN.bodies)
    with LedgerStore(AppendOnlyLines(tmp_path / "ledger.jsonl"), RunId("trial"), RUN.coordinator.public):
        found = inspect_coordinator(tmp_path)
        assert found is not None
        assert found.running
    assert not is_held(tmp_path / "ledger.jsonl.lock")


def test_a_node_in_the_middle_of_a_run(tmp_path: Path) -> None:
    with RunStore(tmp_path / "node.sqlite", RunId("trial")) as store:
        store.claim(3, 2, models={})
        found = inspect_node(tmp_path)
        assert (found.run, found.running, found.round, found.attempt) == ("trial", True, 3, 2)
        assert (found.has_final_model, found.has_report, found.checkpoints) == (False, False, 0)


def test_a_node_that_is_through_and_stopped(tmp_path: Path) -> None:
    _, log = RUN.signed(RUN.bodies)
    with RunStore(tmp_path / "node.sqlite", RunId("trial")) as store:
        store.put("final_model", "00" * 32)
    path, identity = tmp_path / "checkpoints.jsonl", RUN.identities[JP].public
    path.write_bytes(lines_with(RUN.kept(JP, log, (1, 4, log.size))))
    CheckpointStore(path, RunId("trial"), RUN.coordinator.public, market=JP, identity=identity).close()
    (tmp_path / "report.json").write_text("{}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = inspect_node(tmp_path)
    assert (found.running, found.has_final_model, found.has_report) == (False, True, True)
    assert found.vouched_records == len(RUN.bodies)
    assert node_run(tmp_path) == "trial"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, "no trace of the visit"


def test_what_is_no_state_is_an_error(tmp_path: Path) -> None:
    assert node_run(tmp_path) is None
    (tmp_path / "node.sqlite").write_bytes(b"nonsense" * 200)
    with pytest.raises(StorageError, match=r"node\.sqlite: cannot be read"):
        inspect_node(tmp_path)
