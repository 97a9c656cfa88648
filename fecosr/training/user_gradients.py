"""The gradient of every user by itself, exactly: what a user contributes before it is clipped.

The loss of a user is the mean over their own positions and reads nothing of any other user. Its softmax runs
over the user's own rows, and over public items drawn at random that stand for all others:

    loss = -sum_k t_k logit_k + log(sum_own e^logit + (V - |own|) / |drawn outside own| * sum_drawn e^logit)

With all items drawn it is the full softmax. An item is either the user's own row or a drawn one, never both,
so the squares of all parts of a user's gradient add up to the square of its norm. A table with one vector per
item takes part with the rows that are read: as inputs and as outputs alike, in one gradient.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from fecosr.errors import MisuseError
from fecosr.privacy.contributions import UserSum
from fecosr.recommender.encoder import SequenceEncoder
from fecosr.recommender.model import ItemTableModel, MarketModel, SequenceModel
from fecosr.training.encoder_gradients import recorded
from fecosr.training.user_batches import UserBatch

Parameters = dict[str, Tensor]
WayBack = Callable[[Tensor], tuple[Parameters, ...]]


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
        self._place, self._encoder = _encoder_of(model)

    def __call__(self, batch: UserBatch) -> UserGradients:
        """Return the gradients of the users of `batch`.

        Rows are made of parameters in one pass, what the encoder makes of rows is a second one, and the
        gradients go back the same way: through the encoder for all users at once, then through the rows.
        """
        self.model.eval()
        user = batch.tensors(self.semantics.device)
        dense, own, drawn = self.parameters(batch)
        everybodys = {name: value.expand(len(batch.rows), *value.shape) for name, value in dense.items()}
        of_users: Callable[..., Tensor] = vmap(self._row_inputs)
        own_items, own_back = _with_way_back(lambda *made_of: of_users(*made_of, user[0]), everybodys, own)
        drawn_items, drawn_back = _with_way_back(partial(self._row_inputs, rows=self.drawn), dense, drawn)
        encoder, of_own, of_drawn = self._of_encoder(own_items, drawn_items, user)
        own_dense, own_table = own_back(of_own)
        drawn_dense, drawn_table = vmap(drawn_back)(of_drawn)
        found = {name: own_dense[name].add_(drawn_dense[name]) for name in dense} | encoder
        return self._gathered(batch, found, own_table, drawn_table)

    def parameters(self, batch: UserBatch) -> tuple[Parameters, Parameters, Parameters]:
        """Return what rows are made of: whole parameters, each user's rows of the table, and drawn rows."""
        trained = {
            name: value.detach()
            for name, value in trained_parameters(self.model)
            if not name.startswith(self._place)
        }
        table = trained.pop(self._table, None) if self._table else None
        if table is None or self._table is None:
            return trained, {}, {}
        return trained, {self._table: table[batch.rows]}, {self._table: table[self.drawn]}

    def _of_encoder(
        self, own_items: Tensor, drawn_items: Tensor, user: tuple[Tensor, ...]
    ) -> tuple[Parameters, Tensor, Tensor]:
        """Return each user's gradients of the encoder, of their own rows and of the drawn ones."""
        own = own_items.detach().requires_grad_()  # [B, R, D]
        # A user's part of the gradient of a row that all read is that of a copy which they alone read.
        drawn = drawn_items.detach().expand(len(own), -1, -1).requires_grad_()  # [B, M, D]
        # Fused kernels of other devices may add up in an order of their own.
        kernels = [SDPBackend.MATH, *([SDPBackend.FLASH_ATTENTION] if own.device.type == "cpu" else [])]
        with torch.enable_grad(), sdpa_kernel(kernels), recorded(self._encoder) as recording:
            loss = self.losses(own, drawn, user).sum()
            of_own, of_drawn, *of_outputs = torch.autograd.grad(loss, [own, drawn, *recording.outputs])
        found = recording.gradients(of_outputs)
        return {self._place + name: value for name, value in found.items()}, of_own, of_drawn

    def losses(self, own: Tensor, drawn: Tensor, user: tuple[Tensor, ...]) -> Tensor:
        """Return the loss of each user at each position, [B, L]; it reads nothing of any other user.

        Args:
            own: inputs of each user's rows, [B, R, D].
            drawn: inputs of the drawn items, [B, M, D].
            user: see `UserBatch.tensors`.
        """
        rows, is_own, inputs, targets, shares, real = user
        states = self.model.encode(own.gather(1, inputs[..., None].expand(-1, -1, own.shape[2])))  # [B, L, D]
        own_logits = states @ own.mT  # [B, L, R]
        wanted = (shares * own_logits.gather(2, targets)).sum(dim=2)  # [B, L]
        known = torch.where(is_own, rows, -1)[:, None]  # [B, 1, R]
        is_taken = (self.drawn[:, None] == known).any(dim=2)  # [B, M]
        num_others = len(self.semantics) - is_own.sum(dim=1)  # [B]
        stands_for = torch.log(num_others / (~is_taken).sum(dim=1).clamp(min=1))  # [B]
        drawn_logits = states @ drawn.mT + stands_for[:, None, None]  # [B, L, M]
        candidates = torch.cat(
            [
                own_logits.masked_fill(~is_own[:, None], -math.inf),
                drawn_logits.masked_fill(is_taken[:, None], -math.inf),
            ],
            dim=2,
        )  # [B, L, R + M]
        return (candidates.logsumexp(dim=2) - wanted) * real

    def _row_inputs(self, dense: Parameters, table: Parameters, rows: Tensor) -> Tensor:
        """Return the inputs of items, [R, D], from the parameters that they are made of."""
        return self._items({**dense, **table}, rows)

    def _items(self, parameters: Parameters, rows: Tensor) -> Tensor:
        frozen = self.model.get_parameter(self._table) if self._table else None
        if self._table and frozen is not None and self._table not in parameters:
            parameters = {**parameters, self._table: frozen.detach()[rows]}
        return _call(_ItemInputs(self.model), parameters, self.semantics[rows])

    def _gathered(
        self, batch: UserBatch, dense: Parameters, own: Parameters, drawn: Parameters
    ) -> UserGradients:
        names = [name for name, _ in trained_parameters(self.model) if name != self._table]
        parts = [dense[name].flatten(1).cpu().numpy() for name in names]
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


def _encoder_of(model: SequenceModel) -> tuple[str, SequenceEncoder]:
    """Return the encoder of a model, and what the names of its parameters begin with."""
    for name, module in model.named_modules():
        if isinstance(module, SequenceEncoder):
            return f"{name}.", module
    raise MisuseError("the gradients of single users are those of a model with a sequence encoder")


def _with_way_back(function: Callable[..., Tensor], *parameters: Parameters) -> tuple[Tensor, WayBack]:
    """Return a function's value, and what makes gradients of its parameters of one of that value."""
    found: Any = vjp(function, *parameters)
    value, way_back = found
    return value, way_back


def _call(module: nn.Module, parameters: Parameters, argument: Tensor) -> Tensor:
    """Return what a module around the model says at other parameters of the model."""
    result: Tensor = functional_call(
        module, {f"model.{name}": value for name, value in parameters.items()}, (argument,)
    )
    return result
