"""Look at a market's data the way its node will: read, filter, split; nothing of it leaves this machine."""

from collections.abc import Iterator
from importlib.util import find_spec

from fecosr.config.parties import NodeConfig
from fecosr.provisioning.preflight.findings import Finding, failure, ok
from fecosr.provisioning.preflight.kit import Kit

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
