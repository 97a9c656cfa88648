"""Turn record dataclasses into JSON values and back, refusing everything their annotations do not allow.

The annotations are the schema, so a record, its documentation and its file format cannot drift apart:

    int                     0 <= n < 2^63            bool          true / false
    str                     any Unicode text         float         text of float.hex(), finite
    Annotated[bytes, Size]  lowercase hex            Literal       one of the strings
    NodeId, RunId           a valid name             tuple[X, ...] list
    Mapping[NodeId, X]      object                   dataclass     object with exactly its fields
    X | None                null or X
"""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal

from fecosr.errors import MisuseError
from fecosr.ids import NodeId, RunId, node_id, run_id
from fecosr.ledger.canonical import MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Size:
    """Fix the number of bytes of a field."""

    size_bytes: int


Digest = Annotated[bytes, Size(32)]
PublicKey = Annotated[bytes, Size(32)]
Signature = Annotated[bytes, Size(64)]


class SchemaError(ValueError):
    """Report a value that its field does not allow, naming the field; the caller knows which record it is."""


def to_json(value: object) -> object:
    """Return `value`, a record or a part of one, as canonical JSON can hold it.

    Raises:
        MisuseError: the value has no place in a record.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [to_json(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value.hex()
    if value is None or isinstance(value, bool | int | str):
        return value
    raise MisuseError(f"a record cannot hold a {type(value).__name__}")


def from_json(hint: Any, value: object, where: str) -> Any:
    """Return `value` as the type `hint`; `where` names the field.

    Raises:
        SchemaError: it does not fit exactly.
    """
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _bytes(value, typing.get_args(hint)[1], where)
    if origin is Literal:
        return _one_of(typing.get_args(hint), value, where)
    if origin in (UnionType, typing.Union):
        return None if value is None else from_json(typing.get_args(hint)[0], value, where)
    if origin is tuple:
        return _tuple(typing.get_args(hint)[0], value, where)
    if origin is Mapping:
        return _mapping(typing.get_args(hint)[1], value, where)
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, where)
    return _scalar(hint, value, where)


@cache
def _fields(record_type: Any) -> dict[str, Any]:
    return typing.get_type_hints(record_type, include_extras=True)


def _record(record_type: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise SchemaError(f"{where} is not an object")
    fields = _fields(record_type)
    unknown, missing = sorted(value.keys() - fields), sorted(fields.keys() - value)
    if unknown:
        raise SchemaError(f"{where} has an unknown key {unknown[0]!r}")
    if missing:
        raise SchemaError(f"{where} lacks {missing[0]!r}")
    parts = {name: from_json(hint, value[name], f"{where}.{name}") for name, hint in fields.items()}
    try:
        return record_type(**parts)
    except MisuseError as error:
        raise SchemaError(f"{where}: {error}") from None


def _bytes(value: object, size: Size, where: str) -> bytes:
    text = _text(value, where)
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise SchemaError(f"{where} is not hexadecimal") from None
    if raw.hex() != text or len(raw) != size.size_bytes:
        raise SchemaError(f"{where} is not {size.size_bytes} bytes of lowercase hexadecimal")
    return raw


def _one_of(choices: tuple[Any, ...], value: object, where: str) -> str:
    text = _text(value, where)
    if text not in choices:
        raise SchemaError(f"{where} is none of {', '.join(choices)}")
    return text


def _tuple(hint: Any, value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SchemaError(f"{where} is not a list")
    return tuple(from_json(hint, part, f"{where}[{index}]") for index, part in enumerate(value))


def _mapping(hint: Any, value: object, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise SchemaError(f"{where} is not an object")
    return {
        from_json(NodeId, name, where): from_json(hint, part, f"{where}.{name}")
        for name, part in value.items()
    }


def _scalar(hint: Any, value: object, where: str) -> object:
    if hint is int:
        return _integer(value, where)
    if hint is bool:
        if not isinstance(value, bool):
            raise SchemaError(f"{where} is not true or false")
        return value
    text = _text(value, where)
    try:
        return _FROM_TEXT[hint](text)
    except ValueError as error:
        raise SchemaError(f"{where}: {error}") from None


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise SchemaError(f"{where} is not an integer from 0 to 2^63 - 1")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SchemaError(f"{where} is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SchemaError(f"{where} is not Unicode text") from None
    return value


def _hex_float(text: str) -> float:
    try:
        number = float.fromhex(text)
    except OverflowError:
        raise ValueError("is not a finite number") from None
    if not math.isfinite(number) or number.hex() != text:
        raise ValueError("is not the hexadecimal text of a finite number")
    return number


_FROM_TEXT: Any = {str: str, float: _hex_float, NodeId: node_id, RunId: run_id}
