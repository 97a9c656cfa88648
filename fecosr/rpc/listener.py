"""The coordinator's port, which is taken before anything that an operator could not take back is done."""

from dataclasses import dataclass
from datetime import datetime

import grpc.aio

from fecosr.errors import ConfigError
from fecosr.rpc.channel_options import server_options
from fecosr.rpc.tls import TlsFiles, server_credentials


@dataclass(frozen=True, slots=True)
class Listener:
    """Hold a port on which nodes can knock already, though nobody answers before the server is started.

    Attributes:
        server: not started yet.
        port: the one that was asked for, or the free one that was found.
    """

    server: grpc.aio.Server
    port: int


def listen(address: str, tls: TlsFiles, now: datetime, num_peers: int) -> Listener:
    """Take `address` (host and port; port 0 takes a free one) for a server that proves its name with `tls`.

    The more peers it is for, the less of what each of them sends waits here to be read.

    Raises:
        ConfigError: a TLS file cannot be used at `now`, or the address is taken.
    """
    credentials = server_credentials(tls, now)
    server = grpc.aio.server(options=server_options(num_peers))
    try:
        return Listener(server, server.add_secure_port(address, credentials))
    except RuntimeError:
        raise ConfigError(
            f"cannot listen on {address}",
            remedy="is another coordinator running, or is this not an address of this machine?",
        ) from None
