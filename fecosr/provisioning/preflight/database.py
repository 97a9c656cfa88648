"""Look at the database that a coordinator is to keep its run in."""

from collections.abc import Iterator
from importlib.util import find_spec

from fecosr.config.parties import CoordinatorConfig
from fecosr.config.plan import load_plan
from fecosr.ids import RunId
from fecosr.provisioning.preflight.findings import Finding, failure, ok
from fecosr.provisioning.preflight.kit import Kit


def check_database(kit: Kit) -> Iterator[Finding]:
    """Check that the run can be kept there, making the tables if there are none; nothing without [database].

    Raises:
        ConfigError: the password or the server cannot be used.
        StorageError: the database cannot be reached, or is of another version.
    """
    section = kit.config.database if isinstance(kit.config, CoordinatorConfig) else None
    if section is None:
        return
    if find_spec("psycopg") is None:
        yield failure("database", "psycopg is not installed", "pip install 'fecosr[postgres]'")
        return
    # Not everybody who looks a kit over has the extra.
    from fecosr.storage.postgres import RunDatabase  # noqa: PLC0415

    run = RunId(load_plan(kit.config.plan).run.name)
    with RunDatabase(section.url, section.password(), run) as database:
        owner = database.owner()
        state = f"in use by {owner}: another coordinator {_meets(waits=section.standby)}" if owner else "free"
        yield ok("database", f"{database.place}: can keep the run, which is {state}")


def _meets(*, waits: bool) -> str:
    return "would wait" if waits else "would be refused"
