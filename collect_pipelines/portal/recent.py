"""Figures that cost something to find are found now and then, not for every visitor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_SHARE = 20
"""A figure that takes a second to find is kept for twenty: at most a twentieth of the time goes into finding it."""


class Recent(Generic[T]):
    """A value and how to find it anew. One thread looks; the others take what is known."""

    def __init__(
        self, find: Callable[[], T], at_least_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._at_least_seconds = at_least_seconds
        self._clock = clock
        self._looking = threading.Lock()
        self._known: tuple[T] | None = None
        self._good_until = float("-inf")

    def __call__(self) -> T:
        """Return the value, at most a few seconds old. Errors of looking pass through."""
        known = self._known
        if known is not None and (self._clock() < self._good_until or not self._looking.acquire(blocking=False)):
            return known[0]
        if known is None:
            self._looking.acquire()
        try:
            if self._known is None or self._clock() >= self._good_until:
                self._look()
            return self._known[0]  # pyright: ignore[reportOptionalSubscript]
        finally:
            self._looking.release()

    def _look(self) -> None:
        begun = self._clock()
        self._known = (self._find(),)
        ended = self._clock()
        self._good_until = ended + max(self._at_least_seconds, _SHARE * (ended - begun))
