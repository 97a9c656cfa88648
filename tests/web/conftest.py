from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest

from fecosr.config.web import WebSection
from fecosr.web.server import CertificateFiles, WebServer, web_server

TOKEN = "correct-horse-battery-staple-0123456789"
NO_KIT = CertificateFiles(Path("none.pem"), Path("none.key"))


@dataclass
class FixedPages:
    """Show what a test says."""

    has_dashboard: bool = True
    ready: bool = True
    body: bytes = b'{"run": "test"}'
    asked: list[str] = field(default_factory=list)
    fails: bool = False

    def reset(self) -> None:
        self.ready, self.fails = True, False
        self.asked.clear()

    def is_ready(self) -> bool:
        return self.ready

    def state(self) -> tuple[str, bytes]:
        if self.fails:
            raise RuntimeError("the secret is 42")
        self.asked.append("state")
        return "7", self.body

    def metrics(self) -> tuple[str, bytes]:
        return "text/plain; version=0.0.4", b"fecosr_round 1.0\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """Ask a server that runs."""

    server: WebServer
    pages: FixedPages

    def get(
        self, path: str, token: str | None = TOKEN, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="package")
def config(tmp_path_factory: pytest.TempPathFactory) -> WebSection:
    folder = tmp_path_factory.mktemp("web")
    token = folder / "web.token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    return WebSection(listen="127.0.0.1:0", plain_http=True).under(folder)


@pytest.fixture(scope="package")
def shared_site(config: WebSection) -> Iterator[Site]:
    """Return a server that tests share: to start and stop one takes longer than to ask it."""
    pages = FixedPages()
    with web_server(config, NO_KIT, pages) as server:
        server.start()
        yield Site(server, pages)


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.pages.reset()
    return shared_site
