"""The broker's story: clients, what happens to them and when it can be seen, and the world's clock.

Fakes show what has become visible up to :attr:`World.story_ms`; limits, token lifetimes and index
lag run on :attr:`World.now_ms`, which sleeping and vendor latency move on. All times are ms UTC.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``at`` and that vendors show from ``visible_at`` on.

    ``name`` and ``data`` use the vocabulary of ``spec/examples.yaml``: registered,
    profile_updated, disposition, merged, deleted; kyc_started, kyc_submitted, kyc_in_review,
    kyc_awaiting, kyc_rejected, kyc_approved, kyc_reset; deposit_attempted, deposit_pending,
    deposit_review, deposit_authorized, deposit_failed, deposit_cancelled, deposit_succeeded,
    refunded, chargeback_opened, chargeback_won, chargeback_lost; withdrawal_requested,
    withdrawal_approved, withdrawal_rejected, withdrawal_paid, withdrawal_cancelled.
    ``merged`` says ``into``: the surviving client's id in the same brand.
    """

    at: int
    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    visible_at: int = 0

    def __post_init__(self) -> None:
        if not self.visible_at:
            object.__setattr__(self, "visible_at", self.at)


@dataclass(slots=True)
class Client:
    """One client of one brand; ``events`` in the order they happened."""

    brand: str
    id: str
    events: list[Event]

    @property
    def key(self) -> str:
        """``brand:client_id``."""
        return f"{self.brand}:{self.id}"

    def visible(self, until_ms: int) -> list[Event]:
        """The events vendors show at ``until_ms``, in the order they happened."""
        return [e for e in self.events if e.visible_at <= until_ms]


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand as the world needs it."""

    id: str
    zone: str
    base_currency: str
    entity: str
    merchant_id: int


class World:
    """All clients, and the clock.

    Args:
        clients: the cast, with their events for the whole story.
        brands: the brands by id.
        start_ms: the story's first instant.
        rates: units of a brand's base for one unit of the other currency: (base, currency) -> text.
    """

    def __init__(
        self,
        clients: Iterable[Client],
        brands: Mapping[str, Brand],
        start_ms: int,
        rates: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self.clients: dict[str, Client] = {c.key: c for c in clients}
        self.brands = dict(brands)
        self.rates = dict(rates or {})
        self.start_ms = start_ms
        self.story_ms = start_ms
        self.now_ms = start_ms
        self.merges: dict[str, list[str]] = {}
        self._line: list[tuple[int, int, str, Event]] = []
        self._relined()

    def _relined(self) -> None:
        line = [
            (e.visible_at, i, c.key, e)
            for c in self.clients.values()
            for i, e in enumerate(c.events)
        ]
        self._line = sorted(line, key=lambda row: (row[0], row[2], row[1]))
        # Whoever is merged into a client at any time of the story, by the survivor's key.
        self.merges = {}
        for _, _, key, event in self._line:
            if event.name == "merged":
                survivor = f"{self.clients[key].brand}:{event.data['into']}"
                self.merges.setdefault(survivor, []).append(key)

    def add(self, client: Client) -> None:
        """Put one more client into the world (tests do)."""
        self.clients[client.key] = client
        self._relined()

    def between(self, after_ms: int, until_ms: int) -> Iterator[tuple[Client, Event]]:
        """(client, event) that became visible in ``(after_ms, until_ms]``, in that order."""
        lo = bisect.bisect_right(self._line, after_ms, key=lambda row: row[0])
        hi = bisect.bisect_right(self._line, until_ms, key=lambda row: row[0])
        for _, _, key, event in self._line[lo:hi]:
            yield self.clients[key], event

    def advance(self, seconds: float) -> None:
        """Let the story go on: vendors show what happens up to the new instant."""
        self.story_ms += round(seconds * 1000)
        self.now_ms = max(self.now_ms, self.story_ms)

    def advance_to(self, instant_ms: int) -> None:
        """Let the story go on to an instant (never back)."""
        self.story_ms = max(self.story_ms, instant_ms)
        self.now_ms = max(self.now_ms, self.story_ms)

    def sleep(self, seconds: float) -> None:
        """Let only the clock go on: somebody waited, or a vendor took its time."""
        self.now_ms += max(0, round(seconds * 1000))


def ordered(events: Sequence[Event]) -> list[Event]:
    """Events by time of happening, ties in the order given."""
    return sorted(events, key=lambda e: e.at)
