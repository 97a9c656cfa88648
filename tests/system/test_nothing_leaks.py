"""A real run says a lot; nothing of it is a secret, and nothing is data."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from fecosr.ids import COORDINATOR
from tests.reference.real_federation import ITEM, MARKETS, USER, RealFederation

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealFederation, dict[str, str]]]:
    """Return a federation that is over for its markets, and everything that could be read of it."""
    with RealFederation(tmp_path_factory.mktemp("federation")) as federation:
        federation.start({"beta": "masked_input@2=kill"})
        federation.wait_for(COORDINATOR, "web_ready")
        federation.wait_for(COORDINATOR, "run_completed")
        federation.wait_for("alpha", "fine_tuning_started")
        pages = {
            f"{name}{path}": _get(federation, name, path)
            for name, path in ((COORDINATOR, "/state.json"), (COORDINATOR, "/metrics"), ("alpha", "/metrics"))
        }
        for name in set(MARKETS) - {"beta"}:
            federation.wait_for(name, "report_written")
        logs = {path.name: path.read_text() for path in (federation.folder / "logs").iterdir()}
        yield federation, {**pages, **logs}


def _get(federation: RealFederation, name: str, path: str) -> str:
    headers = {"Authorization": f"Bearer {federation.token(name)}"}
    url = f"http://127.0.0.1:{federation.web[name]}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return str(answer.read().decode())


def _secrets_of(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        match path.name:
            case "identity.key" | "authority.key":
                seed = path.read_bytes()
                yield from (seed.hex(), base64.b64encode(seed).decode(), repr(seed)[2:-1])
            case "key.pem":
                yield from (line for line in path.read_text().splitlines() if not line.startswith("-----"))
            case "web.token":
                yield path.read_text().strip()


def test_no_secret_and_no_interaction_is_in_logs_pages_or_metrics(
    said: tuple[RealFederation, dict[str, str]],
) -> None:
    federation, texts = said
    secrets = list(_secrets_of(federation.folder / "kits"))
    assert len(secrets) > 3 * len(MARKETS), "there is something to look for"
    assert len(texts) == 3 + len(MARKETS) + 1
    for name, text in texts.items():
        for word in (*secrets, ITEM, USER, "PRIVATE KEY"):
            assert word not in text, name


def test_every_line_of_every_party_says_where_in_the_run_it_belongs(
    said: tuple[RealFederation, dict[str, str]],
) -> None:
    _, texts = said
    for party in (COORDINATOR, *MARKETS):
        lines = [json.loads(text) for text in texts[f"{party}.jsonl"].splitlines()]
        assert {(line["run"], line["party"]) for line in lines} == {("spring", party)}
        needed = {"timestamp", "level", "event", "round", "attempt", "phase"}
        assert all(needed <= line.keys() for line in lines)
        assert party == COORDINATOR or {line["market"] for line in lines} == {party}
        assert {line["round"] for line in lines} >= {0, 1, 2}
