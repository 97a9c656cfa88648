from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from fecosr.recommender.settings import AdapterSettings, EncoderSettings, S2CESettings, SemanticsSettings

WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (SemanticsSettings, {"kind": "tfidf"}, "kind"),
    (SemanticsSettings, {"sketch_buckets": 1}, "sketch_buckets"),
    (SemanticsSettings, {"sketch_items": 1}, "sketch_items"),
    (SemanticsSettings, {"sketch_clip_norm": 0.0}, "sketch_clip_norm"),
    (SemanticsSettings, {"dimension": 12}, "multiple of 8"),
    (SemanticsSettings, {"dimension": 0}, "dimension"),
    (SemanticsSettings, {"ngram_min": 6}, "ngram_min"),
    (SemanticsSettings, {"buckets": 1}, "buckets"),
    (SemanticsSettings, {"seed": -1}, "seed"),
    (SemanticsSettings, {"embedding_hash": "ab" * 32}, "belong to the kinds wordllama"),
    (SemanticsSettings, {"embedding": "e5"}, "belong to the kinds wordllama"),
    (SemanticsSettings, {"kind": "folder", "embedding_hash": "AB"}, "64 hexadecimal digits"),
    (SemanticsSettings, {"kind": "folder", "embedding": "a\nb"}, "must be a name"),
    (SemanticsSettings, {"ngram_share": 0.5}, "ngram_share belongs to the kinds"),
    (SemanticsSettings, {"kind": "minilm", "ngram_share": 1.0}, "ngram_share"),
    (SemanticsSettings, {"kind": "minilm", "ngram_share": 0.5, "dimension": 24}, "multiple of 16"),
    (EncoderSettings, {"num_heads": 3}, "divide"),
    (EncoderSettings, {"num_heads": 0}, "num_heads"),
    (EncoderSettings, {"dimension": 0}, "dimension"),
    (EncoderSettings, {"num_blocks": 0}, "num_blocks"),
    (EncoderSettings, {"max_length": 0}, "max_length"),
    (EncoderSettings, {"feed_forward_dimension": 0}, "feed_forward_dimension"),
    (EncoderSettings, {"projector_dimension": 0}, "projector_dimension"),
    (EncoderSettings, {"dropout": 1.0}, "dropout"),
    (EncoderSettings, {"dropout": float("nan")}, "dropout"),
    (EncoderSettings, {"similarity": "dot"}, "similarity"),
    (EncoderSettings, {"temperature": 0.0}, "temperature"),
    (S2CESettings, {"support": "all"}, "support"),
    (S2CESettings, {"alpha": 1.1}, "alpha"),
    (S2CESettings, {"tau": 0.0}, "tau"),
    (S2CESettings, {"num_neighbours": 0}, "num_neighbours"),
    (AdapterSettings, {"lora_rank": -1}, "lora_rank"),
    (AdapterSettings, {"item_regression": "slim"}, "item_regression"),
    (AdapterSettings, {"ridge": 0.0}, "ridge"),
    (AdapterSettings, {"recency": 0.0}, "recency"),
    (AdapterSettings, {"regression_neighbours": 0}, "regression_neighbours"),
    (AdapterSettings, {"regression_items": 0}, "regression_items"),
    (AdapterSettings, {"bottleneck": 0}, "bottleneck"),
]


@pytest.mark.parametrize(("section", "values", "rule"), WRONG)
def test_a_value_out_of_range_is_refused_by_name(
    section: Callable[..., Any], values: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        section(**values)


@pytest.mark.parametrize("section", [SemanticsSettings, EncoderSettings, S2CESettings, AdapterSettings])
def test_pydantic_reads_a_section_and_refuses_a_misspelt_key(section: type[Any]) -> None:
    adapter = TypeAdapter(section)
    assert adapter.validate_python({}) == section()
    with pytest.raises(ValidationError, match="Unexpected keyword"):
        adapter.validate_python({"dimensoin": 8})
