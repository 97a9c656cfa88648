"""The sequence model: encoder, semantics, projector, adapter, losses and metrics.

Shapes are written `[B, L, D]` with these letters, here and in `fecosr.training`:

    B  sequences in a batch             D  model dimension
    L  positions in a batch, padded     Z  dimension of a semantic vector
    N  real positions (targets)         V  items in one market's catalogue
    K  semantic neighbours of an item   U  users
    H  attention heads                  P  shared parameters, flattened

Items are numbered 0 .. V-1 inside a market. There is no padding item: sequences are padded on the right, and
which positions are real is known from their lengths alone.
"""
