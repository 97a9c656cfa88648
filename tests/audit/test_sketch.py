"""The audit of a run whose semantics are made from behaviour: round 0 is followed, and its sum made again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fecosr.audit.report import AuditReport, render
from fecosr.audit.verification import audit_run
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.run import FederationRun, run_federation
from fecosr.federation.sketch import SketchTerms
from fecosr.ledger.log import append, genesis
from fecosr.ledger.records import Body, RoundOpened, SketchReleased
from fecosr.storage.parameters import write_parameters
from fecosr.storage.sums import read_sum
from fecosr.storage.vector_file import write_vector
from tests.reference.audited_run import rules_of
from tests.reference.run_folder import keep
from tests.reference.small_federation import SKETCH, SmallFederation

NAMES = ["de", "fr", "jp", "uk"]


def federation_with(sketch: SketchTerms | None = SKETCH, **changes: object) -> SmallFederation:
    return SmallFederation(NAMES, sketch=sketch, **changes)


def finished(federation: SmallFederation) -> FederationRun:
    return run_federation(
        federation.setup,
        federation.nodes(),
        federation.initial,
        federation.train,
        federation.entropy,
        sketch=federation.sketch,
    )


def rewritten(
    federation: SmallFederation, run: FederationRun, change: Callable[[Body], Body | None]
) -> FederationRun:
    """Return the run with a ledger the coordinator signed anew after a change; None leaves a record out."""
    head, ledger = genesis(federation.plan.run), []
    for entry in run.ledger:
        body = change(entry.body)
        if body is not None:
            changed, head = append(head, body, federation.coordinator_key)
            ledger.append(changed)
    run.ledger = ledger
    run.records = {}
    return run


def audited(federation: SmallFederation, run: FederationRun, folder: Path) -> AuditReport:
    keep(federation, run, folder)
    return audit_run(folder)


def sketch_of(run: FederationRun) -> Vector:
    (sketch,) = run.sketches.values()
    return sketch


def test_an_honest_run_verifies_and_its_report_says_what_was_opened(tmp_path: Path) -> None:
    federation = federation_with()
    report = audited(federation, finished(federation), tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.redone) == (2, 2)
    assert (report.facts.sketch.survivors, report.facts.sketch.redone) == (4, True)
    text = render(report)
    assert "Behaviour sketches of 4 markets opened as one sum: made again from it." in text
    assert "whoever has it can estimate" in text


def test_a_run_without_sketches_says_nothing_of_them(tmp_path: Path) -> None:
    federation = federation_with(None)
    report = audited(federation, finished(federation), tmp_path)
    assert report.findings == ()
    assert "sketch" not in render(report)


def test_a_deleted_sum_is_no_finding_but_is_not_made_again(tmp_path: Path) -> None:
    federation = federation_with()
    run = finished(federation)
    (body,) = [entry.body for entry in run.ledger if isinstance(entry.body, SketchReleased)]
    del run.sums[body.total_hash]
    run.sketches.clear()
    report = audited(federation, run, tmp_path)
    assert report.findings == ()
    assert "not made again, because it is not there" in render(report)


def test_a_sketch_that_is_not_what_its_sum_says_is_found(tmp_path: Path) -> None:
    """The coordinator released another sketch than was opened, and names it everywhere alike."""
    federation = federation_with()
    run = finished(federation)
    other = sketch_of(run).copy()
    other[0] = np.nextafter(other[0], np.float32(9))
    named, (honest,) = parameters_hash(other), run.sketches
    run.sketches = {named: other}

    def lie(body: Body) -> Body:
        if isinstance(body, SketchReleased):
            return replace(body, sketch_hash=named)
        if isinstance(body, RoundOpened) and body.manifest.sketch_hash == honest:
            return replace(body, manifest=replace(body.manifest, sketch_hash=named))
        return body

    report = audited(federation, rewritten(federation, run, lie), tmp_path)
    assert "sketch" in rules_of(report.findings)
    assert "The released sketch is not what its sum says." in [f.message for f in report.findings]


def test_a_tampered_sketch_file_is_found(tmp_path: Path) -> None:
    federation = federation_with()
    run = finished(federation)
    keep(federation, run, tmp_path)
    (path,) = (tmp_path / "coordinator" / "sketch").iterdir()
    write_parameters(path, sketch_of(run) + np.float32(1), {})
    report = audit_run(tmp_path)
    assert rules_of(report.findings) == ["sketch_file"]
    path.write_bytes(path.read_bytes()[:-4])
    assert rules_of(audit_run(tmp_path).findings) == ["sketch_file"]


def test_a_tampered_sum_is_found(tmp_path: Path) -> None:
    federation = federation_with()
    run = finished(federation)
    keep(federation, run, tmp_path)
    (body,) = [entry.body for entry in run.ledger if isinstance(entry.body, SketchReleased)]
    path = tmp_path / "coordinator" / "sums" / f"{body.total_hash.hex()}.safetensors"
    write_vector(path, "sum", read_sum(path) + np.uint32(1))
    assert rules_of(audit_run(tmp_path).findings) == ["sum_file"]
    path.write_bytes(b"")
    assert rules_of(audit_run(tmp_path).findings) == ["sum_file"]


@pytest.mark.parametrize("named", [None, bytes(32)])
def test_a_round_that_names_another_sketch_is_found(named: bytes | None, tmp_path: Path) -> None:
    federation = federation_with()

    def lie(body: Body) -> Body:
        if isinstance(body, RoundOpened) and body.round == 2:
            return replace(body, manifest=replace(body.manifest, sketch_hash=named))
        return body

    report = audited(federation, rewritten(federation, finished(federation), lie), tmp_path)
    assert "Round 2 attempt 1 does not name the sketch that was released." in [
        finding.message for finding in report.findings
    ]


def test_a_run_that_skipped_its_sketch_round_is_found(tmp_path: Path) -> None:
    honest, lying = federation_with(), federation_with(None, text=federation_with().plan.text)
    report = audited(honest, finished(lying), tmp_path)
    assert "Round 1 attempt 1 was opened where round 0 attempt 1 was due." in [
        finding.message for finding in report.findings
    ]


def test_a_sketch_in_a_run_that_has_none_is_found(tmp_path: Path) -> None:
    honest, lying = federation_with(None), federation_with(text=federation_with(None).plan.text)
    report = audited(honest, finished(lying), tmp_path)
    messages = [finding.message for finding in report.findings]
    assert "Round 0 attempt 1 was opened where round 1 attempt 1 was due." in messages
    assert "Round 0 has no sketch to release." in messages


def test_a_sketch_round_under_other_terms_is_found(tmp_path: Path) -> None:
    honest = federation_with()
    lying = federation_with(SketchTerms(SKETCH.length, 10 * SKETCH.norm), text=honest.plan.text)
    report = audited(honest, finished(lying), tmp_path)
    assert "Round 0 attempt 1: clip_norm in the manifest is not what was agreed." in [
        finding.message for finding in report.findings
    ]
