import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import BudgetExhausted, MisuseError
from fecosr.privacy.accounting import EventCounts, pld_epsilon, renyi_bound
from fecosr.privacy.budget import Budget, BudgetRecord, Charged, Spending, TakenBack, admit, replay
from fecosr.privacy.events import Charge, NonPrivate, PoissonGaussian

ROUND = PoissonGaussian(0.1, 2.0)
METRICS = PoissonGaussian(1.0, 12.0)
BUDGET = Budget("nl", 1.0, 1e-5, frozenset({ROUND, METRICS}), "user", "add_or_remove_one")
RENYI = {"renyi": renyi_bound}


def _charge(number: int) -> Charge:
    return Charge(f"round {number}", "pretraining", ROUND)


def _spend_all(budget: Budget = BUDGET) -> list[BudgetRecord]:
    """Return the records of as many rounds as the budget admits."""
    records: list[BudgetRecord] = []
    while True:
        try:
            records.append(admit(budget, replay(records), _charge(len(records)), RENYI))
        except BudgetExhausted:
            return records


def test_rounds_are_admitted_until_one_more_would_exceed_the_budget() -> None:
    records = _spend_all()
    assert renyi_bound({ROUND: len(records)}, 1e-5) <= 1.0 < renyi_bound({ROUND: len(records) + 1}, 1e-5)
    assert len(records) > 5


def test_the_refusal_says_whose_budget_and_what_it_would_come_to() -> None:
    spending = replay(_spend_all())
    with pytest.raises(BudgetExhausted, match=r"nl: round 999 would bring epsilon to 1\.\d+ .* budget is 1"):
        admit(BUDGET, spending, _charge(999), RENYI)


def test_what_is_small_enough_is_still_admitted_after_a_refusal() -> None:
    records = _spend_all()
    tiny = PoissonGaussian(1.0, 1e4)
    budget = dataclasses.replace(BUDGET, planned=BUDGET.planned | {tiny}, epsilon=BUDGET.epsilon + 1e-3)
    admit(budget, replay(records), Charge("count", "metrics", tiny), RENYI)


def test_everything_counts_together() -> None:
    metrics = Charged(Charge("metrics", "metrics", METRICS))
    alone, with_metrics = len(_spend_all()), replay([metrics])
    number = 0
    while True:
        try:
            with_metrics = with_metrics.after(admit(BUDGET, with_metrics, _charge(number), RENYI))
        except BudgetExhausted:
            break
        number += 1
    assert 0 < number < alone


def test_what_the_plan_does_not_foresee_is_refused_however_cheap() -> None:
    with pytest.raises(BudgetExhausted, match="not what the plan foresees"):
        admit(BUDGET, Spending(), Charge("x", "metrics", PoissonGaussian(1.0, 1e6)), RENYI)


def test_an_unprotected_release_is_refused_even_if_it_is_planned() -> None:
    budget = dataclasses.replace(BUDGET, planned=frozenset({NonPrivate()}))
    with pytest.raises(BudgetExhausted, match="inf"):
        admit(budget, Spending(), Charge("x", "metrics", NonPrivate()), RENYI)


def test_accountants_that_disagree_or_fail_to_answer_open_nothing() -> None:
    for wrong in (0.5, math.nan):

        def other(events: EventCounts, delta: float, answer: float = wrong) -> float:
            return answer

        with pytest.raises(BudgetExhausted):
            admit(BUDGET, Spending(), _charge(1), {"pld": pld_epsilon, "other": other})
    with pytest.raises(BudgetExhausted):
        admit(BUDGET, Spending(), _charge(1), {"nan": lambda *_: math.nan})


def test_no_name_is_charged_twice() -> None:
    spending = replay([Charged(_charge(1))])
    for used in (spending, spending.after(TakenBack("round 1"))):
        with pytest.raises(MisuseError, match="charged before"):
            admit(BUDGET, used, _charge(1), RENYI)
    with pytest.raises(MisuseError, match="charged before"):
        spending.after(Charged(Charge("round 1", "pretraining", METRICS)))
    with pytest.raises(MisuseError, match="charged before"):
        spending.after(TakenBack("round 1")).after(Charged(_charge(1)))


def test_only_what_was_charged_can_be_taken_back() -> None:
    with pytest.raises(MisuseError, match="never charged"):
        Spending().after(TakenBack("round 1"))


def test_what_is_taken_back_costs_nothing_and_the_rest_stays() -> None:
    spending = replay([Charged(_charge(1)), Charged(_charge(2)), TakenBack("round 1")])
    assert spending.epsilons(1e-5, RENYI) == {"renyi": renyi_bound({ROUND: 1}, 1e-5)}


def test_history_beyond_the_budget_is_told_as_it_was() -> None:
    spending = replay([Charged(_charge(number)) for number in range(500)])
    assert spending.epsilons(1e-5, RENYI)["renyi"] > 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("charge", "crash", "take back"))), max_size=30))
def test_a_crash_anywhere_never_forgets_a_charge(story: list[tuple[int, str]]) -> None:
    """Whatever was stored before a crash is spent after it, also when the last record is written again."""
    stored: list[BudgetRecord] = []
    spending = Spending()
    begun: set[str] = set()
    for number, step in story:
        charge = _charge(number)
        if (
            step == "charge"
            and charge.name not in spending.charges
            and charge.name not in spending.taken_back
        ):
            stored.append(admit(BUDGET, spending, charge, RENYI))
            begun.add(charge.name)  # the record is durable: from here on the round may have happened
            spending = spending.after(stored[-1])
        elif step == "take back" and charge.name in spending.charges:
            stored.append(TakenBack(charge.name))
            begun.discard(charge.name)
            spending = spending.after(stored[-1])
        elif step == "crash":
            spending = replay([*stored, *stored[-1:]])
        assert spending.charges.keys() == begun
        assert spending == replay(stored)


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0.0}, {"epsilon": math.inf}, {"epsilon": math.nan}, {"delta": 0.0}, {"delta": 1.0}]
)
def test_refuses_a_useless_budget(wrong: dict[str, float]) -> None:
    with pytest.raises(MisuseError):
        dataclasses.replace(BUDGET, **wrong)  # type: ignore[arg-type]


def test_delta_must_not_cover_a_whole_user() -> None:
    BUDGET.check_covers(99_999)
    with pytest.raises(MisuseError, match=r"nl: with 100000 users, delta must be below 1e-05"):
        BUDGET.check_covers(100_000)


def test_nothing_that_decides_privacy_has_a_default() -> None:
    assert all(field.default is dataclasses.MISSING for field in dataclasses.fields(Budget))
