"""Log lines: where they belong, who sees them, and what cannot break out of them."""

import json
from collections.abc import Iterator

import pytest
import structlog

from fecosr.config.logs import configure_logs
from fecosr.observability.lines import LogLine


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(text) for text in capsys.readouterr().err.splitlines()]


def test_every_line_says_run_party_round_attempt_and_phase(capsys: pytest.CaptureFixture[str]) -> None:
    log = configure_logs(run="spring", party="fr", market="fr")
    log.info("node_ready", users=3)
    log.info("phase_started", round=2, attempt=1, phase="unmask")
    structlog.get_logger().warning("connection_lost", reason="gone")
    first, second, third = lines_of(capsys)
    assert {key: first[key] for key in ("run", "party", "market", "round", "phase")} == {
        "run": "spring",
        "party": "fr",
        "market": "fr",
        "round": 0,
        "phase": "starting",
    }
    assert (second["round"], second["attempt"], second["phase"]) == (2, 1, "unmask")
    assert (third["run"], third["round"], third["phase"]) == ("spring", 2, "unmask"), "of any module"
    assert str(third["timestamp"]).endswith("Z")


def test_a_line_about_another_market_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(run="spring", party="coordinator").info("node_connected", market="de")
    assert lines_of(capsys)[0]["market"] == "de"


def test_text_is_one_line_whatever_a_peer_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    log = configure_logs("text", run="spring", party="coordinator")
    log.info("node_withdrew", market="de", reason='no\n2026 info all_is_well \x1b[2J "')
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert 'info node_withdrew run="spring"' in text


def test_observers_see_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[LogLine] = []
    log = configure_logs("json", (seen.append,), run="spring", party="fr")
    log.warning("refused", rule="late")
    log.debug("never_written")
    assert [(line.level, line.event, line.text("rule")) for line in seen] == [("warning", "refused", "late")]
    assert seen[0].text("run") == "spring"
    assert seen[0].at > 1e9
    assert len(lines_of(capsys)) == 1


def test_an_observer_that_fails_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_line: LogLine) -> None:
        raise RuntimeError("out of order")

    configure_logs("json", (fail,), run="spring", party="fr").info("node_ready")
    assert lines_of(capsys)[0]["event"] == "node_ready"
