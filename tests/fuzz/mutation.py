"""Change an honest message into one that is not, guided by a fuzzer's choices."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fecosr.ids import NodeId
from tests.fuzz.choices import Choices

Changed = TypeVar("Changed")
STRANGER = NodeId("zz-nobody")


def changed(message: Changed, choices: Choices, names: tuple[NodeId, ...]) -> Changed:
    """Return `message`, a dataclass, with one of its fields changed.

    Args:
        message: what an honest party says.
        choices: decide what is changed and how.
        names: the clients whose names may take the place of another.
    """
    honest: Any = message
    field = choices.one_of(dataclasses.fields(honest))
    value = _changed_value(getattr(honest, field.name), choices, (*names, STRANGER))
    dishonest: Changed = dataclasses.replace(honest, **{field.name: value})
    return dishonest


def changed_bytes(value: bytes, choices: Choices) -> bytes:
    """Return `value` with a bit turned, a byte set, a stretch cut out or in, or its end cut off."""
    at = choices.below(len(value) + 1)
    match choices.below(6):
        case 0:
            return (
                value[:at] + bytes([value[at] ^ 1 << choices.below(8)]) + value[at + 1 :]
                if value[at:]
                else b""
            )
        case 1:
            return value[:at] + choices.take(1) + value[at + 1 :]
        case 2:
            return value[:at] + choices.take(choices.below(40)) + value[at:]
        case 3:
            return value[:at] + value[at + choices.below(40) :]
        case 4:
            return value[:at]
        case _:
            return bytes(len(value))


def _changed_value(value: Any, choices: Choices, names: tuple[NodeId, ...]) -> Any:
    match value:
        case bytes():
            return changed_bytes(value, choices)
        case str() | None:
            return choices.one_of(names)
        case Mapping():
            return _changed_mapping(dict(value), choices, names)
        case tuple():
            return _changed_tuple(value, choices, names)
        case np.ndarray():
            return _changed_vector(value, choices)
        case _:
            return changed(value, choices, names)


def _changed_mapping(
    value: dict[NodeId, Any], choices: Choices, names: tuple[NodeId, ...]
) -> dict[NodeId, Any]:
    if not value:
        return {choices.one_of(names): choices.take(33)}
    name, other = choices.one_of(sorted(value)), choices.one_of(names)
    match choices.below(4):
        case 0:
            del value[name]
        case 1:
            value[other] = value[name]
        case 2:
            value[name] = _changed_value(value[name], choices, names)
        case _:
            value = {other if key == name else key: part for key, part in value.items()}
    return value


def _changed_tuple(value: tuple[Any, ...], choices: Choices, names: tuple[NodeId, ...]) -> tuple[Any, ...]:
    at = choices.below(len(value) + 1)
    match choices.below(5):
        case 0:
            return value[:at] + value[at + 1 :]
        case 1:
            return value[:at] + value[at : at + 1] * 2 + value[at + 1 :]
        case 2:
            return value[::-1]
        case 3:
            return value[:at]
        case _ if not value[at:]:
            return value
        case _:
            return (*value[:at], _changed_value(value[at], choices, names), *value[at + 1 :])


def _changed_vector(value: npt.NDArray[Any], choices: Choices) -> npt.NDArray[Any]:
    if value.dtype.kind != "u" or not value.size:
        return value
    match choices.below(4):
        case 0:
            return value[: choices.below(len(value))]
        case 1:
            return value.astype(np.float32)
        case 2:
            return value.reshape(1, -1)
        case _:
            other = value.copy().reshape(-1)
            other[choices.below(other.size)] ^= other.dtype.type(1 + choices.below(255))
            return other.reshape(value.shape)
