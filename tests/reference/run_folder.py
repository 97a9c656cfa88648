"""The run folder of a run in memory, written by the real stores as the drivers would."""

from pathlib import Path

from fecosr.federation.effects import CheckpointKept
from fecosr.federation.run import FederationRun
from fecosr.privacy.budget import Charged, TakenBack
from fecosr.storage.archive import FolderArchive
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE, CheckpointStore
from fecosr.storage.countersignature_store import CountersignatureStore
from fecosr.storage.evidence import EVIDENCE_FOLDER, EvidenceStore
from fecosr.storage.ledger_store import LedgerStore
from fecosr.storage.optimiser_states import OptimiserStateStore
from fecosr.storage.parameters import ModelStore
from fecosr.storage.spending_store import SPENDING_FILE, SpendingStore
from fecosr.storage.sums import SumStore
from tests.reference.small_federation import SmallFederation


def keep(federation: SmallFederation, run: FederationRun, folder: Path) -> None:
    """Write what all parties of `run` stored, and the pinned identities."""
    _keep_coordinator(federation, run, folder / "coordinator")
    public = federation.setup.key.public
    for name, records in run.records.items():
        identity = federation.roster.nodes[name]
        with CheckpointStore(
            folder / name / CHECKPOINTS_FILE, federation.plan.run, public, market=name, identity=identity
        ) as heads:
            for record in records:
                if isinstance(record, CheckpointKept):
                    heads.keep(record.kept)
        with SpendingStore(folder / name / SPENDING_FILE) as account:
            for record in records:
                if isinstance(record, Charged | TakenBack):
                    account.append(record)
    nodes = "\n".join(f'{name} = "{key.hex()}"' for name, key in federation.roster.nodes.items())
    text = f'coordinator = "{public.hex()}"\n[nodes]\n{nodes}\n'
    (folder / "roster.toml").write_text(text, encoding="utf-8")


def _keep_coordinator(federation: SmallFederation, run: FederationRun, folder: Path) -> None:
    archive = FolderArchive(folder)
    models, states = ModelStore(archive.files("models")), OptimiserStateStore(archive.files("optimiser"))
    sums, sketches = SumStore(archive.files("sums")), ModelStore(archive.files("sketch"))
    for digest, parameters in run.models.items():
        models.save(digest, parameters, {})
    for state in run.optimiser_states.values():
        states.save(state)
    for digest, total in run.sums.items():
        sums.save(digest, total)
    evidence = EvidenceStore(archive.files(EVIDENCE_FOLDER))
    for digest, content in run.evidence.items():
        evidence.save(digest, content)
    for digest, sketch in run.sketches.items():
        sketches.save(digest, sketch, {})
    countersignatures = CountersignatureStore(archive.files())
    for statement in run.countersignatures.values():
        countersignatures.keep(statement)
    lines = archive.lines("ledger.jsonl")
    with LedgerStore(lines, federation.plan.run, federation.setup.key.public) as ledger:
        for entry in run.ledger:
            ledger.append(entry)
