"""How many parameters the markets share, counted without torch: a node says so before it can train."""

from fecosr.recommender.settings import EncoderSettings


def num_shared_parameters(encoder: EncoderSettings, semantic_dimension: int) -> int:
    """Return P, the parameters of a `SharedModel`; no market's data decide it.

    Args:
        encoder: its settings.
        semantic_dimension: Z.
    """
    dimension, feed_forward = encoder.dimension, encoder.feed_forward_dimension
    norm = 2 * dimension
    attention = _linear(dimension, 3 * dimension) + _linear(dimension, dimension)
    feed_forward_part = _linear(dimension, feed_forward) + _linear(feed_forward, dimension)
    blocks = encoder.num_blocks * (2 * norm + attention + feed_forward_part)
    hidden = encoder.projector_dimension
    projector = _linear(semantic_dimension, hidden) + _linear(hidden, dimension)
    return encoder.max_length * dimension + blocks + norm + projector


def _linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs
