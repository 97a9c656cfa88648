import asyncio
import inspect
from pathlib import Path

import pytest

from tests.reference.loopback import Kits, Loopback

LIMIT_SECONDS = 20.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that are coroutines, each in an event loop of its own and never for ever."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT_SECONDS))
    return True


@pytest.fixture
def kits(tmp_path: Path) -> Kits:
    return Kits(tmp_path)


@pytest.fixture
def loopback(kits: Kits) -> Loopback:
    return Loopback(kits)
