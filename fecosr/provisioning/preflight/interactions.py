"""Look at a market's data the way its node will: read, filter, find vectors; nothing leaves this machine."""

from collections.abc import Iterator
from importlib.util import find_spec

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import load_plan
from fecosr.provisioning.preflight.findings import Finding, failure, ok
from fecosr.provisioning.preflight.kit import Kit
from fecosr.recommender.settings import EMBEDDINGS

NEEDED = ("polars", "torch")


def check_data(kit: Kit) -> Iterator[Finding]:
    """Check that the data can be read, has the columns it needs, and leaves users to train on."""
    if not isinstance(kit.config, NodeConfig):
        return
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        message = f"{' and '.join(missing)} are not installed, and a market node needs them"
        yield failure("data", message, "pip install 'fecosr[node]'")
        return
    from fecosr.data.sequences import load_market  # noqa: PLC0415 - the coordinator has no polars

    market = load_market(kit.config.data)
    said = f"{market.num_interactions} interactions of {market.num_users} users with {market.num_items} items"
    yield ok("data", said)


def check_semantics(kit: Kit) -> Iterator[Finding]:
    """Check that semantic vectors are made here of the very files that the markets agreed on."""
    if not isinstance(kit.config, NodeConfig) or any(find_spec(name) is None for name in NEEDED):
        return
    plan = load_plan(kit.config.plan)
    if plan.semantics.kind not in EMBEDDINGS:
        return
    from fecosr.data.sequences import load_market  # noqa: PLC0415 - the coordinator has no polars
    from fecosr.recommender.semantics import EmbeddingAccess, catalogue_semantics, pinned  # noqa: PLC0415

    path = kit.config.embedding_path
    found = pinned(plan.semantics, path)
    catalogue = load_market(kit.config.data).catalogue
    # The first item stands for all of them where a model is asked; a file of vectors is asked for every item.
    last = len(catalogue) if found.kind == "vectors" else 1
    titles = None if catalogue.titles is None else catalogue.titles[:last]
    catalogue_semantics(catalogue.item_ids[:last], titles, found, access=EmbeddingAccess(path))
    yield ok("semantics", f"{found.kind}: {found.embedding}, embedding_hash {found.embedding_hash}")
