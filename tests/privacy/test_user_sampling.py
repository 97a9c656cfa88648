import numpy as np
import pytest
from scipy import stats

from fecosr.errors import MisuseError
from fecosr.privacy.user_sampling import sample_users

SEED = bytes(range(32))


@pytest.mark.parametrize("sampling_probability", [0.001, 0.1, 0.5, 0.97])
def test_takes_each_user_with_the_same_probability(sampling_probability: float) -> None:
    taken = sample_users(SEED, 200_000, sampling_probability)
    assert stats.binomtest(len(taken), 200_000, sampling_probability).pvalue > 1e-4
    assert stats.kstest(taken / 200_000, "uniform").pvalue > 1e-4


def test_batch_sizes_vary_as_binomials_do() -> None:
    sizes = [len(sample_users(number.to_bytes(32, "big"), 1000, 0.2)) for number in range(400)]
    assert 400 * np.var(sizes) / 160 == pytest.approx(400, abs=6 * np.sqrt(800))


def test_everybody_takes_part_at_probability_one() -> None:
    assert sample_users(SEED, 5, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert sample_users(SEED, 0, 0.5).tolist() == []


def test_is_a_function_of_the_seed() -> None:
    assert sample_users(SEED, 1000, 0.1).tolist() == sample_users(SEED, 1000, 0.1).tolist()
    assert sample_users(SEED, 1000, 0.1).tolist() != sample_users(SEED[::-1], 1000, 0.1).tolist()


@pytest.mark.parametrize("sampling_probability", [0.0, -0.1, 1.1, float("nan")])
def test_refuses_what_is_no_probability(sampling_probability: float) -> None:
    with pytest.raises(MisuseError, match="sampling_probability"):
        sample_users(SEED, 10, sampling_probability)


def test_refuses_a_negative_number_of_users() -> None:
    with pytest.raises(MisuseError):
        sample_users(SEED, -1, 0.5)
