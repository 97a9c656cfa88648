"""`fecosr semantics`: the section of a plan that pins an embedding."""

from pathlib import Path
from typing import Literal

import typer

from fecosr.provisioning.toml_text import toml_text
from fecosr.recommender.semantics import EmbeddingAccess, embedding_dimension, pinned
from fecosr.recommender.settings import SemanticsSettings


def print_section(kind: Literal["wordllama", "minilm", "folder", "vectors"], embedding: Path | None) -> None:
    """Print kind, dimension, name and hash as TOML."""
    found = pinned(SemanticsSettings(kind=kind), embedding)
    section = {
        "kind": found.kind,
        "dimension": embedding_dimension(found, EmbeddingAccess(embedding)),
        "embedding": found.embedding,
        "embedding_hash": found.embedding_hash,
    }
    typer.echo(toml_text({"semantics": section}).rstrip())
