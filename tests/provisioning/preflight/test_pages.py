"""What [web] asks for."""

import socket
from dataclasses import replace

import pytest

from fecosr.config.web import WebSection
from fecosr.errors import ConfigError
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.kit import Kit
from fecosr.provisioning.preflight.pages import check_pages


def with_web(kit: Kit, **values: object) -> Kit:
    web = WebSection(**{"listen": "127.0.0.1:0", **values}).under(kit.folder)  # type: ignore[arg-type]
    return replace(kit, config=kit.config.model_copy(update={"web": web}))


def test_nothing_is_said_where_nobody_wants_pages(coordinator: Kit, node: Kit) -> None:
    assert list(check_pages(coordinator)) == list(check_pages(node)) == []


def test_pages_that_can_be_served_are_well_and_no_token_is_made(coordinator: Kit, node: Kit) -> None:
    for kit in (coordinator, node):
        assert [finding.level for finding in check_pages(with_web(kit))] == [Level.OK]
        assert not (kit.folder / "web.token").exists()


def test_a_taken_port_is_found(coordinator: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        (found,) = check_pages(with_web(coordinator, listen=listen))
    assert found.level is Level.FAILURE


def test_a_token_that_others_may_read_is_found(coordinator: Kit) -> None:
    token = coordinator.folder / "web.token"
    token.write_text("x" * 40)
    token.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        list(check_pages(with_web(coordinator)))


def test_a_certificate_that_cannot_be_served_with_is_found(coordinator: Kit) -> None:
    with pytest.raises(ConfigError, match="cannot be served with"):
        list(check_pages(with_web(coordinator, certificate="none.pem")))


@pytest.mark.parametrize(
    ("listen", "level"), [("0.0.0.0:0", Level.WARNING), ("127.0.0.1:0", Level.OK), ("localhost:0", Level.OK)]
)
def test_a_token_on_an_open_network_is_warned_about(coordinator: Kit, listen: str, level: Level) -> None:
    (found,) = check_pages(with_web(coordinator, listen=listen, plain_http=True))
    assert found.level is level
