"""The gradient of every user by itself, exactly: what a user contributes before it is clipped.

The loss of a user is the mean over their own positions and reads nothing of any other user. Its softmax runs
over the user's own rows, and over public items drawn at random that stand for all others:

    loss = -sum_k t_k logit_k + log(sum_own e^logit + (V - |own|) / |drawn outside own| * sum_drawn e^logit)

With all items drawn it is the full softmax. An item is either the user's own row or a drawn one, never both,
so the squares of all parts of a user's gradient add up to the square of its norm. A table with one vector per
item takes part with the rows that are read: as inputs and as outputs alike, in one gradient.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from fecosr.privacy.contributions import UserSum
from fecosr.recommender.model import ItemTableModel, MarketModel, SequenceModel
from fecosr.training.user_batches import UserBatch

Parameters = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class UserGradients:
    """Hold the gradients of B users with respect to the trained parameters.

    Attributes:
        num_users: how many of the B there are.
        dense: of each parameter that is no table, float32 [B, its size].
        table: of the table with one vector per item, if the model has one and it is trained.
    """

    num_users: int
    dense: list[npt.NDArray[np.float32]]
    table: "TableGradients | None"

    def add_to(self, users: UserSum) -> None:
        """Add each user, clipped, to a sum over users."""
        for user in range(self.num_users):
            parts, places = self.of(user)
            users.add(parts, places)

    def of(self, user: int) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.int64] | None]:
        """Return the parts of a gradient, and where the values of the last one belong if it is rows."""
        parts = [part[user] for part in self.dense]
        if self.table is None:
            return parts, None
        rows, places = self.table.of(user)
        return [*parts, rows.ravel()], places + sum(len(part) for part in parts)


@dataclass(frozen=True, slots=True, eq=False)
class TableGradients:
    """Hold the gradients of B users with respect to a table with one vector per item.

    Attributes:
        own: of each user's rows, float32 [B, R, D].
        own_items: the items of these rows, one int64 array per user; rows behind them are padding.
        drawn: of the drawn items' rows, float32 [B, M, D]; zero where the item is the user's own.
        drawn_items: int64 [M].
    """

    own: npt.NDArray[np.float32]
    own_items: list[npt.NDArray[np.int64]]
    drawn: npt.NDArray[np.float32]
    drawn_items: npt.NDArray[np.int64]

    def of(self, user: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return a user's rows, float32 [rows, D], and the places of their values in the table, each once."""
        items = self.own_items[user]
        is_other = ~np.isin(self.drawn_items, items)
        rows = np.concatenate([self.own[user, : len(items)], self.drawn[user, is_other]])
        width = rows.shape[1]
        starts = np.concatenate([items, self.drawn_items[is_other]]) * width
        return rows, (starts[:, None] + np.arange(width)).ravel()


