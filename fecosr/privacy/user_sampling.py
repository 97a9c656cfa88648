"""Poisson sampling: every user takes part in a round or not by a coin of their own."""

import math

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import expand
from fecosr.errors import MisuseError


def sample_users(seed: bytes, num_users: int, sampling_probability: float) -> npt.NDArray[np.int64]:
    """Return the numbers of the users who take part, ascending, int64 [some].

    Args:
        seed: 32 uniform secret bytes that are used for nothing else. Amplification by sampling holds only as
            long as nobody learns who took part.
        num_users: users there are; the result is no function of it to anybody else.
        sampling_probability: in (0, 1].

    Raises:
        MisuseError: an argument is not as described.

    Guarantees:
        Each user is taken independently with a probability in (q - 2^-63, q]; a smaller q costs no more.
    """
    check_sampling_probability(sampling_probability)
    if num_users < 0:
        raise MisuseError("the number of users is not negative")
    if sampling_probability == 1.0:
        return np.arange(num_users)
    coins = expand(derive_key(seed, Label.USER_SAMPLING), 2 * num_users).view("<u8")  # [num_users]
    return np.flatnonzero(coins < np.uint64(math.floor(math.ldexp(sampling_probability, 64))))


def check_sampling_probability(sampling_probability: float) -> None:
    """Refuse a sampling probability outside (0, 1].

    Raises:
        MisuseError: see above.
    """
    if not 0.0 < sampling_probability <= 1.0:
        raise MisuseError("sampling_probability must be above 0 and at most 1")
