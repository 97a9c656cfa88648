"""Two attackers who are given a direction in which a model was changed, whatever it was taken from.

Who took part: a user's own gradient is known to whoever knows what they bought, and the change points against
the gradients of those who took part. Which items were bought: every item a user meets changes the first layer
of the projector along its public semantic vector, so the layer's change maps the vectors of bought items to
something longer than those of others (a gradient inversion in closed form).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fecosr.audit.attacks.views import Direction
from fecosr.audit.empirical.canaries import clipped_gradients
from fecosr.audit.empirical.rounds import SeenRound
from fecosr.audit.empirical.terms import Terms
from fecosr.data.sequences import ItemArray
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import layout_of, new_shared_model

Scores = npt.NDArray[np.float64]
_LAYER = "projector.hidden.weight"


def known_gradients(
    terms: Terms, learner: MarketLearner, candidates: Sequence[ItemArray]
) -> npt.NDArray[np.float32]:
    """Return each candidate's gradient at the initial model without what all have in common, [users, P]."""
    shared = terms.initial()
    start = SeenRound(1, shared, np.zeros(len(shared), np.int64))
    gradients = clipped_gradients(start, learner, terms, candidates)
    common = gradients.mean(axis=0)
    common /= max(float(np.linalg.norm(common)), 1e-12)
    alone: npt.NDArray[np.float32] = gradients - np.outer(gradients @ common, common)
    return alone


def membership_scores(change: Direction, gradients: npt.NDArray[np.float32]) -> Scores:
    """Return one score per candidate, float64 [users]; the higher, the likelier they took part."""
    return -(gradients @ change).astype(np.float64)


def item_scores(change: Direction, learner: MarketLearner) -> Scores:
    """Return one score per item of the market's catalogue, float64 [V]; the higher, the likelier bought."""
    layer = _first_layer(change, learner)  # [H, Z]
    vectors = learner.data.semantics.numpy()  # [V, Z]
    scores: Scores = np.linalg.norm((vectors - vectors.mean(axis=0)) @ layer.T, axis=1).astype(np.float64)
    return scores


def _first_layer(change: Direction, learner: MarketLearner) -> npt.NDArray[np.float32]:
    model = new_shared_model(learner.settings.encoder, learner.settings.semantics, learner.seed)
    start = 0
    for name, shape in layout_of(model).parts:
        size = int(np.prod(shape))
        if name == _LAYER:
            return change[start : start + size].reshape(shape)
        start += size
    raise LookupError(_LAYER)
