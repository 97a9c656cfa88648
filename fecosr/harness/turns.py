"""Measure tasks that are compared in turns, because machines get faster and slower while one looks away."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch


def in_turns(tasks: Sequence[Callable[[], object]], turns: int = 3) -> list[float]:
    """Return each task's median seconds; each is run once before, and then one after the other."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for turn in range(turns + 1):
        for task, found in zip(tasks, seconds, strict=True):
            start = time.perf_counter()
            task()
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # A kernel that was started is not yet one that has run.
            if turn:
                found.append(time.perf_counter() - start)
    return [median(found) for found in seconds]
