"""What secure aggregation costs a client and a server, beside the least it could cost, in the same run.

Everything here runs on one thread and is timed in processor seconds, because other programs take their turns
in between. Each figure is the best of several repetitions that alternate between ours and the reference.
"""

import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from fecosr.crypto.shamir import PRIME, SHARE_BYTES, combine, lagrange_weights, split
from fecosr.harness.figures import Figure
from fecosr.ids import NodeId
from fecosr.privacy.clipping import clip
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.masking import Vector, masked
from fecosr.secagg.packing import RING_BITS, Packed, packed_bytes
from fecosr.secagg.secrets import ClientSecrets, derive_secrets

NUM_PARAMETERS: Final = 10_000_000
NUM_MASKS: Final = 11
NUM_SUMMANDS: Final = 20
CLIP_NORM: Final = 1.0
NUM_SHARES: Final = 200
THRESHOLD: Final = 101
NUM_NAIVE_SEEDS: Final = 2
REPETITIONS: Final = 9
GROWTH: Final = 10
GROWTH_REPETITIONS: Final = 2
CLOCK_SECONDS: Final = 1e-6
"""A clock may not have moved during the shortest work."""
ME: Final = NodeId("node-00")
SESSION: Final = bytes(32)
_SMALL_RING_WORK: Final = "rotate, round, mask and pack"
_SCRATCH_BYTES: Final = 1 << 18
_ZEROS: Final = memoryview(bytes(_SCRATCH_BYTES))


def measure(num_parameters: int = NUM_PARAMETERS, repetitions: int = REPETITIONS) -> list[Figure]:
    """Return every figure of secure aggregation that needs no network.

    Args:
        num_parameters: length of the update.
        repetitions: how often each side of a comparison is timed.
    """
    update = np.random.default_rng(0).standard_normal(num_parameters, dtype=np.float32)  # [P]
    return [
        *_client_figures(update, repetitions),
        _growth(update, min(repetitions, GROWTH_REPETITIONS)),
        _peak_memory(update),
        *_upload_figures(num_parameters),
        *_sharing_figures(repetitions),
    ]


def _client_figures(update: npt.NDArray[np.float32], repetitions: int) -> list[Figure]:
    """Compare masking and encoding with keystreams that are made and added and nothing else."""
    encoding = UpdateEncoding(update.size, CLIP_NORM, NUM_SUMMANDS, max_loss=50.0)
    clipped = clip(update, CLIP_NORM)
    vector = encoding.encode(clipped, 0.5, 1.0, bytes(32))
    client = _Client(NUM_MASKS)
    bare = vector.copy()
    rings = {bits: replace(encoding, ring_bits=bits) for bits in RING_BITS}
    timed: dict[str, Callable[[], object]] = {
        "floor": lambda: _add_bare_keystreams(bare, NUM_MASKS),
        "mask": lambda: client.mask(vector),
        "numpy": lambda: _encode_in_whole_vectors(update, encoding.update_scale),
        "clip and encode": lambda: encoding.encode(clip(update, CLIP_NORM), 0.5, 1.0, bytes(32)),
    }
    for bits, ring in rings.items():
        timed[f"{bits} bits"] = partial(client.encode_and_mask, ring, clipped)
    seconds = _best_seconds(timed, repetitions)
    size, floor = f"{update.size:,} parameters", f"{NUM_MASKS} AES-256-CTR keystreams added in place"
    return [
        Figure(f"mask {size}, {NUM_MASKS} masks", seconds["mask"], seconds["floor"], floor, "s"),
        *(
            Figure(
                f"{work} {size}, {NUM_MASKS} masks, {bits}-bit ring",
                seconds[f"{bits} bits"],
                seconds["floor"],
                floor,
                "s",
            )
            for bits, work in ((32, "encode and mask"), (24, _SMALL_RING_WORK), (16, _SMALL_RING_WORK))
        ),
        Figure(
            f"clip and encode {size}",
            seconds["clip and encode"],
            seconds["numpy"],
            "numpy, whole vectors at a time",
            "s",
        ),
    ]


