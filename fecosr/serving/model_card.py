"""The model card: what a stranger has to know before using a market's model."""

import json
from collections.abc import Iterator

from fecosr.serving.facts import ModelFacts, OriginFacts
from fecosr.serving.market_model import ServedModel


def model_card(served: ServedModel, *, with_onnx: bool) -> str:
    """Return the card as Markdown; every figure in it stands in model.json too."""
    facts = served.facts
    sections = (
        f"# Market model: {facts.market}\n",
        _what(served),
        _use(with_onnx=with_onnx),
        _training(facts),
        f"## Privacy\n\n{privacy_statement(facts.origin)}\n",
        _metrics(facts),
        _limits(served),
        _software(facts),
    )
    return "\n".join(sections)


def privacy_statement(origin: OriginFacts) -> str:
    """Return what was promised to the customers whose interactions the model learned from, and what not."""
    if origin.privacy.get("mode") == "none":
        federated = (
            "The federated run had no differential privacy (mode none). Secure aggregation hid each market's "
            "updates from the coordinator and from the other markets, but nothing bounds what the sums or "
            "the shared model say about one customer: epsilon is unbounded."
        )
    else:
        section = json.dumps(dict(origin.privacy), sort_keys=True)
        federated = (
            f"The federated run had the privacy section `{section}`. What it spent stands in the run's "
            "ledger; `fecosr audit` recomputes it."
        )
    return (
        f"{federated}\n\nFine-tuning inside the market has no privacy mechanism of its own: adapter and "
        "local item embedding were fitted to this market's interactions directly. Whoever receives this "
        "model may be able to learn something about them."
    )


def _what(served: ServedModel) -> str:
    facts, data = served.facts, served.facts.data
    cold = int((~served.catalogue.in_training).sum())
    return (
        f"A sequential recommender: from the items a user bought, oldest first, to a score for each of the "
        f"{data.items} items of market {facts.market}. Trained on {data.interactions} interactions of "
        f"{data.users} users; {cold} items occur in no training sequence. Semantic vectors: "
        f"{facts.semantics.kind}, made from {facts.semantics.source}{_embedding(facts)}.\n"
    )


def _embedding(facts: ModelFacts) -> str:
    semantics = facts.semantics
    if semantics.embedding_hash is None:
        return ""
    named = f" by {semantics.embedding}" if semantics.embedding else ""
    return f"{named} (embedding `{semantics.embedding_hash}`)"


def _use(*, with_onnx: bool) -> str:
    onnx = (
        "\n`model.onnx` takes `items` (int64 [B, L], numbers of the catalogue's rows, oldest first, padded "
        "on the right) and `lengths` (int64 [B]) and returns `scores` (float32 [B, V]).\n"
    )
    return (
        "## Intended use\n\nTop-k recommendations in this market, for its own or for new users:\n\n"
        "    fecosr recommend FOLDER --histories histories.csv --k 10 --out top.parquet\n"
        "    fecosr evaluate FOLDER --data interactions.csv\n"
        f"{onnx if with_onnx else ''}\n"
        "Not for: decisions about people other than what to show them; other markets' catalogues.\n"
    )


def _training(facts: ModelFacts) -> str:
    origin, training = facts.origin, facts.training
    settings = training.learning
    return (
        "## Training\n\nAfter FeCoSR (arXiv 2604.13573; formulas and settings are a reconstruction): "
        "federated pretraining of a causal self-attention encoder and a projector of semantic vectors over "
        f"several markets under secure aggregation ({settings.local_training.loss} loss), then fine-tuning "
        "inside this market with an adapter and a gated local item embedding (best of at most "
        f"{settings.fine_tuning.max_epochs} epochs by its own validation users: epoch {training.best_epoch}; "
        "0 is the shared model as it is).\n\n"
        f"- run `{origin.run}`, planned for {origin.planned_rounds} rounds, seed {training.seed}\n"
        f"- plan `{origin.plan_hash}`\n"
        f"- final shared model `{origin.shared_model_hash}`\n"
    )


def _metrics(facts: ModelFacts) -> str:
    rows = "\n".join(
        f"| {part} | {figures['hr@10']:.4f} | {figures['ndcg@10']:.4f} | {figures['mrr']:.4f} |"
        for part, figures in (("validation", facts.metrics.validation), ("test", facts.metrics.test))
    )
    return (
        f"## Metrics\n\nLeave-one-out over {facts.metrics.users} users, ranked against the whole catalogue, "
        "bought items left out, ties counted against the model. Validation chose the epoch; test chose "
        f"nothing.\n\n| part | HR@10 | NDCG@10 | MRR |\n|---|---|---|---|\n{rows}\n"
    )


def _limits(served: ServedModel) -> str:
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limit_lines(served)) + "\n"


def _limit_lines(served: ServedModel) -> Iterator[str]:
    facts = served.facts
    latest = facts.training.learning.encoder.max_length
    yield f"Only the latest {latest} items of a user are read, and of their times only the order."
    yield "One training and one split: the figures carry the chance of both."
    if facts.semantics.of_every_item:
        yield "Items without training interactions are scored by their given vectors alone."
    elif facts.semantics.kind == "behaviour":
        yield "Items without training interactions are scored where users of some market have them."
    elif facts.semantics.has_text:
        yield "Items without training interactions are scored by their titles alone."
    else:
        yield (
            f"Semantic vectors are made from {facts.semantics.source}; items without training interactions "
            "cannot be recommended."
        )
    yield "Ids and titles of the catalogue are part of the copy."


def _software(facts: ModelFacts) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in facts.software.versions.items())
    software = facts.software
    return f"## Software\n\n{versions}; on {software.device}, {software.num_threads} threads.\n"
