from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.state import (
    LEDGER_FILE,
    MODELS_FOLDER,
    OPTIMISER_FOLDER,
    UPLOADS_FOLDER,
    CoordinatorState,
)
from fecosr.errors import ConfigError, StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.federation.coordinator import Gathering, open_run
from fecosr.federation.effects import CoordinatorRecord, EvidenceStored, ModelStored, OptimiserStateStored
from fecosr.federation.optimisers import Adaptive
from fecosr.federation.progress import CoordinatorSetup
from fecosr.federation.run import FederationRun
from fecosr.ledger.log import Entry
from fecosr.ledger.records import CoordinatorRestarted, RoundReleased
from fecosr.storage.archive import FolderArchive
from fecosr.storage.evidence import EVIDENCE_FOLDER, evidence_path
from fecosr.storage.parameters import write_parameters
from tests.reference.small_federation import SmallFederation


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


@pytest.fixture
def initial_model(tmp_path: Path, federation: SmallFederation) -> Path:
    path = tmp_path / "initial_model.safetensors"
    write_parameters(path, federation.initial, {})
    return path


def state_in(folder: Path, setup: CoordinatorSetup) -> CoordinatorState:
    return CoordinatorState(FolderArchive(folder), folder / UPLOADS_FOLDER, setup)


def begin(folder: Path, setup: CoordinatorSetup, initial_model: Path) -> Iterator[CoordinatorRecord]:
    """Open the state as a coordinator does at its start, store what it wants stored, and leave again."""
    with state_in(folder, setup) as state:
        transition = state.begin(initial_model)(0.0)
        assert isinstance(transition.state, Gathering)
        for record in transition.records:
            state.persist(record)
            yield record


def test_a_new_run_starts_from_the_initial_model(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    stored, entry = begin(tmp_path / "state", federation.setup, initial_model)
    assert isinstance(stored, ModelStored)
    assert isinstance(entry, Entry)
    assert stored.model_hash == parameters_hash(federation.initial)
    assert (tmp_path / "state" / LEDGER_FILE).read_bytes().count(b"\n") == 1


def test_evidence_is_kept_beside_the_ledger(tmp_path: Path, federation: SmallFederation) -> None:
    with state_in(tmp_path / "state", federation.setup) as state:
        state.persist(EvidenceStored(bytes(32), b"{}"))
    assert evidence_path(tmp_path / "state" / EVIDENCE_FOLDER, bytes(32)).read_bytes() == b"{}"


def test_a_second_start_goes_on_without_the_initial_model(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    list(begin(tmp_path / "state", federation.setup, initial_model))
    initial_model.unlink()
    (entry,) = begin(tmp_path / "state", federation.setup, initial_model)
    assert isinstance(entry, Entry)
    assert entry.body == CoordinatorRestarted(0, 0)


def test_a_changed_plan_is_not_the_same_run(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    list(begin(tmp_path / "state", federation.setup, initial_model))
    changed = replace(federation.setup, plan=replace(federation.plan, text='{"changed":true}'))
    with pytest.raises(ConfigError, match="plan differs"):
        list(begin(tmp_path / "state", changed, initial_model))


def test_a_changed_roster_is_not_the_same_run(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    list(begin(tmp_path / "state", federation.setup, initial_model))
    fewer = {name: key for name, key in federation.roster.nodes.items() if name != "uk"}
    changed = replace(federation.setup, roster=replace(federation.roster, nodes=fewer))
    with pytest.raises(ConfigError, match="roster differs"):
        list(begin(tmp_path / "state", changed, initial_model))


def test_a_damaged_model_is_not_gone_on_with(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    list(begin(tmp_path / "state", federation.setup, initial_model))
    (model,) = (tmp_path / "state" / MODELS_FOLDER).glob("*.safetensors")
    damaged = bytearray(model.read_bytes())
    damaged[-1] ^= 1
    model.write_bytes(damaged)
    with pytest.raises(StorageError):
        list(begin(tmp_path / "state", federation.setup, initial_model))


def test_two_coordinators_cannot_share_a_folder(
    tmp_path: Path, federation: SmallFederation, initial_model: Path
) -> None:
    with state_in(tmp_path / "state", federation.setup), pytest.raises(StorageError):
        state_in(tmp_path / "state", federation.setup)


def stored_after(rounds: int, folder: Path) -> tuple[SmallFederation, bytes]:
    """Store what a coordinator with Adam stores in so many rounds; return the hash of its last moments."""
    federation = SmallFederation(["de", "fr", "jp", "uk"], rounds=rounds + 1, server=Adaptive("adam", 0.1))
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    released: list[RoundReleased] = []
    while len(released) < rounds:
        assert run.deliver_next()
        released = [entry.body for entry in run.ledger if isinstance(entry.body, RoundReleased)]
    with state_in(folder, federation.setup) as state:
        for digest, parameters in run.models.items():
            state.persist(ModelStored(digest, parameters))
        for entry in run.ledger:
            if isinstance(entry.body, RoundReleased):
                digest = entry.body.optimiser_state
                state.persist(OptimiserStateStored(digest, run.optimiser_states[digest]))
            state.persist(entry)
    return federation, released[-1].optimiser_state


def test_the_moments_of_the_last_release_are_there_after_a_crash(tmp_path: Path, initial_model: Path) -> None:
    federation, last = stored_after(2, tmp_path / "state")
    assert [path.stem for path in (tmp_path / "state" / OPTIMISER_FOLDER).iterdir()] == [last.hex()]
    with state_in(tmp_path / "state", federation.setup) as state:
        resumed = state.begin(initial_model)(0.0).state
    assert isinstance(resumed, Gathering)
    assert resumed.progress.optimiser_state.hash() == last
    assert resumed.progress.released == 2


def test_without_its_moments_a_run_does_not_go_on(tmp_path: Path, initial_model: Path) -> None:
    federation, last = stored_after(1, tmp_path / "state")
    (tmp_path / "state" / OPTIMISER_FOLDER / f"{last.hex()}.safetensors").unlink()
    with (
        state_in(tmp_path / "state", federation.setup) as state,
        pytest.raises(StorageError, match="optimiser"),
    ):
        state.begin(initial_model)


def test_moments_stored_for_a_release_that_never_came_are_not_used(
    tmp_path: Path, initial_model: Path
) -> None:
    """The coordinator died between the state and the record that would have named it."""
    federation, last = stored_after(1, tmp_path / "state")
    stray = federation.plan.server.init(3)
    with state_in(tmp_path / "state", federation.setup) as state:
        state.persist(OptimiserStateStored(stray.hash(), stray))
    with state_in(tmp_path / "state", federation.setup) as state:
        resumed = state.begin(initial_model)(0.0).state
    assert isinstance(resumed, Gathering)
    assert resumed.progress.optimiser_state.hash() == last
