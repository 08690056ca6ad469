"""A small world for connector tests; its events are what the tests expect back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from simulator.story import Brand, Client, Event, World


def at(text: str) -> int:
    """Milliseconds of ``2026-03-02 08:00`` (UTC)."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def event(when: str, name: str, **data: Any) -> Event:
    """An event of the story."""
    return Event(at(when), name, data)


def world(*clients: Client, now: str = "2026-03-20 00:00") -> World:
    """These clients in two brands, at ``now``."""
    brands = {
        "alpha": Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1001),
        "beta": Brand("beta", "Europe/London", "EUR", "uk", 1002),
    }
    made = World(clients, brands, at("2026-03-01 00:00"))
    made.advance_to(at(now))
    return made


def client(client_id: str, *events: Event, brand: str = "alpha") -> Client:
    """One client with its events."""
    return Client(brand, client_id, list(events))
