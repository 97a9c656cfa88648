import pytest

from fecosr.cli import progress
from fecosr.cli.progress import progress_bar, progress_through


def test_short_work_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("ranking", 5) as advance:
        advance(5)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_long_work_says_how_far_it_is_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.0)
    with progress_bar("ranking", 5) as advance:
        advance(2)
        advance(1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "ranking: 2 of 5\nranking: 3 of 5\n"


def test_work_of_several_kinds_says_which_is_going_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.0)
    with progress_through("auditing") as advance:
        advance("training", 1, 4)
        advance("scoring", 0, 1)
    assert capsys.readouterr().err == "training: 1 of 4\nscoring: 0 of 1\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_through("auditing") as advance:
        advance("training", 4, 4)
    assert "4/4" in capsys.readouterr().err


def test_a_terminal_gets_a_bar_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("ranking", 5) as advance:
        advance(5)
    said = capsys.readouterr()
    assert said.out == ""
    assert "5/5" in said.err
