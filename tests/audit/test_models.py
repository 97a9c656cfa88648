"""What can happen to the model files of a run folder."""

from pathlib import Path

import numpy as np

from fecosr.audit.findings import Status
from fecosr.audit.models import check_models
from fecosr.audit.verification import audit_run
from fecosr.ledger.log import decode_entry
from fecosr.storage.parameters import write_parameters
from tests.reference.audited_run import AuditedRun, lines_of, rules_of


def test_models_of_earlier_rounds_may_be_gone_but_not_changed(run_dir: Path, honest: AuditedRun) -> None:
    initial, first, final = (
        run_dir / "coordinator" / "models" / f"{h.hex()}.safetensors" for h in honest.models
    )
    initial.unlink()
    assert audit_run(run_dir).verified
    write_parameters(first, np.ones(5, dtype=np.float32), {})
    assert rules_of(audit_run(run_dir).findings) == ["model_file"]
    first.unlink()
    final.write_bytes(final.read_bytes()[:-1])
    report = audit_run(run_dir)
    assert report.status is Status.NOT_VERIFIED
    assert [finding.message for finding in report.findings] == [f"{final.name} is damaged."]


def test_a_model_of_another_size_is_found(run_dir: Path) -> None:
    entries = [decode_entry(line[:-1], place) for place, line in enumerate(lines_of(run_dir))]
    found = list(check_models(run_dir / "coordinator" / "models", entries, 6, None))
    assert [finding.message.endswith("has 5 parameters, not 6.") for finding in found] == [True] * 3
