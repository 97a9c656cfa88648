"""One market's sketch of behaviour, made without torch: a node is asked for it before it trains."""

from fecosr.data.sequences import MarketSequences, split_leave_one_out
from fecosr.recommender.semantics import FloatArray
from fecosr.recommender.semantics.behaviour import sketch_of
from fecosr.recommender.settings import SemanticsSettings


def sketch_of_market(data: MarketSequences, semantics: SemanticsSettings) -> FloatArray:
    """Return the behaviour sketch of a market's training part, float32 [B * Z], as it enters the sum."""
    return sketch_of(split_leave_one_out(data).train, data.catalogue.item_ids, semantics)
