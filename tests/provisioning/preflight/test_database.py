from dataclasses import replace

import pytest

from fecosr.config.database import DatabaseSection
from fecosr.config.plan import load_plan
from fecosr.errors import StorageError
from fecosr.ids import RunId
from fecosr.provisioning.preflight.database import check_database
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.kit import Kit


def with_database(kit: Kit, url: str) -> Kit:
    section = DatabaseSection(url=url, standby=False)
    return replace(kit, config=kit.config.model_copy(update={"database": section}))


def test_without_a_database_there_is_nothing_to_say(coordinator: Kit, node: Kit) -> None:
    assert [*check_database(coordinator), *check_database(node)] == []


def test_a_database_that_can_be_used_is_made_ready(coordinator: Kit, database_url: str) -> None:
    kit = with_database(coordinator, database_url)
    (found,) = check_database(kit)
    assert found.level is Level.OK
    assert "can keep the run, which is free" in found.message
    from fecosr.storage.postgres import RunDatabase

    with RunDatabase(database_url, None, RunId(load_plan(kit.config.plan).run.name)) as database:
        assert database.own()
        (found,) = check_database(kit)
    assert "another coordinator would be refused" in found.message


def test_a_database_out_of_reach_is_an_error(coordinator: Kit) -> None:
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    with pytest.raises(StorageError, match=r"^database: "):
        list(check_database(with_database(coordinator, "postgresql://u@/x?host=/nowhere")))


def test_without_the_extra_it_is_named(coordinator: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fecosr.provisioning.preflight.database.find_spec", lambda _name: None)
    (found,) = check_database(with_database(coordinator, "postgresql://u@/x"))
    assert (found.level, found.remedy) == (Level.FAILURE, "pip install 'fecosr[postgres]'")
