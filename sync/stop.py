"""Stopping: a request, and a clock whose sleeps it ends."""

from __future__ import annotations

import threading

from connectors.clock import Clock
from mapping.errors import StoppingError

GRACE_S = 3.0
"""How long after a request a sleep may still last: what is on its way gets to its end."""


class Stop:
    """A request to stop, for all threads of a hub. It is never taken back."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether the hub is to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Stop. Not to be called by a signal handler itself: it may have interrupted a wait."""
        self._event.set()

    def check(self) -> None:
        """Go no further once the hub is to stop.

        Raises:
            StoppingError: it is.
        """
        if self.requested:
            raise stopping()

    def wait(self, seconds: float) -> bool:
        """Wait for a request, at most so long; whether there is one."""
        return self._event.wait(seconds)


def stopping() -> StoppingError:
    """What ends a step when the hub is to stop."""
    return StoppingError("stopped on request; the next start goes on from here", "stopping")


class StoppableClock:
    """A clock whose sleeps end when the hub is to stop: in a pacer, a retry, wherever.

    A sleep that would end within the grace still does, so that a batch on its way to the CRM
    arrives; any other is broken off.
    """

    def __init__(self, clock: Clock, stop: Stop) -> None:
        self._clock = clock
        self._stop = stop
        self._patience = _Patience()

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        return self._clock.now_ms()

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`.

        Raises:
            StoppingError: the hub is to stop, and the sleep is too long for it.
        """
        until_ms = self._clock.now_ms() + seconds * 1000
        if not self._stop.wait(max(0.0, seconds)):
            return
        now_ms = self._clock.now_ms()
        left_ms = until_ms - now_ms
        if left_ms <= 0:
            return
        if left_ms > self._patience.left_ms(now_ms):
            raise stopping()
        self._clock.sleep(left_ms / 1000)


class _Patience:
    """What is left of the grace, counted from when the request was first noticed."""

    def __init__(self) -> None:
        self._ends_ms: float | None = None
        self._lock = threading.Lock()

    def left_ms(self, now_ms: int) -> float:
        with self._lock:
            if self._ends_ms is None:
                self._ends_ms = now_ms + GRACE_S * 1000
            return self._ends_ms - now_ms
