"""Every key of a scenario file, its type, its default and its meaning, read from the sections themselves."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fecosr.harness.expect import Expect
from fecosr.harness.faults import kinds
from fecosr.harness.scenario import Scenario
from fecosr.provisioning.federation_file import MarketSection

PLAN: Final = "the plan of the run: every key of plan.toml"
BASE: Final = (
    "base: text (none)\n    a file, or the name of a shipped base, from which everything is taken that this "
    "file does not say;\n    tables are merged key by key, everything else is replaced"
)


def reference() -> Iterator[str]:
    """Yield the lines of the reference."""
    yield "A scenario file is TOML. Unknown keys are refused."
    yield ""
    yield BASE
    for name in ("name", "description", "plan"):
        yield from _key(name, Scenario.model_fields[name])
    yield ""
    yield "[[markets]]  one for each market"
    yield from _keys(MarketSection)
    for kind, section in kinds().items():
        yield ""
        yield f'[[faults]] kind = "{kind}"  {_first_sentence(section.__doc__)}'
        yield from _keys(section, without=("kind",))
    yield ""
    yield f"[expect]  {_first_sentence(Expect.__doc__)}"
    yield from _keys(Expect)


def _keys(section: type[BaseModel], prefix: str = "", without: tuple[str, ...] = ()) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if name not in without:
            yield from _key(f"{prefix}{name}", field)


def _key(name: str, field: FieldInfo) -> Iterator[str]:
    required = field.default is PydanticUndefined and field.default_factory is None
    yield f"{name}: {_type_text(field.annotation)} ({'required' if required else _shown(field.default)})"
    if field.description:
        yield f"    {field.description}"
    annotation = field.annotation
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield from _dataclass_keys(annotation, f"{name}.")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and name != "plan":
        yield from _keys(annotation, f"{name}.")


def _dataclass_keys(section: type[Any], prefix: str) -> Iterator[str]:
    hints = get_type_hints(section)
    explained = _arguments(section.__doc__ or "")
    for field in fields(section):
        required = field.default is MISSING and field.default_factory is MISSING
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        shown = "required" if required else "as below" if is_dataclass(default) else _shown(default)
        yield f"{prefix}{field.name}: {_type_text(hints[field.name])} ({shown})"
        if field.name in explained:
            yield f"    {explained[field.name]}"
        if isinstance(hints[field.name], type) and is_dataclass(hints[field.name]):
            yield from _dataclass_keys(hints[field.name], f"{prefix}{field.name}.")


def _arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each argument or attribute."""
    found = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", docstring, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _first_sentence(docstring: str | None) -> str:
    return (docstring or "").split("\n\n")[0].strip()


def _shown(default: object) -> str:
    if default is None:
        return "none"
    if isinstance(default, BaseModel) or is_dataclass(default):
        return "as below"
    if isinstance(default, bool):
        return str(default).lower()
    return repr(default).replace("'", '"') if default != () else "empty"


_NAMES: Final = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "none"}


def _type_text(annotation: object) -> str:
    """Return a type in words; choices are written out."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if str(origin) == "typing.Literal":
        return " | ".join(repr(value).replace("'", '"') for value in arguments)
    if str(origin) == "typing.Annotated":
        return _type_text(arguments[0])
    if origin is tuple:
        return f"list of {_type_text(arguments[0])}"
    if origin is dict:
        return f"table of {_type_text(arguments[1])}"
    if arguments:
        words = [_type_text(argument) for argument in arguments if argument is not type(None)]
        return " | ".join(words)
    return "table" if isinstance(annotation, type) else str(annotation)
