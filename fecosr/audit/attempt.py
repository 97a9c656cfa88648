"""Check one attempt at a round: signed manifest, key adverts, survivors, and the quorum behind a release.

Each function takes one record and what came before it in the same attempt, and yields a finding for every
rule that the record breaks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from fecosr.audit.findings import Finding
from fecosr.audit.plan_terms import PlanTerms
from fecosr.crypto.signatures import verify
from fecosr.errors import CryptoError, MisuseError
from fecosr.federation.cohort import Roster, invited
from fecosr.federation.contents import vector_terms
from fecosr.federation.recorded import advert_from, manifest_from
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ledger.log import Head, Log
from fecosr.ledger.records import (
    CohortFixed,
    NoiseFields,
    RecordedAdvert,
    RoundOpened,
    RoundReleased,
    RunOpened,
    SketchReleased,
    SurvivorsFixed,
)
from fecosr.secagg.cohort import Cohort, form_cohort
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.statements import survivors_statement, verify_advert


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold what every attempt of a run is judged by; `log` is the tree over its verified records."""

    roster: Roster
    run: RunOpened
    plan: PlanTerms
    log: Log


def check_manifest(opened: RoundOpened, terms: Terms, *, record: int) -> Iterator[Finding]:
    """Check that the manifest says what the plan says, and that the coordinator signed it."""
    where = f"Round {opened.round} attempt {opened.attempt}"
    manifest = opened.manifest
    due = vector_terms(opened.round, terms.run.num_parameters, terms.plan)
    required = {
        "run": terms.run.run,
        "round": opened.round,
        "attempt": opened.attempt,
        "plan_hash": terms.run.plan_hash,
        "num_parameters": due.num_parameters,
        "clip_norm": due.clip_norm,
        "num_summands": len(terms.roster.nodes),
        "n_min": terms.plan.n_min,
        "max_colluding": terms.plan.max_colluding,
        "ring_bits": due.ring_bits,
        "noise": planned_noise(terms),
    }
    for name, value in required.items():
        if getattr(manifest, name) != value:
            yield Finding(record, "manifest", f"{where}: {name} in the manifest is not what was agreed.")
    told = Head(terms.run.run, manifest.ledger_size, manifest.ledger_root)
    if told != terms.log.head_at(record):
        message = f"{where}: the markets were shown another history than the {record} records before it."
        yield Finding(record, "history", message)
    if not _signed(
        terms.roster.coordinator, opened.manifest_signature, manifest_from(manifest).signed_bytes()
    ):
        yield Finding(record, "manifest_signature", f"{where}: the coordinator did not sign this manifest.")
    drawn = invited(terms.run.run, opened.round, terms.roster, terms.plan.participation)
    for name in sorted((set(opened.expected) & terms.roster.nodes.keys()) - drawn):
        yield Finding(record, "participation", f"{where}: {name} was asked without being invited.")
    for stranger in sorted(set(opened.expected) - terms.roster.nodes.keys()):
        yield Finding(record, "roster", f"{where}: {stranger} was asked but is not in the roster.")


def planned_noise(terms: Terms) -> NoiseFields | None:
    """Return the noise that every manifest of the run must state; None in mode "none"."""
    plan = terms.plan
    if plan.privacy is None:
        return None
    sizes = (terms.run.num_parameters, len(terms.roster.nodes), plan.n_min, plan.max_colluding)
    return _noise_of(plan.privacy, *sizes)


@cache
def _noise_of(
    privacy: UserPrivacy, num_parameters: int, num_nodes: int, n_min: int, max_colluding: int
) -> NoiseFields | None:
    try:
        mechanism = privacy.mechanism(
            num_parameters=num_parameters, num_nodes=num_nodes, n_min=n_min, max_colluding=max_colluding
        )
    except MisuseError:
        return None
    return NoiseFields(mechanism.clip_units, mechanism.share_variance, mechanism.num_shares)


