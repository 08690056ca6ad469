"""What the fakes of HTTP vendors share: faults and latency before an answer, and news of the
story."""

from __future__ import annotations

from abc import ABC, abstractmethod

from simulator.faults import Faults
from simulator.story import Client, Event, World
from simulator.wire import Request, Response


class Vendor(ABC):
    """Answers requests.

    Args:
        latency_s: what each answer takes, on the world's clock.
    """

    def __init__(self, world: World, latency_s: float) -> None:
        self.world = world
        self.latency_s = latency_s
        self.faults = Faults()
        self.calls = 0

    def handle(self, request: Request) -> Response:
        """Answer as the vendor would."""
        self.calls += 1
        self.world.sleep(self.latency_s)
        struck = self.faults.strike(self.world)
        return self._answer(request) if struck is None else struck

    @abstractmethod
    def _answer(self, request: Request) -> Response:
        """The answer where no fault strikes."""


class Listing(Vendor):
    """A vendor that keeps rows, made of what became visible of the story."""

    def __init__(self, world: World, latency_s: float) -> None:
        super().__init__(world, latency_s)
        self._upto_ms = -1
        self._cast = -1

    def _fold(self) -> None:
        """Take in what became visible since the last call; all of it anew with a new cast."""
        if len(self.world.clients) != self._cast:
            self._cast, self._upto_ms = len(self.world.clients), -1
            self._forget()
        if self.world.story_ms <= self._upto_ms:
            return
        for client, event in self.world.between(self._upto_ms, self.world.story_ms):
            self._take(client, event)
        self._upto_ms = self.world.story_ms

    @abstractmethod
    def _forget(self) -> None:
        """Drop all rows."""

    @abstractmethod
    def _take(self, client: Client, event: Event) -> None:
        """Take in one event, of any brand."""