def _growth(update: npt.NDArray[np.float32], repetitions: int) -> Figure:
    """Compare ten times the work with the work ten times over: a ratio of 1 is linear."""
    long_update = np.tile(update, GROWTH)  # [10 P]
    client = _Client(2)
    encoding = UpdateEncoding(update.size, CLIP_NORM, NUM_SUMMANDS, max_loss=50.0)
    long_encoding = UpdateEncoding(long_update.size, CLIP_NORM, NUM_SUMMANDS, max_loss=50.0)

    def work(encoding: UpdateEncoding, update: npt.NDArray[np.float32]) -> None:
        client.encode_and_mask(encoding, clip(update, CLIP_NORM))

    timed = {"long": lambda: work(long_encoding, long_update), "short": lambda: work(encoding, update)}
    # Not the kernel's seconds: what it charges for new memory depends on how much of it the machine has left.
    seconds = _best_seconds(timed, repetitions, clock=_user_seconds)
    return Figure(
        f"clip, encode and mask {long_update.size:,} parameters, 2 masks",
        seconds["long"],
        GROWTH * seconds["short"],
        f"{GROWTH} times the same for {update.size:,}",
        "s",
    )


def _peak_memory(update: npt.NDArray[np.float32]) -> Figure:
    """Compare the memory that encoding and masking takes at its worst with one vector of ring elements."""
    encoding = UpdateEncoding(update.size, CLIP_NORM, NUM_SUMMANDS, max_loss=50.0)
    clipped = clip(update, CLIP_NORM)
    client = _Client(NUM_MASKS)
    with _traced() as peak_bytes:
        client.encode_and_mask(encoding, clipped)
        ours = peak_bytes()
    return Figure(
        f"peak memory to encode and mask {update.size:,} parameters, the update not counted",
        ours / 1e6,
        encoding.length * 4 / 1e6,
        "the masked vector",
        "MB",
    )


def _upload_figures(num_parameters: int) -> list[Figure]:
    """Compare the bytes of a masked vector with those of the update as it is."""
    figures = []
    for bits in RING_BITS:
        encoding = UpdateEncoding(num_parameters, CLIP_NORM, NUM_SUMMANDS, max_loss=50.0, ring_bits=bits)
        figures.append(
            Figure(
                f"masked vector of {num_parameters:,} parameters, {bits}-bit ring",
                packed_bytes(encoding.length, bits) / num_parameters,
                4.0,
                "float32",
                "bytes per parameter",
            )
        )
    return figures


def _sharing_figures(repetitions: int) -> list[Figure]:
    """Compare Shamir sharing and reconstruction with the formulas as textbooks have them."""
    secret, entropy = bytes(range(32)), bytes(32)
    shares = split(secret, THRESHOLD, NUM_SHARES, entropy)
    quorum = range(1, THRESHOLD + 1)
    sharing = _best_seconds(
        {
            "ours": lambda: split(secret, THRESHOLD, NUM_SHARES, entropy),
            "naive": lambda: _naive_split(secret, THRESHOLD, NUM_SHARES),
        },
        repetitions,
    )
    opening = _best_seconds(
        {
            "ours": lambda: _reconstruct(quorum, shares, NUM_SHARES),
            "naive": lambda: _naive_reconstruct(quorum, shares, NUM_NAIVE_SEEDS),
        },
        repetitions,
    )
    return [
        Figure(
            f"Shamir: share a seed, {THRESHOLD} of {NUM_SHARES}",
            sharing["ours"],
            sharing["naive"],
            "powers of x one by one",
            "s",
        ),
        Figure(
            f"Shamir: reconstruct {NUM_SHARES} seeds, {THRESHOLD} of {NUM_SHARES}",
            opening["ours"],
            opening["naive"] * NUM_SHARES / NUM_NAIVE_SEEDS,
            f"naive Lagrange, {NUM_NAIVE_SEEDS} seeds scaled up",
            "s",
        ),
    ]


