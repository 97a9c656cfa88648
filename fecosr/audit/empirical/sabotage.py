"""What a market contributes to a round: as it is, and broken on purpose, to see that an audit notices.

Each fault is one that real software had, and each is built of the product's own parts: the claim stays what
the plan says, the code does something else. Nothing but an audit calls any of this.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.population import with_training_users, without
from fecosr.privacy.contributions import to_ring
from fecosr.privacy.integer_mechanism import MAX_CLIP_UNITS, IntegerMechanism
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import FloatVector, load_into, new_shared_model
from fecosr.training.private import private_sum
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import derive_seed

RingVector = npt.NDArray[np.uint32]
Fault = Literal["clipping-off", "noise-halved", "one-user-leak"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)


class Contribute(Protocol):
    """Return what a market adds to the sum of a round, its share of the noise included, uint32 [P]."""

    def __call__(
        self,
        learner: MarketLearner,
        shared: FloatVector,
        round_number: int,
        settings: PrivateTrainingSettings,
        mechanism: IntegerMechanism,
        *,
        secret: bytes,
    ) -> RingVector:
        """See `MarketLearner.contribute_privately`."""


def as_it_is(
    learner: MarketLearner,
    shared: FloatVector,
    round_number: int,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    secret: bytes,
) -> RingVector:
    """Return what a market node sends, masks aside."""
    return learner.contribute_privately(shared, round_number, settings, mechanism, secret=secret)


def with_noise_halved(
    learner: MarketLearner,
    shared: FloatVector,
    round_number: int,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    secret: bytes,
) -> RingVector:
    """Draw noise of half the standard deviation, as whoever confuses two conventions of sensitivity does."""
    halved = replace(mechanism, share_variance=mechanism.share_variance // 4)
    return learner.contribute_privately(shared, round_number, settings, halved, secret=secret)


def with_clipping_off(
    learner: MarketLearner,
    shared: FloatVector,
    round_number: int,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    secret: bytes,
) -> RingVector:
    """Add every gradient as long as it is, in the units and under the noise of the plan."""
    return learner.contribute_privately(
        shared, round_number, settings, _hardly_clipping(mechanism), secret=secret
    )


def with_one_user_leaking(
    learner: MarketLearner,
    shared: FloatVector,
    round_number: int,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    secret: bytes,
) -> RingVector:
    """Forget to clip the market's last user, as whoever treats the end of a batch on its own may."""
    train = learner.data.split.train
    last = len(train) - 1
    others = with_training_users(learner, without(train, last))
    contribution = others.contribute_privately(shared, round_number, settings, mechanism, secret=secret)
    model = new_shared_model(learner.settings.encoder, learner.settings.semantics, learner.seed)
    load_into(model, shared)
    only_last = (*(user[:0] for user in train[:last]), train[last])
    alone = private_sum(
        model,
        with_training_users(learner, only_last).data,
        settings,
        _hardly_clipping(mechanism),
        public_seed=derive_seed(learner.seed, "private-round", round_number),
        secret=secret,
    )
    return contribution + to_ring(alone)


BROKEN: Final[Mapping[Fault, Contribute]] = {
    "clipping-off": with_clipping_off,
    "noise-halved": with_noise_halved,
    "one-user-leak": with_one_user_leaking,
}


def _hardly_clipping(mechanism: IntegerMechanism) -> IntegerMechanism:
    """Return a mechanism of the same unit and noise that clips as late as its arithmetic allows."""
    times = MAX_CLIP_UNITS // mechanism.clip_units
    return replace(mechanism, clip_norm=mechanism.clip_norm * times, clip_units=mechanism.clip_units * times)
