import dataclasses
import hashlib
import math
import random

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fecosr.errors import MisuseError
from fecosr.privacy import discrete_gaussian
from fecosr.privacy.cells import make_cells
from fecosr.privacy.discrete_gaussian import BLOCK_DRAWS, NoiseStream, sample_discrete_gaussian
from tests.reference.slow_discrete_gaussian import draw

SEED = bytes(range(32))
ALPHA = 1e-4


def _law(variance: int, reach: int) -> npt.NDArray[np.float64]:
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support**2) / (2 * variance))
    law: npt.NDArray[np.float64] = weights / weights.sum()
    return law


def _chi_square(noise: npt.NDArray[np.int32], variance: int) -> float:
    """Return the p-value of the draws against the law, with the thin tails put together."""
    reach = 1
    while len(noise) * _law(variance, reach + 1)[0] > 10:
        reach += 1
    expected = len(noise) * _law(variance, 40 * (math.isqrt(variance) + 1))
    middle = len(expected) // 2
    observed = np.bincount(np.clip(noise, -reach, reach) + reach, minlength=2 * reach + 1)
    kept = expected[middle - reach : middle + reach + 1].copy()
    kept[0] += expected[: middle - reach].sum()
    kept[-1] += expected[middle + reach + 1 :].sum()
    return float(stats.chisquare(observed, kept).pvalue)


@pytest.mark.parametrize("variance", [1, 2, 10, 1000])
def test_draws_follow_the_law(variance: int) -> None:
    assert _chi_square(sample_discrete_gaussian(SEED, 400_000, variance), variance) > ALPHA


def test_a_wrong_variance_is_seen() -> None:
    noise = sample_discrete_gaussian(SEED, 400_000, 1000)
    assert _chi_square(noise, 1030) < 1e-12


@pytest.mark.parametrize("variance", [4096**2, 65536**2, 1 << 44])
def test_wide_noise_is_normal_to_the_eye(variance: int) -> None:
    noise = sample_discrete_gaussian(SEED, 300_000, variance)
    assert stats.kstest(noise / math.sqrt(variance), "norm").pvalue > ALPHA
    # Cells are wider than one integer here: the lowest bits must be uniform all the same.
    assert stats.chisquare(np.bincount(noise % 64, minlength=64)).pvalue > ALPHA
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 5 / math.sqrt(len(noise))


def test_draws_agree_with_the_published_sampler() -> None:
    rng = random.Random(3)
    slow = np.array([draw(30, rng) for _ in range(20_000)])
    fast = sample_discrete_gaussian(SEED, 20_000, 30)
    table = [np.bincount(np.clip(part, -15, 15) + 15, minlength=31) for part in (slow, fast)]
    assert stats.chi2_contingency(table).pvalue > ALPHA


def test_the_law_does_not_depend_on_how_early_a_draw_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no draw decided at the first look, every one takes the slow path."""
    cells = make_cells(1 << 20)
    cautious = dataclasses.replace(cells, surely_kept=np.zeros_like(cells.surely_kept))
    monkeypatch.setattr(discrete_gaussian, "_cells", lambda _: cautious)
    noise = sample_discrete_gaussian(SEED, 200_000, 1 << 20)
    assert stats.kstest(noise / 1024, "norm").pvalue > ALPHA


def test_integers_decide_as_floating_point_does(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = make_cells(1 << 20)
    words = np.random.default_rng(0).integers(0, 1 << 63, 3000, np.uint64) * np.uint64(2) + np.uint64(1)
    quick = discrete_gaussian._second_look(cells, words, discrete_gaussian._WordSource(SEED))
    monkeypatch.setattr(discrete_gaussian, "_FLOAT_ERROR", 2.0)
    exact = discrete_gaussian._second_look(cells, words, discrete_gaussian._WordSource(SEED))
    assert np.array_equal(quick.values, exact.values)
    assert np.array_equal(quick.accepted, exact.accepted)
    assert not exact.accepted.all()


def test_a_coin_whose_first_bits_tie_is_decided_by_further_bits() -> None:
    cells = make_cells(1 << 20)
    column = next(place for place in range(len(cells.coins)) if 0 < cells.coins[place] < (1 << 22) - 1)
    coin = int(cells.coins[column])
    chance = cells.exact_coins[column] / cells.total_weight * 2**22 - coin
    source = discrete_gaussian._WordSource(SEED)
    own = sum(discrete_gaussian._is_own_cell(cells, column, coin, source) for _ in range(4000))
    assert stats.binomtest(own, 4000, chance).pvalue > ALPHA


def test_the_vector_is_a_function_of_the_seed_and_not_of_the_blocks() -> None:
    length = 2 * BLOCK_DRAWS + 77
    whole = sample_discrete_gaussian(SEED, length, 1 << 30)
    pieces = np.empty(length, np.int32)
    stream = NoiseStream(SEED, 1 << 30)
    for start in range(0, length, BLOCK_DRAWS):
        stream.fill(pieces[start : start + BLOCK_DRAWS])
    assert np.array_equal(whole, pieces)
    assert not np.array_equal(whole, sample_discrete_gaussian(SEED[::-1], length, 1 << 30))


def test_known_answer() -> None:
    """These draws must never change: a rehearsal is verified bit for bit."""
    noise = sample_discrete_gaussian(SEED, 50_000, 12345678901)
    assert noise[:4].tolist() == [51761, -56487, -80061, 18634]
    assert hashlib.sha256(noise.astype("<i4").tobytes()).hexdigest() == (
        "ef657906da4a3ee2c066839263b81fed839870c30b5cff4e74c713bfc4620046"
    )


@pytest.mark.parametrize(("seed", "variance"), [(b"short", 100), (SEED, 0)])
def test_refuses_a_bad_seed_or_variance(seed: bytes, variance: int) -> None:
    with pytest.raises(MisuseError):
        sample_discrete_gaussian(seed, 10, variance)


def test_refuses_a_negative_length() -> None:
    with pytest.raises(MisuseError):
        sample_discrete_gaussian(SEED, -1, 100)
