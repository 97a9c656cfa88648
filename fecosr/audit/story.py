"""Follow a ledger record by record: order of events, numbering of rounds, chain of models, end of the run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from fecosr.audit.attempt import Terms, check_cohort, check_manifest, check_release, check_survivors
from fecosr.audit.findings import Finding, missing
from fecosr.errors import MisuseError
from fecosr.federation.messages import Release
from fecosr.federation.sketch import SKETCH_ROUND, start_hash
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import (
    CohortFixed,
    CoordinatorRestarted,
    NodeConvicted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SketchReleased,
    SurvivorsFixed,
    UnmaskingBegun,
)

AttemptBody = (
    RoundOpened
    | CohortFixed
    | SurvivorsFixed
    | UnmaskingBegun
    | NodeConvicted
    | RoundReleased
    | SketchReleased
    | RoundAborted
)


@dataclass(frozen=True, slots=True)
class OpenedSum:
    """Name a sum that was opened, or may have been: whose updates, made on which model."""

    record: int
    model_hash: bytes
    survivors: frozenset[NodeId]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold the records of the attempt that is under way.

    Attributes:
        is_dead: the coordinator restarted, so only its abort may follow.
    """

    opened: RoundOpened
    cohort: CohortFixed | None = None
    survivors: SurvivorsFixed | None = None
    unmasking: UnmaskingBegun | None = None
    is_dead: bool = False


