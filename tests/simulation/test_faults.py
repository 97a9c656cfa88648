from typing import Any

import pytest

from fecosr.errors import MisuseError
from fecosr.simulation.faults import Faults


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": -0.1},
        {"duplication": 1.1},
        {"crash": 2.0},
        {"dropout": -1.0},
        {"most_delay_seconds": float("inf")},
        {"notice": float("nan")},
        {"least_delay_seconds": 2.0, "most_delay_seconds": 1.0},
        {"least_delay_seconds": -1.0},
        {"crash_within_seconds": -1.0},
    ],
)
def test_impossible_faults_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        Faults(**wrong)


def test_the_default_loses_nothing() -> None:
    assert (Faults().loss, Faults().duplication, Faults().dropout, Faults().crash) == (0, 0, 0, 0)
