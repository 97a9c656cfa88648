"""Making the learner on a thread while the node takes part already."""

import asyncio

import pytest

from fecosr.errors import ConfigError
from market_node.loading import Loading


def test_a_learner_is_made_once_whoever_asks_for_it() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("learner")
        return made[-1]

    with Loading(make, early=True) as loading:
        assert asyncio.run(loading.beside(_rounds(loading), _at_once())) == "done"
        assert loading.learner() == "learner"
    assert made == ["learner"]


def test_a_node_takes_part_before_its_learner_is_there() -> None:
    happened: list[str] = []

    async def take_part(knocked: asyncio.Event) -> str:
        happened.append("let in")
        knocked.set()
        return await asyncio.to_thread(loading.learner)

    async def both() -> str:
        knocked = asyncio.Event()
        return await loading.beside(take_part(knocked), knocked)

    def make() -> str:
        happened.append("made")
        return "learner"

    with Loading(make, early=True) as loading:
        assert asyncio.run(both()) == "learner"
    assert happened == ["let in", "made"]


def test_a_node_that_can_never_train_does_not_stay_in_the_run() -> None:
    def make() -> str:
        raise ConfigError("device is 'cuda', but torch sees no GPU here")

    async def take_part() -> str:
        await asyncio.Event().wait()
        return "never"

    with Loading(make, early=True) as loading, pytest.raises(ConfigError, match="no GPU"):
        asyncio.run(loading.beside(take_part(), _at_once()))


def test_a_learner_that_waits_for_something_is_not_made_early() -> None:
    made: list[str] = []

    async def take_part() -> str:
        await asyncio.sleep(0)
        return "done"

    with Loading(lambda: made.append("learner"), early=False) as loading:
        assert asyncio.run(loading.beside(take_part(), _at_once())) == "done"
        assert not made
        loading.learner()
    assert made == ["learner"]


async def _rounds(loading: Loading[str]) -> str:
    learners = await asyncio.gather(*(asyncio.to_thread(loading.learner) for _ in range(3)))
    assert learners == ["learner"] * 3
    return "done"


def _at_once() -> asyncio.Event:
    knocked = asyncio.Event()
    knocked.set()
    return knocked
