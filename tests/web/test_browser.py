"""The dashboard in a real browser, in front of a real federation."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fecosr.config.web import WebSection
from fecosr.harness.events import Logged
from fecosr.observability.events import after_line
from fecosr.observability.lines import LogLine
from fecosr.observability.markets import MarketView
from fecosr.observability.page import AuditSeen, page
from fecosr.observability.view import RoundView, RunView, State
from fecosr.web.server import web_server
from tests.reference import browser as machine
from tests.reference.browser import Browser
from tests.reference.real_federation import MARKETS, RealFederation
from tests.web.conftest import NO_KIT, TOKEN, FixedPages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(bool(machine.missing()), reason=machine.missing()),
]

HOSTILE = "</script><img src=x onerror=document.title='owned'><b>'\"&"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with machine.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFederation]:
    """Return a federation after its last round, which waits for a market that was killed in the second."""
    with RealFederation(tmp_path_factory.mktemp("federation")) as federation:
        federation.start({"beta": "masked_input@2=kill"})
        federation.wait_for("coordinator", "web_ready")
        federation.wait_for("coordinator", "run_completed")
        for name in set(MARKETS) - {"beta"}:
            federation.wait_for("coordinator", "node_finished", partial(is_about, name))
        yield federation


def is_about(market: str, line: Logged) -> bool:
    return line.text("market") == market


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.run(f"return document.querySelector({selector!r}).innerText"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_real_run_is_shown(
    browser: Browser, federation: RealFederation, scheme: str, tmp_path: Path
) -> None:
    assert scheme in ("light", "dark")
    browser.scheme("light" if scheme == "light" else "dark")
    browser.open(federation.web["coordinator"], federation.token("coordinator"))
    assert text_of(browser, "#run") == "spring"
    assert text_of(browser, "#state") == "finishing"
    assert "Round 3 of 3; 3 released" in text_of(browser, "#round")
    rows = browser.run("return [...document.querySelectorAll('#markets tbody tr')].map(row => row.innerText)")
    assert [row.split()[0] for row in rows] == sorted(MARKETS)
    assert "disconnected" in rows[1]
    shared = [row.split("\t")[4] for row in rows]
    assert {len(text) for text in shared[1:]} == {1}, "only alpha chose to share"
    assert 0 < float(shared[0]) < 1
    assert browser.run("return document.querySelectorAll('#map circle.dot').length") == len(MARKETS)
    assert browser.run("return document.querySelectorAll('#curves polyline').length") == 2
    assert "node_dropped" in text_of(browser, "#log")
    assert "no differential privacy" in text_of(browser, "#promise")
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(16, 20, 27)") == (scheme == "dark"), ground
    assert browser.complaints() == [], "nothing was refused by the page's own policy"
    browser.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_narrow_screen_needs_no_sideways_scrolling(browser: Browser, federation: RealFederation) -> None:
    browser.size(420, 900)
    try:
        browser.open(federation.web["coordinator"], federation.token("coordinator"))
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.size(1200, 1500)


def hostile_page() -> bytes:
    """Return a page on which everything that could come from a market is an attack."""
    market = MarketView(part="dropped out", dropout=HOSTILE, dropouts={HOSTILE: 1}, convicted=HOSTILE)
    view = RunView(
        run=HOSTILE,
        planned=2,
        waiting_for=(HOSTILE,),
        markets={HOSTILE: market},
        rounds=(RoundView(1, 1, (HOSTILE,), at=1.0, seconds=1.0, loss=1.0, validation=0.1),),
        aborts={HOSTILE: 1},
        last_abort=HOSTILE,
        state="gathering",
    )
    view = after_line(view, LogLine(1.0, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}))
    audit = AuditSeen(1.0, verified=False, findings=(HOSTILE,))
    return json.dumps(page(view, lambda _view, _market: None, audit)).encode()


def test_hostile_names_stay_text(browser: Browser, config: WebSection) -> None:
    with web_server(config, NO_KIT, FixedPages(body=hostile_page())) as server:
        server.start()
        browser.open(server.port, TOKEN)
        assert browser.run("return document.querySelectorAll('img, b').length") == 0
        assert text_of(browser, "#run") == HOSTILE
        assert HOSTILE in text_of(browser, "#markets")
        assert HOSTILE in text_of(browser, "#findings")
        assert HOSTILE in text_of(browser, "#log")
        assert not str(browser.run("return document.title")).startswith("owned")
        assert browser.complaints() == []


def test_even_a_mistake_of_the_page_could_not_become_script(browser: Browser, config: WebSection) -> None:
    with web_server(config, NO_KIT, FixedPages(body=hostile_page())) as server:
        server.start()
        browser.open(server.port, TOKEN)
        refused = browser.run(
            "try { document.body.innerHTML = '<img src=x onerror=1>'; return '' } catch (e) { return e.name }"
        )
        assert refused == "TypeError", "the policy demands trusted types"
        assert any("TrustedHTML" in complaint for complaint in browser.complaints())


def test_a_page_that_loses_its_coordinator_says_so(browser: Browser, config: WebSection) -> None:
    with web_server(config, NO_KIT, FixedPages(body=hostile_page())) as server:
        server.start()
        browser.open(server.port, TOKEN)
    browser.wait_until("return document.querySelector('#contact').innerText.startsWith('no contact')")
    assert browser.complaints(), "of the connection that was refused"


@pytest.mark.parametrize(
    ("state", "findings", "verdict"),
    [
        (
            "round",
            ("run_completed: The ledger has no record of the end of the run.",),
            "nothing wrong so far",
        ),
        ("completed", ("run_completed: The ledger has no record of the end of the run.",), "NOT verified"),
        ("round", ("chain: broken", "run_completed: ..."), "NOT verified"),
        ("round", (), "NOT verified"),
    ],
)
def test_an_audit_of_a_run_that_goes_on_is_no_alarm(
    browser: Browser, config: WebSection, state: State, findings: tuple[str, ...], verdict: str
) -> None:
    view = after_line(RunView(state=state), LogLine(1.0, "info", "phase_started", {"phase": "unmask"}))
    audit = AuditSeen(1.0, verified=False, rounds=13, findings=findings)
    body = json.dumps(page(view, lambda _view, _market: None, audit)).encode()
    with web_server(config, NO_KIT, FixedPages(body=body)) as server:
        server.start()
        browser.open(server.port, TOKEN)
        assert f"{verdict}, 13 rounds" in text_of(browser, "#ledger")
        assert "phase=unmask" in text_of(browser, "#log")
