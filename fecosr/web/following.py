"""The newest view of what is going on, between the thread that tells it and the thread that shows it."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

View = TypeVar("View")


class Following(Generic[View]):
    """Hold one view, which is replaced as a whole and never changed.

    Args:
        view: to begin with.
    """

    def __init__(self, view: View) -> None:
        self._newest = (0, view)
        self._one_at_a_time = threading.Lock()

    @property
    def newest(self) -> tuple[int, View]:
        """Return how often the view has been replaced, and the view; whoever asks never waits."""
        return self._newest

    def see(self, change: Callable[[View], View]) -> None:
        """Replace the view by what `change` makes of it; nothing, when it fails.

        Whoever looks on must never stop what it looks at.
        """
        with self._one_at_a_time, suppress(Exception):
            number, view = self._newest
            self._newest = (number + 1, change(view))
