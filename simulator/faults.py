"""Faults a fake vendor can be told to show, shared by the HTTP fakes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from simulator.story import World
from simulator.wire import Response


@dataclass(slots=True)
class Faults:
    """Switches of one fake.

    Args:
        fail_next: HTTP statuses of the next answers, one each.
        retry_after: the Retry-After header of those.
        drop_next: how many requests are dropped without an answer.
        garbage: every answer is a page of HTML.
        wrong_shape: every answer is JSON of another shape than documented.
        pad_bytes: blanks put behind every answer (JSON allows them).
        slow_s: seconds every answer takes longer.
    """

    fail_next: list[int] = field(default_factory=list)
    retry_after: str = ""
    drop_next: int = 0
    garbage: bool = False
    wrong_shape: bool = False
    pad_bytes: int = 0
    slow_s: float = 0.0

    def strike(self, world: World) -> Response | None:
        """The faulty answer to a request, or None."""
        if self.slow_s:
            world.sleep(self.slow_s)
        if self.drop_next:
            self.drop_next -= 1
            return Response(0, drop=True)
        if self.fail_next:
            headers = {"retry-after": self.retry_after} if self.retry_after else {}
            body = {"description": "simulated", "error": "simulated"}
            return Response.json(self.fail_next.pop(0), body, headers)
        if self.garbage:
            page = b"<html><body>Maintenance</body></html>"
            return Response(200, page, {"content-type": "text/html"})
        if self.wrong_shape:
            return Response.json(200, {"unexpected": True})
        return None

    def padded(self, response: Response) -> Response:
        """``response`` with the ordered padding."""
        if not self.pad_bytes:
            return response
        return Response(response.status, response.body + b" " * self.pad_bytes, response.headers)


class Ordered(Protocol):
    """A fault for one call."""

    @property
    def path(self) -> str:
        """Only for calls whose path contains this."""


F = TypeVar("F", bound=Ordered)


class Queue(Generic[F]):
    """Faults waiting for their call, in order: how the CRMs' fakes are told what to show."""

    def __init__(self) -> None:
        self._waiting: list[F | None] = []

    def add(self, faults: Iterable[F | None]) -> None:
        """Queue faults; None lets one call pass."""
        self._waiting.extend(faults)

    def clear(self) -> None:
        """Forget what is queued."""
        self._waiting.clear()

    def take(self, path: str) -> F | None:
        """The fault for a call of ``path``, if one is due: the first whose ``path`` matches."""
        for index, fault in enumerate(self._waiting):
            if fault is None or fault.path in path:
                return self._waiting.pop(index)
        return None
