"""Say in sentences who is protected by a run, against whom, and who is not."""

import math
from collections.abc import Iterator

from fecosr.audit.facts import RunFacts
from fecosr.audit.findings import Status
from fecosr.federation.user_privacy import LocalPrivacy


def statement(facts: RunFacts | None, status: Status) -> str:
    """Return the one sentence of a report: who is protected, how much, and against whom."""
    if facts is None or status is not Status.VERIFIED:
        return "Nothing is established about this run, because it is not verified."
    terms, colluding = facts.opened.privacy, facts.plan.max_colluding
    if terms.epsilon is None or facts.spent is None:
        return (
            "No customer is protected by differential privacy: every round opened the exact sum of at "
            f"least {facts.plan.n_min} markets' updates, which hides each single market's update and bounds "
            "nothing about a single customer."
        )
    if isinstance(facts.plan.privacy, LocalPrivacy):
        against = "against everybody outside their own market, even if all the others act together"
    else:
        others = f", alone and together with any {_others(colluding)}" if colluding else ""
        against = f"against whoever holds the final model and against the coordinator with all it saw{others}"
    return (
        f"Every customer of every market is protected with epsilon {rounded_up(facts.spent)} at delta "
        f"{terms.delta:g} over all {facts.rounds:,} rounds, {against}."
    )


def rounded_up(epsilon: float) -> str:
    """Return an epsilon with two decimals that promises no more than there is."""
    return f"{math.ceil(epsilon * 100) / 100:.2f}"


def _others(number: int) -> str:
    return f"{number} other {'market' if number == 1 else 'markets'}"


def protected(facts: RunFacts) -> Iterator[str]:
    """Yield what a verified run protects, and against whom."""
    n_min, colluding = facts.plan.n_min, facts.plan.max_colluding
    yield (
        "A market's single update, its loss and its number of users are hidden from the coordinator and from "
        f"the other markets: each round only the sum over at least {n_min} markets was opened."
    )
    if colluding:
        yield (
            f"This holds even if the coordinator colludes with {colluding} of the markets: subtracting their "
            f"own updates leaves them the sum over the others, at least {n_min - colluding} markets."
        )
    else:
        yield (
            "This holds against the coordinator alone and against any market alone; it was not planned to "
            "hold if some of them collude."
        )
    yield "Interactions, item tables and fine-tuned models are no part of the protocol: no market sends them."
    terms = facts.opened.privacy
    if terms.epsilon is None or not facts.costs:
        return
    spent = max(cost.epsilon for cost in facts.costs.values())
    if isinstance(facts.plan.privacy, LocalPrivacy):
        adversaries = (
            "from whoever holds the final model, from the coordinator with all its sums and models, and from "
            "it together with all markets other than the customer's own, even if they see that market's "
            "update unmasked: the noise in it is the market's own"
        )
    elif colluding:
        adversaries = (
            "from whoever holds the final model, from the coordinator with all its sums and models, and from "
            f"it together with any {_others(colluding)} than the customer's own"
        )
    else:
        adversaries = (
            "from whoever holds the final model and from the coordinator with all its sums and models"
        )
    yield (
        f"Any one customer of any market is protected with epsilon {spent:.4f} (budget {terms.epsilon:g}) "
        f"at delta {terms.delta:g}: whether they and all they ever did in that market were there is hidden "
        f"{adversaries}."
    )


def not_protected(facts: RunFacts) -> Iterator[str]:
    """Yield what the run does not protect, verified or not."""
    if facts.opened.privacy.epsilon is not None:
        yield from _not_protected_by_noise(facts)
    else:
        yield from _not_protected_at_all(facts)
    yield "Who took part in which round is known to the coordinator and stands in the ledger."


def _not_protected_by_noise(facts: RunFacts) -> Iterator[str]:
    yield (
        "A customer of two markets counts as two: together they are protected with the sum of both epsilons."
    )
    if not isinstance(facts.plan.privacy, LocalPrivacy):
        most = facts.plan.max_colluding
        too_many = f"More than {most} markets" if most else "Markets"
        yield (
            f"{too_many} in league with the coordinator know more of the noise than the guarantee allows for."
        )
    bare = max((cost.without_amplification for cost in facts.costs.values()), default=0.0)
    known = f"{bare:.4f}" if math.isfinite(bare) else "unbounded"
    yield (
        "The guarantee rests on nobody knowing which customers were sampled for a round; for whoever knew, "
        f"epsilon would be {known}."
    )
    yield (
        "A market's own fine-tuned model, its item table and its metrics are made without noise; they are "
        "meant to stay in the market, and the guarantee does not cover them where they leave it."
    )
    yield "That the markets clipped, sampled and added noise as agreed: nobody outside a market can see that."


def _not_protected_at_all(facts: RunFacts) -> Iterator[str]:
    yield (
        "There is no differential privacy in this run: the exact sum is released each round, so epsilon is "
        "unbounded for every customer of every market."
    )
    yield (
        "Against an outsider who holds the final model nothing is promised: whether a given customer's "
        "history was used can in principle be inferred from it."
    )
    yield (
        "Against the coordinator nothing is promised beyond the sum: what the exact sums and the models "
        "after each round say about one customer is not bounded."
    )
    yield (
        f"The clip norm of {facts.plan.clip_norm:g} bounds the update of a market, not that of a customer, "
        "and is no privacy guarantee."
    )
    if facts.sketch.survivors:
        yield (
            "The sum of the markets' behaviour sketches was opened to the coordinator and to every market: "
            "whoever has it can estimate, for any two item ids they name, how many customers have both, over "
            "all markets together and without noise. An item that one market alone sells, or one customer "
            "alone has, gives away that market's figures, or that customer's other items."
        )
    if facts.plan.releases_validation:
        yield (
            "The plan releases the weighted mean of the markets' validation NDCG@10 in every round, to the "
            "coordinator and to every market; that of a single market is hidden as its update is."
        )


def blind_spots(facts: RunFacts) -> Iterator[str]:
    """Yield what nobody can see from the outside, whatever a run folder holds."""
    yield "What a market trained on, and whether it clipped its update as agreed: only sums are ever seen."
    yield (
        "Whether a recorded sum is what the masked vectors added up to: the vectors themselves are not kept, "
        "and nobody but the coordinator saw them."
    )
    if facts.redone < facts.rounds:
        yield (
            f"Whether the models of {facts.rounds - facts.redone} rounds were made from their sums: sums, "
            "models or optimiser states of these rounds are not in the folder."
        )
    yield (
        "Misconduct of a market that the coordinator kept to itself, and whether a market that was not asked "
        "for a round was really away."
    )
    yield "Anything about a market whose signatures are absent, beyond what the other markets vouch for."
