"""A simulated CRM in a process of its own, behind real HTTP on loopback; here a HubSpot portal."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from simulator.hubspot import FakeOwner, HubSpotFake
from simulator.loopback import HttpServer
from simulator.portal import OWNERS

TOKEN = "pat-na1-bench"
_FREE = 1_000_000


class _RealTime:
    """The machine's clock as a world's."""

    @property
    def now_ms(self) -> int:
        """Milliseconds that never go back."""
        return time.monotonic_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Really wait."""
        time.sleep(seconds)


class Crm:
    """The parent's end of the CRM's process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()

    def ask(self, *words: Any) -> Any:
        """The process's answer to an order."""
        self._pipe.send(words)
        return self._pipe.recv()

    def limit(self, calls: int = _FREE, latency_s: float = 0.0) -> None:
        """Calls per 10 s from now on, and the real time each answer takes."""
        self.ask("limit", calls, latency_s)

    def stats(self) -> dict[str, Any]:
        """Calls by route, 429s and writes so far."""
        found: dict[str, Any] = self.ask("stats")
        return found

    def keep(self) -> None:
        """Remember every write from now on."""
        self.ask("keep")

    def written(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """(object, record id, names of properties written) since :meth:`keep`."""
        found: list[tuple[str, str, tuple[str, ...]]] = self.ask("written")
        return found

    def stop(self) -> None:
        """End the process."""
        self._pipe.send(("stop",))


def _serve(pipe: Connection) -> None:
    owners = [
        FakeOwner(o.id, o.email, o.first_name, o.last_name, o.kind, o.archived) for o in OWNERS
    ]
    fake = HubSpotFake(_RealTime(), access_token=TOKEN, owners=owners, burst=_FREE)
    server = HttpServer(fake)
    pipe.send(server.url)
    while (words := pipe.recv())[0] != "stop":
        pipe.send(_answer(fake, words))
    server.close()


def _answer(fake: HubSpotFake, words: tuple[Any, ...]) -> Any:
    match words:
        case ("limit", calls, latency_s):
            fake.limiter.burst, fake.latency_s = calls, latency_s
        case ("keep",):
            fake.written.clear()
            fake.portal.keep_written = True
        case ("stats",):
            return fake.stats()
        case ("written",):
            return [(w.object, w.crm_id, tuple(sorted(w.properties))) for w in fake.written]
    return None


@contextmanager
def portal() -> Iterator[Crm]:
    """A portal without limits or latency, until told otherwise."""
    with process(_serve) as crm:
        yield crm


@contextmanager
def process(serve: Callable[[Connection], None]) -> Iterator[Crm]:
    """A CRM in a process of its own.

    Args:
        serve: sends the CRM's URL, then answers orders until ``("stop",)``.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    crm = Crm(ours)
    try:
        yield crm
    finally:
        crm.stop()
        child.join(10)
        if child.is_alive():
            child.kill()
