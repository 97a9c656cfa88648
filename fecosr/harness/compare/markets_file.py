"""Markets described one by one in a TOML file, where a folder of files cannot say all there is to say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from fecosr.config.toml import Section, load
from fecosr.data.markets import NamedSettings
from fecosr.data.settings import DataSettings
from fecosr.ids import node_id


class MarketsFile(Section):
    """Hold at least two markets, each as the `[data]` section of its node would describe it.

    Attributes:
        markets: by name. A generated market needs no `market`: its name counts.
    """

    markets: dict[str, DataSettings] = Field(min_length=2)

    @field_validator("markets", mode="before")
    @classmethod
    def _named(cls, markets: Any) -> Any:
        if not isinstance(markets, dict):
            return markets
        return {node_id(name): _with_name(name, described) for name, described in markets.items()}


def read_markets_file(path: Path) -> NamedSettings:
    """Return the markets that a file describes, in its order; paths in it start from its folder.

    Raises:
        ConfigError: it cannot be read, or does not describe two markets.
    """
    described = load(path, MarketsFile).markets
    return tuple((name, _beside(path, data)) for name, data in described.items())


def _with_name(name: str, described: Any) -> Any:
    if isinstance(described, dict) and described.get("kind") == "synthetic":
        return {"market": name, **described}
    return described


def _beside(path: Path, data: DataSettings) -> DataSettings:
    return replace(data, path=str(path.parent / data.path)) if data.path else data
