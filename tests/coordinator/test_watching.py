"""A coordinator's pages, made of what it stores and says."""

import json
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from coordinator.watching import RunPages, Watching
from fecosr.config.parties import CoordinatorConfig
from fecosr.config.web import WebSection
from fecosr.federation.run import run_federation
from fecosr.ids import RunId
from fecosr.ledger.log import Entry
from fecosr.observability.lines import LogLine
from fecosr.observability.view import RunView
from fecosr.rpc.traffic import TrafficMeter
from fecosr.web.audit_file import AuditFile
from fecosr.web.following import Following
from tests.reference.small_federation import SmallFederation

RUN = RunId("trial")


def entries() -> list[Entry]:
    federation = SmallFederation(["de", "fr", "jp", "uk"])
    run = run_federation(
        federation.setup, federation.nodes(), federation.initial, federation.train, federation.entropy
    )
    return run.ledger


def config(folder: Path, *, web: bool) -> CoordinatorConfig:
    section = WebSection(listen="127.0.0.1:0", plain_http=True).under(folder) if web else None
    return CoordinatorConfig(listen="127.0.0.1:0", web=section)


def test_without_the_section_nothing_is_followed(tmp_path: Path) -> None:
    watching = Watching(config(tmp_path, web=False), RUN)
    stored: list[object] = []
    assert watching.observers == ()
    assert watching.stored(stored.append) == stored.append
    with watching.server() as server:
        assert server is None
    assert list(tmp_path.iterdir()) == [], "no token is made for nobody"


def test_what_is_stored_is_seen_after_it_is_stored(tmp_path: Path) -> None:
    watching = Watching(config(tmp_path, web=True), RUN)
    stored: list[object] = []
    persist = watching.stored(stored.append)
    for entry in entries():
        persist(entry)
    with watching.server():
        assert (tmp_path / "web.token").exists()
    assert len(stored) == len(entries())


def test_a_page_is_made_once_for_every_view(tmp_path: Path) -> None:
    following = Following(RunView())
    pages = RunPages(following, TrafficMeter, AuditFile(tmp_path / "audit.json"))
    assert not pages.is_ready()
    first = pages.state()
    assert pages.state() is first
    following.see(lambda view: replace(view, state="gathering", run="spring"))
    tag, body = pages.state()
    assert tag != first[0]
    assert json.loads(body)["run"] == "spring"
    assert pages.is_ready()
    (tmp_path / "audit.json").write_text('{"verified": true, "rounds": 1, "findings": []}')
    tag_with_audit, body = pages.state()
    assert tag_with_audit != tag
    assert json.loads(body)["audit"]["verified"] is True


def test_a_restarted_coordinator_shows_the_rounds_before(tmp_path: Path) -> None:
    watching = Watching(config(tmp_path, web=True), RUN)
    watching.remember(tuple(entries()), TrafficMeter(received_bytes=5))
    (observer,) = watching.observers
    observer(LogLine(1.0, "info", "node_connected", {"market": "fr"}))
    with watching.server() as server:
        assert server is not None


def test_metrics_count_bytes(tmp_path: Path) -> None:
    meter = TrafficMeter(received_bytes=5, sent_bytes=6)
    pages = RunPages(Following(RunView()), lambda: meter, AuditFile(tmp_path / "audit.json"))
    _, text = pages.metrics()
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert (found["fecosr_received_bytes_total"], found["fecosr_sent_bytes_total"]) == (5, 6)
