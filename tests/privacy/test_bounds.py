"""That asking ahead changes how often accountants are asked, and nothing else."""

import pytest

from fecosr.errors import BudgetExhausted
from fecosr.privacy.accounting import EventCounts, pld_epsilon, renyi_bound
from fecosr.privacy.bounds import Bounds
from fecosr.privacy.budget import Budget, Spending, admit
from fecosr.privacy.events import Charge, Event, PoissonGaussian

ROUND, METRICS = PoissonGaussian(0.1, 2.0), PoissonGaussian(1.0, 12.0)
DELTA = 1e-5


class Asked:
    """Be an accountant that counts questions; `wrong` are counts of rounds it gets wrong."""

    def __init__(self, *wrong: int) -> None:
        self.questions: list[int] = []
        self._wrong = wrong

    def __call__(self, events: EventCounts, delta: float) -> float:
        count = events.get(ROUND, 0)
        self.questions.append(count)
        return renyi_bound(events, delta) * (2.0 if count in self._wrong else 1.0)


def _rounds(count: int) -> dict[Event, int]:
    return {ROUND: count}


@pytest.mark.parametrize("budget", [0.3, 0.7, 1.0, 1.9, 3.0])
def test_what_is_allowed_is_what_asking_every_time_would_allow(budget: float) -> None:
    bounds = Bounds(budget, DELTA, {"renyi": renyi_bound})
    for count in range(1, 150):
        assert bounds.allow(_rounds(count)) == (renyi_bound(_rounds(count), DELTA) <= budget), count


def test_the_order_of_the_questions_does_not_matter() -> None:
    bounds = Bounds(1.0, DELTA, {"renyi": renyi_bound})
    most = max(count for count in range(1, 200) if renyi_bound(_rounds(count), DELTA) <= 1.0)
    for count in (most + 1, 1, most, most + 7, most - 1, most // 2, most + 1):
        assert bounds.allow(_rounds(count)) == (count <= most)


def test_a_long_run_asks_a_few_times_only() -> None:
    accountant = Asked()
    bounds = Bounds(8.0, DELTA, {"counting": accountant})
    count = 1
    while bounds.allow(_rounds(count)):
        count += 1
    assert 5 * len(accountant.questions) < count


def test_kinds_of_events_count_together() -> None:
    bounds = Bounds(1.0, DELTA, {"renyi": renyi_bound})
    for metrics in (0, 1, 3):
        for count in range(1, 60):
            events: dict[Event, int] = {ROUND: count, METRICS: metrics} if metrics else _rounds(count)
            assert bounds.allow(events) == (renyi_bound(events, DELTA) <= 1.0)


def test_a_disagreement_about_what_does_not_happen_refuses_nothing() -> None:
    accountants = {"one": Asked(), "other": Asked(2, 4)}
    assert Bounds(9.0, DELTA, accountants).allow(_rounds(1))
    with pytest.raises(BudgetExhausted, match="disagree"):
        Bounds(9.0, DELTA, accountants).allow(_rounds(2))


def test_an_error_of_one_accountant_below_what_was_asked_cannot_admit_too_much() -> None:
    """What stands for a smaller count is the figure that both found for a larger one."""
    accountants = {"one": Asked(), "other": Asked(3)}
    bounds = Bounds(9.0, DELTA, accountants)
    assert bounds.allow(_rounds(2))
    assert bounds.allow(_rounds(3))
    assert bounds.epsilon(_rounds(4)) <= 9.0


def test_the_filter_of_a_node_asks_ahead() -> None:
    accountant = Asked()
    budget = Budget("nl", 8.0, DELTA, frozenset({ROUND}), "user", "add_or_remove_one")
    spending = Spending()
    for number in range(100):
        charge = Charge(f"round {number}", "pretraining", ROUND)
        spending = spending.after(admit(budget, spending, charge, {"counting": accountant}))
    assert len(accountant.questions) < 10
    assert spending.epsilons(DELTA, {"pld": pld_epsilon})["pld"] <= 8.0
