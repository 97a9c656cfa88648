"""What one market adds to the shared model and never shows: adapters, a local item embedding and a gate."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fecosr.recommender.settings import AdapterSettings


class MarketAdapter(nn.Module):
    """Correct the item inputs of one market: `A(z_v) + gate * e_v`, which is zero before training.

    `A` is a bottleneck whose last layer starts at zero. The local embedding starts at zero behind an open
    gate: their product is then zero as well, but every item's embedding receives a gradient from the first
    step on.

    Reference: Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", for the bottleneck.
    """

    def __init__(
        self, semantic_dimension: int, dimension: int, num_items: int, settings: AdapterSettings
    ) -> None:
        super().__init__()
        self.down = nn.Linear(semantic_dimension, settings.bottleneck)
        self.up = nn.Linear(settings.bottleneck, dimension)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.local_items = nn.Parameter(torch.zeros(num_items, dimension))
        self.gate = nn.Parameter(torch.ones(dimension))

    def forward(self, semantics: Tensor) -> Tensor:
        """Return the corrections of all item inputs.

        Args:
            semantics: [V, Z].

        Returns:
            [V, D].
        """
        correction: Tensor = self.up(functional.gelu(self.down(semantics)))  # [V, D]
        return correction + self.gate * self.local_items


class LowRankChange(nn.Module):
    """Change a linear layer by a matrix of low rank, `W x + U V x`, which is zero before training.

    Reference: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what is added to the layer's output."""
        change: Tensor = self.up(self.down(inputs))
        return change
