"""Write plain values as TOML; the standard library only reads it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from fecosr.errors import MisuseError

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, object]) -> str:
    """Return `values` as a TOML document that `tomllib` reads back as the same values.

    Args:
        values: strings, numbers, booleans, sequences of those, and mappings of all of these.

    Raises:
        MisuseError: a value has no place in TOML.
    """
    return "\n".join(_table(values, ())) + "\n"


def _table(values: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    """Return the lines of one table: its own keys first, or they would belong to its last sub-table."""
    tables = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in values.items() if name not in tables]
    if path and (lines or not tables):
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    for name, table in tables.items():
        nested = _table(table, (*path, name))
        lines.extend(["", *nested] if lines else nested)
    return lines


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{', '.join(_value(part) for part in value)}]"
    raise MisuseError(f"TOML cannot hold a {type(value).__name__}")


def _string(text: str) -> str:
    # JSON escapes what TOML escapes, except DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
