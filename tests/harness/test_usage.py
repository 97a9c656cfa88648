import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fecosr.harness.processes import Processes
from fecosr.harness.usage import UsageWatch


class Fake(Processes):
    """Pretend that one process has so much memory, look after look."""

    def __init__(self, folder: Path, samples: Sequence[int]) -> None:
        super().__init__(folder)
        self.samples = list(samples)

    def running(self) -> frozenset[str]:
        return frozenset({"fr"})

    def resident_bytes(self, name: str) -> int:
        return self.samples.pop(0)

    def peak_bytes(self, name: str) -> int:
        return 2 * max(self.samples, default=0)


@pytest.mark.parametrize(
    ("samples", "growth"),
    [([1, 1, 5, 5, 5, 5, 5, 5], 1.0), ([1, 1, 4, 4, 5, 5, 6, 6], 1.5), ([1, 2, 3], None)],
)
def test_growth_leaves_the_start_out(tmp_path: Path, samples: Sequence[int], growth: float | None) -> None:
    watch = UsageWatch()
    processes = Fake(tmp_path, samples)
    for now, _ in enumerate(samples):
        watch.look(processes, float(now))
    assert watch.found()["fr"].growth == growth
    assert watch.found()["fr"].peak_bytes == 2 * max(samples[1:])


def test_samples_are_a_second_apart(tmp_path: Path) -> None:
    watch, processes = UsageWatch(), Fake(tmp_path, [1, 2])
    watch.look(processes, 5.0)
    watch.look(processes, 5.9)
    assert processes.samples == [2]


def test_a_real_process_has_memory(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", [sys.executable, "-c", "import signal; signal.pause()"])
        watch = UsageWatch()
        watch.look(processes, 0.0)
        assert watch.found()["fr"].peak_bytes > 0


def test_a_process_that_is_gone_already_has_no_memory_and_is_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", [sys.executable, "-c", "import signal; signal.pause()"])
        watch = UsageWatch()
        with monkeypatch.context() as patch:
            patch.setattr(processes._running["fr"].process, "pid", 2**30)
            watch.look(processes, 0.0)
        assert (watch.found()["fr"].peak_bytes, watch.found()["fr"].growth) == (0, None)
