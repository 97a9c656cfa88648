"""When a run ends and with which model: one rule for coordinator, nodes and auditor.

A round's validation metric is that of the model it started from, measured by the markets before they trained;
so the model a round releases is measured in the next round, and the last one never.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.messages import Release, RoundManifest, RunClosed
from fecosr.ids import COORDINATOR
from fecosr.ledger.checkpoint import verify_recorded
from fecosr.ledger.log import Entry
from fecosr.ledger.records import RunCompleted


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """End a run when the released models no longer become better.

    Attributes:
        patience: measured models without a better one than the best before; then the run ends.
        min_rounds: rounds it has in any case.
    """

    patience: int
    min_rounds: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Decide from what was released whether a run is over, and which model is its last word.

    Attributes:
        rounds: most rounds.
        early_stopping: None when the run always has all its rounds, and ends with the model of the last.
    """

    rounds: int
    early_stopping: EarlyStopping | None

    def ended_after(self, history: Sequence[Release]) -> int | None:
        """Return after which round a run with these releases is over; None: it is not yet."""
        if self.early_stopping is None:
            return self.rounds if len(history) >= self.rounds else None
        best, best_value = 0, -1.0
        for number, release in enumerate(history, start=1):
            # Round 1 measures the initial model, which nobody released.
            if number > 1 and release.validation is not None and release.validation > best_value:
                best, best_value = number - 1, release.validation
            waited = number - 1 - best if best else 0
            is_stale = number >= self.early_stopping.min_rounds and waited >= self.early_stopping.patience
            if number == self.rounds or is_stale:
                return number
        return None

    def final_round(self, history: Sequence[Release]) -> int:
        """Return the round whose model is the final one of a run with these releases.

        With early stopping the measured model with the best metric, the earlier of equals; otherwise, or if
        none was ever measured, the last.
        """
        best = 0 if self.early_stopping is None else best_round(history)
        return best or len(history)


def best_round(history: Sequence[Release]) -> int:
    """Return the round whose model has the best validation metric, the earlier of equals; 0: none has one."""
    best, best_value = 0, -1.0
    for number, measured in enumerate(history[1:], start=1):
        if measured.validation is not None and measured.validation > best_value:
            best, best_value = number, measured.validation
    return best


def check_model(manifest: RoundManifest, releases: Mapping[int, Release], schedule: Schedule) -> None:
    """Refuse a round that starts from another model than was released, or that the plan no longer has.

    Args:
        manifest: of the round.
        releases: what this node was told of earlier rounds; it may have missed some.
        schedule: of the plan.

    Raises:
        ProtocolViolation: names the rule.
    """
    before = releases.get(manifest.round - 1)
    if before is not None and before.model_hash != manifest.model_hash:
        raise ProtocolViolation(COORDINATOR, "round_task", "the model is not the one released last")
    if schedule.early_stopping is None:
        return
    earlier = range(1, manifest.round)
    if all(number in releases for number in earlier):
        history = [releases[number] for number in earlier]
        if schedule.ended_after(history) is not None:
            raise ProtocolViolation(COORDINATOR, "round_task", "the plan ends the run before this round")


def check_ending(
    closed: RunClosed, models: Mapping[int, bytes], releases: Mapping[int, Release], schedule: Schedule
) -> None:
    """Refuse an end of the run that does not follow from what was released, or that the ledger does not have.

    Args:
        closed: the coordinator's signed statement.
        models: the model of every round this node took part in.
        releases: what this node was told of earlier rounds; it may have missed some.
        schedule: of the plan.

    Raises:
        ProtocolViolation: names the rule.
    """
    rules = (_plain_end if schedule.early_stopping is None else _early_end)(
        closed, models, releases, schedule
    )
    rules["the last record of the ledger says something else"] = not _is_recorded(closed)
    for rule, broken in rules.items():
        if broken:
            raise ProtocolViolation(COORDINATOR, "run_closed", rule)


def _is_recorded(closed: RunClosed) -> bool:
    checkpoint = closed.growth.checkpoint
    completed = RunCompleted(closed.rounds, closed.model_hash)
    try:
        verify_recorded(Entry(checkpoint.size - 1, completed, closed.ending), closed.inclusion, checkpoint)
    except LedgerError:
        return False
    return True


def _plain_end(
    closed: RunClosed, models: Mapping[int, bytes], releases: Mapping[int, Release], schedule: Schedule
) -> dict[str, bool]:
    del models
    last = releases.get(closed.rounds)
    return {
        "the run ended before its last round": closed.rounds != schedule.rounds,
        "the final model is not the one released last": (
            last is not None and last.model_hash != closed.model_hash
        ),
    }


def _early_end(
    closed: RunClosed, models: Mapping[int, bytes], releases: Mapping[int, Release], schedule: Schedule
) -> dict[str, bool]:
    history = closed.history
    if len(history) != closed.rounds or not history:
        return {"the history has not one release for each round": True}
    final = history[schedule.final_round(history) - 1]
    return {
        "the history is not what was said after each round": any(
            number > len(history) or history[number - 1] != release for number, release in releases.items()
        ),
        "the history has another model than a round started from": any(
            number > len(history) or (number > 1 and history[number - 2].model_hash != model_hash)
            for number, model_hash in models.items()
        ),
        "the run ended in another round than the plan's rule says": (
            schedule.ended_after(history) != len(history)
        ),
        "the final model is not the one with the best validation metric": (
            final.model_hash != closed.model_hash
        ),
    }
