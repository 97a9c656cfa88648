import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fecosr import __version__
from fecosr.cli import app as cli
from fecosr.cli.bench import BENCHMARKS
from fecosr.errors import BudgetExhausted, ConfigError, CryptoError, DataError, FecosrError
from fecosr.harness.figures import Figure

Command = Callable[..., int]


def test_the_version_is_printed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["provision"],
        ["audit"],
        ["demo"],
        ["evaluate"],
        ["recommend"],
        ["export"],
        ["harness", "run"],
        ["harness", "list"],
        ["bench", "wire"],
    ],
)
def test_every_command_explains_itself_with_an_example(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert command(*arguments, "--help") == 0
    assert f"fecosr {' '.join(arguments)}" in " ".join(capsys.readouterr().out.split())


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'grpc', 'polars', 'numpy', 'pydantic', 'cryptography'}"
    program = f"import sys; import fecosr.cli.app; print(sorted({heavy} & sys.modules.keys()))"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such key", remedy="add it", source="plan.toml:3"), 2),
        (DataError("line is short", source="orders.csv:9"), 2),
        (CryptoError("signature does not verify"), 1),
        (BudgetExhausted("round 9\nwould cost too much"), 1),
    ],
)
def test_a_foreseen_error_is_one_line_and_an_exit_code(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: FecosrError,
    code: int,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("fecosr.cli.harness.list_scenarios", fail)

    assert command("harness", "list") == code
    said = capsys.readouterr()
    assert said.err == f"error: {' '.join(str(error).split())}\n"
    assert said.out == ""


def test_a_traceback_is_shown_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CryptoError("signature does not verify")

    monkeypatch.setattr("fecosr.cli.harness.list_scenarios", fail)
    monkeypatch.setenv("FECOSR_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["fecosr", "harness", "list"])

    with pytest.raises(CryptoError):
        cli.main()


def test_an_interrupt_has_its_own_exit_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fecosr.cli.harness.list_scenarios", interrupted)

    assert command("harness", "list") == 130


def test_a_wrong_option_is_unusable_input(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("demo", "--speed", "9") == 2
    assert "--speed" in capsys.readouterr().err


def test_an_unusable_scenario_is_named_in_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('name = "x"\n\n[expect]\nmax_seconds = 9\nmood = "good"\n')

    assert command("harness", "run", str(scenario), "--out", str(tmp_path / "run")) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_scenario_that_is_not_there_is_named_in_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("harness", "run", str(tmp_path / "none.toml"), "--out", str(tmp_path / "run")) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


def test_the_shipped_scenarios_are_listed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("harness", "list") == 0
    assert "\ndemo  Five generated markets" in capsys.readouterr().out


def test_there_is_nothing_to_audit_in_an_empty_folder(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("audit", str(tmp_path), "--json") == 2
    assert json.loads(capsys.readouterr().out)["verified"] is False


def test_kits_are_provisioned_once(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, federation_file: Path
) -> None:
    out = tmp_path / "kits"

    assert command("provision", str(federation_file), "--out", str(out)) == 0
    assert [path.name for path in sorted(out.iterdir())] == ["_ca", "coordinator", "fr", "uk"]
    assert f"{out / 'fr'}: start with fecosr-market-node --config node.toml" in capsys.readouterr().out
    assert command("provision", str(federation_file), "--out", str(out)) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_a_benchmark_prints_what_programs_were_promised(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = SimpleNamespace(measure=lambda: [Figure("encode", 3.0, 2.0, "memcpy", "ms")])
    monkeypatch.setitem(sys.modules, BENCHMARKS["wire"].module, stand_in)

    assert command("bench", "wire", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "encode",
            "ours": 3.0,
            "reference": 2.0,
            "reference_name": "memcpy",
            "unit": "ms",
            "ratio": 1.5,
        }
    ]
    assert command("bench", "wire") == 0
    assert capsys.readouterr().out == "encode: 3 ms, memcpy 2 ms, ratio 1.50\n"
