"""Answer for one run what NIST SP 800-226 asks of every claim of differential privacy, from the top down.

Reference: NIST SP 800-226, "Guidelines for Evaluating Differential Privacy Guarantees" (2025): the privacy
parameter and unit; correctness of the mechanism; the trust model; exposure, access and collection of data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fecosr.audit.facts import RunFacts
from fecosr.audit.statements import rounded_up
from fecosr.federation.user_privacy import DistributedPrivacy, LocalPrivacy, UserPrivacy


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold a question and what the verified records, or the way this system works, say to it."""

    question: str
    text: str


def answers(facts: RunFacts) -> Iterator[Answer]:
    """Yield the questions in the order of the guideline."""
    yield from _parameter(facts)
    yield from _correctness(facts)
    yield from _trust(facts)
    yield from _data()


def _parameter(facts: RunFacts) -> Iterator[Answer]:
    terms = facts.opened.privacy
    if terms.epsilon is None or terms.delta is None:
        none = "There are none: no noise is added in this run, so epsilon is unbounded for everybody."
        yield Answer("What are epsilon and delta?", none)
        yield Answer(
            "What is the unit of privacy?", "None. A market's single update is hidden; a customer is not."
        )
        return
    spent = "unbounded" if facts.spent is None else rounded_up(facts.spent)
    text = (
        f"Epsilon {spent} of a budget of {terms.epsilon:g}, delta {terms.delta:g}, for the whole run: the "
        "larger figure of two independent accountants, recomputed here from the recorded events."
    )
    yield Answer("What are epsilon and delta?", text)
    text = (
        "With a chance of at most delta the guarantee may fail altogether. A market takes part only if delta "
        "times the number of its own customers is below 1."
    )
    yield Answer("What does delta stand for?", text)
    text = (
        "One customer of one market with everything they ever did there; two data sets are neighbours if "
        "one has such a customer more. A customer of two markets counts as two."
    )
    yield Answer("What is the unit of privacy, and what are neighbours?", text)
    text = (
        f"Over all {facts.rounds} rounds of this run, composed. Other runs on the same customers add to it."
    )
    yield Answer("Over how many releases does the guarantee hold?", text)


def _correctness(facts: RunFacts) -> Iterator[Answer]:
    privacy = facts.plan.privacy
    if privacy is None:
        text = "None. What is verified is the secure sum, which is not privacy of customers."
        yield Answer("Which mechanism makes it private?", text)
        return
    yield Answer("Which mechanism makes it private?", _mechanism(privacy))
    text = (
        "Here: that unit, noise and events of every round are the plan's, and what they cost. Not here, "
        "because nobody outside a market can see it: that markets clip, sample and add noise as agreed. "
        "Noise is exact in integers and drawn from a cryptographic generator, so that attacks on "
        "floating-point arithmetic find nothing."
    )
    if isinstance(privacy, DistributedPrivacy):
        text += " fecosr audit empirical RUN_DIR attacks this version's training under the plan of this run."
    yield Answer("What of the implementation was checked?", text)
    text = (
        "Not by the coordinator: every market charges its own records before it takes part, and refuses "
        "what would pass the budget. Every prefix of this ledger was checked against it."
    )
    yield Answer("Can the budget be overspent?", text)


def _mechanism(privacy: UserPrivacy) -> str:
    if isinstance(privacy, LocalPrivacy):
        begun = f"Each of the {privacy.steps} steps that a market takes in a round"
        noise = "all of it added by the market itself; only the difference that its steps made is sent"
    else:
        begun, noise = "Each round", "in shares of which each market adds one"
    return (
        f"{begun} samples every customer with probability {privacy.sampling_probability:g}, clips the "
        f"gradient of each to {privacy.clip_norm:g} in L2 norm, adds up in integers and adds discrete "
        f"Gaussian noise of {privacy.noise_multiplier:g} times that norm, {noise}."
    )


def _trust(facts: RunFacts) -> Iterator[Answer]:
    yield Answer("Who has to be trusted?", _trusted(facts))
    signed = sum(market.records >= facts.num_records for market in facts.signed.values())
    text = (
        f"The coordinator signed all {facts.num_records} records; {signed} of {len(facts.signed)} markets "
        "signed the whole of them, each only after a proof that it continues what they signed before."
    )
    yield Answer("Who vouches for this record of what happened?", text)


def _trusted(facts: RunFacts) -> str:
    if facts.plan.privacy is None:
        return (
            "A customer's own market; and, with whatever sums and models say about one customer, the "
            "coordinator, every other market and whoever is given a model. Only the single update of a "
            "market is hidden from them."
        )
    if isinstance(facts.plan.privacy, LocalPrivacy):
        return (
            "A customer's own market, which has the data and adds the noise. Nobody else: it holds against "
            "the coordinator and all other markets together, and would without secure aggregation."
        )
    colluding = facts.plan.max_colluding
    others = f"no more than {colluding} of them act" if colluding else "none of them acts"
    return (
        "A customer's own market, which has the data. Neither the coordinator nor other markets, as long "
        f"as {others} together with the coordinator."
    )


def _data() -> Iterator[Answer]:
    text = (
        "No ledger shows it: every market measures its own models, and the report it keeps says what came of "
        "it. Noise drowns what few do first, so small markets and customers of rare taste lose most."
    )
    yield Answer("What does it cost in accuracy, and whom?", text)
    text = (
        "Who took part in which round; sizes and times on the wire; the opened sums, to the coordinator "
        "and to whoever audits with it. Side channels on a market's machines are not considered."
    )
    yield Answer("What else is exposed?", text)
    text = (
        "Raw interactions never leave their market. Keys and interactions are on its own machines, under "
        "its own access controls, which no ledger shows."
    )
    yield Answer("Who has access to the data?", text)
    text = (
        "By the markets, before and outside of this system; it adds nothing to what they collect and asks "
        "nothing of how they may use it."
    )
    yield Answer("How were the data collected?", text)
