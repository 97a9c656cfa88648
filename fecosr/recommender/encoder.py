"""The shared sequence encoder: causal self-attention over a user's items, after SASRec.

Reference: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation"; blocks are pre-LN.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fecosr.recommender.settings import EncoderSettings

_INITIAL_STDDEV = 0.02


class AttentionBlock(nn.Module):
    """Mix each position with the positions before it, then transform each position by itself."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        dimension, hidden = settings.dimension, settings.feed_forward_dimension
        self.num_heads = settings.num_heads
        self.dropout = settings.dropout
        self.attention_norm = nn.LayerNorm(dimension)
        self.query_key_value = nn.Linear(dimension, 3 * dimension)
        self.attention_output = nn.Linear(dimension, dimension)
        self.feed_forward_norm = nn.LayerNorm(dimension)
        self.feed_forward = nn.Sequential(
            nn.Linear(dimension, hidden), nn.GELU(), nn.Linear(hidden, dimension)
        )

    def forward(self, states: Tensor) -> Tensor:
        """Return the next states, [B, L, D] from [B, L, D]."""
        states = states + self._drop(self._attend(self.attention_norm(states)))
        return states + self._drop(self.feed_forward(self.feed_forward_norm(states)))

    def _attend(self, states: Tensor) -> Tensor:
        batch, length, dimension = states.shape
        heads = self.query_key_value(states).view(batch, length, 3, self.num_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each [B, H, L, D / H]
        # Padding stands on the right, so the causal mask already hides it from every real position: no key
        # mask is needed. What a padded position computes is never read.
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)  # [B, H, L, D / H]
        output: Tensor = self.attention_output(mixed.transpose(1, 2).reshape(batch, length, dimension))
        return output  # [B, L, D]

    def _drop(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout, self.training)


class SequenceEncoder(nn.Module):
    """Turn the inputs of a user's items, oldest first, into states that each predict the next item."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        self.settings = settings
        self.positions = nn.Parameter(torch.empty(settings.max_length, settings.dimension))
        self.blocks = nn.ModuleList(AttentionBlock(settings) for _ in range(settings.num_blocks))
        self.final_norm = nn.LayerNorm(settings.dimension)
        _initialise(self, settings)

    def item_inputs(self, vectors: Tensor) -> Tensor:
        """Return E, [V, D], from the vectors of items: as they are, or of length one for cosines."""
        return vectors if self.settings.similarity == "inner" else functional.normalize(vectors, dim=-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return one state per position; state `l` depends on positions `0 .. l` and on nothing else.

        Args:
            inputs: [B, L, D] with L <= max_length, rows of what `item_inputs` returned, padded on the right.

        Guarantees: the inner products of states and item inputs are the logits.
        """
        length = inputs.shape[1]
        states = inputs * math.sqrt(self.settings.dimension) + self.positions[:length]  # [B, L, D]
        states = functional.dropout(states, self.settings.dropout, self.training)
        for block in self.blocks:
            states = block(states)
        normalised: Tensor = self.final_norm(states)  # [B, L, D]
        if self.settings.similarity == "inner":
            return normalised
        return functional.normalize(normalised, dim=-1) / self.settings.temperature


def _initialise(encoder: SequenceEncoder, settings: EncoderSettings) -> None:
    nn.init.normal_(encoder.positions, std=_INITIAL_STDDEV)
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    # Each block adds two branches to the same stream: scaled down, its variance does not grow with depth.
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith(("attention_output.weight", "feed_forward.2.weight")):
                parameter.div_(math.sqrt(2 * settings.num_blocks))
