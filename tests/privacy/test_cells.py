import math

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.privacy.cells import COIN_BITS, NUM_CELLS, TAIL_STDDEVS, make_cells

VARIANCES = (1, 10, 4096**2, 2**40 + 12345)


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_alias_table_gives_every_cell_exactly_its_weight(variance: int) -> None:
    cells = make_cells(variance)
    weight = [0] * NUM_CELLS
    for column, coin in enumerate(cells.exact_coins):
        weight[column] += coin
        weight[int(cells.aliases[column])] += cells.total_weight - coin
    assert sum(weight) == NUM_CELLS * cells.total_weight
    for cell, near in enumerate(cells.nearest.tolist()):
        wanted = math.exp(-near * near / (2 * variance)) * 2.0**192
        assert weight[cell] / NUM_CELLS == pytest.approx(wanted, rel=1e-9, abs=2)


@pytest.mark.parametrize("variance", VARIANCES)
def test_cells_tile_the_integers_as_far_as_the_tail(variance: int) -> None:
    cells = make_cells(variance)
    size = 1 << cells.low_bits
    own = cells.first[::2]
    assert np.array_equal(np.diff(own), np.full(NUM_CELLS - 1, size))
    assert own[0] <= -TAIL_STDDEVS * math.sqrt(variance)
    assert own[-1] + size > TAIL_STDDEVS * math.sqrt(variance)
    assert np.array_equal(cells.first[1::2], own[cells.aliases])


@pytest.mark.parametrize("variance", VARIANCES)
def test_what_is_surely_kept_is_kept_even_at_the_far_end_of_its_cell(variance: int) -> None:
    cells = make_cells(variance)
    size = 1 << cells.low_bits
    near = cells.nearest.astype(float)
    far = np.where(near >= 0, near + size - 1, near - size + 1)
    least = np.exp(-(far - near) * (far + near) / (2 * variance)) * 2.0**14
    assert (cells.surely_kept[::2] <= least).all()
    assert (cells.surely_kept[::2][np.abs(near) < 6 * math.sqrt(variance)] > 0.8 * 2**14).all()


def test_first_bits_of_coins_never_exceed_the_coin() -> None:
    cells = make_cells(4096**2)
    for first, exact in zip(cells.coins.tolist(), cells.exact_coins, strict=True):
        assert first * cells.total_weight <= exact << COIN_BITS < (first + 1) * cells.total_weight


@pytest.mark.parametrize("variance", [0, -1, 1 << 60])
def test_refuses_a_variance_it_cannot_serve(variance: int) -> None:
    with pytest.raises(MisuseError):
        make_cells(variance)
