"""What decides the model, as plain values. Imports nothing heavy: the coordinator reads it too."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args

_CLOSED = {"extra": "forbid"}
"""Pydantic then refuses unknown keys, wherever these classes are sections of a plan."""

Precision = Literal["float32", "bfloat16"]
"""Of the products with the catalogue; bfloat16 is used where the machine has instructions for it."""


SemanticsKind = Literal["hashed_ngrams", "item_ids", "behaviour", "wordllama", "minilm", "folder", "vectors"]

TEXT_MODELS: Final = ("wordllama", "minilm", "folder")
"""Kinds whose vectors a text model makes of titles."""

EMBEDDINGS: Final = (*TEXT_MODELS, "vectors")
"""Kinds that read files which no setting determines: markets agree on the files by their hash."""


@dataclass(frozen=True, slots=True)
class SemanticsSettings:
    """Fix the public function from an item to its semantic vector, the same in every market.

    Attributes:
        kind: what vectors are made from. "hashed_ngrams": character n-grams of titles, which need neither
            weights nor a network. "item_ids": nothing but the ids. "behaviour": which items the same users
            have, from sketches summed over all markets, for catalogues without text. "wordllama" and
            "minilm": titles through a model that an extra brings along. "folder": titles through a model in
            a folder. "vectors": a file with a vector for every item.
        dimension: Z, a multiple of 8. Vectors of an embedding that has another number of dimensions are
            projected by random signs, which adds an error of about 1 / sqrt(Z) to their cosines.
        embedding: the name of the text model, or of what made the given vectors.
        embedding_hash: SHA-256 of its files, in hexadecimal; vectors of other files live in another space.
        ngram_share: the share of a cosine that hashed n-grams keep beside a text model; above 0 they take
            half of the dimensions.
        ngram_min: shortest n-gram, in characters.
        ngram_max: longest n-gram, in characters.
        buckets: how many different n-grams are told apart.
        seed: of the random signs; markets with different seeds live in unrelated spaces.
        sketch_buckets: B, rows of a behaviour sketch; two items in one bucket share what is counted of them.
        sketch_items: different items of a user that a sketch counts, the latest.
        sketch_clip_norm: L2 bound on what one user adds to a sketch.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    kind: SemanticsKind = "hashed_ngrams"
    dimension: int = 256
    embedding: str = ""
    embedding_hash: str = ""
    ngram_share: float = 0.0
    ngram_min: int = 3
    ngram_max: int = 5
    buckets: int = 65536
    seed: int = 0
    sketch_buckets: int = 32768
    sketch_items: int = 50
    sketch_clip_norm: float = 3.0

    @property
    def sketch_length(self) -> int:
        """Return how many numbers a behaviour sketch has."""
        return self.sketch_buckets * self.dimension

    def __post_init__(self) -> None:
        kinds = get_args(SemanticsKind)
        _require(self.kind in kinds, f"kind must be one of {', '.join(kinds)}")
        self._check_embedding()
        _require(256 <= self.sketch_buckets <= 1 << 22, "sketch_buckets must be in 256 .. 4194304")
        _require(2 <= self.sketch_items <= 4096, "sketch_items must be in 2 .. 4096")
        _require(0.0 < self.sketch_clip_norm <= 1e6, "sketch_clip_norm must be above 0 and at most 1e6")
        _require(8 <= self.dimension <= 4096, "dimension must be in 8 .. 4096")
        _require(self.dimension % 8 == 0, "dimension must be a multiple of 8")
        _require(1 <= self.ngram_min <= self.ngram_max <= 16, "need 1 <= ngram_min <= ngram_max <= 16")
        _require(256 <= self.buckets <= 1 << 22, "buckets must be in 256 .. 4194304")
        _require(0 <= self.seed < 1 << 63, "seed must be in 0 .. 2^63 - 1")

    def _check_embedding(self) -> None:
        named = bool(self.embedding or self.embedding_hash)
        _require(
            self.kind in EMBEDDINGS or not named,
            f"embedding and embedding_hash belong to the kinds {', '.join(EMBEDDINGS)}",
        )
        _require(len(self.embedding) <= 200 and self.embedding.isprintable(), "embedding must be a name")
        _require(
            re.fullmatch(r"[0-9a-f]{64}|", self.embedding_hash) is not None,
            "embedding_hash must be 64 hexadecimal digits",
        )
        _require(0.0 <= self.ngram_share < 1.0, "ngram_share must be at least 0 and below 1")
        if self.ngram_share:
            _require(self.kind in TEXT_MODELS, f"ngram_share belongs to the kinds {', '.join(TEXT_MODELS)}")
            _require(self.dimension % 16 == 0, "with ngram_share, dimension must be a multiple of 16")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Fix the shape of everything the markets share: the causal encoder and the projector in front of it.

    Attributes:
        dimension: D.
        num_blocks: attention blocks.
        num_heads: H, divides `dimension`.
        feed_forward_dimension: hidden width of a block's feed-forward part.
        projector_dimension: hidden width of the projector from semantic vectors to item inputs.
        max_length: positions the encoder can tell apart; only the latest that many items of a user are read.
        dropout: in training, on inputs and on each residual branch.
        similarity: how a state and an item become a logit: their inner product, or their cosine over the
            temperature, in which no item is ahead by the length of its vector alone.
        temperature: of "cosine".

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    dimension: int = 64
    num_blocks: int = 2
    num_heads: int = 2
    feed_forward_dimension: int = 128
    projector_dimension: int = 128
    max_length: int = 50
    dropout: float = 0.2
    similarity: Literal["inner", "cosine"] = "inner"
    temperature: float = 0.07

    def __post_init__(self) -> None:
        _require(1 <= self.dimension <= 4096, "dimension must be in 1 .. 4096")
        _require(1 <= self.num_blocks <= 64, "num_blocks must be in 1 .. 64")
        _require(
            self.num_heads >= 1 and self.dimension % self.num_heads == 0,
            "num_heads must be at least 1 and divide dimension",
        )
        _require(self.feed_forward_dimension >= 1, "feed_forward_dimension must be at least 1")
        _require(self.projector_dimension >= 1, "projector_dimension must be at least 1")
        _require(1 <= self.max_length <= 4096, "max_length must be in 1 .. 4096")
        _require(0.0 <= self.dropout < 1.0, "dropout must be at least 0 and below 1")
        _require(self.similarity in ("inner", "cosine"), "similarity must be 'inner' or 'cosine'")
        _require(1e-3 <= self.temperature <= 1e3, "temperature must be in 0.001 .. 1000")


