"""Where the engine's jobs run, and how its loop waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from connectors.clock import Clock


class Edge(Protocol):
    """Production: :class:`Threads`. A test brings its own, on virtual time."""

    def start(self, name: str, job: Callable[[], None]) -> None:
        """Run a job beside the caller. The job deals with its errors itself."""

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, at most so long. A ring while nobody waits is kept."""

    def ring(self) -> None:
        """Wake whoever waits."""


class Threads:
    """A thread a job. They are daemons: one that hangs in a vendor's socket cannot keep the
    process from ending."""

    def __init__(self) -> None:
        self._bell = threading.Event()

    def start(self, name: str, job: Callable[[], None]) -> None:
        """See :class:`Edge`."""
        threading.Thread(target=job, name=name, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """See :class:`Edge`."""
        self._bell.wait(max(0.0, seconds))
        self._bell.clear()

    def ring(self) -> None:
        """See :class:`Edge`."""
        self._bell.set()


def within(edge: Edge, clock: Clock, seconds: float, job: Callable[[], None]) -> bool:
    """Run a job beside the caller, and wait for its end at most so long; whether it came."""
    ended: list[bool] = []

    def working() -> None:
        try:
            job()
        finally:
            ended.append(True)
            edge.ring()

    edge.start("leaving", working)
    until_ms = clock.now_ms() + seconds * 1000
    while not ended and (left_ms := until_ms - clock.now_ms()) > 0:
        edge.wait(left_ms / 1000)
    return bool(ended)
