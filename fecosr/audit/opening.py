"""Check the first record: the plan it carries, the identities it names, the promise it makes."""

from collections.abc import Iterator

from fecosr.audit.findings import Finding
from fecosr.audit.plan_terms import PlanTerms
from fecosr.crypto.labels import sha256
from fecosr.federation.cohort import Roster
from fecosr.ledger.records import RunOpened


def check_opening(opened: RunOpened, plan: PlanTerms, roster: Roster) -> Iterator[Finding]:
    """Check the opening of a run against the plan it carries and the pinned roster."""
    if sha256(opened.plan_json.encode()) != opened.plan_hash:
        yield Finding(0, "plan", "The recorded plan does not have the recorded hash.")
    if plan.run != opened.run:
        yield Finding(0, "plan", f"The plan is that of run {plan.run}, not of {opened.run}.")
    if plan.n_min < plan.max_colluding + 2:
        yield Finding(0, "plan", "Under this plan a sum would hide nobody.")
    if opened.coordinator != roster.coordinator:
        yield Finding(0, "roster", "The recorded identity of the coordinator is not the pinned one.")
    if dict(opened.roster) != dict(roster.nodes):
        yield Finding(0, "roster", "The recorded identities of the markets are not the pinned ones.")
    if opened.privacy.mode != plan.mode:
        yield Finding(0, "privacy_terms", "The recorded privacy mode is not the plan's.")
    promised = (plan.privacy.epsilon, plan.privacy.delta) if plan.privacy else (None, None)
    if (opened.privacy.epsilon, opened.privacy.delta) != promised:
        yield Finding(0, "privacy_terms", "The recorded epsilon and delta are not the plan's.")
    if opened.privacy.clip_norm != (plan.privacy or plan).clip_norm:
        yield Finding(0, "privacy_terms", "The recorded clip norm is not the plan's.")
