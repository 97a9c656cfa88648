"""The first entries of a coordinator that starts: a new run, or one that goes on where its ledger stopped."""

from dataclasses import replace
from typing import Final

from fecosr.federation.aggregation import Vector
from fecosr.federation.plan import FederationPlan
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.federation.replay import Kept, Replayed
from fecosr.ledger.log import Entry, Log, genesis
from fecosr.ledger.records import CoordinatorRestarted, PrivacyTerms, RoundAborted, RunOpened

COORDINATOR_RESTARTED: Final = "coordinator_restarted"
"""Why an attempt is aborted whose coordinator died."""


def privacy_terms(plan: FederationPlan) -> PrivacyTerms:
    """Return what a run under `plan` promises its users."""
    if plan.privacy is None:
        return PrivacyTerms("none", "user", "add_or_remove_one", plan.clip_norm, None, None)
    return PrivacyTerms(
        mode=plan.privacy.mode,
        privacy_unit=plan.privacy.privacy_unit,
        neighboring_relation=plan.privacy.neighboring_relation,
        clip_norm=plan.privacy.clip_norm,
        epsilon=plan.privacy.epsilon,
        delta=plan.privacy.delta,
    )


def opening(
    setup: CoordinatorSetup, parameters: Vector, model_hash: bytes, now: float
) -> tuple[Entry, Progress]:
    """Return the first ledger entry of a run and the progress after it."""
    plan = setup.plan
    body = RunOpened(
        run=plan.run,
        plan_hash=plan.hash(),
        plan_json=plan.text,
        roster=setup.roster.nodes,
        coordinator=setup.key.public,
        version=setup.version,
        initial_model_hash=model_hash,
        num_parameters=len(parameters),
        privacy=privacy_terms(plan),
    )
    kept = Kept(parameters, plan.server.init(len(parameters)))
    return _empty(setup, genesis(plan.run), kept, model_hash, now).recorded(body, setup.key)


def returning(
    setup: CoordinatorSetup, replayed: Replayed, kept: Kept, now: float
) -> tuple[tuple[Entry, ...], Progress]:
    """Return the entries a coordinator appends when it comes back, and the progress after them.

    A round that was open is aborted: its keys died with the process, so it is tried again with fresh ones.
    """
    progress = replace(
        _empty(setup, replayed.log, kept, replayed.model_hash, now),
        released=replayed.released,
        attempts=replayed.attempts,
        history=replayed.history,
        ending=replayed.ending,
        charged=replayed.charged,
        excluded=replayed.convicted,
        bound_to=frozenset(replayed.survivors if replayed.unmasking else replayed.bound_to),
        sketch=kept.sketch,
        sketch_hash=replayed.sketch_hash,
    )
    if replayed.ended:
        return (), progress
    next_round = setup.next_round(replayed.released, replayed.sketch_hash)
    number = next_round if replayed.attempts else replayed.released
    restarted, progress = progress.recorded(CoordinatorRestarted(number, replayed.attempts), setup.key)
    if not replayed.open_attempt:
        return (restarted,), progress
    aborted, progress = progress.recorded(
        RoundAborted(
            round=next_round,
            attempt=replayed.open_attempt,
            reason=COORDINATOR_RESTARTED,
            detail="The coordinator stopped during this attempt.",
            unmasked=replayed.unmasking,
        ),
        setup.key,
    )
    return (restarted, aborted), progress


def _empty(setup: CoordinatorSetup, log: Log, kept: Kept, model_hash: bytes, now: float) -> Progress:
    return Progress(
        log=log,
        ending=b"",
        released=0,
        attempts=0,
        parameters=kept.parameters,
        model_hash=model_hash,
        optimiser_state=kept.optimiser_state,
        history=(),
        best_parameters=kept.best_parameters,
        connected=frozenset(),
        finished=frozenset(),
        absent_since=dict.fromkeys(setup.roster.nodes, now),
    )
