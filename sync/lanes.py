"""Lanes: a few batches delivered abreast, each by a thread; a single lane needs none."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from connectors.destination import Destination
from mapping.errors import BrokersyncError
from sync.delivery import Batch, Delivered, deliver


class Lanes:
    """Deliveries on their way to one destination.

    Args:
        most: how many batches are on their way at a time.
    """

    def __init__(self, most: int, destination: Destination) -> None:
        self._most = most
        self._destination = destination
        self._threads = ThreadPoolExecutor(most, "push") if most > 1 else None
        self._running: set[Future[list[Delivered]]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Wait for what is on its way: its outcome is for the next run to find out."""
        if self._threads is not None:
            self._threads.shutdown()

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._running)

    @property
    def free(self) -> int:
        """How many more may start."""
        return self._most - len(self._running)

    def start(self, batch: Batch, now: int) -> None:
        """Send a batch on its way at ``now`` (ms UTC).

        A large one, of which there is one at a time, is delivered here: each thread has a heap of
        its own, and would keep what one such batch took of it (45 MB of 10,000 records, measured).
        """
        if self._threads is not None and len(batch.claims) <= self._destination.batch:
            self._running.add(self._threads.submit(deliver, self._destination, batch, now))
            return
        here: Future[list[Delivered]] = Future()
        try:
            here.set_result(deliver(self._destination, batch, now))
        except BrokersyncError as error:
            here.set_exception(error)
        self._running.add(here)

    def finished(self) -> list[Delivered]:
        """The records of the batches that arrived; waits for one. Empty if none is on its way.

        Raises:
            BrokersyncError: what ended a batch early. Others that arrived with it are kept for
                the next time.
        """
        done, _ = wait(self._running, return_when=FIRST_COMPLETED) if self.busy else (set(), None)
        for future in done:
            if (error := future.exception()) is not None:
                self._running.remove(future)
                raise error
        self._running -= done
        return [row for future in done for row in future.result()]

    def rest(self) -> list[Delivered]:
        """Wait for everything on its way: the records of the batches that arrived whole."""
        rows: list[Delivered] = []
        while self.busy:
            try:
                rows += self.finished()
            except BrokersyncError:  # the first one told is the one the run ends with
                continue
        return rows
