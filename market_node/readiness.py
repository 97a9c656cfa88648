"""What a node makes sure of, and says on its own log, before it knocks at the coordinator's door."""

from collections.abc import Callable
from typing import Final

import structlog

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.recommender.settings import EMBEDDINGS, SemanticsSettings

NODE_READY: Final = "node_ready"
LEARNER_READY: Final = "learner_ready"

_SOON_LEARNT_ITEMS: Final = 16_384
"""Of so many items vectors and neighbours are computed within moments."""

Log = structlog.typing.FilteringBoundLogger


def check_covered(privacy: UserPrivacy, market: MarketSequences) -> None:
    """Refuse a delta at which handing out one of this market's users in full could count as private.

    Raises:
        ConfigError: see above.
    """
    if privacy.delta * market.num_users >= 1:
        raise ConfigError(
            f"{market.market}: with {market.num_users} users, privacy.delta must be below "
            f"{1 / market.num_users:.3g}",
            remedy="have the plan changed; the run starts anew with it",
        )


def is_soon_learnt(market: MarketSequences, semantics: SemanticsSettings) -> bool:
    """Return whether the learner can be made while the node waits for its first round.

    A large catalogue takes minutes, which would be missing from the time that the markets have for training;
    and what is wrong with the files of an embedding shall be said before the others count on this node.
    """
    return market.num_items <= _SOON_LEARNT_ITEMS and semantics.kind not in EMBEDDINGS


def encoding_logged(log: Log) -> Callable[[int, int], None]:
    """Return a callback that logs every tenth of the titles that a text model has encoded."""
    tenths = 0

    def report(done: int, total: int) -> None:
        nonlocal tenths
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            log.info("encoding_progress", fraction=done / total, titles=total)

    return report


def log_ready(log: Log, market: MarketSequences, semantics: str, embedding_hash: str) -> None:
    """Say on this market's own log what it starts with; counts stay in the market."""
    log.info(
        NODE_READY,
        users=market.num_users,
        items=market.num_items,
        interactions=market.num_interactions,
        semantics=semantics,
        embedding=embedding_hash or None,
    )
