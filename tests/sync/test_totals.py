"""Money reconciles: by client and currency to the minor unit, and in the CRM by the day's rates.

The world's side is summed from its events here, in plain Python.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, Client, World, ordered
from simulator.truth import contacts
from state import schema
from tests.rig import ALL, rig

CLIENTS = 400
DIGITS = {"JPY": 0, "KWD": 3}
Totals = dict[tuple[str, str, str], Decimal]
"""(client key, currency, what) -> amount."""


def told(world: World, at: int) -> Totals:
    """What the story says happened to each client's money, by the newest status of each payment."""
    found: Totals = defaultdict(Decimal)
    for client in world.clients.values():
        owner = _owner(world, client, at)
        status: dict[str, str] = {}
        money: dict[str, tuple[Decimal, str]] = {}
        for event in ordered(client.visible(at)):
            kind, _, what = event.name.partition("_")
            data = event.data
            if kind in ("deposit", "withdrawal"):
                status[data["payment"]] = event.name
                if "amount" in data:
                    money[data["payment"]] = Decimal(data["amount"]), data["currency"]
            elif event.name == "refunded":
                found[owner, data["currency"], "refund"] += Decimal(data["amount"])
            elif event.name == "chargeback_opened":
                found[owner, data["currency"], "dispute"] += Decimal(data["amount"])
            elif event.name == "chargeback_won":
                amount, currency = money[data["payment"]]
                found[owner, currency, "dispute"] -= Decimal(data.get("amount", amount))
            elif event.name == "ledger_wire":
                what = "deposit" if Decimal(data["amount"]) > 0 else "withdrawal"
                found[owner, data["currency"], what] += abs(Decimal(data["amount"]))
        for payment, last in status.items():
            amount, currency = money[payment]
            if last in ("deposit_succeeded", "withdrawal_paid"):
                found[owner, currency, last.partition("_")[0]] += amount
    return {key: amount for key, amount in found.items() if amount}


def _owner(world: World, client: Client, at: int) -> str:
    """The client, or whom it was merged into."""
    into = [e.data["into"] for e in client.visible(at) if e.name == "merged"]
    return _owner(world, world.clients[f"{client.brand}:{into[0]}"], at) if into else client.key


def booked(database: str) -> Totals:
    """The hub's records, summed the same way."""
    p, m = schema.payment, schema.movement
    found: Totals = defaultdict(Decimal)
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        paid = sa.select(p.c.brand, p.c.client_id, p.c.currency, p.c.direction, p.c.amount_minor)
        settled = p.c.status.in_(["succeeded", "paid"])
        for brand, client, currency, what, minor in connection.execute(paid.where(settled)):
            found[f"{brand}:{client}", currency, what] += _major(minor, currency)
        moved = sa.select(m.c.brand, m.c.client_id, m.c.currency, m.c.movement, m.c.amount_minor)
        for brand, client, currency, what, minor in connection.execute(moved):
            if what in ("refund", "chargeback_opened"):
                name, sign = ("refund" if what == "refund" else "dispute"), 1
            elif what == "chargeback_won":
                name, sign = "dispute", -1
            else:
                continue
            found[f"{brand}:{client}", currency, name] += sign * _major(minor, currency)
    return {key: amount for key, amount in found.items() if amount}


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-DIGITS.get(currency, 2))


def test_by_client_and_currency_to_the_minor_unit(database_url: str, tmp_path: Path) -> None:
    world = grow(31, CLIENTS, 60)
    at = world.start_ms + 58 * DAY_MS
    one = rig(world, database_url, tmp_path, live_from=at, families=ALL)
    one.advance_to(at - HOUR_MS)
    hub = one.hub()
    one.advance_to(at)
    one.sync(hub)
    hub.close()
    expected, actual = told(world, at), booked(database_url)
    differing = {k: (expected.get(k), actual.get(k)) for k in expected.keys() | actual.keys()
                 if expected.get(k) != actual.get(k)}  # fmt: skip
    assert differing == {}
    assert {what for _, _, what in expected} == {"deposit", "withdrawal", "refund", "dispute"}
    assert {currency for _, currency, _ in expected} >= {"USD", "EUR", "GBP", "JPY", "KWD"}
    _check_crm(one, world, at, expected)


def _check_crm(one: Any, world: World, at: int, expected: Totals) -> None:
    """A total that needs a rate nobody has is blank, never a part and never 0."""
    shown = one.portal.contacts("broker_client_id")
    blank = complete = 0
    for group in contacts(world, at):
        key, contact = group.primary, shown.get(group.primary)
        if contact is None:
            continue
        base = world.brands[key.split(":")[0]].base_currency
        mine = {(c, w): a for (k, c, w), a in expected.items() if k == key}
        if any(what == "dispute" or what == "refund" for _, what in mine):
            continue  # a deposit taken back in part or whole counts by its own rules: see the truth
        for what, name in (("deposit", "total_deposit_amount"),
                           ("withdrawal", "total_withdrawal_amount")):  # fmt: skip
            currencies = {c for c, w in mine if w == what}
            rated = {c for c in currencies if c == base or (base, c) in world.rates}
            value = contact.get(f"brokerage_{name}")
            if currencies - rated:
                assert not value, (key, name, value)
                blank += 1
            elif currencies <= {base}:
                assert Decimal(value or 0) == mine.get((base, what), Decimal(0)), (key, name)
                complete += bool(currencies)
    assert blank > 3
    assert complete > 30
