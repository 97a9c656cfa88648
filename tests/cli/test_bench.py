import json
from collections.abc import Callable

import pytest

from fecosr.harness import bench_training
from fecosr.harness.figures import Figure

Command = Callable[..., int]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the devices on which training was measured."""
    asked: list[str] = []

    def measure(device: str) -> list[Figure]:
        asked.append(device)
        return [Figure("a step", 2.0, 4.0, "another step", "us")]

    monkeypatch.setattr(bench_training, "measure", measure)
    return asked


def test_training_is_measured_where_it_is_told_to(
    command: Command, capsys: pytest.CaptureFixture[str], devices: list[str]
) -> None:
    assert command("bench", "training") == 0
    assert capsys.readouterr().out == "a step: 2 us, another step 4 us, ratio 0.50\n"
    assert command("bench", "training", "--device", "auto", "--json") == 0
    assert [figure["ratio"] for figure in json.loads(capsys.readouterr().out)] == [0.5]
    assert devices == ["cpu", "auto"]


def test_a_device_that_nobody_knows_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], devices: list[str]
) -> None:
    assert command("bench", "training", "--device", "tpu") == 2
    assert "tpu" in capsys.readouterr().err
    assert not devices


def test_other_benchmarks_have_no_device(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bench", "wire", "--device", "cpu") == 2
    assert "--device" in capsys.readouterr().err