def check_cohort(fixed: CohortFixed, opened: RoundOpened, terms: Terms, *, record: int) -> Iterator[Finding]:
    """Check that the cohort is made of keys its members signed for this manifest, and is large enough."""
    where = f"Round {fixed.round} attempt {fixed.attempt}"
    context = manifest_from(opened.manifest).context()
    for advert in fixed.adverts:
        if advert.client not in opened.expected:
            yield Finding(record, "cohort", f"{where}: {advert.client} takes part but was not asked.")
        identity = terms.roster.nodes.get(advert.client)
        if identity is None or not _advertised(context, advert, identity):
            message = f"{where}: the keys of {advert.client} are not signed by its pinned identity."
            yield Finding(record, "advert_signature", message)
    publics = [key for advert in fixed.adverts for key in (advert.channel_public, advert.mask_public)]
    if len(set(publics)) != len(publics):
        yield Finding(record, "cohort", f"{where}: one key is advertised twice.")
    cohort = cohort_of(opened, fixed)
    if cohort is None:
        yield Finding(record, "manifest", f"{where}: under this manifest no sum could hide anybody.")
    elif cohort.session != fixed.session:
        yield Finding(record, "session", f"{where}: the session is not that of this manifest and these keys.")
    elif len(fixed.adverts) < cohort.fewest_survivors:
        yield Finding(record, "cohort", f"{where}: a cohort of {len(fixed.adverts)} is too small.")


def check_survivors(
    fixed: SurvivorsFixed, cohort_fixed: CohortFixed, opened: RoundOpened, *, record: int
) -> Iterator[Finding]:
    """Check that the survivors are enough members of the cohort, and that everybody else is accounted for."""
    where = f"Round {fixed.round} attempt {fixed.attempt}"
    members = {advert.client for advert in cohort_fixed.adverts}
    survivors, dropouts = set(fixed.survivors), set(fixed.dropouts)
    cohort = cohort_of(opened, cohort_fixed)
    if fixed.session != cohort_fixed.session:
        yield Finding(record, "session", f"{where}: the survivors are those of another session.")
    for stranger in sorted(survivors - members):
        yield Finding(record, "survivors", f"{where}: {stranger} survived without having taken part.")
    for node in sorted(survivors & dropouts):
        yield Finding(record, "survivors", f"{where}: {node} is a survivor and a dropout at once.")
    for node in sorted(set(opened.expected) - survivors - dropouts):
        yield Finding(record, "survivors", f"{where}: {node} is neither a survivor nor a dropout.")
    for node in sorted(dropouts - set(opened.expected)):
        yield Finding(record, "survivors", f"{where}: {node} dropped out without having been asked.")
    if cohort is not None and len(survivors) < cohort.fewest_survivors:
        needed = cohort.fewest_survivors
        yield Finding(record, "survivors", f"{where}: {len(survivors)} survivors, but {needed} are needed.")


def check_release(
    released: RoundReleased | SketchReleased,
    fixed: SurvivorsFixed,
    cohort_fixed: CohortFixed,
    opened: RoundOpened,
    roster: Roster,
    *,
    record: int,
) -> Iterator[Finding]:
    """Check that a quorum of the survivors signed this very survivor list before the sum was opened."""
    where = f"Round {released.round} attempt {released.attempt}"
    if (released.session, released.survivors) != (fixed.session, fixed.survivors):
        yield Finding(record, "survivors", f"{where}: the sum is not of the survivors that were fixed.")
    statement = survivors_statement(released.session, released.survivors)
    valid = 0
    for signed in released.consistency_signatures:
        identity = roster.nodes.get(signed.client)
        if signed.client not in released.survivors or identity is None:
            message = f"{where}: {signed.client} signed the survivor list without being on it."
        elif not _signed(identity, signed.signature, statement):
            message = f"{where}: {signed.client} did not sign this survivor list."
        else:
            valid += 1
            continue
        yield Finding(record, "consistency", message)
    cohort = cohort_of(opened, cohort_fixed)
    if cohort is not None and valid < cohort.threshold:
        message = f"{where}: {valid} survivors signed the survivor list, but {cohort.threshold} are needed."
        yield Finding(record, "consistency", message)


@lru_cache(maxsize=64)
def cohort_of(opened: RoundOpened, fixed: CohortFixed) -> Cohort | None:
    """Return the cohort recomputed from manifest and adverts; None when the manifest allows none."""
    manifest = opened.manifest
    try:
        parameters = SecAggParameters(
            context=manifest_from(manifest).context(),
            length=manifest.num_parameters,
            n_min=manifest.n_min,
            max_colluding=manifest.max_colluding,
        )
    except MisuseError:
        return None
    return form_cohort(parameters, map(advert_from, fixed.adverts))


def _advertised(context: bytes, advert: RecordedAdvert, identity: bytes) -> bool:
    try:
        verify_advert(context, advert_from(advert), identity)
    except CryptoError:
        return False
    return True


def _signed(identity: bytes, signature: bytes, message: bytes) -> bool:
    try:
        verify(identity, signature, message)
    except CryptoError:
        return False
    return True
