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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
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
    try:
        return _reader(hint)(value)
    except _MisfitError as misfit:
        raise SchemaError(f"{where}{misfit.path}{misfit.message}") from None


class _MisfitError(ValueError):
    """Say what is wrong with a value, and where below the field that is read; names are made only then."""

    def __init__(self, message: str, path: str = "") -> None:
        self.message, self.path = message, path
        super().__init__(message)

    def below(self, place: str) -> "_MisfitError":
        return _MisfitError(self.message, place + self.path)


_Reader = Callable[[object], Any]


@cache
def _reader(hint: Any) -> _Reader:
    """Return the function that reads values of a type; made once for each type, because ledgers are long."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return _bytes_reader(arguments[1])
    if origin is Literal:
        return _choice_reader(arguments)
    if origin in (UnionType, typing.Union):
        return _optional_reader(_reader(arguments[0]))
    if origin is tuple:
        return _tuple_reader(_reader(arguments[0]))
    if origin is Mapping:
        return _mapping_reader(_reader(arguments[1]))
    if dataclasses.is_dataclass(hint):
        return _record_reader(hint)
    return {int: _integer, bool: _truth}.get(hint) or _text_reader(_FROM_TEXT[hint])


def _record_reader(record_type: Any) -> _Reader:
    hints = typing.get_type_hints(record_type, include_extras=True)
    readers = {name: _reader(hint) for name, hint in hints.items()}

    def read(value: object) -> Any:
        if not isinstance(value, dict):
            raise _MisfitError(" is not an object")
        if value.keys() != readers.keys():
            unknown, missing = sorted(value.keys() - readers), sorted(readers.keys() - value)
            raise _MisfitError(f" has an unknown key {unknown[0]!r}" if unknown else f" lacks {missing[0]!r}")
        parts = {}
        for name, read_part in readers.items():
            try:
                parts[name] = read_part(value[name])
            except _MisfitError as misfit:
                raise misfit.below(f".{name}") from None
        try:
            return record_type(**parts)
        except MisuseError as error:
            raise _MisfitError(f": {error}") from None

    return read


def _bytes_reader(size: Size) -> _Reader:
    def read(value: object) -> bytes:
        text = _text(value)
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raise _MisfitError(" is not hexadecimal") from None
        if raw.hex() != text or len(raw) != size.size_bytes:
            raise _MisfitError(f" is not {size.size_bytes} bytes of lowercase hexadecimal")
        return raw

    return read


def _choice_reader(choices: tuple[Any, ...]) -> _Reader:
    def read(value: object) -> str:
        text = _text(value)
        if text not in choices:
            raise _MisfitError(f" is none of {', '.join(choices)}")
        return text

    return read


def _optional_reader(read_part: _Reader) -> _Reader:
    return lambda value: None if value is None else read_part(value)


def _tuple_reader(read_part: _Reader) -> _Reader:
    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _MisfitError(" is not a list")
        parts = []
        for index, part in enumerate(value):
            try:
                parts.append(read_part(part))
            except _MisfitError as misfit:
                raise misfit.below(f"[{index}]") from None
        return tuple(parts)

    return read


def _mapping_reader(read_part: _Reader) -> _Reader:
    read_name = _reader(NodeId)

    def read(value: object) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise _MisfitError(" is not an object")
        parts = {}
        for name, part in value.items():
            node = read_name(name)
            try:
                parts[node] = read_part(part)
            except _MisfitError as misfit:
                raise misfit.below(f".{name}") from None
        return parts

    return read


def _text_reader(parse: Callable[[str], object]) -> _Reader:
    def read(value: object) -> object:
        text = _text(value)
        try:
            return parse(text)
        except ValueError as error:
            raise _MisfitError(f": {error}") from None

    return read


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise _MisfitError(" is not an integer from 0 to 2^63 - 1")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise _MisfitError(" is not true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _MisfitError(" is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _MisfitError(" is not Unicode text") from None
    return value


def _hex_float(text: str) -> float:
    try:
        number = float.fromhex(text)
    except OverflowError:
        raise ValueError("is not a finite number") from None
    if not math.isfinite(number) or number.hex() != text:
        raise ValueError("is not the hexadecimal text of a finite number")
    return number


_FROM_TEXT: Any = {str: str, float: _hex_float, NodeId: lru_cache(maxsize=4096)(node_id), RunId: run_id}
