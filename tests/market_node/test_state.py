from pathlib import Path

import numpy as np
import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ConfigError, LedgerError, ProtocolViolation, StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.federation.cohort import Roster
from fecosr.federation.effects import AttemptClaimed, CheckpointKept, ReleaseSeen, SketchSeen, SumOpened
from fecosr.federation.memory import Memory
from fecosr.federation.messages import Release
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import countersign
from fecosr.ledger.log import Head
from fecosr.secagg.client import SurvivorsSigned
from market_node.state import NodeState

RUN = RunId("test")
KEY = SigningKey(sha256(b"the coordinator"))
ME, MY_KEY = NodeId("de"), SigningKey(sha256(b"de"))
ROSTER = Roster(KEY.public, {ME: MY_KEY.public})
MODEL = sha256(b"model")
SURVIVORS = (NodeId("de"), NodeId("fr"), NodeId("uk"))


def opened(folder: Path) -> NodeState:
    return NodeState(folder, RUN, ROSTER, ME)


def test_a_new_node_remembers_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert state.memory() == Memory()
        assert state.final_model() is None


def test_claims_and_opened_sums_survive_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.persist(AttemptClaimed(2, 3, MODEL))
        state.persist(SurvivorsSigned(sha256(b"session"), SURVIVORS))
        state.persist(SumOpened(MODEL, SURVIVORS))
    with opened(tmp_path) as state:
        assert state.memory() == Memory((2, 3), models={2: MODEL}, opened=SumOpened(MODEL, SURVIVORS))


def test_the_sum_of_sketches_is_kept_under_the_hash_that_was_named(tmp_path: Path) -> None:
    sketch = np.arange(8, dtype=np.float32)
    digest = parameters_hash(sketch)
    with opened(tmp_path) as state:
        with pytest.raises(StorageError, match="not here yet"):
            state.sketch()
        state.persist(SketchSeen(digest))
        assert not state.has_sketch(digest), "it was named, and not fetched"
        state.keep_sketch(digest, sketch)
    with opened(tmp_path) as state:
        assert state.memory() == Memory(sketch=digest)
        assert state.has_sketch(digest)
        np.testing.assert_array_equal(state.sketch(), sketch)


def test_a_damaged_sum_of_sketches_is_not_used(tmp_path: Path) -> None:
    sketch = np.arange(8, dtype=np.float32)
    digest = parameters_hash(sketch)
    with opened(tmp_path) as state:
        state.persist(SketchSeen(digest))
        state.keep_sketch(digest, sketch + 1)
        with pytest.raises(StorageError, match="other parameters than its name says"):
            state.sketch()


def test_the_model_of_every_round_is_remembered(tmp_path: Path) -> None:
    earlier, later = sha256(b"of round 1"), sha256(b"of round 10")
    with opened(tmp_path) as state:
        state.persist(AttemptClaimed(1, 1, earlier))
        state.persist(AttemptClaimed(1, 2, earlier))
    with opened(tmp_path) as state:
        state.persist(AttemptClaimed(10, 1, later))
    with opened(tmp_path) as state:
        assert state.memory().models == {1: earlier, 10: later}


def test_what_was_released_is_remembered(tmp_path: Path) -> None:
    first, second = Release(MODEL, None), Release(sha256(b"later"), 0.1)
    with opened(tmp_path) as state:
        state.persist(ReleaseSeen(1, first))
    with opened(tmp_path) as state:
        state.persist(ReleaseSeen(10, second))
    with opened(tmp_path) as state:
        assert state.memory().releases == {1: first, 10: second}


def test_a_claim_that_is_refused_changes_no_model(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.persist(AttemptClaimed(2, 3, MODEL))
        with pytest.raises(ProtocolViolation):
            state.persist(AttemptClaimed(2, 3, sha256(b"another")))
        assert state.memory().models == {2: MODEL}


@pytest.mark.parametrize("claim", [(2, 3), (2, 2), (1, 9)])
def test_an_attempt_is_claimed_once_even_across_restarts(tmp_path: Path, claim: tuple[int, int]) -> None:
    with opened(tmp_path) as state:
        state.persist(AttemptClaimed(2, 3, MODEL))
    with opened(tmp_path) as state, pytest.raises(ProtocolViolation):
        state.persist(AttemptClaimed(*claim, MODEL))


def head(size: int, root: bytes) -> CheckpointKept:
    return CheckpointKept(countersign(sign_checkpoint(Head(RUN, size, sha256(root)), KEY), ME, MY_KEY))


def test_the_head_that_was_signed_last_survives_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.persist(head(5, b"one"))
        state.persist(head(8, b"more"))
    with opened(tmp_path) as state:
        assert state.memory().head == head(8, b"more").kept


def test_a_second_history_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.persist(head(5, b"one"))
    with opened(tmp_path) as state, pytest.raises(LedgerError):
        state.persist(head(5, b"another"))


def test_the_final_model_survives_a_restart(tmp_path: Path) -> None:
    model = np.linspace(0, 1, 7, dtype=np.float32)
    with opened(tmp_path) as state:
        state.keep_final_model(model)
    with opened(tmp_path) as state:
        kept = state.final_model()
    assert kept is not None
    np.testing.assert_array_equal(kept, model)


def test_state_of_another_run_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).__exit__(None, None, None)
    with pytest.raises(StorageError, match="of run test"):
        NodeState(tmp_path, RunId("other"), ROSTER, ME)


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StorageError):
        opened(tmp_path)


def test_a_file_in_place_of_the_folder_is_an_operators_mistake(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"a file")
    with pytest.raises(ConfigError, match="state: cannot be used as a folder: File exists"):
        opened(tmp_path / "state")
