import hashlib

import numpy as np
import pytest

from fecosr.recommender.semantics.projection import projected, side_by_side

ROWS = np.random.default_rng(2).normal(size=(60, 384)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)


def test_as_many_dimensions_as_wanted_are_left_alone() -> None:
    np.testing.assert_allclose(projected(ROWS, 384, seed=0), UNIT, rtol=1e-5)


@pytest.mark.parametrize("dimension", [128, 512])
def test_cosines_survive_up_to_the_error_of_the_signs(dimension: int) -> None:
    found = projected(ROWS, dimension, seed=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    error = (found @ found.T - UNIT @ UNIT.T)[~np.eye(60, dtype=bool)]
    assert 0.5 / np.sqrt(dimension) < error.std() < 1.5 / np.sqrt(dimension)


def test_the_function_is_pinned() -> None:
    """Markets on different versions must agree: a change of this hash is a change of the semantic space."""
    signs = hashlib.sha256((projected(np.eye(24, dtype=np.float32), 16, seed=0) > 0).tobytes()).hexdigest()
    assert signs == "81c0671c2de10acaf228e8306b056a402323166f0a49724e493836edeb522eb3"


def test_another_seed_is_another_projection_and_zero_stays_zero() -> None:
    assert np.abs(projected(ROWS, 128, seed=0) - projected(ROWS, 128, seed=1)).max() > 0.1
    assert not projected(np.zeros((1, 24), np.float32), 16, seed=0).any()


def test_a_row_does_not_depend_on_the_rest_of_the_catalogue() -> None:
    np.testing.assert_allclose(
        projected(ROWS[5:6], 128, seed=0)[0], projected(ROWS, 128, seed=0)[5], rtol=1e-6
    )


def test_side_by_side_mixes_cosines_by_their_share() -> None:
    first, second = projected(ROWS, 64, seed=0), projected(ROWS, 64, seed=1)
    both = side_by_side(first, second, 0.25)
    np.testing.assert_allclose(both @ both.T, 0.25 * first @ first.T + 0.75 * second @ second.T, atol=1e-5)
