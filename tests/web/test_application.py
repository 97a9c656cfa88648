"""Who may see what, over real connections."""

import base64

import pytest
from structlog.testing import capture_logs

from fecosr.config.web import WebSection
from fecosr.web.server import web_server
from tests.web.conftest import NO_KIT, TOKEN, FixedPages, Site

PROTECTED = ["/", "/page.js", "/page.css", "/charts.js", "/icon.svg", "/state.json", "/metrics", "/nowhere"]


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": TOKEN},
        {"Authorization": f"Digest {TOKEN}"},
        {"Authorization": "Basic !!!"},
        basic(TOKEN),
        basic(f"{TOKEN}:"),
        basic(f"fecosr:{TOKEN.upper()}"),
        {"X-Forwarded-User": "root", "Cookie": f"token={TOKEN}"},
    ],
)
def test_nobody_sees_anything_without_the_token(site: Site, headers: dict[str, str]) -> None:
    for path in PROTECTED:
        answer = site.get(path, token=None, headers=headers)
        assert answer.status == 401, path
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert TOKEN.encode() not in answer.body
    assert site.pages.asked == []


@pytest.mark.parametrize("headers", [{"Authorization": f"bearer {TOKEN}"}, basic(f"anybody:{TOKEN}")])
def test_programs_and_browsers_name_the_token_in_their_own_way(site: Site, headers: dict[str, str]) -> None:
    assert site.get("/state.json", token=None, headers=headers).body == b'{"run": "test"}'


def test_everything_there_is_to_see(site: Site) -> None:
    statuses = {path: site.get(path).status for path in PROTECTED}
    assert statuses == {**dict.fromkeys(PROTECTED, 200), "/nowhere": 404}
    assert site.get("/").headers["content-type"].startswith("text/html")
    assert site.get("/page.js").headers["content-type"].startswith("text/javascript")
    assert site.get("/metrics").body == b"fecosr_round 1.0\n"


@pytest.mark.parametrize("path", [*PROTECTED, "/healthz"])
def test_every_answer_forbids_what_a_page_does_not_need(site: Site, path: str) -> None:
    for token in (TOKEN, None):
        headers = site.get(path, token=token).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    assert site.get("/state.json", method=method).status == 405


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    tag = site.get("/state.json").headers["etag"]
    again = site.get("/state.json", headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")


def test_health_says_one_word_to_anybody(site: Site) -> None:
    assert (site.get("/healthz", token=None).status, site.get("/healthz", token=None).body) == (200, b"ok\n")
    site.pages.ready = False
    assert site.get("/healthz", token=None).status == 503


def test_a_mistake_of_ours_shows_nothing_and_ends_nothing(site: Site) -> None:
    site.pages.fails = True
    with capture_logs() as lines:
        answer = site.get("/state.json")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert [(line["event"], line["error"]) for line in lines] == [("web_request_failed", "RuntimeError")]
    site.pages.fails = False
    assert site.get("/state.json").status == 200


def test_refused_visitors_are_noted_but_cannot_fill_the_log(
    config: WebSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.web.application.QUIET_SECONDS", 1e9)
    with web_server(config, NO_KIT, FixedPages()) as server, capture_logs() as lines:
        server.start()
        for _ in range(20):
            Site(server, FixedPages()).get("/state.json", token="wrong")
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["web_visitor_refused"]
    assert TOKEN not in repr(lines)


@pytest.mark.parametrize("path", ["/../web.token", "/%2e%2e/web.token", "/page.js/../../token.py", "//etc"])
def test_no_path_leads_to_a_file(site: Site, path: str) -> None:
    assert site.get(path).status == 404


def test_a_process_without_a_dashboard_shows_metrics_only(config: WebSection) -> None:
    with web_server(config, NO_KIT, FixedPages(has_dashboard=False)) as server:
        server.start()
        site = Site(server, FixedPages())
        assert {path: site.get(path).status for path in PROTECTED} == {
            **dict.fromkeys(PROTECTED, 404),
            "/metrics": 200,
        }
