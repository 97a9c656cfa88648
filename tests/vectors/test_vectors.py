"""Every test vector holds, or is refused, by our implementation and by a slow one that shares nothing."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reference import vector_checks
from tests.reference.protocol import Refused
from tests.vectors import checks
from tests.vectors.generator.__main__ import FOLDER, GIVEN, differences, generated

FILES = sorted(path.name for path in FOLDER.glob("*.json") if path.name not in GIVEN)
ROOT = FOLDER.parent.parent
Check = Callable[[dict[str, Any]], None]

both = pytest.mark.parametrize(
    "check", [pytest.param(checks.check, id="ours"), pytest.param(vector_checks.check, id="reference")]
)


def read(name: str) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return vector


GOOD = [name for name in FILES if read(name)["success"]]
BAD = [name for name in FILES if not read(name)["success"]]


@both
@pytest.mark.parametrize("name", GOOD)
def test_good_vectors_hold(name: str, check: Check) -> None:
    check(read(name))


@both
@pytest.mark.parametrize("name", BAD)
def test_bad_vectors_are_refused_by_the_rule_they_name(name: str, check: Check) -> None:
    vector = read(name)
    with pytest.raises(Refused) as refusal:
        check(vector)
    if "refusal" in vector:
        assert {"peer": refusal.value.peer, "rule": refusal.value.rule} == vector["refusal"]
    if "rule" in vector:
        assert refusal.value.rule == vector["rule"]


@both
@pytest.mark.parametrize("name", GOOD)
def test_nothing_a_good_vector_states_can_be_changed_unnoticed(name: str, check: Check) -> None:
    changed = _changed(read(name))
    with pytest.raises((Refused, AssertionError)):
        check(changed)


def _changed(vector: dict[str, Any]) -> dict[str, Any]:
    """Return the vector with another output: a number of the last case, or the last byte string."""
    for outputs in ("elements", "total"):
        if outputs in vector.get("cases", [{}])[-1]:
            vector["cases"][-1][outputs][0] ^= 1 << 6
            return vector
    text = json.dumps(vector)
    at = list(re.finditer(r'"([0-9a-f]{16,})"', text))[-1].start(1)
    changed: dict[str, Any] = json.loads(f"{text[:at]}{int(text[at], 16) ^ 1:x}{text[at + 1 :]}")
    return changed


def test_the_files_are_what_the_generator_writes() -> None:
    assert "".join(differences(generated(), FOLDER)) == ""


def test_a_stale_file_is_shown_as_a_diff(tmp_path: Path) -> None:
    due = {"kept.json": "1\n", "new.json": "2\n"}
    (tmp_path / "kept.json").write_text("0\n")
    (tmp_path / "old.json").write_text("3\n")
    (tmp_path / "crypto.json").write_text("not ours\n")
    lines = differences(due, tmp_path)
    assert [line.strip() for line in lines if line[0] in "+-" and line[1] not in "+-"] == [
        "-0",
        "+1",
        "+2",
        "-3",
    ]


def test_there_are_good_and_bad_vectors_of_every_kind() -> None:
    kinds = {read(name)["kind"] for name in GOOD}
    assert kinds == {*checks.CHECKS, "session"} == {*vector_checks.CHECKS, "session"}
    assert len(BAD) > len(GOOD)
    assert all(read(name)["about"].endswith(".") for name in FILES)


def test_the_reference_shares_nothing_with_what_it_checks() -> None:
    seen: set[str] = set()
    waiting = ["tests.reference.vector_checks"]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        tree = ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imported = [str(node.module)]
            assert not any(module.startswith("fecosr") for module in imported), name
            waiting += [module for module in imported if module.startswith("tests.") and module not in seen]
    assert len(seen) >= 6