@dataclass(frozen=True, slots=True)
class S2CESettings:
    """Fix the Semantic Soft Cross-Entropy.

    Attributes:
        alpha: how much of each target is spread over semantic neighbours; 0 is plain cross-entropy.
        tau: temperature of the spread; towards 0 it falls back onto the target itself.
        num_neighbours: K, the target included; a smaller catalogue is used whole.
        support: over which items a target is spread: its K nearest "neighbours", or the whole "catalogue",
            of which all shares are exact where it is small, and those of the K nearest items where not.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    alpha: float = 0.5
    tau: float = 0.3
    num_neighbours: int = 16
    support: Literal["neighbours", "catalogue"] = "neighbours"

    def __post_init__(self) -> None:
        _require(0.0 <= self.alpha <= 1.0, "alpha must be in 0 .. 1")
        _require(1e-6 <= self.tau <= 1e6, "tau must be in 1e-6 .. 1e6")
        _require(1 <= self.num_neighbours <= 1024, "num_neighbours must be in 1 .. 1024")
        _require(self.support in ("neighbours", "catalogue"), "support must be 'neighbours' or 'catalogue'")


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """Fix what a market adds to the shared model and keeps to itself.

    Attributes:
        bottleneck: hidden width of the adapter from semantic vectors to corrections of item inputs.
        lora_rank: of the changes to the projector's layers; 0 leaves them as they are shared.
        item_regression: "ease" adds to the logits what a ridge regression of items on items says of the
            history, with a gain that is chosen on the market's own validation users; "none" does not.
        ridge: of the regression.
        recency: how much an item of the history counts beside the one after it.
        regression_neighbours: weights that are kept of each item.
        regression_items: items with most users that take part; time grows with their cube.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    bottleneck: int = 16
    lora_rank: int = 0
    item_regression: Literal["ease", "none"] = "ease"
    ridge: float = 100.0
    recency: float = 0.8
    regression_neighbours: int = 128
    regression_items: int = 8192

    def __post_init__(self) -> None:
        _require(1 <= self.bottleneck <= 4096, "bottleneck must be in 1 .. 4096")
        _require(0 <= self.lora_rank <= 1024, "lora_rank must be in 0 .. 1024")
        _require(self.item_regression in ("ease", "none"), "item_regression must be 'ease' or 'none'")
        _require(1e-3 <= self.ridge <= 1e9, "ridge must be in 0.001 .. 1e9")
        _require(0.0 < self.recency <= 1.0, "recency must be above 0 and at most 1")
        _require(1 <= self.regression_neighbours <= 4096, "regression_neighbours must be in 1 .. 4096")
        _require(1 <= self.regression_items <= 65536, "regression_items must be in 1 .. 65536")


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)
