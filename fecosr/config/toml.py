"""Load a TOML file into a pydantic model, turning every defect into one line with file, line and remedy."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fecosr.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """Be the base of every section: unknown keys refused, values frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load(path: Path, model: type[Model]) -> Model:
    """Return the file at `path` as a `model`.

    Raises:
        ConfigError: the file is missing, not TOML, or does not fit; the message names file and line.
    """
    text, values = read_toml(path)
    return validate(values, model, source=str(path), text=text)


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of the TOML file at `path`, and what it says.

    Raises:
        ConfigError: the file is missing or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "cannot be read",
            remedy=f"check the path and its permissions ({type(error).__name__})",
            source=str(path),
        ) from None
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"is not valid TOML: {error}", remedy="correct the syntax", source=str(path)
        ) from None


def validate(values: dict[str, Any], model: type[Model], *, source: str, text: str = "") -> Model:
    """Return `values` as a `model`, or name the first value that does not fit."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        keys = _written(first["loc"], values)
        dotted = ".".join(keys) or "the file"
        line = _line_of(text, keys)
        raise ConfigError(
            f"{dotted}: {_sentence(first['type'], first['msg'])}",
            remedy=_remedy(first["type"]),
            source=f"{source}:{line}" if line else source,
        ) from None


def _written(location: tuple[int | str, ...], values: object) -> list[str]:
    """Return the keys of `location` that stand in the file: pydantic adds which kind of a union it tried."""
    keys: list[str] = []
    for place, part in enumerate(location):
        is_last = place == len(location) - 1
        inner = _inside(values, part)
        if inner is not None:
            values = inner
        if inner is not None or is_last:
            keys.append(str(part))
    return keys


def _inside(values: object, key: int | str) -> object:
    """Return what stands at `key` of a table or list, None where nothing does."""
    if isinstance(values, dict):
        return values.get(key)
    if isinstance(values, list | tuple) and isinstance(key, int) and key < len(values):
        return values[key]
    return None


def _sentence(kind: str, message: str) -> str:
    sentences = {
        "extra_forbidden": "unknown key",
        "unexpected_keyword_argument": "unknown key",
        "missing": "is missing",
    }
    if kind == "union_tag_not_found":
        return f"{message.rpartition(' ')[2]} is missing"
    if kind == "union_tag_invalid":
        _, given, _, name, *_ = message.split("'")
        return f"{name} = '{given}' is none of {message.partition('expected tags: ')[2]}"
    return sentences.get(kind, message.removeprefix("Value error, "))


def _remedy(kind: str) -> str:
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "remove it or correct its spelling"
    return "add it" if kind in {"missing", "union_tag_not_found"} else "correct the value"


def _line_of(text: str, keys: list[str]) -> int:
    """Return the 1-based line where the last of `keys` that is written stands; 0 when none is.

    tomllib keeps no positions, so the file is scanned for the section header and then for the key.
    """
    section = ""
    best = 0
    counts: dict[str, int] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("["):
            section = _section(line, counts)
            if section and section == ".".join(keys[: section.count(".") + 1]):
                best = number
            continue
        name = line.split("=", 1)[0].strip().strip('"')
        if "=" in line and ".".join(filter(None, [section, name])) == ".".join(keys):
            return number
    return best


def _section(header: str, counts: dict[str, int]) -> str:
    """Return the dotted path of a header; elements of an array of tables count from 0, as pydantic does."""
    name = header.split("]", 1)[0].strip("[] ")
    if header.startswith("[["):
        counts[name] = counts.get(name, -1) + 1
        return f"{name}.{counts[name]}"
    first, dot, rest = name.partition(".")
    return f"{first}.{counts[first]}{dot}{rest}" if first in counts else name
