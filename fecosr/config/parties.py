"""The files that differ from party to party: roster, coordinator and node."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from fecosr.config.address import Address
from fecosr.config.database import DatabaseSection
from fecosr.config.toml import Section, load
from fecosr.config.web import WebSection
from fecosr.crypto.signatures import SigningKey
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError
from fecosr.federation.cohort import PUBLIC_KEY_BYTES, Roster
from fecosr.federation.policy import NodePolicy
from fecosr.ids import NodeId, node_id
from fecosr.secagg.parameters import MAX_CLIENTS
from fecosr.training.settings import Device, LocalBaselineSettings

SEED_BYTES = 32

PublicKeyHex = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}}$")]
MarketName = Annotated[str, AfterValidator(node_id)]


class TlsSection(Section):
    """Name the PEM files of mutual TLS, relative to the file they are written in."""

    ca: Path = Path("tls/ca.pem")
    certificate: Path = Path("tls/certificate.pem")
    key: Path = Path("tls/key.pem")
    revoked: Path = Path("tls/revoked.pem")

    def under(self, folder: Path) -> "TlsSection":
        """Return the same files as paths from `folder`."""
        return TlsSection(
            ca=folder / self.ca,
            certificate=folder / self.certificate,
            key=folder / self.key,
            revoked=folder / self.revoked,
        )


class CoordinatorConfig(Section):
    """Hold the whole of coordinator.toml."""

    listen: Address
    plan: Path = Path("plan.toml")
    roster: Path = Path("roster.toml")
    identity: Path = Path("identity.key")
    initial_model: Path = Path("initial_model.safetensors")
    storage: Path = Path("state")
    tls: TlsSection = TlsSection()
    web: WebSection | None = None
    traces: bool = False
    database: DatabaseSection | None = None


class ReportSection(Section):
    """Say what a node measures for its own operator when the run is over; nothing of it leaves the market."""

    popularity: bool = True
    local: bool = True
    local_training: LocalBaselineSettings = LocalBaselineSettings()


class NodeConfig(Section):
    """Hold the whole of node.toml."""

    market: MarketName
    coordinator: Address
    data: DataSettings
    policy: NodePolicy
    report: ReportSection = ReportSection()
    num_threads: int = Field(default=1, ge=1, le=256)
    num_shards: int = Field(default=1, ge=1, le=64)
    device: Device = "auto"
    embedding_path: Path | None = None
    plan: Path = Path("plan.toml")
    roster: Path = Path("roster.toml")
    identity: Path = Path("identity.key")
    storage: Path = Path("state")
    tls: TlsSection = TlsSection()
    web: WebSection | None = None
    traces: bool = False


class _RosterFile(Section):
    coordinator: PublicKeyHex
    nodes: dict[MarketName, PublicKeyHex] = Field(min_length=2, max_length=MAX_CLIENTS)


_Config = TypeVar("_Config", CoordinatorConfig, NodeConfig)


def load_coordinator(path: Path) -> CoordinatorConfig:
    """Return coordinator.toml with every path resolved from the folder it stands in."""
    config = _resolved(load(path, CoordinatorConfig), path.parent)
    database = config.database and config.database.under(path.parent)
    return config.model_copy(update={"database": database})


def load_node(path: Path) -> NodeConfig:
    """Return node.toml with every path, that of the data too, resolved from the folder it stands in."""
    config = _resolved(load(path, NodeConfig), path.parent)
    if not config.data.path:
        return config
    data = replace(config.data, path=str(path.parent / config.data.path))
    return config.model_copy(update={"data": data})


def load_roster(path: Path) -> Roster:
    """Return the pinned identities.

    Raises:
        ConfigError: a name or key is malformed, two parties share a key, or there are more nodes than one
            secure aggregation can hold.
    """
    entries = load(path, _RosterFile)
    nodes = {NodeId(name): bytes.fromhex(public) for name, public in entries.nodes.items()}
    if len({entries.coordinator, *entries.nodes.values()}) != len(nodes) + 1:
        raise ConfigError("two parties share one identity", remedy="provision again", source=str(path))
    return Roster(bytes.fromhex(entries.coordinator), nodes)


def load_identity(path: Path) -> SigningKey:
    """Return the private identity kept at `path` (32 raw bytes, readable by its owner only).

    Raises:
        ConfigError: the file is missing, has another size, or others may read it.
    """
    try:
        seed = path.read_bytes()
        readable_by_others = path.stat().st_mode & 0o077
    except OSError:
        raise ConfigError("cannot be read", remedy="restore it from the kit", source=str(path)) from None
    if readable_by_others:
        raise ConfigError("others may read this private key", remedy=f"chmod 600 {path}", source=str(path))
    if len(seed) != SEED_BYTES:
        raise ConfigError("is not an identity key", remedy="restore it from the kit", source=str(path))
    return SigningKey(seed)


def _resolved(config: _Config, folder: Path) -> _Config:
    paths = {name: folder / value for name, value in config if isinstance(value, Path)}
    web = config.web and config.web.under(folder)
    return config.model_copy(update={**paths, "tls": config.tls.under(folder), "web": web})
