"""Everything an object holds on to, for tests about what must not be held."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def reachable(root: Any) -> Iterator[Any]:
    """Yield `root` and everything its dataclass fields, mappings, sequences and sets lead to."""
    pending, seen = [root], set[int]()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if is_dataclass(item) and not isinstance(item, type):
            pending.extend(getattr(item, field.name) for field in fields(item))
        elif isinstance(item, Mapping):
            pending.extend((*item.keys(), *item.values()))
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)
