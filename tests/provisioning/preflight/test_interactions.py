"""What preflight says of a market's data and of the embedding its vectors are made with."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fecosr.config.parties import NodeConfig
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.interactions import check_semantics
from fecosr.provisioning.preflight.kit import Kit
from fecosr.provisioning.preflight.run import holds, preflight
from fecosr.recommender.semantics import pinned
from fecosr.recommender.settings import SemanticsSettings
from tests.reference.loopback import NOW

ITEMS = [f"i{item}" for item in range(6)]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.parquet"
    rows = [[float(item), 1.0] for item in range(6)]
    pl.DataFrame({"item": ITEMS, "vector": rows}).write_parquet(path)
    return path


def kit_with(node: Kit, path: Path | None, digest: str) -> Kit:
    """Return the kit as it would be with a plan that wants given vectors."""
    assert isinstance(node.config, NodeConfig)
    text = node.config.plan.read_text()
    for line, wanted in (
        ('kind = "hashed_ngrams"', 'kind = "vectors"'),
        ('embedding = ""', 'embedding = "ours"'),
        ('embedding_hash = ""', f'embedding_hash = "{digest}"'),
    ):
        assert line in text
        text = text.replace(line, wanted)
    node.config.plan.write_text(text)
    return replace(node, config=node.config.model_copy(update={"embedding_path": path}))


def test_a_plan_without_an_embedding_needs_no_look(node: Kit, coordinator: Kit) -> None:
    assert list(check_semantics(node)) == []
    assert list(check_semantics(coordinator)) == []


def test_the_agreed_vectors_are_found(node: Kit, vectors: Path) -> None:
    digest = pinned(SemanticsSettings(kind="vectors"), vectors).embedding_hash
    (found,) = check_semantics(kit_with(node, vectors, digest))
    assert found.level is Level.OK
    assert found.message == f"vectors: ours, embedding_hash {digest}"


def test_other_vectors_are_in_the_way(node: Kit, vectors: Path) -> None:
    assert isinstance(node.config, NodeConfig)
    kit_with(node, vectors, "ab" * 32)
    config = node.folder / "node.toml"
    config.write_text(f'embedding_path = "{vectors}"\n{config.read_text()}')
    found = [finding for finding in preflight(node.folder, NOW) if finding.check == "semantics"]
    assert [finding.level for finding in found] == [Level.FAILURE]
    assert not holds(found)
    assert "the markets agreed on" in found[0].message
    assert "install the files with that hash" in found[0].remedy


def test_a_market_item_without_a_vector_is_in_the_way(node: Kit, vectors: Path) -> None:
    pl.read_parquet(vectors).head(5).write_parquet(vectors, metadata={"embedding_hash": "ab" * 32})
    kit_with(node, vectors, "ab" * 32)
    config = node.folder / "node.toml"
    config.write_text(f'embedding_path = "{vectors}"\n{config.read_text()}')
    (found,) = (finding for finding in preflight(node.folder, NOW) if finding.check == "semantics")
    assert found.level is Level.FAILURE
    assert "has no vector for item 'i5'" in found.message
