"""The one optimiser that markets train with: AdamW, all of its arithmetic in one kernel."""

from collections.abc import Iterable
from typing import Any

from torch.nn import Parameter
from torch.optim import AdamW


def adamw(
    parameters: Iterable[Parameter] | list[dict[str, Any]], *, learning_rate: float, weight_decay: float
) -> AdamW:
    """Return AdamW over parameters, or over groups of them that may have a rate `lr` of their own."""
    return AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)
