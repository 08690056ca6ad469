"""Keeping below the hub's share of HubSpot's burst limit."""

from __future__ import annotations

import math
import threading
from collections import deque

from connectors.clock import Clock

RESERVE = 2  # when HubSpot says that no more calls than this remain, everybody waits
_LONGEST_MS = 60_000.0  # a clock that was set back must not stop the hub for longer


class Pacer:
    """Hands out permission to call, ``limit - burst - headroom`` per window after a first burst.

    Zero refusals need ``steady x window + burst <= limit``, and a little more, because delays on
    the way bunch calls together. One thread at a time waits for its turn, holding the turn: so
    calls leave in order, and a simulated clock moves no further than one thread's wait.

    Args:
        limit: the portal's calls per window; lowered when HubSpot's own header says less.
        share: the part of it that is the hub's.
        window_s: seconds.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int,
        window_s: float = 10.0,
        share: float = 1.0,
        burst: int = 4,
        headroom: int = 4,
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window_ms = window_s * 1000
        self._share = share
        self._burst = burst
        self._headroom = headroom
        self._others = 0  # calls other programs made with the same token in the last window
        self._own: deque[float] = deque()  # when the hub's calls of the last window left
        self._interval_ms = self._interval()
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._due_ms = 0.0  # when the next call would leave if there were no burst
        self._held_until_ms = 0.0

    def _interval(self) -> float:
        ours = min(int(self._limit * self._share), self._limit - self._others)
        return self._window_ms / max(1, ours - self._burst - self._headroom)

    def take(self) -> None:
        """Wait until a call may be made."""
        with self._turn:
            while True:
                wait_ms = self._wait_ms()
                if wait_ms <= 0:
                    return
                self._clock.sleep(math.ceil(wait_ms) / 1000)

    def _wait_ms(self) -> float:
        """Milliseconds to wait still; takes the permission if there is nothing to wait for."""
        with self._state:
            now = float(self._clock.now_ms())
            if max(self._due_ms, self._held_until_ms) - now > _LONGEST_MS + self._window_ms:
                self._due_ms = self._held_until_ms = now
            tolerance = (self._burst - 1) * self._interval_ms
            wait = max(self._due_ms - tolerance, self._held_until_ms) - now
            if wait <= 0:
                self._due_ms = max(self._due_ms, now) + self._interval_ms
                self._own.append(now)
            return wait

    def hold(self, seconds: float) -> None:
        """Nobody calls for ``seconds`` (at most a minute), and nobody bursts afterwards."""
        with self._state:
            until = self._clock.now_ms() + min(seconds * 1000, _LONGEST_MS)
            self._held_until_ms = max(self._held_until_ms, until)
            spent = self._held_until_ms + (self._burst - 1) * self._interval_ms
            self._due_ms = max(self._due_ms, spent)

    def observe(self, limit: int | None, remaining: int | None) -> None:
        """Take notice of HubSpot's rate headers (None: the answer had none).

        A lower limit than configured slows the hub down for good. Fewer calls remaining than the
        hub itself has used mean that others use the token: they get what they take. When hardly
        any remain, everybody waits for a tenth of the window, in which the oldest calls expire.
        """
        with self._state:
            if limit is not None and limit > 0:
                self._limit = min(self._limit, limit)
            if remaining is not None:
                oldest = self._clock.now_ms() - self._window_ms
                while self._own and self._own[0] <= oldest:
                    self._own.popleft()
                used = (limit or self._limit) - remaining
                self._others = max(0, used - len(self._own))
            self._interval_ms = self._interval()
        if remaining is not None and remaining <= RESERVE:
            self.hold(self._window_ms / 10_000)
