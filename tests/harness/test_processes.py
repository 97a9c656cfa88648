import os
import select
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fecosr.errors import MisuseError
from fecosr.harness.events import Exited, Happening, Logged
from fecosr.harness.processes import Processes

DEADLINE_SECONDS = 20.0


def script(text: str) -> Sequence[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


def iter_happenings(processes: Processes) -> Iterator[Happening]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while processes.running():
        assert time.monotonic() < deadline
        yield from processes.wait(deadline - time.monotonic())


def everything(processes: Processes) -> list[Happening]:
    return list(iter_happenings(processes))


def test_everything_a_process_says_comes_before_its_end(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start(
            "fr", script('print(\'{"event": "a", "x": 1}\\nno event\'); print("half a li", end="")')
        )
        happenings = everything(processes)

    assert happenings == [
        Logged("fr", "a", {"x": 1}),
        Logged("fr", "", {"text": "no event"}),
        Logged("fr", "", {"text": "half a li"}),
        Exited("fr", 0),
    ]
    assert (tmp_path / "fr.jsonl").read_text() == '{"event": "a", "x": 1}\nno event\nhalf a li'


def test_output_that_fills_the_pipe_does_not_block_the_process(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", script("for i in range(5000): print('{\"event\": \"%05d\"}' % i + ' ' * 100)"))
        happenings = everything(processes)

    assert [h.event for h in happenings if isinstance(h, Logged)] == [f"{i:05}" for i in range(5000)]


@pytest.mark.parametrize(
    ("end", "code"),
    [("raise SystemExit(3)", 3), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9)],
)
def test_how_it_ended_is_told(tmp_path: Path, end: str, code: int) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", script(end))
        assert everything(processes)[-1] == Exited("fr", code)


def test_a_second_start_adds_to_the_same_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        assert processes.start("fr", script("print('once')")).times == 1
        everything(processes)
        assert processes.start("fr", script("print('twice')")).times == 2
        everything(processes)

    assert (tmp_path / "fr.jsonl").read_text() == "once\ntwice\n"


def test_one_name_runs_once_at_a_time(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", script("import signal; signal.pause()"))
        with pytest.raises(MisuseError, match="fr is running already"):
            processes.start("fr", script("pass"))


def test_leaving_kills_a_process_and_what_it_started(tmp_path: Path) -> None:
    parent = """
        import signal, subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        print(child.pid, flush=True)
        signal.pause()
    """
    with Processes(tmp_path) as processes:
        processes.start("fr", script(parent))
        said = next(h for h in iter_happenings(processes) if isinstance(h, Logged))
        grandchild = os.pidfd_open(int(said.text("text")))

    assert processes.running() == frozenset()
    ended, _, _ = select.select([grandchild], [], [], DEADLINE_SECONDS)
    os.close(grandchild)
    assert ended == [grandchild]


def test_a_rehearsal_in_our_own_environment_reaches_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FECOSR_REHEARSAL", "spring training@1=kill")
    show = script("import os; print(os.environ.get('FECOSR_REHEARSAL'))")
    with Processes(tmp_path) as processes:
        processes.start("fr", show)
        processes.start("de", show, {"FECOSR_REHEARSAL": "spring unmask@2=kill"})
        said = {h.name: h.text("text") for h in everything(processes) if isinstance(h, Logged)}

    assert said == {"fr": "None", "de": "spring unmask@2=kill"}


def test_waiting_for_nothing_ends_in_time(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("fr", script("import os, signal; os.close(1); os.close(2); signal.pause()"))
        begin = time.monotonic()
        # The end of its output is no event, and must not be taken for one over and over.
        assert processes.wait(0.2) == []
        assert processes.wait(0.2) == []
        assert time.monotonic() - begin < DEADLINE_SECONDS
