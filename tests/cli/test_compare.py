"""`fecosr compare` from the outside: small runs, and everything one can ask wrongly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fecosr.cli import app as cli
from tests.reference.token_folder import write_token_folder

Command = Callable[..., int]

QUICK = """\
rounds = 1
semantics = { dimension = 16, buckets = 256 }
encoder = { dimension = 8, num_blocks = 1, feed_forward_dimension = 8, projector_dimension = 8 }
fine_tuning = { max_epochs = 1 }
local_baseline = { max_epochs = 1 }
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run the command line in this process and return its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fecosr", "compare", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return int(exited.value.code or 0)

    # The command answers SIGTERM from then on; the test run goes on answering it as before.
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield run
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two small markets in which items follow each other round and round."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, users in (("aa", 30), ("bb", 20)):
        rows = [
            f"{name}{user},i{(user + step) % 12},2020-01-{step + 1:02d}"
            for user in range(users)
            for step in range(6)
        ]
        (folder / f"{name}.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


def test_it_compares_and_says_where_the_report_is(
    command: Command, data: Path, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = [
        *("--data", str(data), "--settings", str(settings), "--out", str(out), "--seeds", "1", "--jobs", "1"),
        *(
            "--methods",
            "popularity, local-semantic,fecosr",
            "--no-plots",
            "--json",
            str(tmp_path / "copy.json"),
        ),
    ]
    assert command(*asked) == 0
    printed = capsys.readouterr()
    assert "NDCG@10, raw data, history not ranked" in printed.out
    assert f"report: {out / 'report.html'}" in printed.out
    assert "3 of 3: popularity, raw, seed 1 done" in printed.err
    written = json.loads((out / "results.json").read_text())
    assert written == json.loads((tmp_path / "copy.json").read_text())
    assert written["command"].startswith("fecosr compare --data")
    assert {row["method"] for row in written["results"]} == {"popularity", "local-semantic", "fecosr"}
    assert written["settings"]["encoder"]["dimension"] == 8
    assert command(*asked) == 0
    assert "3 cells (method, data variant, seed); 3 of them are finished already" in capsys.readouterr().err


def test_rounds_on_the_command_line_come_before_those_in_the_file(
    command: Command, data: Path, settings: Path, tmp_path: Path
) -> None:
    asked = ["--data", str(data), "--settings", str(settings), "--out", str(tmp_path / "out"), "--no-plots"]
    assert command(*asked, "--seeds", "1", "--methods", "fedavg-ce", "--rounds", "2", "--jobs", "1") == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(written["heterogeneity"][0]["rounds"]) == 2


def test_a_gpu_that_is_not_there_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert command("--out", str(tmp_path / "out"), "--no-plots", "--device", "cuda") == 2
    assert "torch sees no GPU here (use device = 'auto' or 'cpu'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_text_model_makes_the_vectors_and_its_hash_stands_in_the_results(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "model.toml"
    settings.write_text(QUICK.replace("dimension = 16, buckets = 256", 'kind = "folder", dimension = 16'))
    model = write_token_folder(tmp_path / "tiny")
    asked = [
        *("--settings", str(settings), "--out", str(tmp_path / "out"), "--no-plots"),
        *("--seeds", "1", "--jobs", "1", "--methods", "popularity"),
    ]
    assert command(*asked) == 2
    assert "nobody said where the folder of the text model is" in capsys.readouterr().err
    assert command(*asked, "--embedding", str(model)) == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (written["settings"]["semantics"]["embedding"], written["device"]) == ("tiny", "cpu")
    assert len(written["settings"]["semantics"]["embedding_hash"]) == 64
    assert "tokenizers" in written["versions"]


def test_methods_can_be_listed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--list-methods") == 0
    printed = capsys.readouterr().out
    assert "fecosr (core): Federated pretraining with S2CE" in printed
    assert len(printed.splitlines()) == 27


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nowhere to write to (give --out DIR)"),
        (["--out", "OUT", "--methods", "fecosr,magic"], "there is no method 'magic'"),
        (["--out", "OUT", "--methods", "fecosr", "--core"], "both say what to compare"),
        (["--out", "OUT", "--variants", "merged"], "no stars to merge families"),
        (["--out", "OUT", "--variants", "cooked"], "there is no variant 'cooked'"),
        (["--out", "OUT", "--data", "NOWHERE"], "no folder of markets"),
        (["--out", "OUT", "--settings", "NOWHERE"], "cannot be read"),
        (["--out", "FILE", "--methods", "popularity"], "cannot be used as a folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    (tmp_path / "file").write_text("")
    places = {"OUT": "out", "NOWHERE": "nowhere", "FILE": "file"}
    asked = [str(tmp_path / places[word]) if word in places else word for word in arguments]
    assert command(*asked, "--seeds", "1", "--no-plots") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert complaint in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_plots_without_matplotlib_are_refused_before_anything_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command("--out", str(tmp_path / "out"), "--core") == 2
    assert (
        "plots need matplotlib (pip install 'fecosr[plots]', or give --no-plots)" in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_can_be_stopped_and_leaves_no_process(
    number: signal.Signals, expected: int, data: Path, settings: Path, tmp_path: Path
) -> None:
    asked = ["--data", str(data), "--settings", str(settings), "--out", str(tmp_path / "out"), "--no-plots"]
    slow = ["--methods", "fecosr,fedavg-ce,local-id,popularity", "--rounds", "100000", "--seeds", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from fecosr.cli.app import main; main()", "compare", *asked, *slow],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "rounds" in line:
            break
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == expected
    assert "Traceback" not in errors
    deadline = time.monotonic() + 30
    while _alive(process.pid):
        assert time.monotonic() < deadline, "a process outlived the command"


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
