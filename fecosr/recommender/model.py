"""The shared model, which is federated, and the models of one market, which are not."""

import math
from abc import abstractmethod
from typing import Final

import torch
from torch import Tensor, nn

from fecosr.recommender.adapter import LowRankChange, MarketAdapter
from fecosr.recommender.encoder import SequenceEncoder
from fecosr.recommender.item_regression import ItemRegression
from fecosr.recommender.settings import AdapterSettings, EncoderSettings

_INITIAL_ITEM_STDDEV = 0.05
_INITIAL_TABLE_STDDEV = 0.02

WITHOUT_REGRESSION: Final = AdapterSettings(item_regression="none")
"""For a model of one market that is to be its logits and nothing else."""


class SequenceModel(nn.Module):
    """Predict the next item as `logits = h E^T`, where E are the same item inputs that the encoder reads."""

    @abstractmethod
    def item_inputs(self, semantics: Tensor) -> Tensor:
        """Return E, [V, D], from the catalogue's semantic vectors, [V, Z]."""

    @property
    @abstractmethod
    def max_length(self) -> int:
        """Return how many positions the encoder can tell apart."""

    @abstractmethod
    def encode(self, inputs: Tensor) -> Tensor:
        """Return the states h, [B, L, D], from the inputs of the items at each position, [B, L, D]."""

    def states(self, item_inputs: Tensor, sequences: Tensor) -> Tensor:
        """Return one state per position of right-padded sequences.

        Args:
            item_inputs: E, [V, D].
            sequences: int64 [B, L] of item numbers; padded positions may hold any valid number.

        Returns:
            [B, L, D]; what stands at padded positions means nothing.
        """
        return self.encode(item_inputs[sequences])

    def scores(self, item_inputs: Tensor, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Return how likely each item is to come next, [B, V]: the larger, the likelier.

        Args:
            item_inputs: E, [V, D].
            sequences: int64 [B, L], padded on the right.
            lengths: int64 [B], at least 1.
        """
        states = self.states(item_inputs, sequences)  # [B, L, D]
        return self.last_states(states, lengths) @ item_inputs.T  # [B, V]

    def last_states(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the state at the last position of each sequence, [B, D] from [B, L, D]."""
        last = (lengths - 1)[:, None, None].expand(-1, 1, states.shape[2])  # [B, 1, D]
        return states.gather(1, last).squeeze(1)


class EncoderModel(SequenceModel):
    """Read sequences with an encoder of its own."""

    encoder: SequenceEncoder

    @property
    def max_length(self) -> int:
        """Return how many positions the encoder can tell apart."""
        return self.encoder.settings.max_length

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the encoder's states."""
        states: Tensor = self.encoder(inputs)
        return states


class RegressedModel(SequenceModel):
    """Add to the logits what a regression of one market's items on each other says, once one is attached.

    The regression is no part of training with gradients.
    """

    def __init__(self, num_items: int, settings: AdapterSettings) -> None:
        super().__init__()
        self.num_items = num_items
        self.settings = settings
        self.regression: ItemRegression | None = None

    def attach_regression(self) -> ItemRegression | None:
        """Add an unfitted regression where the settings want one, and return it."""
        if self.settings.item_regression == "none":
            return None
        self.regression = ItemRegression(self.num_items, self.settings)
        return self.regression.to(next(self.parameters()).device)

    def scores(self, item_inputs: Tensor, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of the next item and what the regression adds to them."""
        logits = super().scores(item_inputs, sequences, lengths)
        return logits if self.regression is None else logits + self.regression(sequences, lengths)


class Projector(nn.Module):
    """Map semantic vectors to item inputs: g_phi, all that markets share about items."""

    def __init__(self, semantic_dimension: int, settings: EncoderSettings) -> None:
        super().__init__()
        self.hidden = nn.Linear(semantic_dimension, settings.projector_dimension)
        self.output = nn.Linear(settings.projector_dimension, settings.dimension)
        # Semantic vectors have length one, so their entries are small; this brings them to unit variance.
        self.input_scale = math.sqrt(semantic_dimension)
        nn.init.xavier_uniform_(self.hidden.weight)
        nn.init.zeros_(self.hidden.bias)
        nn.init.normal_(
            self.output.weight, std=_INITIAL_ITEM_STDDEV / math.sqrt(settings.projector_dimension)
        )
        nn.init.zeros_(self.output.bias)

    def forward(self, semantics: Tensor) -> Tensor:
        """Return [V, D] from [V, Z]."""
        hidden = nn.functional.gelu(self.hidden(semantics * self.input_scale))
        projected: Tensor = self.output(hidden)
        return projected

    def changed(self, semantics: Tensor, of_hidden: LowRankChange, of_output: LowRankChange) -> Tensor:
        """Return what `forward` would if both layers were changed."""
        scaled = semantics * self.input_scale  # [V, Z]
        hidden = nn.functional.gelu(self.hidden(scaled) + of_hidden(scaled))
        projected: Tensor = self.output(hidden) + of_output(hidden)
        return projected


class SharedModel(EncoderModel):
    """Hold exactly the federated parameters: encoder theta and projector phi. It knows no catalogue."""

    def __init__(self, settings: EncoderSettings, semantic_dimension: int) -> None:
        super().__init__()
        self.encoder = SequenceEncoder(settings)
        self.projector = Projector(semantic_dimension, settings)

    def item_inputs(self, semantics: Tensor) -> Tensor:
        """Return `g_phi(z_v)` for every item."""
        return self.encoder.item_inputs(self.projector(semantics))


class MarketModel(RegressedModel):
    """Put one market's adapter around a shared model: `x_v = g_phi(z_v) + A(z_v) + gate * e_v`.

    The projector's two layers may be changed by matrices of low rank as well.

    Guarantees: before any training it computes exactly what the shared model computes.
    """

    def __init__(self, shared: SharedModel, num_items: int, settings: AdapterSettings) -> None:
        super().__init__(num_items, settings)
        self.shared = shared
        self.adapter = MarketAdapter(
            shared.projector.hidden.in_features, shared.projector.output.out_features, num_items, settings
        )
        projector = shared.projector
        self.low_rank = nn.ModuleList(
            LowRankChange(layer, settings.lora_rank)
            for layer in (projector.hidden, projector.output)
            if settings.lora_rank
        )

    def item_inputs(self, semantics: Tensor) -> Tensor:
        """Return the shared inputs with the market's own corrections."""
        corrected = self._projected(semantics) + self.adapter(semantics)  # [V, D]
        return self.shared.encoder.item_inputs(corrected)

    def _projected(self, semantics: Tensor) -> Tensor:
        projector = self.shared.projector
        return projector.changed(semantics, *self.low_rank) if self.low_rank else projector(semantics)

    @property
    def max_length(self) -> int:
        """Return how many positions the shared encoder can tell apart."""
        return self.shared.max_length

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the shared encoder's states."""
        return self.shared.encode(inputs)


class ItemTableModel(EncoderModel, RegressedModel):
    """Learn one vector per item and read no semantics: SASRec, for a market on its own.

    Such a table cannot be federated: it would show which items a market sells and who buys what.
    """

    def __init__(
        self,
        settings: EncoderSettings,
        num_items: int,
        adapter: AdapterSettings = WITHOUT_REGRESSION,
    ) -> None:
        super().__init__(num_items, adapter)
        self.encoder = SequenceEncoder(settings)
        self.items = nn.Parameter(torch.empty(num_items, settings.dimension))
        nn.init.normal_(self.items, std=_INITIAL_TABLE_STDDEV)

    def item_inputs(self, semantics: Tensor) -> Tensor:
        """Return what the encoder makes of the table; `semantics` is not looked at."""
        return self.encoder.item_inputs(self.items)


def real_positions(lengths: Tensor, padded_length: int) -> Tensor:
    """Return where right-padded sequences hold something, bool [B, L], from their lengths, int64 [B]."""
    return torch.arange(padded_length, device=lengths.device) < lengths[:, None]
