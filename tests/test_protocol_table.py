"""Every test that PROTOCOL.md says plays an attack is there under that name."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/.]+?)(?:::(\w+))?`")


def test_every_attack_is_played_where_the_table_says() -> None:
    text = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")
    table = text[text.index("## 7. Attacks and answers") :]
    named = NAMED.findall(table)
    assert len(named) > 40
    for place, test in named:
        path = ROOT / place
        assert path.exists(), place
        if test:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = {
                it.name for it in tree.body if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert test in functions, f"{place} has no {test}"
