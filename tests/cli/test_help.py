"""Help as somebody reads it who has nothing else: every command, every option, an example of each."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import typer

from fecosr.cli.app import app

Command = Any
"""Typer brings its own copy of click, whose classes are not part of its interface."""


def commands(command: Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Return `command` and everything below it with the words that lead there."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


BINARIES = {"fecosr-coordinator": "coordinator.main", "fecosr-market-node": "market_node.main"}
EVERYTHING = [
    *commands(typer.main.get_command(app), ("fecosr",)),
    *((((name,), typer.main.get_command(import_module(module).app)) for name, module in BINARIES.items())),
]
LEAVES = [(path, command) for path, command in EVERYTHING if not hasattr(command, "commands")]


def ids(case: object) -> str:
    return " ".join(case) if isinstance(case, tuple) else ""


@pytest.mark.parametrize(("path", "command"), EVERYTHING, ids=ids)
def test_every_command_and_every_option_is_explained(path: tuple[str, ...], command: Command) -> None:
    assert command.help, path
    for parameter in command.params:
        if parameter.name not in {"install_completion", "show_completion"}:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name}"


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=ids)
def test_every_command_has_an_example_of_itself(path: tuple[str, ...], command: Command) -> None:
    text = " ".join(f"{command.help or ''} {command.epilog or ''}".split())
    after = re.split("Examples?:", text)
    assert len(after) == 2, f"{path}: exactly one place with examples"
    # Provisioning has a step, and auditing a command, that may be left out.
    shown = " ".join(path).replace("fecosr provision kits", "fecosr provision")
    shown = shown.replace("fecosr audit run", "fecosr audit")
    assert shown in after[1], path


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=ids)
def test_the_first_line_is_a_sentence(path: tuple[str, ...], command: Command) -> None:
    first = (command.help or "").split("\n\n")[0]
    assert first[0].isupper()
    assert first.endswith("."), path


def test_a_shell_completes_commands_and_their_steps() -> None:
    for words, place, expected in (("fecosr pro", "1", "provision"), ("fecosr provision acc", "2", "accept")):
        environment = {
            **os.environ,
            "_FECOSR_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": place,
        }
        program = "import sys; sys.argv = ['fecosr']; from fecosr.cli.app import main; main()"
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert expected in run.stdout.split(), run.stderr


@pytest.mark.parametrize(("path", "command"), [case for case in LEAVES if case[0][0] == "fecosr"], ids=ids)
def test_nothing_that_was_written_is_lost_on_the_screen(
    path: tuple[str, ...],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        app([*path[1:], "--help"], prog_name="fecosr")
    shown = "".join(
        character for character in capsys.readouterr().out if character.isalnum() or character in "[]"
    )
    for parameter in command.params:
        written = "".join(
            character for character in parameter.help or "" if character.isalnum() or character in "[]"
        )
        assert written in shown, f"{path}: {parameter.name}"
