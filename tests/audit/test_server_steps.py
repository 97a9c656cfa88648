"""A coordinator that makes another model of the opened sum than the plan says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fecosr.audit.verification import audit_run
from fecosr.federation.optimisers import Adaptive, OptimiserState, ServerOptimiser, ServerStep, Sgd
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ledger.records import RoundReleased
from tests.reference.audited_run import rules_of
from tests.reference.run_folder import keep
from tests.reference.small_federation import SmallFederation

OPTIMISERS = [Sgd(), Sgd(learning_rate=0.5, momentum=0.9), Adaptive("adam", 0.1), Adaptive("yogi", 0.1)]


def finished(server: ServerOptimiser, **changes: object) -> tuple[SmallFederation, FederationRun]:
    federation = SmallFederation(["de", "fr", "jp", "uk"], rounds=3, server=server, **changes)
    run = run_federation(
        federation.setup, federation.nodes(), federation.initial, federation.train, federation.entropy
    )
    return federation, run


@pytest.mark.parametrize("server", OPTIMISERS)
def test_an_honest_run_is_redone_bit_by_bit(server: ServerOptimiser, tmp_path: Path) -> None:
    federation, run = finished(server)
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert report.facts.redone == 3


class Tilted(Adaptive):
    """Apply another step than the plan's while the plan names the honest one."""

    def apply(self, parameters: object, mean_update: object, state: OptimiserState) -> ServerStep:
        step = super().apply(parameters, mean_update, state)  # type: ignore[arg-type]
        tilted = step.parameters.copy()
        tilted[0] = np.nextafter(tilted[0], np.float32(9))
        return replace(step, parameters=tilted)


class Forgetful(Adaptive):
    """Step as the plan says, and forget the moments."""

    def apply(self, parameters: object, mean_update: object, state: OptimiserState) -> ServerStep:
        step = super().apply(parameters, mean_update, state)  # type: ignore[arg-type]
        return replace(step, state=self.init(len(step.parameters)))


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (Tilted, ["server_step"] * 3),
        # From the second round on, both the model and the state come from moments that were thrown away.
        (Forgetful, ["optimiser_state", "server_step", "optimiser_state", "server_step", "optimiser_state"]),
    ],
)
def test_a_step_that_is_not_the_plans_is_found(
    kind: Callable[..., Adaptive], rules: list[str], tmp_path: Path
) -> None:
    federation, run = finished(kind("adam", 0.1))
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    assert rules_of(report.findings) == rules


def test_a_changed_sum_is_found(tmp_path: Path) -> None:
    federation, run = finished(Sgd())
    keep(federation, run, tmp_path)
    path = min((tmp_path / "coordinator" / "sums").iterdir())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert rules_of(audit_run(tmp_path).findings) == ["sum_file"]
    path.write_bytes(b"cut")
    assert rules_of(audit_run(tmp_path).findings) == ["sum_file"]


def test_what_was_deleted_is_not_redone_and_the_report_says_so(tmp_path: Path) -> None:
    federation, run = finished(Adaptive("adam", 0.1))
    keep(federation, run, tmp_path)
    total_hash = next(entry.body.total_hash for entry in run.ledger if isinstance(entry.body, RoundReleased))
    (tmp_path / "coordinator" / "sums" / f"{total_hash.hex()}.safetensors").unlink()
    report = audit_run(tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    # The second round starts from the state file of the first.
    assert report.facts.redone == 2
    for path in (tmp_path / "coordinator" / "optimiser").iterdir():
        path.unlink()
    report = audit_run(tmp_path)
    assert report.facts is not None
    assert (report.findings, report.facts.redone) == ((), 0)
