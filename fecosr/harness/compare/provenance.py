"""What a figure depends on besides data, settings and seed: our own code, and the libraries under it."""

import ast
import hashlib
import importlib.metadata
import json
import platform
from functools import cache
from pathlib import Path
from typing import Final

import fecosr

_LIBRARIES: Final = ("numpy", "polars", "torch")
_TEXT_MODELS: Final = ("sentence-transformers", "tokenizers", "transformers")
_DECIDING: Final = (
    "data",
    "recommender",
    "training",
    "privacy",
    "federation/aggregation.py",
    "federation/ending.py",
    "federation/optimisers.py",
    "federation/private_rounds.py",
    "harness/compare/methods",
    "harness/compare/cells.py",
    "harness/compare/federation.py",
    "harness/compare/heterogeneity.py",
    "harness/compare/pooling.py",
    "harness/compare/pretraining.py",
    "harness/compare/private_pretraining.py",
    "harness/compare/study.py",
    "harness/compare/variants.py",
)


def versions(*, with_text_models: bool = False) -> dict[str, str]:
    """Return the versions that a reader of the report needs in order to repeat it."""
    names = {dist for dist in _TEXT_MODELS if _installed(dist)} if with_text_models else set[str]()
    libraries = {name: importlib.metadata.version(name) for name in (*_LIBRARIES, *sorted(names))}
    return {"fecosr": fecosr.__version__, "python": platform.python_version(), **libraries}


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@cache
def code_digest() -> str:
    """Return the SHA-256 of the code that decides figures; layout, comments and docstrings do not count."""
    root = Path(fecosr.__file__).parent
    digest = hashlib.sha256()
    for part in _DECIDING:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(
                f"{file.relative_to(root)}\n{_meaning(file.read_text(encoding='utf-8'))}\n".encode()
            )
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            node.body = node.body[has_docstring:]
    return ast.dump(tree)
