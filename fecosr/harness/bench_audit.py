"""What checking costs: the audit of a long run, and a node's own filter in front of every round.

Seconds are those of the processor, because other processes may want it as well.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from fecosr.audit.verification import audit_run
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import MisuseError
from fecosr.harness.figures import Figure
from fecosr.harness.long_run import MARKETS, PRIVACY, LongRun
from fecosr.privacy.accounting import epsilons
from fecosr.privacy.budget import Budget, Spending, admit
from fecosr.privacy.events import Charge, PoissonGaussian
from fecosr.training.accounting import ACCOUNTANTS

_Result = TypeVar("_Result")
_SIGNATURES_PER_ROUND: Final = 1 + 2 * len(MARKETS)
"""The manifest's, and of every market its key advert and its word on the survivors."""


def audit_figure(rounds: int) -> Figure:
    """Return what an audit of a generated ledger takes, beside its signatures alone."""
    _warm_up()
    with tempfile.TemporaryDirectory(prefix="fecosr-bench-") as name:
        folder = Path(name) / "run"
        LongRun(rounds).write(folder)
        report, ours = _cpu_seconds(lambda: audit_run(folder))
    if not report.verified:
        raise MisuseError(f"the generated run does not verify: {report.findings[0].message}")
    key = SigningKey(bytes(32))
    signed = [(key.sign(message), message) for message in map(_message, range(1000))]
    _, reference = _cpu_seconds(lambda: _verify_all(key.public, signed))
    return Figure(
        name=f"audit of a ledger of {rounds:,} rounds of {len(MARKETS)} markets, processor time",
        ours=ours,
        reference=reference / len(signed) * rounds * _SIGNATURES_PER_ROUND,
        reference_name="verifying its signatures and nothing else",
        unit="s",
    )


def filter_figure(charges: int) -> Figure:
    """Return what a charge costs on average, beside asking both accountants in front of every round."""
    _warm_up()
    event = PoissonGaussian(PRIVACY.sampling_probability, PRIVACY.noise_multiplier)
    budget = Budget("bench", PRIVACY.epsilon, PRIVACY.delta, frozenset({event}), "user", "add_or_remove_one")

    def spend() -> None:
        spending = Spending()
        for number in range(charges):
            charge = Charge(f"round {number}", "pretraining", event)
            spending = spending.after(admit(budget, spending, charge, ACCOUNTANTS))

    def ask() -> float:
        counts = range(1, charges + 1, max(1, charges // 8))
        return median(
            _cpu_seconds(partial(epsilons, {event: n}, PRIVACY.delta, ACCOUNTANTS))[1] for n in counts
        )

    _, ours = _cpu_seconds(spend)
    return Figure(
        name=f"a charge of a node's budget filter, mean of {charges}, processor time",
        ours=ours / charges * 1e3,
        reference=ask() * 1e3,
        reference_name="asking both accountants once",
        unit="ms",
    )


def _verify_all(public: bytes, signed: Iterable[tuple[bytes, bytes]]) -> None:
    for signature, message in signed:
        verify(public, signature, message)


def _warm_up() -> None:
    """Load the accountants' libraries, which every process does once."""
    for accountant in ACCOUNTANTS.values():
        accountant({PoissonGaussian(0.5, 1.0): 2}, PRIVACY.delta)


def _message(number: int) -> bytes:
    return number.to_bytes(8, "big") * 16


def _cpu_seconds(task: Callable[[], _Result]) -> tuple[_Result, float]:
    start = time.process_time()
    result = task()
    return result, time.process_time() - start
