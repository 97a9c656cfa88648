"""Bound the L2 norm of an update, exactly."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError

_CHUNK: Final = 1 << 16
_MARGIN: Final = 1.0 - 2.0**-30
"""Wider than the rounding error of any float64 sum of 2^22 squares, narrower than one float32 rounding."""
_FLOAT32_SLACK: Final = 1.0 - 2.0**-22
"""Wider than rounding the factor and then each product to float32."""


def clip(update: npt.NDArray[np.float32], clip_norm: float) -> npt.NDArray[np.float32]:
    """Return `update`, scaled down where needed so that its L2 norm is at most `clip_norm`.

    Args:
        update: float32 [P].
        clip_norm: positive and finite.

    Returns:
        float32 [P], a new array; equal to `update` when that is within the bound.

    Raises:
        MisuseError: not a float32 vector, a value that is not finite, or a useless `clip_norm`.

    Guarantees:
        Sensitivity: `||result||_2 <= clip_norm`, whatever the order in which float64 adds the squares up. The
        squares of float32 values, denormal or huge, are normal float64 numbers, so none is lost.
    """
    _check(update, clip_norm)
    norm = _finite_norm(update)
    bound = clip_norm * _MARGIN
    if norm <= bound:
        return update.copy()
    factor = clip_norm / norm
    scaled = update * np.float32(factor * _FLOAT32_SLACK)
    # Float32 arithmetic may carry denormal values past the bound; then every rounding is made toward zero.
    return scaled if l2_norm(scaled) <= bound else _scale_toward_zero(update, factor * _MARGIN * _MARGIN)


@dataclass(frozen=True, slots=True)
class Clipping:
    """Say how an update is clipped.

    Attributes:
        norm: its L2 norm before.
        factor: what takes it within the bound, at most 1.
    """

    norm: float = field(repr=False)
    factor: float = field(repr=False)


def clipping(update: npt.NDArray[np.float32], clip_norm: float) -> Clipping:
    """Return the largest factor, at most 1, that takes `update` within the bound: `clip` without the copy.

    Args:
        update: float32 [P].
        clip_norm: positive and finite.

    Raises:
        MisuseError: as `clip`.

    Guarantees:
        Sensitivity: the exact product of factor and `update` has an L2 norm of at most `clip_norm`.
    """
    _check(update, clip_norm)
    norm, bound = _finite_norm(update), clip_norm * _MARGIN
    return Clipping(norm, 1.0 if norm <= bound else bound / norm * _MARGIN)


def _check(update: npt.NDArray[np.float32], clip_norm: float) -> None:
    if update.dtype != np.float32 or update.ndim != 1:
        raise MisuseError("an update is a float32 vector")
    if not (math.isfinite(clip_norm) and clip_norm > 0):
        raise MisuseError("clip_norm must be positive and finite")


def _finite_norm(update: npt.NDArray[np.float32]) -> float:
    norm = l2_norm(update)
    if not math.isfinite(norm):
        raise MisuseError("an update holds only finite values")
    return norm


def l2_norm(update: npt.NDArray[np.float32]) -> float:
    """Return the L2 norm of a float32 [P], accumulated in float64 where no float32 square overflows."""
    total = 0.0
    # New memory for every chunk would cost more than the sum.
    scratch = np.empty(min(update.size, _CHUNK))
    for start in range(0, update.size, _CHUNK):
        part = update[start : start + _CHUNK]
        squares = scratch[: part.size]
        np.copyto(squares, part)
        # Not a dot product: BLAS would wake threads up for every chunk, which costs more than the sum.
        total += float(np.square(squares, out=squares).sum())
    return math.sqrt(total)


def _scale_toward_zero(update: npt.NDArray[np.float32], factor: float) -> npt.NDArray[np.float32]:
    result = np.empty_like(update)
    for start in range(0, update.size, _CHUNK):
        exact = update[start : start + _CHUNK].astype(np.float64) * factor
        nearest = exact.astype(np.float32)
        too_far = np.abs(nearest) > np.abs(exact)
        nearest[too_far] = np.nextafter(nearest[too_far], np.float32(0))
        result[start : start + _CHUNK] = nearest
    return result