class UserGradientFunction:
    """Compute the gradients of single users at the parameters that a model has when it is called.

    Args:
        model: its trained parameters are those of `trained_parameters`. It is put into evaluation mode: with
            dropout, the masks of some users would depend on how many others there are.
        semantics: [V, Z], of all items.
        drawn: public items for the softmax, int64 [M], each once; their law must not depend on any user.
    """

    def __init__(self, model: SequenceModel, semantics: Tensor, drawn: npt.NDArray[np.int64]) -> None:
        self.model = model
        self.semantics = semantics
        self.drawn = torch.from_numpy(drawn).to(semantics.device)
        self._table = _item_table(model)
        per_user = grad(self.loss, argnums=(0, 1, 2))
        self._gradients: Any = vmap(per_user, in_dims=(None, 0, None, 0))

    def __call__(self, batch: UserBatch) -> UserGradients:
        """Return the gradients of the users of `batch`."""
        self.model.eval()
        dense, own, drawn = self.parameters(batch)
        # Fused attention has no rule for single users: it would be run for one after the other.
        with sdpa_kernel(SDPBackend.MATH):
            gradients = self._gradients(dense, own, drawn, batch.tensors(self.semantics.device))
        return self._gathered(batch, *gradients)

    def parameters(self, batch: UserBatch) -> tuple[Parameters, Parameters, Parameters]:
        """Return what is differentiated: whole parameters, each user's rows of the table, and drawn rows."""
        trained = {name: value.detach() for name, value in trained_parameters(self.model)}
        table = trained.pop(self._table, None) if self._table else None
        if table is None or self._table is None:
            return trained, {}, {}
        return trained, {self._table: table[batch.rows]}, {self._table: table[self.drawn]}

    def loss(self, dense: Parameters, own: Parameters, drawn: Parameters, user: tuple[Tensor, ...]) -> Tensor:
        """Return the loss of one user.

        Args:
            dense: parameters without one vector per item.
            own: the user's rows of the table, [R, D].
            drawn: the drawn rows of the table, [M, D].
            user: see `UserBatch.tensors`, without the first dimension.
        """
        rows, is_own, inputs, targets, shares, real = user
        own_items = self._items({**dense, **own}, rows)  # [R, D]
        drawn_items = self._items({**dense, **drawn}, self.drawn)  # [M, D]
        states = _call(_Encoder(self.model), dense, own_items[inputs][None])[0]  # [L, D]
        own_logits = states @ own_items.T  # [L, R]
        wanted = (shares * own_logits.gather(1, targets)).sum(dim=1)  # [L]
        is_taken = (self.drawn[:, None] == torch.where(is_own, rows, -1)).any(dim=1)  # [M]
        num_others = len(self.semantics) - is_own.sum()
        stands_for = torch.log(num_others / (~is_taken).sum().clamp(min=1))
        drawn_logits = states @ drawn_items.T + stands_for  # [L, M]
        candidates = torch.cat(
            [own_logits.masked_fill(~is_own, -math.inf), drawn_logits.masked_fill(is_taken, -math.inf)], dim=1
        )  # [L, R + M]
        return ((candidates.logsumexp(dim=1) - wanted) * real).sum()

    def _items(self, parameters: Parameters, rows: Tensor) -> Tensor:
        frozen = self.model.get_parameter(self._table) if self._table else None
        if self._table and frozen is not None and self._table not in parameters:
            parameters = {**parameters, self._table: frozen.detach()[rows]}
        return _call(_ItemInputs(self.model), parameters, self.semantics[rows])

    def _gathered(
        self, batch: UserBatch, dense: Parameters, own: Parameters, drawn: Parameters
    ) -> UserGradients:
        parts = [value.flatten(1).cpu().numpy() for value in dense.values()]
        if self._table not in own:
            return UserGradients(batch.num_users, parts, None)
        own_items = [
            rows[:count].numpy() for rows, count in zip(batch.rows, batch.num_rows.tolist(), strict=True)
        ]
        table = TableGradients(
            own[self._table].cpu().numpy(),
            own_items,
            drawn[self._table].cpu().numpy(),
            self.drawn.cpu().numpy(),
        )
        return UserGradients(batch.num_users, parts, table)


class _Encoder(nn.Module):
    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model.encode(inputs)


class _ItemInputs(nn.Module):
    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, semantics: Tensor) -> Tensor:
        return self.model.item_inputs(semantics)


def trained_parameters(model: SequenceModel) -> list[tuple[str, nn.Parameter]]:
    """Return names and values of what is trained, in the order of the vector of gradients.

    They stand as the model declares them, but for a table with one vector per item, which stands last.
    """
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    return sorted(trained, key=lambda named: named[0] == _item_table(model))


def _item_table(model: SequenceModel) -> str | None:
    """Return the name of the parameter that holds one vector per item, if the model has one."""
    if isinstance(model, ItemTableModel):
        return "items"
    return "adapter.local_items" if isinstance(model, MarketModel) else None


def _call(module: nn.Module, parameters: Parameters, argument: Tensor) -> Tensor:
    """Return what a module around the model says at other parameters of the model."""
    result: Tensor = functional_call(
        module, {f"model.{name}": value for name, value in parameters.items()}, (argument,)
    )
    return result
