"""Write the test vectors beside this package, or, with --check, say how the files differ from what is due."""

import argparse
import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.vectors.generator import (
    documents,
    graphs,
    primitive_refusals,
    primitives,
    session_refusals,
    sessions,
    sparse_sessions,
)
from tests.vectors.messages import Json

FOLDER: Final = Path(__file__).parent.parent
GIVEN: Final = frozenset({"crypto.json"})
"""Published known answers: nothing generates them."""


def generated() -> Mapping[str, str]:
    """Return the text of every vector file by its name."""
    files: dict[str, str] = {}
    sources = (primitives.good(), documents.good(), graphs.good(), sessions.good(), sparse_sessions.good())
    spoiled = (
        primitive_refusals.bad(),
        documents.bad(),
        graphs.bad(),
        session_refusals.bad(),
        sparse_sessions.bad(),
    )
    labelled = [(True, source) for source in sources] + [(False, source) for source in spoiled]
    for success, vectors in labelled:
        for name, about, content in vectors:
            vector: Json = {"about": about, "success": success, "kind": "session", **content}
            assert f"{name}.json" not in files
            files[f"{name}.json"] = json.dumps(vector, indent=1) + "\n"
    return files


def differences(due: Mapping[str, str], folder: Path) -> list[str]:
    """Return the lines of a unified diff from the files in `folder` to those that are due."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    lines: list[str] = []
    for name in sorted((due.keys() | there.keys()) - GIVEN):
        old, new = (files.get(name, "").splitlines(keepends=True) for files in (there, due))
        lines += difflib.unified_diff(old, new, f"tests/vectors/{name}", f"generated/{name}")
    return lines


def main() -> int:
    """Return the exit code: 1 where --check found a difference."""
    parser = argparse.ArgumentParser(prog="scripts/generate-vectors", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 with a diff")
    due = generated()
    if parser.parse_args().check:
        diff = differences(due, FOLDER)
        sys.stdout.writelines(diff)
        if diff:
            sys.stderr.write("tests/vectors is stale: run scripts/generate-vectors\n")
        return 1 if diff else 0
    for stale in {path.name for path in FOLDER.glob("*.json")} - due.keys() - GIVEN:
        (FOLDER / stale).unlink()
    for name, text in due.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
