"""Randomness that depends on names alone: which run, which round, which market, and what for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed in 0 .. 2^63 - 1 that is unrelated to that of any other `names`."""
    # JSON-like quoting of each name keeps ("a", "bc") and ("ab", "c") apart.
    material = repr((seed, *names)).encode()
    return int.from_bytes(hashlib.blake2b(material, digest_size=8).digest(), "big") >> 1


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Run a block whose draws from torch's own generator depend on `seed` and `names` only.

    Initial parameters and dropout draw from that generator, and on a GPU dropout from that of the GPU; the
    caller's states of them are put back afterwards.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, *names))
        yield
