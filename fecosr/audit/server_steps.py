"""Redo what the coordinator made of the opened sums: every next model and every state of its optimiser.

The ledger names each sum by its hash, and the server's step is exact arithmetic on that sum, the model before
and the state before. So a model that was not made as the plan says is recognised bit by bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fecosr.audit.attempt import Terms
from fecosr.audit.findings import Finding
from fecosr.errors import CryptoError, MisuseError, StorageError
from fecosr.federation.aggregation import RingVector, Vector, parameters_hash, sum_hash
from fecosr.federation.contents import OpenedSum, open_sum
from fecosr.federation.optimisers import OptimiserState, ServerOptimiser
from fecosr.federation.recorded import manifest_from
from fecosr.ledger.log import Entry
from fecosr.ledger.records import ManifestFields, RoundOpened, RoundReleased
from fecosr.storage.optimiser_states import read_state
from fecosr.storage.parameters import read_parameters
from fecosr.storage.sums import read_sum, sum_path


@dataclass(frozen=True, slots=True)
class ServerSteps:
    """Say what redoing the server's steps came to.

    Attributes:
        redone: in how many rounds it could be done: sum, model and optimiser state were there.
        findings: where the result is another than the recorded one.
    """

    redone: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ReleasedRound:
    """Hold a released round: its record, the manifest it was opened with, and the release before it."""

    record: int
    body: RoundReleased
    manifest: ManifestFields
    before: RoundReleased | None


def check_server_steps(coordinator: Path, entries: Sequence[Entry], terms: Terms) -> ServerSteps:
    """Redo every step whose ingredients are in the coordinator's folder.

    Sums and models of earlier rounds may have been deleted; that is no finding, but those rounds do not count
    as redone.
    """
    optimiser = terms.plan.server
    if optimiser is None:
        return ServerSteps(0, ())
    folder = _Folder(coordinator)
    redone, findings = 0, list[Finding]()
    state: OptimiserState | None = optimiser.init(terms.run.num_parameters)
    for release in releases(entries):
        ingredients = folder.ingredients(release, state)
        if isinstance(ingredients, Finding):
            findings.append(ingredients)
        if not isinstance(ingredients, _Ingredients):
            state = None
            continue
        broken, state = _redo(release, ingredients, optimiser, terms)
        findings.extend(broken)
        redone += 1
    return ServerSteps(redone, tuple(findings))


def releases(entries: Sequence[Entry]) -> Iterator[ReleasedRound]:
    """Yield every released round with the manifest of its attempt."""
    manifests: dict[tuple[int, int], ManifestFields] = {}
    before: RoundReleased | None = None
    for entry in entries:
        match entry.body:
            case RoundOpened() as opened:
                manifests[opened.round, opened.attempt] = opened.manifest
            case RoundReleased() as released if (released.round, released.attempt) in manifests:
                yield ReleasedRound(entry.seq, released, manifests[released.round, released.attempt], before)
                before = released


@dataclass(frozen=True, slots=True, eq=False)
class _Ingredients:
    total: RingVector
    parameters: Vector
    state: OptimiserState


@dataclass(frozen=True, slots=True)
class _Folder:
    """Read what the coordinator kept beside its ledger."""

    path: Path

    def ingredients(
        self, release: ReleasedRound, carried: OptimiserState | None
    ) -> _Ingredients | Finding | None:
        """Return what a step was made from; a finding when the sum is not the recorded one; None when gone.

        Args:
            release: the round.
            carried: the state that redoing the round before it left, if that could be done.
        """
        path = sum_path(self.path / "sums", release.body.total_hash)
        if not path.exists():
            return None
        try:
            total = read_sum(path)
        except StorageError:
            return Finding(release.record, "sum_file", f"The sum {path.name} is damaged.")
        if sum_hash(total) != release.body.total_hash:
            return Finding(release.record, "sum_file", f"{path.name} holds another sum than its name says.")
        try:
            name = f"{release.body.model_in.hex()}.safetensors"
            parameters = read_parameters(self.path / "models" / name)
            state = carried if carried is not None else self._state(release.before)
        except StorageError:
            return None
        return None if state is None else _Ingredients(total, parameters, state)

    def _state(self, before: RoundReleased | None) -> OptimiserState | None:
        return None if before is None else read_state(self.path / "optimiser", before.optimiser_state)


def _redo(
    release: ReleasedRound, given: _Ingredients, optimiser: ServerOptimiser, terms: Terms
) -> tuple[list[Finding], OptimiserState | None]:
    """Return what is wrong with one step, and the state it leaves behind."""
    body = release.body
    opened = _opened(release, given.total, terms)
    if isinstance(opened, Finding):
        return [opened], None
    step = optimiser.apply(given.parameters, opened.step, given.state)
    findings = []
    if parameters_hash(step.parameters) != body.model_out:
        message = f"The model of round {body.round} is not what the plan's optimiser makes of its sum."
        findings.append(Finding(release.record, "server_step", message))
    if opened.validation != body.validation:
        message = f"The validation metric of round {body.round} is not what its sum says."
        findings.append(Finding(release.record, "validation", message))
    if step.state.hash() != body.optimiser_state:
        message = f"The optimiser's state after round {body.round} is not what follows from the sums."
        findings.append(Finding(release.record, "optimiser_state", message))
    return findings, step.state


def _opened(release: ReleasedRound, total: RingVector, terms: Terms) -> OpenedSum | Finding:
    try:
        return open_sum(total, len(release.body.survivors), manifest_from(release.manifest), terms.plan)
    except (CryptoError, MisuseError) as error:
        message = f"The sum of round {release.body.round} should not have been released: {error}."
        return Finding(release.record, "sum", message)
