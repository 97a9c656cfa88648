"""How well scores tell those who are in from those who are out: 0.5 is chance, 1 is certainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

from fecosr.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold the mean of a rate over independent trials, and where the true one is with some confidence."""

    mean: float
    low: float
    high: float


def auc(scores: npt.NDArray[np.float64], is_in: npt.NDArray[np.bool_]) -> float:
    """Return the chance that somebody who is in has a higher score than somebody who is out; ties are halves.

    Raises:
        MisuseError: all are in, or all are out.
    """
    num_in = int(is_in.sum())
    num_out = len(is_in) - num_in
    if not num_in or not num_out:
        raise MisuseError("scores separate those who are in from those who are out: both must exist")
    ranks = float(rankdata(scores)[is_in].sum())
    return (ranks - num_in * (num_in + 1) / 2) / (num_in * num_out)


def recall(scores: npt.NDArray[np.float64], is_in: npt.NDArray[np.bool_]) -> float:
    """Return which part of those who are in has the highest scores, looking at as many as there are."""
    num_in = int(is_in.sum())
    return float(is_in[np.argsort(-scores, kind="stable")[:num_in]].mean()) if num_in else 0.0


def interval(values: Sequence[float], confidence: float) -> Interval:
    """Return mean and Student's interval, cut to 0 .. 1, of rates from independent trials.

    Raises:
        MisuseError: fewer than two.
    """
    if len(values) < 2:
        raise MisuseError("an interval needs two trials at least")
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) / np.sqrt(len(values))
    width = float(t.ppf((1.0 + confidence) / 2.0, len(values) - 1)) * spread
    return Interval(mean, max(0.0, mean - width), min(1.0, mean + width))
