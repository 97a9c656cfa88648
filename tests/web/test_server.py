"""The port itself: taken early, bounded, and deaf to noise."""

import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from fecosr.config.web import WebSection
from fecosr.errors import ConfigError
from fecosr.rpc.tls import TlsFiles
from fecosr.web.bounded import MOST_CONNECTIONS
from fecosr.web.server import CertificateFiles, web_server
from tests.reference.loopback import Kits
from tests.web.conftest import NO_KIT, TOKEN, FixedPages, Site


def test_a_taken_port_is_noticed_before_anything_is_served(config: WebSection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = config.model_copy(update={"listen": f"127.0.0.1:{other.getsockname()[1]}"})
        with pytest.raises(ConfigError, match="cannot listen on"):
            web_server(taken, NO_KIT, FixedPages())


def test_a_server_that_was_never_started_gives_its_port_back(config: WebSection) -> None:
    with web_server(config, NO_KIT, FixedPages()) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_encryption_needs_a_certificate_that_can_be_read(config: WebSection) -> None:
    encrypted = config.model_copy(update={"plain_http": False})
    with pytest.raises(ConfigError, match="cannot be served with"):
        web_server(encrypted, NO_KIT, FixedPages())


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return Kits(tmp_path).coordinator()


@pytest.fixture
def encrypted(config: WebSection, files: TlsFiles) -> Iterator[Site]:
    pages = FixedPages()
    kit = CertificateFiles(files.certificate, files.key)
    with web_server(config.model_copy(update={"plain_http": False}), kit, pages) as server:
        server.start()
        yield Site(server, pages)


def test_the_certificate_of_the_kit_is_served_unless_another_is_named(
    encrypted: Site, files: TlsFiles
) -> None:
    trusting = ssl.create_default_context(cafile=str(files.authority))
    trusting.check_hostname = False
    connection = HTTPSConnection("127.0.0.1", encrypted.server.port, context=trusting, timeout=30)
    connection.request("GET", "/state.json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200
    connection.close()


def test_plain_http_to_an_encrypted_port_gets_nothing(encrypted: Site) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - a reset or an end, as it comes
        encrypted.get("/state.json")
    assert encrypted.pages.asked == []


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 4096,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /state.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(range(256)) * 64,
    ],
)
def test_noise_is_refused_and_the_next_visitor_served(
    site: Site, noise: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=30) as visitor:
        visitor.sendall(noise)
        visitor.shutdown(socket.SHUT_WR)
        try:
            answer = visitor.recv(100)
        except ConnectionResetError:
            answer = b""
    assert b" 200 " not in answer
    assert site.get("/state.json").status == 200
    assert "Traceback" not in capsys.readouterr().err


def test_there_is_room_for_so_many_visitors_only(site: Site) -> None:
    assert site.get("/healthz", token=None).status == 200
    visitors = [
        socket.create_connection(("127.0.0.1", site.server.port), timeout=30)
        for _ in range(MOST_CONNECTIONS + 20)
    ]
    try:
        ends = 0
        for visitor in visitors[MOST_CONNECTIONS:]:
            try:
                ends += visitor.recv(1) == b""
            except ConnectionResetError:
                ends += 1
        assert ends == 20
    finally:
        for visitor in visitors:
            visitor.close()
    assert site.get("/healthz", token=None).status == 200
