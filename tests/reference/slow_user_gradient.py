"""The gradient of one user by plain autograd, with the whole catalogue and in double precision."""

import copy
from collections.abc import Sequence

import torch

from fecosr.recommender.model import SequenceModel
from fecosr.recommender.soft_targets import SoftTargets
from fecosr.training.user_gradients import trained_parameters


def user_gradient(
    model: SequenceModel,
    semantics: torch.Tensor,
    soft: SoftTargets,
    items: Sequence[int],
    drawn: Sequence[int],
) -> torch.Tensor:
    """Return the gradient of the user who bought `items`, float64 [P], table last.

    The softmax runs over what the user touches and over `drawn`, whose part stands for all other items.
    """
    exact = copy.deepcopy(model).double().eval()
    recent = list(items)[-(model.max_length + 1) :]
    inputs, targets = recent[:-1], recent[1:]
    catalogue = exact.item_inputs(semantics.double())  # [V, D]
    states = exact.states(catalogue, torch.tensor([inputs]))[0]  # [L, D]
    assert soft.items is not None
    spread, shares = soft.items[targets], soft.shares[targets].double()  # [L, K]
    own = sorted({*inputs, *spread.flatten().tolist()})
    others = [item for item in drawn if item not in own]
    logits = states @ catalogue.T  # [L, V]
    partition = logits[:, own].exp().sum(dim=1)  # [L]
    if others:
        stands_for = (len(semantics) - len(own)) / len(others)
        partition = partition + stands_for * logits[:, others].exp().sum(dim=1)
    wanted = (shares * logits.gather(1, spread)).sum(dim=1)  # [L]
    loss = (partition.log() - wanted).mean()
    parameters = [value for _, value in trained_parameters(exact)]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])
