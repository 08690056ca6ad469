"""Virtual time for threads: one runs at a time, and when all sleep the clock jumps to the next.

It stands for the machine's clock, the hub's threads and the loop's bell at once, so that a day of
`run` passes in seconds and always in the same order.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sync.stop import GRACE_S, Stop, stopping


@dataclass(order=True)
class _Sleeper:
    wake_ms: int
    number: int
    baton: threading.Semaphore = field(compare=False)
    deaf: bool = field(compare=False, default=False)
    broken: bool = field(compare=False, default=False)
    cancelled: bool = field(compare=False, default=False)


class VirtualTime:
    """A :class:`connectors.clock.Clock` and a :class:`sync.edge.Edge`.

    Args:
        on_jump: told each instant (ms) the clock jumps to.
    """

    def __init__(self, start_ms: int, on_jump: Callable[[int], None] = lambda _: None) -> None:
        self._now_ms = start_ms
        self._on_jump = on_jump
        self._numbers = itertools.count()
        self._sleepers: list[_Sleeper] = []
        self._waiting: _Sleeper | None = None
        self._rung = False
        self.stop = Stop()

    def now_ms(self) -> int:
        """See Clock."""
        return self._now_ms

    def set_back(self, seconds: int) -> None:
        """The machine's clock is set back; sleeps end as long after as they were meant to."""
        self._now_ms -= seconds * 1000
        for sleeper in self._sleepers:
            sleeper.wake_ms -= seconds * 1000

    def sleep(self, seconds: float) -> None:
        """See Clock; broken off by a stop, like the real one."""
        if seconds > GRACE_S and self.stop.requested:
            raise stopping()
        mine = self._asleep(seconds)
        if mine.broken:
            raise stopping()

    def hang(self, seconds: float) -> None:
        """Sleep as in a vendor's socket: no request to stop is heard."""
        self._asleep(seconds, deaf=True)

    def start(self, name: str, job: Callable[[], None]) -> None:
        """See Edge."""
        mine = self._sleeper(0)

        def running() -> None:
            mine.baton.acquire()
            job()
            self._pass_on()

        threading.Thread(target=running, name=name, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """See Edge."""
        if not self._rung:
            self._waiting = self._sleeper(seconds)
            self._pass_on()
            self._waiting.baton.acquire()
            self._waiting = None
        self._rung = False

    def ring(self) -> None:
        """See Edge."""
        self._rung = True
        if self._waiting is not None:
            self._wake(self._waiting)

    def request_stop(self) -> None:
        """What a signal does."""
        self.stop.request()
        for sleeper in list(self._sleepers):
            late = sleeper.wake_ms > self._now_ms + GRACE_S * 1000
            if late and not sleeper.deaf and sleeper is not self._waiting:
                sleeper.broken = True
                self._wake(sleeper)
        self.ring()

    def _asleep(self, seconds: float, *, deaf: bool = False) -> _Sleeper:
        mine = self._sleeper(seconds, deaf=deaf)
        self._pass_on()
        mine.baton.acquire()
        return mine

    def _sleeper(self, seconds: float, *, deaf: bool = False) -> _Sleeper:
        wake_ms = self._now_ms + max(0, round(seconds * 1000))
        mine = _Sleeper(wake_ms, next(self._numbers), threading.Semaphore(0), deaf)
        heapq.heappush(self._sleepers, mine)
        return mine

    def _wake(self, sleeper: _Sleeper) -> None:
        if sleeper in self._sleepers and sleeper.wake_ms > self._now_ms:
            self._sleepers.remove(sleeper)
            sleeper.wake_ms = self._now_ms
            sleeper.number = next(self._numbers)
            self._sleepers.append(sleeper)
            heapq.heapify(self._sleepers)

    def _pass_on(self) -> None:
        following = heapq.heappop(self._sleepers)
        if following.wake_ms > self._now_ms:
            self._now_ms = following.wake_ms
            self._on_jump(self._now_ms)
        following.baton.release()
