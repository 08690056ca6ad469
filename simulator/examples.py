"""Reads the hand-written clients of the specification as worlds and expectations.

The page names payments P1, W1; the PSP knows digits only, so they become numbers here, in the
page's order. What a vendor row must have and the page leaves out (a refund's own number, the
amount of a dispute that is won, the trading account on which something is traded or booked) is
filled in the plainest way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from simulator.server_clock import server_day
from simulator.story import Brand, Client, Event, World, ordered

HUB_SOURCES = frozenset({"registry", "kyc", "psp", "trading", "ledger", "affiliate", "helpdesk"})
_FIRST_LOGIN = 70_000_000
_BRANDS = {"alpha": Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980)}
_MOVEMENTS = ("refunded", "chargeback_opened", "chargeback_won", "chargeback_lost")


@dataclass(frozen=True, slots=True)
class Example:
    """One example. Expectations keep the page's keys; instants are ms, dates ISO text.

    A field expected to be blank is None. ``modes`` names every state with its mode.
    """

    id: str
    title: str
    sources: tuple[str, ...]
    brand: Brand
    clients: list[Client]
    expectations: list[dict[str, Any]]
    live_from: int
    modes: Mapping[str, str]
    rates: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def runnable(self) -> bool:
        """Whether it needs no other family than those that there are connectors for."""
        return set(self.sources) <= HUB_SOURCES

    @property
    def start_ms(self) -> int:
        """The first instant of its story."""
        return min(event.at for client in self.clients for event in client.events)

    def world(self) -> World:
        """A world of its own, at the start of the story."""
        return World(self.clients, {self.brand.id: self.brand}, self.start_ms, self.rates)


def load(path: Path) -> list[Example]:
    """All examples of the file, in its order."""
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = page["defaults"]
    return [_example(n, row, defaults) for n, row in enumerate(page["clients"], start=1)]


def _example(number: int, row: dict[str, Any], defaults: dict[str, Any]) -> Example:
    brand = _BRANDS[defaults["brand"]]
    rates = {("USD", currency): rate for currency, rate in defaults["rates_to_USD"].items()}
    others = defaults["modes"]["others"]
    named = {state: mode for state, mode in defaults["modes"].items() if state != "others"}
    return Example(
        id=row["id"],
        title=row["title"],
        sources=tuple(row.get("sources", defaults["sources"])),
        brand=brand,
        clients=_clients(number, row["story"], brand.id),
        expectations=[_plain(expectation) for expectation in row["expect"]],
        live_from=_ms(defaults["live_from"]),
        modes={f"CS{n}": named.get(f"CS{n}", others) for n in range(1, 17)},
        rates=rates,
    )


def _clients(number: int, story: list[list[Any]], brand: str) -> list[Client]:
    events: dict[str, list[Event]] = {}
    names: dict[str, str] = {}
    disputed: dict[str, dict[str, Any]] = {}
    for at, name, payload in story:
        data = dict(payload)
        client = data.pop("client", str(1000 + number))
        seen = data.pop("ingested_at", None)
        if "payment" in data:
            known = names.setdefault(data["payment"], str(100_000 + 100 * number + len(names)))
            data["payment"] = known
        if name in _MOVEMENTS:
            if name == "chargeback_opened":
                disputed[data["payment"]] = data
            money = disputed.get(data["payment"], {})
            data = {k: v for k, v in money.items() if k in ("amount", "currency")} | data
            data["id"] = str(200_000 + 100 * number + len(events.get(client, [])))
        told = events.setdefault(client, [])
        login = data.pop("login", _FIRST_LOGIN + number)
        if name == "traded" or name.startswith("ledger_"):
            data["login"] = login
            _check_day(data.pop("day", None), _ms(at))
            if not any(e.name == "account_opened" for e in told):
                told.append(_account(login, told[0].at, data.get("currency", "USD")))
        told.append(Event(_ms(at), name, data, 0 if seen is None else _ms(seen)))
    return [Client(brand, key, ordered(found)) for key, found in events.items()]


def _account(login: int, registered: int, currency: str) -> Event:
    data = {"group": "real\\std", "currency": currency, "leverage": 100}
    return Event(registered + 60_000, "account_opened", {"login": login, **data})


def _check_day(day: date | None, at: int) -> None:
    """The page's trading days are those of the server's clock, which the instant tells."""
    if day is not None and day.toordinal() - date(1970, 1, 1).toordinal() != server_day(at):
        raise ValueError(f"the page's day {day} is not the server's at {at}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return _ms(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def _ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
