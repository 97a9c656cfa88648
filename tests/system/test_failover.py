"""Two coordinators on one PostgreSQL database, of which one is killed and one loses its connection."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.ids import COORDINATOR
from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import CoordinatorRestarted, RoundAborted, RoundReleased
from tests.reference.postgres_server import PASSWORD
from tests.reference.real_federation import MARKETS, RealFederation

pytestmark = [pytest.mark.system, pytest.mark.slow]
psycopg = pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

STANDBY = "standby"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def on_postgres(config: Path, url: str) -> None:
    """Tell the kit of `config` to keep its run in the database at `url`."""
    word = config.parent / "database.password"
    word.write_text(PASSWORD)
    word.chmod(0o600)
    section = f'[database]\nurl = "{url}"\npassword_file = "{word.name}"\n'
    config.write_text(f"{config.read_text()}\n{section}")


def hang_up(url: str) -> None:
    """Let the server end the connection of whoever coordinates."""
    with psycopg.connect(url, password=PASSWORD, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND application_name LIKE 'fecosr-coordinator %'"
        )


def test_a_run_outlives_a_killed_coordinator_and_one_that_loses_its_database(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, fecosr: Run
) -> None:
    with RealFederation(tmp_path) as federation:
        ours = federation.kits.coordinator
        on_postgres(ours, database_url)
        theirs = shutil.copytree(ours.parent, tmp_path / "elsewhere") / ours.name
        theirs.write_text(theirs.read_text().replace(str(tmp_path / "run"), str(tmp_path / "there")))
        # From here on only the file knows the password.
        monkeypatch.delenv("PGPASSWORD")

        federation.start({COORDINATOR: "masked_input@2=kill"})
        federation.start_coordinator(STANDBY, theirs)
        owner = federation.wait_for(STANDBY, "standing_by").text("owner")
        assert owner.startswith("fecosr-coordinator ")
        assert federation.wait_for_end(COORDINATOR) == -9
        federation.wait_for(STANDBY, "taking_over")
        federation.wait_for(STANDBY, "round_released", lambda line: line.whole("round") == 2)

        hang_up(database_url)
        assert federation.wait_for_end(STANDBY) == 1
        (said,) = [e.text("text") for e in federation.events if e.name == STANDBY and not e.event]
        assert said.startswith("error: database postgres on "), said

        federation.start_coordinator(COORDINATOR, ours)
        assert federation.wait_for_end(COORDINATOR) == 0
        for market in MARKETS:
            assert federation.wait_for_end(market) == 0
    assert PASSWORD not in "".join(log.read_text() for log in (tmp_path / "logs").iterdir())

    fetched = fecosr("fetch-run", str(ours.parent), "--out", str(tmp_path / "run"))
    assert fetched.returncode == 0, fetched.stderr
    audit = fecosr("audit", str(tmp_path / "run"), "--json")
    assert json.loads(audit.stdout)["verified"], audit.stdout
    ledger = (tmp_path / "run" / "coordinator" / "ledger.jsonl").read_bytes().splitlines()
    bodies = [decode_entry(line, number).body for number, line in enumerate(ledger)]
    released = [body for body in bodies if isinstance(body, RoundReleased)]
    assert [body.round for body in released] == [1, 2, 3]
    assert released[1].attempt == 2
    assert sum(isinstance(body, CoordinatorRestarted) for body in bodies) == 2
    assert next(body.round for body in bodies if isinstance(body, RoundAborted)) == 2
    assert not (tmp_path / "there" / "coordinator" / "ledger.jsonl").exists()
