"""The record that opens the ledger of the vectors."""

from fecosr.crypto.labels import sha256
from fecosr.ids import NodeId, RunId
from fecosr.ledger.records import PrivacyTerms, RunOpened
from tests.vectors.generator.seeds import seeded


def opened_run(run: RunId, coordinator: bytes) -> RunOpened:
    """Return the first record of a ledger."""
    return RunOpened(
        run=run,
        plan_hash=sha256(b"{}"),
        plan_json="{}",
        roster={NodeId(name): seeded(f"identity of {name}") for name in ("at", "be", "cz", "de")},
        coordinator=coordinator,
        version="1.0",
        initial_model_hash=seeded("model"),
        num_parameters=1000,
        privacy=PrivacyTerms("none", "user", "add_or_remove_one", 1.5, None, None),
    )
