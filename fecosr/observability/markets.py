"""What is known of one market in a run: never its data, only what the protocol shows of it anyway."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Part = Literal["not asked", "asked", "in the cohort", "in the sum", "dropped out"]
"""What a market has to do with the attempt that is open, or else was last."""

MOST_REASONS: Final = 16
"""Kinds of reasons that are counted one by one; what comes after is counted as "other"."""


@dataclass(frozen=True, slots=True)
class MarketView:
    """Follow one market.

    Attributes:
        connected: whether it has an open connection.
        changed: when that last changed, in Unix seconds; None: never seen by this process.
        part: in the open or last attempt.
        dropout: why it dropped out of that; empty otherwise.
        sums: released sums that its update is in.
        dropouts: how often it dropped out, by reason.
        charged: in how many attempts it may have handed in a masked vector.
        violations: how often it broke the protocol.
        convicted: of what it was convicted by evidence; empty otherwise.
        finished: whether it holds the final model.
        validation: its own validation NDCG@10, where it chose to share that; the newest.
    """

    connected: bool = False
    changed: float | None = None
    part: Part = "not asked"
    dropout: str = ""
    sums: int = 0
    dropouts: Mapping[str, int] = field(default_factory=dict)
    charged: int = 0
    violations: int = 0
    convicted: str = ""
    finished: bool = False
    validation: float | None = None

    def dropped(self, reason: str) -> "MarketView":
        """Return the market after it dropped out of the open attempt."""
        dropouts = counted(self.dropouts, reason)
        return replace(self, part="dropped out", dropout=reason, dropouts=dropouts)


def counted(counts: Mapping[str, int], name: str) -> dict[str, int]:
    """Return `counts` with one more of `name`; however many names there are, the result stays small."""
    if name not in counts and len(counts) >= MOST_REASONS:
        name = "other"
    return {**counts, name: counts.get(name, 0) + 1}
