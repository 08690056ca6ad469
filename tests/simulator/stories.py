"""Hand-written clients of one brand, and what the oracle makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.story import Brand, Client, Event, Partner, World, ordered
from simulator.truth import SOURCES, Profile, profile

ALPHA = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980)
RATES = {("USD", "EUR"): "1.10", ("USD", "JPY"): "0.0067"}  # KWD has none
LOGIN = 70_000_001


def at(text: str) -> int:
    """Milliseconds of ``2026-03-02 08:00``, with seconds and fractions as needed (UTC)."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // _MS


_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def event(when: str, name: str, **data: Any) -> Event:
    """An event of the story, seen at once."""
    return Event(at(when), name, data)


def deposit(when: str, payment: str, amount: str, currency: str = "USD", **data: Any) -> Event:
    """A deposit that goes through."""
    more = {"payment": payment, "amount": amount, "currency": currency, "method": "card"}
    return event(when, "deposit_succeeded", **more, **data)


def withdrawal(when: str, step: str, payment: str, amount: str = "100.00", **data: Any) -> Event:
    """A step of a withdrawal."""
    more = {"payment": payment, "amount": amount, "currency": "USD"}
    return event(when, f"withdrawal_{step}", **more, **data)


def account(
    when: str, login: int = LOGIN, currency: str = "USD", group: str = "real\\std"
) -> Event:
    """A trading account."""
    return event(when, "account_opened", login=login, group=group, currency=currency, leverage=100)


def trade(when: str, login: int = LOGIN, closed: str = "", **data: Any) -> Event:
    """A trade; it closes at once, or when told."""
    if closed:
        data["closed_at"] = at(closed)
    more = {"login": login, "group": "fx", "lots": "0.10", "profit": "1.00"}
    return event(when, "traded", **more, **data)


def booking(when: str, kind: str, amount: str, currency: str = "USD", login: int = LOGIN) -> Event:
    """A booking on the account."""
    return event(when, f"ledger_{kind}", login=login, amount=amount, currency=currency)


def client(*events: Event, id: str = "1001", **row: Any) -> Client:  # noqa: A002
    """A client registered on 2026-03-01, unless the events say otherwise."""
    told = list(events)
    if not any(e.name == "registered" for e in told):
        told.append(event("2026-03-01 08:00", "registered", **row))
        told = [told[-1], *told[:-1]]
    return Client("alpha", id, ordered(told))


def world(*clients: Client, partners: Sequence[Partner] = ()) -> World:
    """These clients in the one brand."""
    return World(clients, {"alpha": ALPHA}, at("2026-03-01 00:00"), RATES, {"alpha": partners})


def seen(
    when: str | int,
    one: Client,
    *others: Client,
    partners: Sequence[Partner] = (),
    sources: frozenset[str] = SOURCES,
) -> Profile:
    """The client's profile at an instant."""
    instant = at(when) if isinstance(when, str) else when
    found = profile(world(one, *others, partners=partners), one, instant, sources)
    assert found is not None
    return found