class _Client:
    """Mask as a client with one self mask and as many pairwise masks as are left."""

    def __init__(self, num_masks: int) -> None:
        self._secrets = _secrets_of(ME)
        peers = [NodeId(f"node-{number:02}") for number in range(1, num_masks)]
        self._peers = {peer: _secrets_of(peer).mask_key.public for peer in peers}

    def mask(self, vector: Vector) -> Packed:
        """Mask a vector that is already encoded."""
        return masked(vector, self._secrets, self._peers, SESSION, ME)

    def encode_and_mask(self, encoding: UpdateEncoding, update: npt.NDArray[np.float32]) -> Packed:
        """Encode a clipped update while it is masked."""
        prepared = encoding.prepare(update, 0.5, 1.0, bytes(32))
        return masked(prepared, self._secrets, self._peers, SESSION, ME, encoding.ring_bits)


def _secrets_of(client: NodeId) -> ClientSecrets:
    return derive_secrets(client.encode().ljust(32, b"."), bytes(32), client)


def _add_bare_keystreams(vector: Vector, num_masks: int) -> None:
    """Add keystreams with nothing around them: a block stays in cache until all masks are on it."""
    encryptors = [Cipher(AES(bytes([i]) * 32), CTR(bytes(16))).encryptor() for i in range(num_masks)]
    scratch = bytearray(_SCRATCH_BYTES)
    pad = np.frombuffer(scratch, dtype=np.uint32)
    for start in range(0, vector.size, pad.size):
        block = vector[start : start + pad.size]
        for encryptor in encryptors:
            encryptor.update_into(_ZEROS[: block.nbytes], scratch)
            np.add(block, pad[: block.size], out=block)


def _encode_in_whole_vectors(update: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.uint32]:
    """Clip and round as one writes it down first."""
    clipped = update * min(1.0, CLIP_NORM / float(np.linalg.norm(update)))
    rounded = np.floor(clipped * scale * 0.5 + np.random.default_rng(0).random(update.size))
    return rounded.astype(np.int64).astype(np.uint32)


def _reconstruct(points: range, shares: tuple[bytes, ...], num_seeds: int) -> None:
    weights = lagrange_weights(points)
    quorum = [shares[x - 1] for x in points]
    for _ in range(num_seeds):
        combine(weights, quorum)


def _naive_reconstruct(points: range, shares: tuple[bytes, ...], num_seeds: int) -> None:
    for _ in range(num_seeds):
        value = 0
        for x in points:
            term = int.from_bytes(shares[x - 1], "big")
            for other in points:
                if other != x:
                    term = term * other * pow(other - x, -1, PRIME) % PRIME
            value = (value + term) % PRIME


def _naive_split(secret: bytes, threshold: int, num_shares: int) -> list[bytes]:
    # Any constants cost what random coefficients cost.
    coefficients = [int.from_bytes(secret, "big")] + [PRIME - 1 - i for i in range(1, threshold)]
    return [
        (sum(c * pow(x, power, PRIME) for power, c in enumerate(coefficients)) % PRIME).to_bytes(
            SHARE_BYTES, "big"
        )
        for x in range(1, num_shares + 1)
    ]


def _user_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def _best_seconds(
    timed: Mapping[str, Callable[[], object]],
    repetitions: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Return the fewest processor seconds of each, all of them taking turns."""
    best = dict.fromkeys(timed, float("inf"))
    for _ in range(repetitions):
        for name, work in timed.items():
            started = clock()
            work()
            best[name] = min(best[name], max(clock() - started, CLOCK_SECONDS))
    return best


@contextmanager
def _traced() -> Iterator[Callable[[], int]]:
    """Count memory from here on; what is yielded returns the most that was in use at a time."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
