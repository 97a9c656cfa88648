"""A kit as the checks look at it, the same for the coordinator's and a market's."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fecosr.config.parties import CoordinatorConfig, NodeConfig, load_coordinator, load_node
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.enrolment import COORDINATOR_FILE, NODE_FILE, PENDING
from fecosr.rpc.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class Kit:
    """Hold the configuration of a kit.

    Attributes:
        folder: where its configuration file stands.
        party: whose it is.
        config: what the file says, with every path resolved.
        now: when it is looked at, an aware time.
        expected_plan: the plan hash that another party read out, if one did.
    """

    folder: Path
    party: NodeId
    config: CoordinatorConfig | NodeConfig
    now: datetime
    expected_plan: bytes | None = None

    @property
    def tls(self) -> TlsFiles:
        """Return the three PEM files."""
        return TlsFiles(self.config.tls.ca, self.config.tls.certificate, self.config.tls.key)


def read_kit(path: Path, now: datetime, expected_plan: bytes | None = None) -> Kit:
    """Return the kit in the folder `path`, or the one whose configuration file `path` is.

    Raises:
        ConfigError: there is none, or its configuration cannot be read.
    """
    if path.is_file():
        names, folder = [path.name], path.parent
    else:
        names, folder = [COORDINATOR_FILE, NODE_FILE], path
    for name in names:
        file = folder / name
        if name == COORDINATOR_FILE and file.exists():
            return Kit(folder, COORDINATOR, load_coordinator(file), now, expected_plan)
        if name == NODE_FILE and file.exists():
            node = load_node(file)
            return Kit(folder, NodeId(node.market), node, now, expected_plan)
    remedy = f"name a folder with {COORDINATOR_FILE} or {NODE_FILE}"
    if (folder / PENDING).is_dir():
        remedy = "its request is pending: when the package is there, fecosr provision accept"
    raise ConfigError("is not a kit", remedy=remedy, source=str(path))
