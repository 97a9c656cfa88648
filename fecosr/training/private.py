"""Training under user-level differential privacy: gradients clipped user by user, and only noisy sums go on.

Mode "distributed": a round is one sum over the users that every market samples by coins of its own; each
market adds its share of the noise, and the sum over the markets carries all of it. Mode "local": the market
takes steps by itself, each with the whole noise, and sends the difference. Both use one integer mechanism.
There is no dropout: the noise regularises, and masks must not tell how many users there are.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Adam

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.data.sequences import ItemArray
from fecosr.errors import MisuseError
from fecosr.privacy.contributions import IntegerVector, UserSum, noisy_sum, to_reals, to_ring
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.privacy.user_sampling import sample_users
from fecosr.recommender.model import SequenceModel, SharedModel
from fecosr.training.parameters import FloatVector, flatten, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import derive_seed
from fecosr.training.user_batches import user_batches
from fecosr.training.user_gradients import UserGradientFunction, trained_parameters


def distributed_contribution(
    model: SharedModel,
    data: PreparedMarket,
    shared: FloatVector,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    public_seed: int,
    secret: bytes,
) -> npt.NDArray[np.uint32]:
    """Return what one market adds to the sum of a round, as ring elements, its share of the noise included.

    Args:
        model: scratch space of the right shape; its parameters are overwritten.
        data: the market.
        shared: float32 [P], where the round starts.
        settings: of private training.
        mechanism: of the round, the same in all markets.
        public_seed: the same in all markets; fixes the drawn items, as far as catalogues are alike.
        secret: 32 fresh uniform bytes; they decide who takes part and the noise.

    Guarantees:
        Sensitivity: without the noise, one user changes the sum by at most clip_units in L2 norm. The result
        alone is protected by one share of the noise only: it leaves the market masked.
    """
    load_into(model, shared)
    total = private_sum(model, data, settings, mechanism, public_seed=public_seed, secret=secret)
    return to_ring(noisy_sum(total, mechanism, secret))


def train_privately(
    model: SharedModel,
    data: PreparedMarket,
    shared: FloatVector,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    public_seed: int,
    secret: bytes,
) -> FloatVector:
    """Return the update of one round of mode "local", float32 [P]: Adam on noisy sums of clipped gradients.

    Arguments are those of `distributed_contribution`, but that the mechanism is one with a single share of
    noise; `secret` is derived from anew for every step.

    Guarantees:
        Whoever sees the update, it costs a user no more than `steps` events of the mechanism: each step reads
        the data through a sum with the whole noise, over users whom coins of its own choose, and nothing else
        of the update depends on them. Adam starts anew, so that nothing of other rounds is in it either.
    """
    load_into(model, shared)
    optimiser = Adam(model.parameters(), lr=settings.learning_rate)
    for step in range(settings.steps):
        step_secret = derive_key(secret, Label.PRIVATE_STEP, step.to_bytes(8, "big"))
        step_seed = derive_seed(public_seed, "private-step", step)
        total = private_sum(model, data, settings, mechanism, public_seed=step_seed, secret=step_secret)
        noisy = to_reals(noisy_sum(total, mechanism, step_secret), mechanism)
        set_gradient(model, noisy / np.float32(settings.expected_users))
        optimiser.step()
    return flatten(model) - shared


def private_sum(
    model: SequenceModel,
    data: PreparedMarket,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    public_seed: int,
    secret: bytes,
) -> IntegerVector:
    """Return the sum of the sampled users' clipped gradients in units, int64 [P]. It carries no noise yet."""
    sequences = data.split.train
    chosen = sample_users(secret, len(sequences), settings.sampling_probability)
    drawn = draw_items(data.num_items, settings.num_drawn, public_seed)
    return sum_over_users(model, data, [sequences[user] for user in chosen], drawn, settings, mechanism)


def sum_over_users(  # noqa: PLR0917 - each of them decides the sum
    model: SequenceModel,
    data: PreparedMarket,
    sequences: Sequence[ItemArray],
    drawn: npt.NDArray[np.int64],
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
) -> IntegerVector:
    """Return the sum of the clipped gradients of the users with these sequences, in units, int64 [P].

    Guarantees:
        It is the sum of what each user alone would give, to the bit; so one user more changes it by a vector
        of norm at most clip_units.

    Raises:
        MisuseError: the mechanism is for another number of parameters.
    """
    if sum(value.numel() for _, value in trained_parameters(model)) != mechanism.num_parameters:
        raise MisuseError(f"the mechanism is for {mechanism.num_parameters} parameters, the model has others")
    soft = data.soft if settings.loss == "s2ce" else data.hard
    gradients = UserGradientFunction(model, data.semantics, drawn)
    total = UserSum(mechanism)
    for batch in user_batches(
        sequences, soft, max_length=model.max_length, users_at_a_time=settings.users_at_a_time
    ):
        gradients(batch).add_to(total)
    return total.total()


def draw_items(num_items: int, num_drawn: int, public_seed: int) -> npt.NDArray[np.int64]:
    """Return the items that stand for all others in a softmax, ascending; no user influences them."""
    rng = np.random.default_rng(derive_seed(public_seed, "drawn-items"))
    return np.sort(rng.choice(num_items, size=min(num_drawn, num_items), replace=False))


def local_mechanism(num_parameters: int, settings: PrivateTrainingSettings) -> IntegerMechanism:
    """Return the mechanism of a market that trusts nobody with its noise."""
    return IntegerMechanism.of_one_party(
        num_parameters=num_parameters,
        clip_norm=settings.clip_norm,
        noise_multiplier=settings.noise_multiplier,
        expected_users=settings.expected_users,
    )


def set_gradient(model: SequenceModel, gradient: FloatVector) -> None:
    """Make `gradient`, float32 [P], the gradient of the trained parameters, for an optimiser to step on."""
    start = 0
    for _, parameter in trained_parameters(model):
        part = torch.from_numpy(gradient[start : start + parameter.numel()])
        parameter.grad = part.reshape(parameter.shape).to(parameter.device)
        start += parameter.numel()
