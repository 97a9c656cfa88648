import pytest

from fecosr.config.exits import DONE, FAILED, INTERRUPTED, UNUSABLE, end_with, exit_code_of
from fecosr.errors import ConfigError, DataError, StorageError


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad"), UNUSABLE),
        (DataError("bad"), UNUSABLE),
        (StorageError("bad"), FAILED),
    ],
)
def test_an_error_of_ours_is_one_line_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(lambda: raising(error)) == code
    assert capsys.readouterr().err == "error: bad\n"


def test_ctrl_c_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: raising(ZeroDivisionError()))


def test_a_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FECOSR_TRACEBACK", "1")
    with pytest.raises(ConfigError):
        exit_code_of(lambda: raising(ConfigError("bad")))


def test_the_process_ends_with_the_code() -> None:
    with pytest.raises(SystemExit) as caught:
        end_with(lambda: DONE)
    assert caught.value.code == DONE
