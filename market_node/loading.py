"""Load torch and make the learner on a thread, so that a node need not wait for them to be let in."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, cast

from fecosr.config.imports import uncollected

Learner = TypeVar("Learner")
Ended = TypeVar("Ended")

MODULES: Final = ("market_node.learning", "market_node.report")
"""Whatever of a node imports torch."""


class Loading(Generic[Learner]):
    """Import what trains and make the market's learner, as a context that ends with both.

    Args:
        make: makes the learner; called once, after the imports.
        early: make it before anybody asks for it.
    """

    def __init__(self, make: Callable[[], Learner], *, early: bool) -> None:
        # One thread does one thing after the other: so nobody makes a second learner.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._make = cache(make)
        self._early = early

    def learner(self) -> Learner:
        """Return the learner, once it is there.

        Raises:
            FecosrError: it cannot be made.
            ModuleNotFoundError: a library is missing.
        """
        return self._thread.submit(self._load).result()

    async def beside(self, taking_part: Coroutine[None, None, Ended], knocked: asyncio.Event) -> Ended:
        """Return what `taking_part` does, unless it turns out meanwhile that this node can never train.

        Args:
            taking_part: in the run.
            knocked: when to begin. Imports hold Python's lock, so a node that is to be let in at once begins
                after that.

        Raises:
            FecosrError: the learner cannot be made.
            ModuleNotFoundError: a library is missing.
        """
        taking = asyncio.ensure_future(taking_part)
        loading = asyncio.ensure_future(self._load_after(knocked))
        both = {cast("asyncio.Future[object]", it) for it in (taking, loading)}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                await loading
            return await taking
        finally:
            for future in both:
                future.cancel()
            await asyncio.wait(both)

    async def _load_after(self, knocked: asyncio.Event) -> None:
        await knocked.wait()
        await asyncio.wrap_future(self._thread.submit(self._load if self._early else import_what_trains))

    def _load(self) -> Learner:
        import_what_trains()
        return self._make()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)


@cache
def import_what_trains() -> None:
    """Import all that a market node imports late."""
    with uncollected():
        for name in MODULES:
            import_module(name)
