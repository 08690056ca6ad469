"""`run` and `sync` as processes: signals, the log, and an end that nothing can hold up."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import SimpleQueue
from types import FrameType
from typing import NoReturn, TypeVar

from connectors.clock import SystemClock
from mapping.errors import BrokersyncError
from sync.cycle import Cycle, sync_once
from sync.edge import Threads, within
from sync.hub import Hub
from sync.role import Role
from sync.run import LEAVING_S, PATIENCE_S, Runner
from sync.stop import Stop, StoppableClock

T = TypeVar("T")
log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A terminal and a wrapper that passes signals on may both send what a person meant once.
_ECHO_MS = 500


class Attended:
    """What a process needs to be stopped: a clock that can be interrupted, and an edge."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.clock = StoppableClock(SystemClock(), self.stop)
        self.edge = Threads()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask to stop; a second one ends the process at once."""
        asked: SimpleQueue[int] = SimpleQueue()

        first_ms: list[int] = []

        def heard(number: int, frame: FrameType | None) -> None:
            del frame
            now_ms = self.clock.now_ms()
            first_ms.append(now_ms)
            # No lock may be taken here: the interrupted code may hold it. A thread does the rest.
            asked.put(number)
            if now_ms - first_ms[0] >= _ECHO_MS:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)

        def passing_on() -> None:
            if asked.get():
                self.stop.request()
                self.edge.ring()

        threading.Thread(target=passing_on, name="signals", daemon=True).start()
        before = {number: signal.signal(number, heard) for number in _SIGNALS}
        try:
            yield
        finally:
            if not self.stop.requested:  # else the second signal must still end it at once
                for number, handler in before.items():
                    signal.signal(number, handler)
            asked.put(0)

    def beside(self, action: Callable[[], T]) -> T | None:
        """Run an action in a thread, so that the main one is free to notice a signal.

        Returns:
            What it returned; None if it hangs although it was asked to stop.
        """
        ended: list[T | BaseException] = []

        def working() -> None:
            try:
                ended.append(action())
            except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
                ended.append(error)
            self.edge.ring()

        self.edge.start("work", working)
        until_ms: float | None = None
        while not ended:
            if self.stop.requested and until_ms is None:
                until_ms = self.clock.now_ms() + PATIENCE_S * 1000
            left_s = 60.0 if until_ms is None else (until_ms - self.clock.now_ms()) / 1000
            if left_s <= 0:
                return None
            self.edge.wait(left_s)
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]


def sync(attended: Attended, hub: Hub) -> Cycle | None:
    """One cycle; None if it had to be left behind, hanging."""
    role = Role(hub, "sync")
    cycle = attended.beside(lambda: sync_once(hub, role, attended.edge))
    if cycle is None:
        within(attended.edge, attended.clock, LEAVING_S, lambda: _abandon(role))
    return cycle


def _abandon(role: Role) -> None:
    try:
        role.abandon("interrupted")
    except BrokersyncError as error:  # then the lease runs out by itself
        log.warning("the engine role could not be given up: %s", error.log)


def run(attended: Attended, hub: Hub) -> bool:
    """Work until a signal (see :meth:`Attended.signals`); whether every job came to its end.

    Raises:
        RoleError, RetryableError: see :class:`sync.run.Runner`.
    """
    return Runner(hub, attended.edge).run()


def leave(code: int) -> NoReturn:
    """End the process although threads hang in a vendor's sockets: nobody waits for them."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Line(logging.Formatter):
    """One line an event, with the time in UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (its name)
        del datefmt
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ}"


def log_to_stderr() -> None:
    """What the engine does, a line each, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    traceback = os.environ.get("BROKERSYNC_TRACEBACK")
    logging.getLogger("sync").setLevel(logging.DEBUG if traceback else logging.INFO)
