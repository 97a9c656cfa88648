"""The token in its file."""

import stat
from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.web.token import load_token


def test_a_missing_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    first = load_token(path)
    text = path.read_text().strip()
    assert len(text) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.admits(f"Bearer {text}".encode())
    assert load_token(path) == first
    assert [found.name for found in tmp_path.iterdir()] == ["web.token"]


def test_two_tokens_differ(tmp_path: Path) -> None:
    load_token(tmp_path / "a")
    load_token(tmp_path / "b")
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    load_token(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_token(path)


@pytest.mark.parametrize("text", ["", "\n", "hunter2", "x" * 31])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="too short"):
        load_token(path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        load_token(tmp_path / "nowhere" / "web.token")


def test_the_token_is_in_no_repr(tmp_path: Path) -> None:
    token = load_token(tmp_path / "web.token")
    assert repr(token) == "Token()"