@dataclass(slots=True)
class Story:
    """Follow the records of one run.

    Attributes:
        rounds: rounds released so far.
        attempts: attempts made at the next round.
        aborted: attempts aborted so far.
        model_hash: the current shared model; after the end, the final one.
        sketch_hash: the released sum of sketches; None before, and where the plan has none.
        sums: every sum that was opened, or may have been.
        sums_on: the same by the model they start from.
        signed: how many records each market signed, by the latest key advert in a cohort that names them.
        releases: positions of the records that released a sum.
        history: what they released.
        convicted: the markets convicted so far.
        ended: the position of the record that ended the run.
    """

    terms: Terms
    model_hash: bytes
    rounds: int = 0
    attempts: int = 0
    aborted: int = 0
    sketch_hash: bytes | None = None
    current: Attempt | None = None
    sums: list[OpenedSum] = field(default_factory=list)
    sums_on: dict[bytes, list[OpenedSum]] = field(default_factory=dict)
    signed: dict[NodeId, int] = field(default_factory=dict)
    releases: list[int] = field(default_factory=list)
    history: list[Release] = field(default_factory=list)
    convicted: set[NodeId] = field(default_factory=set)
    ended: int | None = None
    is_completed: bool = False

    def follow(self, entry: Entry) -> Iterator[Finding]:
        """Take in the next record and yield what is wrong with it."""
        record, body = entry.seq, entry.body
        if self.ended is not None:
            yield Finding(record, "order", f"Record {record} stands after the end of the run.")
        match body:
            case RunOpened():
                yield Finding(record, "order", f"Record {record} opens the run a second time.")
            case CoordinatorRestarted():
                yield from self._restart(record, body)
            case RunCompleted() | RunAborted():
                yield from self._end(record, body)
            case _:
                yield from self._follow_attempt(record, body)

    def _follow_attempt(self, record: int, body: AttemptBody) -> Iterator[Finding]:
        match body:
            case RoundOpened():
                yield from self._open(record, body)
            case CohortFixed():
                yield from self._fix_cohort(record, body)
            case SurvivorsFixed():
                yield from self._fix_survivors(record, body)
            case UnmaskingBegun():
                yield from self._begin_unmasking(record, body)
            case NodeConvicted():
                yield from self._convict(record, body)
            case RoundReleased() | SketchReleased():
                yield from self._release(record, body)
            case RoundAborted():
                yield from self._abort(record, body)

    def _open(self, record: int, opened: RoundOpened) -> Iterator[Finding]:
        where = f"Round {opened.round} attempt {opened.attempt}"
        if self.current is not None:
            yield Finding(record, "order", f"{where} was opened while another attempt was under way.")
        number = self._next_round()
        if (opened.round, opened.attempt) != (number, self.attempts + 1):
            due = f"round {number} attempt {self.attempts + 1}"
            yield Finding(record, "numbering", f"{where} was opened where {due} was due.")
        if opened.round > self.terms.plan.rounds:
            yield Finding(record, "plan", f"{where}: the plan has {self.terms.plan.rounds} rounds only.")
        if opened.manifest.sketch_hash != self.sketch_hash:
            yield Finding(record, "sketch", f"{where} does not name the sketch that was released.")
        if opened.manifest.model_hash != self._starting_point(number):
            yield Finding(record, "model_chain", f"{where} does not start from the model released before.")
        over = self.terms.plan.schedule.ended_after(self.history)
        if over is not None and over < self.terms.plan.rounds:
            message = f"{where} was opened although the plan's rule ended the run after round {over}."
            yield Finding(record, "early_stopping", message)
        yield from check_manifest(opened, self.terms, record=record)
        yield from self._check_left_out(record, opened)
        self.attempts += 1
        self.current = Attempt(opened)

    def _check_left_out(self, record: int, opened: RoundOpened) -> Iterator[Finding]:
        """Check that convicted markets are asked only where the sum needs them."""
        is_bound = opened.manifest.model_hash in self.sums_on
        trusted = set(opened.expected) - self.convicted
        if is_bound or len(trusted) < self.terms.plan.n_min:
            return
        for market in sorted(set(opened.expected) & self.convicted):
            where = f"Round {opened.round} attempt {opened.attempt}"
            yield Finding(record, "convicted", f"{where}: {market} was asked although it is convicted.")

    def _fix_cohort(self, record: int, fixed: CohortFixed) -> Iterator[Finding]:
        attempt = self._attempt(fixed.round, fixed.attempt)
        if attempt is None or attempt.is_dead or attempt.cohort is not None:
            yield _out_of_order(record, "The cohort", fixed)
            return
        yield from check_cohort(fixed, attempt.opened, self.terms, record=record)
        known = attempt.opened.manifest.ledger_size
        self.signed.update({advert.client: known for advert in fixed.adverts})
        self.current = replace(attempt, cohort=fixed)

    def _fix_survivors(self, record: int, fixed: SurvivorsFixed) -> Iterator[Finding]:
        attempt = self._attempt(fixed.round, fixed.attempt)
        if attempt is None or attempt.is_dead or attempt.cohort is None or attempt.survivors is not None:
            yield _out_of_order(record, "The list of survivors", fixed)
            return
        yield from check_survivors(fixed, attempt.cohort, attempt.opened, record=record)
        self.current = replace(attempt, survivors=fixed)

    def _begin_unmasking(self, record: int, begun: UnmaskingBegun) -> Iterator[Finding]:
        attempt = self._attempt(begun.round, begun.attempt)
        if attempt is None or attempt.is_dead or attempt.survivors is None or attempt.unmasking is not None:
            yield _out_of_order(record, "The unmasking", begun)
            return
        if begun.session != attempt.survivors.session:
            where = f"Round {begun.round} attempt {begun.attempt}"
            yield Finding(record, "session", f"{where}: what was unmasked is another session.")
        self.current = replace(attempt, unmasking=begun)

    def _convict(self, record: int, convicted: NodeConvicted) -> Iterator[Finding]:
        attempt = self._attempt(convicted.round, convicted.attempt)
        if attempt is None or attempt.is_dead or attempt.cohort is None:
            yield _out_of_order(record, "A conviction", convicted)
            return
        self.convicted.add(convicted.market)

    def _next_round(self) -> int:
        is_due = self.terms.plan.sketch is not None and self.sketch_hash is None
        return SKETCH_ROUND if is_due else self.rounds + 1

    def _starting_point(self, number: int) -> bytes:
        """Return the hash of what a round starts from: round 0 from as many zeros as the plan says."""
        sketch = self.terms.plan.sketch
        return self.model_hash if sketch is None or number != SKETCH_ROUND else start_hash(sketch.length)

    def _release(self, record: int, released: RoundReleased | SketchReleased) -> Iterator[Finding]:
        attempt = self._attempt(released.round, released.attempt)
        if attempt is None or attempt.is_dead or attempt.unmasking is None:
            yield _out_of_order(record, "The release", released)
            return
        if attempt.cohort is None or attempt.survivors is None:
            raise MisuseError("nothing is unmasked before cohort and survivors are fixed")
        yield from check_release(
            released, attempt.survivors, attempt.cohort, attempt.opened, self.terms.roster, record=record
        )
        yield from self._opened_sum(record, attempt.opened, released.survivors)
        self.attempts, self.current = 0, None
        if isinstance(released, RoundReleased):
            yield from self._release_model(record, released, attempt.opened)
        elif released.round != SKETCH_ROUND or self.terms.plan.sketch is None:
            yield Finding(record, "sketch", f"Round {released.round} has no sketch to release.")
        else:
            self.sketch_hash = released.sketch_hash

    def _release_model(self, record: int, released: RoundReleased, opened: RoundOpened) -> Iterator[Finding]:
        if released.round == SKETCH_ROUND:
            yield Finding(record, "sketch", "The sketch round released a model.")
        if released.model_in != opened.manifest.model_hash:
            message = f"Round {released.round} was not made from the model its manifest names."
            yield Finding(record, "model_chain", message)
        if released.validation is not None and not self.terms.plan.releases_validation:
            message = f"Round {released.round} released a validation metric that the plan hides."
            yield Finding(record, "privacy_terms", message)
        self.releases.append(record)
        self.history.append(Release(released.model_out, released.validation))
        self.rounds, self.model_hash = released.round, released.model_out

    def _abort(self, record: int, aborted: RoundAborted) -> Iterator[Finding]:
        attempt = self._attempt(aborted.round, aborted.attempt)
        if attempt is None or aborted.unmasked != (attempt.unmasking is not None):
            yield _out_of_order(record, "The end", aborted)
            return
        if aborted.unmasked and attempt.survivors is not None:
            yield from self._opened_sum(record, attempt.opened, attempt.survivors.survivors)
        self.aborted += 1
        self.current = None

    def _restart(self, record: int, restarted: CoordinatorRestarted) -> Iterator[Finding]:
        due = (self._next_round(), self.attempts) if self.attempts else (self.rounds, 0)
        if (restarted.round, restarted.attempt) != due:
            message = f"The coordinator came back to round {due[0]} attempt {due[1]}, but recorded another."
            yield Finding(record, "numbering", message)
        if self.current is not None:
            self.current = replace(self.current, is_dead=True)

    def _end(self, record: int, ending: RunCompleted | RunAborted) -> Iterator[Finding]:
        self.ended = record
        self.is_completed = isinstance(ending, RunCompleted)
        if self.current is not None:
            yield Finding(record, "order", "The run ended while an attempt was under way.")
        if ending.rounds != self.rounds:
            message = f"The end speaks of {ending.rounds} rounds, but {self.rounds} were released."
            yield Finding(record, "run_completed", message)
        if isinstance(ending, RunAborted):
            return
        schedule = self.terms.plan.schedule
        if schedule.ended_after(self.history) != len(self.history):
            message = f"The plan's rule does not end the run after {self.rounds} of {schedule.rounds} rounds."
            yield Finding(record, "run_completed", message)
        if self.history:
            self.model_hash = self.history[schedule.final_round(self.history) - 1].model_hash
        if ending.final_model_hash != self.model_hash:
            which = "with the best validation metric" if schedule.early_stopping else "released last"
            yield Finding(record, "model_chain", f"The final model is not the one {which}.")

    def _attempt(self, number: int, attempt: int) -> Attempt | None:
        """Return the attempt under way if it is the one with these numbers."""
        opened = self.current.opened if self.current else None
        return self.current if opened and (opened.round, opened.attempt) == (number, attempt) else None

    def _opened_sum(self, record: int, opened: RoundOpened, survivors: Sequence[NodeId]) -> Iterator[Finding]:
        """Note a sum; two on one model that differ would reveal the sum of the markets they differ in."""
        this = OpenedSum(record, opened.manifest.model_hash, frozenset(survivors))
        others = self.sums_on.setdefault(this.model_hash, [])
        for other in others:
            apart = this.survivors ^ other.survivors
            if apart:
                message = (
                    f"The sums of records {other.record} and {record} start from one model and differ in "
                    f"{', '.join(sorted(apart))} only: their difference reveals these markets."
                )
                yield Finding(record, "differencing", message)
        self.sums.append(this)
        others.append(this)


def follow(entries: Sequence[Entry], terms: Terms, *, is_whole: bool) -> tuple[Story, tuple[Finding, ...]]:
    """Return the story that the verified `entries` tell, and what is wrong with it.

    Args:
        entries: the verified records; the first opens the run.
        terms: what they are judged by.
        is_whole: whether these are all records, so that an end which is not among them is missing.
    """
    story = Story(terms, terms.run.initial_model_hash)
    findings = [finding for entry in entries[1:] for finding in story.follow(entry)]
    if is_whole and story.ended is None:
        findings.append(missing("run_completed", "The ledger has no record of the end of the run."))
    return story, tuple(findings)


def _out_of_order(record: int, what: str, body: AttemptBody) -> Finding:
    message = (
        f"{what} of round {body.round} attempt {body.attempt} does not follow from the records before it."
    )
    return Finding(record, "order", message)
