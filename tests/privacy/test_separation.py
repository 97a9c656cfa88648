import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.privacy.separation import auc, interval, recall

IN = np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([1, 1, 1, 1], 0.5), ([3, 1, 2, 0], 0.75)],
)
def test_the_area_is_the_chance_of_the_right_order(scores: list[float], expected: float) -> None:
    assert auc(np.array(scores, np.float64), IN) == expected


def test_recall_looks_at_as_many_as_there_are() -> None:
    assert recall(np.array([4.0, 1.0, 3.0, 2.0]), IN) == 0.5
    assert recall(np.array([4.0, 3.0, 1.0, 2.0]), IN) == 1.0
    assert recall(np.zeros(3), np.zeros(3, np.bool_)) == 0.0


def test_an_interval_covers_the_truth_as_often_as_it_says_and_stays_a_rate() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = interval(rng.uniform(0.2, 0.8, 12).tolist(), 0.9)
        covered += found.low <= 0.5 <= found.high
    assert covered / 400 == pytest.approx(0.9, abs=0.04)
    assert interval([1.0, 0.9], 0.999).high == 1.0


def test_refuses_what_cannot_be_told() -> None:
    with pytest.raises(MisuseError):
        auc(np.zeros(4), np.ones(4, np.bool_))
    with pytest.raises(MisuseError):
        interval([0.5], 0.9)
