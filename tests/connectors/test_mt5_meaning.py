"""What deals and orders mean: wires, fees, what is traded, and which MetaTrader wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from mapping.errors import ConfigError
from mapping.payloads import TradingDay
from mapping.words import Direction, Kind, LedgerKind, PaymentStatus
from simulator.metatrader.tables import Shape
from tests.connectors.mt5_rig import (
    ENGINES,
    SERVER,
    Hub,
    Make,
    Mt5Rig,
    day_id,
    deposit,
    one,
    traded,
    usd,
)
from tests.contracts.source import of
from tests.contracts.world import at, event


def test_a_wire_counts_as_a_payment(make: Make) -> None:
    rig = make(
        one(
            event("2026-03-05 09:00", "ledger_wire", login=1000, amount="900.00", deal="in"),
            event("2026-03-06 09:00", "ledger_wire", login=1000, amount="-40.00", deal="out"),
        )
    )
    hub = Hub().pull(rig.source())
    came, went = hub.of(Kind.PAYMENT).values()
    number = rig.fake.writer.numbers["in"][0]
    assert next(iter(hub.of(Kind.PAYMENT))) == f"ledger:{SERVER}:{number:020}"
    assert (came.direction, came.status) == (Direction.DEPOSIT, PaymentStatus.SUCCEEDED)
    assert (came.amount, came.method, came.psp) == (usd("900.00"), "wire", "ledger")
    assert came.opened_at == came.status_at == at("2026-03-05 09:00")
    assert (went.direction, went.status) == (Direction.WITHDRAWAL, PaymentStatus.PAID)
    assert went.amount == usd("40.00")
    assert {e.entry for e in hub.of(Kind.LEDGER_ENTRY).values()} == {LedgerKind.WIRE}
    # A person corrects the comment: it was no wire. Then the payment is none either.
    rig.happen("C-1", event("2026-03-20 00:00:30", "deal_edited", deal="in", comment="Card"))
    hub.pull(rig.source())
    assert [p.direction for p in hub.of(Kind.PAYMENT).values()] == [Direction.WITHDRAWAL]
    rig.close()


def test_an_unknown_action_is_unknown(lite: Make) -> None:
    rig = lite(one(deposit(action=77), deposit(action=21)))
    entries = Hub().pull(rig.source()).of(Kind.LEDGER_ENTRY).values()
    assert [(e.entry, e.rule) for e in entries] == [
        (LedgerKind.UNKNOWN, "action 77"),
        (LedgerKind.UNKNOWN, "action 21"),
    ]


def test_what_is_traded_is_told_by_path_or_name(make: Make) -> None:
    counts = {"fx": 3, "crypto": 2, "metals": 1, "indices": 1, "shares": 1, "commodities": 1,
              "other": 1}  # fmt: skip
    trades = [traded("2026-03-05 10:00", group=g) for g, n in counts.items() for _ in range(n)]
    rig = make(one(*trades))
    expected = "fx:6,crypto:4,commodities:2,indices:2,metals:2,other:2,shares:2"
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    assert day.groups == expected
    symbols = rig.fake.tables["mt5_symbols"]
    with rig.fake.engine.begin() as connection:
        connection.execute(sa.delete(symbols))
    shares = rig.source(symbol_rules=[{"match": "WIDGET", "group": "shares"}])
    (day,) = Hub().pull(shares).of(Kind.TRADING_DAY).values()
    assert day.groups.endswith("other:2,shares:2")  # the admin's rule goes before the shipped ones
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    # By name alone a share is not known as one, and "US500.cash" still is an index.
    assert day.groups == "fx:6,crypto:4,other:4,commodities:2,indices:2,metals:2"
    rig.close()


def test_the_fee_of_newer_servers_is_a_commission(make: Make) -> None:
    rig = make(one(traded("2026-03-05 10:00", commission="-2.00")), shape=Shape(fee=True))
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    assert day.commission == usd("-2.50")  # the fake's fee is 0.50 for each deal that closes
    rig.close()


def test_mt4_an_order_opens_on_one_day_and_earns_on_another(make: Make) -> None:
    order = traded("2026-03-05 10:00", lots="0.25", profit="8.00", commission="-1.00", swap="-0.20",
                   closed_at=at("2026-03-10 11:00"))  # fmt: skip
    rig = make(one(order), shape=Shape(profile="mt4"), now="2026-03-06 12:00")
    source = rig.source()
    hub = Hub().pull(source)
    (first,) = hub.of(Kind.TRADING_DAY).values()
    account = hub.of(Kind.TRADING_ACCOUNT)[f"{SERVER}:1000"]
    assert (account.currency, account.group, account.leverage) == ("USD", "real\\std", 100)
    opened_at = at("2026-03-05 10:00")
    nothing = usd("0.00")
    assert first == TradingDay(
        "2026-03-05", opened_at, opened_at, 1, 0, 0, nothing, nothing, nothing, "fx:1"
    )
    rig.world.advance_to(at("2026-03-10 12:00"))
    rig.fake.refresh()
    hub.pull(source)
    days = hub.of(Kind.TRADING_DAY)
    assert days[day_id("2026-03-05")] == first
    closed_at = at("2026-03-10 11:00")
    assert days[day_id("2026-03-10")] == TradingDay(
        "2026-03-10", closed_at, closed_at, 0, 1, 2500, usd("8.00"), usd("-1.00"), usd("-0.20"),
        "fx:1",
    )  # fmt: skip
    rig.close()


@pytest.mark.parametrize("upper", [False, True])
def test_the_profile_is_told_by_columns_not_by_names(make: Make, upper: bool) -> None:
    rig = make(one(deposit()), shape=Shape(profile="mt4", upper=upper))
    name = "MT4" if upper else "mt4"
    with rig.fake.engine.begin() as connection:
        for table in ("TRADES", "USERS") if upper else ("trades", "users"):
            old, new = (connection.dialect.identifier_preparer.quote(n)
                        for n in (f"{name}_{table}", f"mt5_{table.lower()}"))  # fmt: skip
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
    hub = Hub().pull(rig.source())
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00")]
    with pytest.raises(ConfigError, match="no MetaTrader export"):
        rig.source(profile="mt5").check()
    rig.close()


def test_every_engine_gives_the_same_records(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found = []
    for engine in ENGINES:
        url = f"sqlite:///{tmp_path / 'same.db'}"
        if engine != "sqlite":
            url = str(request.getfixturevalue(engine))
        for profile in ("mt5", "mt4"):
            rig = Mt5Rig(url, shape=Shape(profile=profile))
            found.append((profile, of(list(rig.source().pull(None)))))
            rig.close()
    for profile in ("mt5", "mt4"):
        lists = [records for name, records in found if name == profile]
        assert len(lists) == 3
        assert len(lists[0]) > 40
        assert lists[0] == lists[1] == lists[2]
