"""The thread that serves: its own event loop, its own port, bounded in everything a visitor can use up."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import structlog

from fecosr.config.web import WebSection
from fecosr.errors import ConfigError
from fecosr.web.token import load_token

if TYPE_CHECKING:
    # Loading them takes a while, which no process should wait for before it does its work.
    import uvicorn

    from fecosr.web.application import App, Pages

MOST_HEADER_BYTES: Final = 16 << 10
IDLE_SECONDS: Final = 15
GOODBYE_SECONDS: Final = 2
BACKLOG: Final = 64

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Name the PEM files to serve with."""

    certificate: Path
    key: Path


def web_server(config: WebSection, kit: CertificateFiles, pages: "Pages") -> "WebServer":
    """Return the server that a configuration asks for, with its port taken, its token read, and not started.

    Args:
        config: what was asked for.
        kit: what to serve with, where nothing else is named.
        pages: what there is to see.

    Raises:
        ConfigError: address, token or TLS files cannot be used.
    """
    context = serving_context(config, kit)
    token = load_token(config.token)

    def make() -> "App":
        # It brings its libraries along, which nobody should wait for.
        from fecosr.web.application import application  # noqa: PLC0415

        return application(pages, token)

    return WebServer(config.listen, context, make)


def serving_context(config: WebSection, kit: CertificateFiles) -> ssl.SSLContext | None:
    """Return what to encrypt with, or None without encryption, having checked that there are the libraries.

    Raises:
        ConfigError: a library is missing, or a TLS file cannot be used.
    """
    _require_libraries()
    if config.plain_http:
        return None
    return _context(CertificateFiles(config.certificate or kit.certificate, config.key or kit.key))


class WebServer:
    """Serve pages until stopped, as a context.

    Args:
        address: host and port; port 0 takes a free one. It is taken at once.
        context: what to encrypt with; None: without encryption.
        make: makes what is served; called on the thread, because it loads libraries.

    Raises:
        ConfigError: the address is taken or none of this machine.
    """

    def __init__(self, address: str, context: ssl.SSLContext | None, make: "Callable[[], App]") -> None:
        self._context = context
        self._socket = _listening(address)
        self._make = make
        self._server: uvicorn.Server | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        """Begin to serve, at some time soon."""
        _log.info("web_ready", port=self.port, encrypted=self._context is not None)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; visitors who do not finish in time are hung up on."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(2 * GOODBYE_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - a run goes on without anybody looking
            _log.error("web_stopped", error=type(error).__name__)

    def _serve(self) -> None:
        import uvicorn  # noqa: PLC0415

        from fecosr.web.bounded import BoundedProtocol  # noqa: PLC0415

        context = self._context
        config = uvicorn.Config(
            self._make(),
            ssl_context_factory=None if context is None else lambda _config, _default: context,
            loop="asyncio",
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
        _silence()
        self._server = uvicorn.Server(config)
        if not self._stopping.is_set():
            asyncio.run(self._server.serve(sockets=[self._socket]))


def _require_libraries() -> None:
    for name in ("prometheus_client", "starlette", "uvicorn"):
        if find_spec(name) is None:
            raise ConfigError(
                f"[web] needs {name}, which is not installed",
                remedy="pip install 'fecosr[web]', or leave [web] out",
            )


def _silence() -> None:
    """Let nothing that a visitor sends become a line in our log."""
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


def _context(tls: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "not a certificate with its key"
        raise ConfigError(f"cannot be served with: {reason}", source=str(tls.certificate)) from None
    return context


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host, int(port)), backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: {error.strerror}", remedy="name another address in [web] listen"
        ) from None
