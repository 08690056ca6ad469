"""The traps of MetaTrader's export, one test each, on the engines a broker may have."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy import event as sa_event

from connectors.mt5_sql.settings import Mt5SqlSettings
from mapping.errors import ConfigError
from mapping.money import Money
from mapping.records import Ref
from mapping.words import AccountClass, Kind, LedgerKind
from simulator.metatrader.clock import ZERO
from simulator.metatrader.tables import Shape
from simulator.story import Event
from tests.connectors.mt5_rig import (
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
from tests.contracts.world import at, client, event


def test_01_server_time_is_not_utc(make: Make) -> None:
    rig = make(one(deposit("2026-03-03 22:30"), traded("2026-03-03 22:30")))
    hub = Hub().pull(rig.source())
    (entry,) = hub.of(Kind.LEDGER_ENTRY).values()
    assert entry.at == at("2026-03-03 22:30")  # the column says 2026-03-04 00:30
    (account,) = [a for i, a in hub.of(Kind.TRADING_ACCOUNT).items() if i == f"{SERVER}:1000"]
    assert account.registered_at == at("2026-03-02 08:00")
    (day,) = hub.of(Kind.TRADING_DAY).values()
    assert (day.day, day.first_at) == ("2026-03-04", at("2026-03-03 22:30"))
    rig.close()


def test_03_zero_dates_are_no_dates(make: Make) -> None:
    rig = make(one(deposit(deal="a"), deposit("2026-03-06 09:00", deal="b")))
    users = rig.fake.tables["mt5_users"]
    zero = None if "postgresql" in rig.url else ZERO
    with rig.fake.engine.begin() as connection:
        connection.execute(sa.update(users).values(Registration=zero))
    bad = rig.fake.writer.numbers["a"][0]
    rig.execute("Time", zero, bad)
    hub = Hub().pull(rig.source())
    assert {a.registered_at for a in hub.of(Kind.TRADING_ACCOUNT).values()} == {None}
    assert list(hub.of(Kind.LEDGER_ENTRY)) == [f"{SERVER}:{bad + 1:020}"]
    assert "'time' is missing" in hub.rejects[f"{SERVER}:{bad:020}"]
    rig.close()


def test_04_the_version_is_the_filetime_in_milliseconds(make: Make) -> None:
    late = Event(at("2026-03-05 09:00"), "ledger_deposit", {"login": 1000, "amount": "1.00"},
                 at("2026-03-05 09:07"))  # fmt: skip
    rig = make(one(late))
    (record,) = [r for r in of(list(rig.source().pull(None))) if r.kind is Kind.LEDGER_ENTRY]
    assert (record.version_at, record.polled) == (at("2026-03-05 09:07"), False)
    assert record.payload.at == at("2026-03-05 09:00")  # type: ignore[union-attr]
    rig.close()


def test_05_bookings_are_no_trades(make: Make) -> None:
    every = "deposit withdrawal credit charge correction bonus rebate interest tax"
    names = every.split()
    events = [event("2026-03-05 09:00", f"ledger_{n}", login=1000, amount="5.00") for n in names]
    cancelled = [deposit(action=13), deposit(action=14)]
    rig = make(one(*events, *cancelled))
    hub = Hub().pull(rig.source())
    assert hub.of(Kind.TRADING_DAY) == {}
    kinds = [e.entry for e in hub.of(Kind.LEDGER_ENTRY).values()]
    assert kinds == [LedgerKind(n) for n in names]
    rig.close()


def test_06_a_deal_in_two_tables_counts_once(make: Make) -> None:
    rig = make(one(deposit(deal="in"), traded("2026-03-05 10:00", profit="10.00", lots="0.30")))
    for shape in (Shape(), Shape(yearly=())):
        kept = Mt5Rig(rig.url, one(deposit(), traded("2026-03-05 10:00", profit="10.00",
                                                     lots="0.30")), shape=shape)  # fmt: skip
        hub = Hub().pull(kept.source())
        (day,) = hub.of(Kind.TRADING_DAY).values()
        assert (day.opened, day.closed, day.lots, day.profit) == (1, 1, 3000, usd("10.00"))
        assert len(hub.of(Kind.LEDGER_ENTRY)) == 1
        kept.close()


def test_06_of_two_copies_the_newer_counts_and_either_table_may_be_alone(make: Make) -> None:
    story = one(traded("2026-03-05 10:00", profit="10.00", deal="t"), deposit(deal="d"))
    rig = make(story)
    closing = rig.fake.writer.numbers["t"][1]
    # The undated table was not written again; the yearly one was.
    rig.execute("Profit", 77.0, closing, only="mt5_deals_2026")
    rig.execute("Timestamp", 134_170_000_000_000_000, closing, only="mt5_deals")
    booking = rig.fake.tables["mt5_deals"]
    with rig.fake.engine.begin() as connection:
        number = rig.fake.writer.numbers["d"][0]
        connection.execute(sa.delete(booking).where(booking.c.Deal == number))
    hub = Hub().pull(rig.source())
    (day,) = hub.of(Kind.TRADING_DAY).values()
    assert day.profit == usd("77.00")
    assert len(hub.of(Kind.LEDGER_ENTRY)) == 1
    rig.close()


@pytest.mark.parametrize("extended", [True, False])
def test_07_volumes_are_scaled_and_never_mixed(make: Make, extended: bool) -> None:
    shape = Shape(extended=extended)
    rig = make(
        one(traded("2026-03-05 10:00", lots="1.00", deal="old"),
            traded("2026-03-05 11:00", lots="0.01")),
        shape=shape,
    )  # fmt: skip
    if extended:  # rows that an older server wrote have the coarse column alone
        for number in rig.fake.writer.numbers["old"]:
            rig.execute("VolumeExt", 0, number)
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    assert day.lots == 10_100
    rig.close()


def test_07_a_reversal_closes_and_opens(make: Make) -> None:
    rig = make(one(traded("2026-03-05 10:00", lots="0.50", deal="t")))
    reversal = rig.fake.writer.numbers["t"][1]
    for column, value in (("Entry", 2), ("VolumeClosed", 2000), ("VolumeClosedExt", 20_000_000)):
        rig.execute(column, value, reversal)
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    assert (day.opened, day.closed, day.lots) == (2, 1, 2000)
    rig.close()


def test_08_cents_are_no_dollars(make: Make) -> None:
    opened = event("2026-03-02 08:00", "account_opened", login=2000, group="real\\CENT\\a",
                   currency="USC")  # fmt: skip
    rig = make(
        client(
            "C-2", opened,
            event("2026-03-05 09:00", "ledger_deposit", login=2000, amount="10050.00"),
            event("2026-03-05 10:00", "traded", login=2000, profit="-123.45", commission="-10.50"),
        )
    )  # fmt: skip
    hub = Hub().pull(rig.source())
    (entry,), (day,) = hub.of(Kind.LEDGER_ENTRY).values(), hub.of(Kind.TRADING_DAY).values()
    assert entry.amount == usd("100.50")
    assert day.profit == usd("-1.23")  # -1.2345, to the cent
    assert day.commission == usd("-0.10")  # -0.105: half to even
    (held,) = hub.of(Kind.BALANCE).values()
    assert held.balance == usd("99.16")  # 9916.05
    account = hub.of(Kind.TRADING_ACCOUNT)[f"{SERVER}:2000"]
    assert (account.account_class, account.currency) == (AccountClass.CENT, "USD")
    rig.close()


def test_09_demo_manager_and_coverage_accounts_count_for_nothing(make: Make) -> None:
    rig = make(one(deposit()))  # the fake's demo and manager accounts trade and hold 10,000 each
    hub = Hub().pull(rig.source())
    classes = {i: a.account_class for i, a in hub.of(Kind.TRADING_ACCOUNT).items()}
    assert classes == {
        f"{SERVER}:1000": AccountClass.REAL,
        f"{SERVER}:900001": AccountClass.DEMO,
        f"{SERVER}:900002": AccountClass.INTERNAL,
        f"{SERVER}:900003": AccountClass.COVERAGE,
        f"{SERVER}:900004": AccountClass.LEAD,
    }
    assert hub.of(Kind.TRADING_DAY) == {}
    assert {p.amount for p in hub.of(Kind.LEDGER_ENTRY).values()} == {usd("500.00")}
    assert list(hub.of(Kind.BALANCE)) == [f"{SERVER}:1000"]
    rig.close()


def test_09_a_group_no_rule_knows_is_shown_and_goes_once_it_is_classified(make: Make) -> None:
    odd = event("2026-03-02 08:00", "account_opened", login=1000, group="vip\\gold", currency="USD")
    rig = make(client("C-1", odd, deposit(), traded("2026-03-05 10:00")))
    hub = Hub().pull(rig.source())
    assert hub.of(Kind.TRADING_ACCOUNT)[f"{SERVER}:1000"].account_class is AccountClass.UNCLASSIFIED
    assert not hub.of(Kind.LEDGER_ENTRY)
    assert not hub.of(Kind.TRADING_DAY)
    ((name, reason),) = hub.rejects.items()
    assert name.startswith("group:")
    assert "'vip\\\\gold'" in reason
    assert "group_rules" in reason
    rules = [{"match": "vip\\*", "class": "real"}, {"match": "*", "class": "internal"}]
    hub.pull(rig.source(group_rules=rules))  # what was passed over is read now
    assert hub.rejects == {}
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00")]
    assert list(hub.of(Kind.TRADING_DAY)) == [day_id("2026-03-05")]
    rig.close()


def test_10_reasons_are_the_servers_numbers(lite: Make) -> None:
    rig = lite(one(deposit(deal="web"), deposit("2026-03-06 09:00", deal="dealer")))
    rig.execute("Reason", 17, rig.fake.writer.numbers["web"][0])
    rig.execute("Reason", 2, rig.fake.writer.numbers["dealer"][0])
    rules = [
        {"kind": "correction", "reason": 2, "name": "by a dealer"},
        {"kind": "deposit", "reason": 17, "name": "by the web"},
    ]
    entries = Hub().pull(rig.source(ledger_rules=rules)).of(Kind.LEDGER_ENTRY).values()
    assert [(e.entry, e.rule) for e in entries] == [
        (LedgerKind.DEPOSIT, "by the web"),
        (LedgerKind.CORRECTION, "by a dealer"),
    ]


def test_11_transfers_and_rebates_are_told_from_deposits_by_rules(make: Make) -> None:
    rig = make(
        one(
            deposit(comment="Transfer from 2000"), deposit(comment="REBATE March"),
            deposit(comment="Card 4711"), deposit(comment="Transfer to 2000", amount="-20.00"),
        )
    )  # fmt: skip
    rules = [
        {"kind": "transfer", "action": 2, "comment": "^transfer (from|to)", "name": "transfers"},
        {"kind": "rebate", "action": 2, "sign": "+", "comment": "rebate"},
    ]
    entries = Hub().pull(rig.source(ledger_rules=rules)).of(Kind.LEDGER_ENTRY).values()
    assert [(e.entry, e.rule, e.amount) for e in entries] == [
        (LedgerKind.TRANSFER, "transfers", usd("500.00")),
        (LedgerKind.REBATE, "ledger_rules[1]", usd("500.00")),
        (LedgerKind.DEPOSIT, "action 2 +", usd("500.00")),
        (LedgerKind.TRANSFER, "transfers", usd("-20.00")),
    ]
    rig.close()


def test_12_a_positive_correction_is_no_deposit(make: Make) -> None:
    rig = make(one(event("2026-03-05 09:00", "ledger_correction", login=1000, amount="70.00")))
    (entry,) = Hub().pull(rig.source()).of(Kind.LEDGER_ENTRY).values()
    assert (entry.entry, entry.amount) == (LedgerKind.CORRECTION, usd("70.00"))
    rig.close()


def test_13_money_that_comes_back_from_a_failed_withdrawal_is_no_deposit(make: Make) -> None:
    rig = make(
        one(
            event("2026-03-05 09:00", "ledger_withdrawal", login=1000, amount="80.00"),
            deposit("2026-03-06 09:00", "80.00", comment="Payout returned #17"),
        )
    )
    rules = [{"kind": "withdrawal", "sign": "+", "comment": "payout returned", "name": "returned"}]
    entries = Hub().pull(rig.source(ledger_rules=rules)).of(Kind.LEDGER_ENTRY).values()
    assert [(e.entry, e.amount) for e in entries] == [
        (LedgerKind.WITHDRAWAL, usd("-80.00")),
        (LedgerKind.WITHDRAWAL, usd("80.00")),
    ]
    rig.close()


def test_14_a_deleted_account_keeps_what_was_known_of_it(make: Make) -> None:
    rig = make(one(deposit("2026-03-19 09:00"), traded("2026-03-19 10:00")))
    with rig.fake.engine.begin() as connection:
        connection.execute(sa.delete(rig.fake.tables["mt5_daily"]))
    source = rig.source()
    hub = Hub().pull(source)
    before = dict(hub.known)
    gone = event("2026-03-20 08:00", "account_deleted", login=1000)
    rig.happen("C-1", gone, seconds=30 * 3600)  # past the server's midnight: days are read whole
    hub.pull(source)
    for kind in (Kind.TRADING_DAY, Kind.LEDGER_ENTRY, Kind.TRADING_ACCOUNT):
        assert hub.of(kind) == {k[1]: r.payload for k, r in sorted(before.items()) if k[0] is kind}
    assert "deleted" in hub.rejects[f"{SERVER}:1000"]
    quiet = Hub().pull(rig.source(report_deleted=False))
    assert quiet.rejects == {}
    assert quiet.of(Kind.LEDGER_ENTRY) == {}
    rig.close()


def test_14_daily_reports_tell_what_a_deleted_account_was(make: Make) -> None:
    rig = make(one(deposit(), traded("2026-03-05 10:00", profit="7.00"),
                   event("2026-03-06 08:00", "account_deleted", login=1000)))  # fmt: skip
    hub = Hub().pull(rig.source())
    assert [d.profit for d in hub.of(Kind.TRADING_DAY).values()] == [usd("7.00")]
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00")]
    assert hub.rejects == {}
    rig.close()


def test_27_a_cut_email_links_nobody(make: Make) -> None:
    whole, long = "a" * 31 + "@example.invalid", "b" * 40 + "@example.invalid"
    assert (len(whole), len(long)) == (47, 56)
    clients = [
        client(name, event("2026-03-01 08:00", "registered", email=mail),
               event("2026-03-02 08:00", "account_opened", login=login, currency="USD"))
        for name, mail, login in (("C-1", whole, 1001), ("C-2", long, 1002))
    ]  # fmt: skip
    rig = make(*clients, shape=Shape(profile="mt4"), others=False)
    source = rig.source(client_column="", link_by_email=True)
    refs = {r.external_id: r.ref for r in of(list(source.pull(None)))
            if r.kind is Kind.TRADING_ACCOUNT}  # fmt: skip
    assert refs == {
        f"{SERVER}:1001": Ref(whole, "email"),
        f"{SERVER}:1002": Ref(f"{SERVER}:1002", "login"),
    }
    rig.close()


def test_28_the_server_is_part_of_every_id_and_must_be_named(lite: Make) -> None:
    with pytest.raises(ValidationError, match="server"):
        Mt5SqlSettings.model_validate({"url": "sqlite:///x", "client_column": "ID"})
    rig = lite(one(deposit(), traded("2026-03-05 10:00")), others=False)
    records = of(list(rig.source(server="live2").pull(None)))
    assert {r.ref.value for r in records if r.ref.kind == "login"} == {"live2:1000"}
    assert all("live2:" in r.external_id for r in records)


def test_29_amounts_are_in_the_accounts_currency(make: Make) -> None:
    euro = event("2026-03-02 08:00", "account_opened", login=1001, group="real\\eur",
                 currency="EUR")  # fmt: skip
    yen = event("2026-03-02 08:00", "account_opened", login=1002, group="real\\jpy", currency="JPY")
    rig = make(
        client("C-1", euro, event("2026-03-05 10:00", "traded", login=1001, profit="7.00")),
        client("C-2", yen, event("2026-03-05 10:00", "ledger_deposit", login=1002, amount="5000")),
    )
    hub = Hub().pull(rig.source())
    assert [d.profit for d in hub.of(Kind.TRADING_DAY).values()] == [Money(700, "EUR")]
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [Money(5000, "JPY")]
    rig.close()


def test_29_where_groups_tell_no_currency_a_setting_does(make: Make) -> None:
    rig = make(one(deposit()), shape=Shape(currency=False))
    for method in (lambda s: s.check(), lambda s: list(s.pull(None))):
        with pytest.raises(ConfigError, match="set currency or currency_by_group"):
            method(rig.source())
    by_group = rig.source(currency="EUR", currency_by_group={"real\\*": "GBP"})
    (entry,) = Hub().pull(by_group).of(Kind.LEDGER_ENTRY).values()
    assert entry.amount == Money(50_000, "GBP")
    (entry,) = Hub().pull(rig.source(currency="EUR")).of(Kind.LEDGER_ENTRY).values()
    assert entry.amount == Money(50_000, "EUR")
    rig.close()


@pytest.mark.parametrize("profile", ["mt5", "mt4"])
def test_30_personal_columns_are_never_selected(make: Make, profile: str) -> None:
    rig = make(one(deposit(), traded("2026-03-05 10:00")), shape=Shape(profile=profile))
    source = rig.source(ledger_rules=[])
    statements: list[str] = []

    def seen(_c: object, _k: object, statement: str, *_: object) -> None:
        statements.append(statement.lower())

    sa_event.listen(source._database._engine, "before_cursor_execute", seen)
    source.check()
    pages = list(source.pull(None))
    list(source.pull(pages[-1].cursor))
    plain = [s.replace('"', "").replace("`", "") for s in statements]
    ours = [s for s in plain if "from mt" in s]
    assert len(ours) > 10
    assert not [s for s in ours if "*" in s.replace("count(*)", "").replace(" * ", "")]
    words = "lastip phonepassword password_phone address email phone country comment"
    for word in words.split():
        assert not [s for s in ours if f".{word}" in s], word
    raw = "".join(r.raw for r in of(pages))
    for private in ("Private", "private", "203.0.113.7", "+357"):
        assert private not in raw
    rig.close()


@pytest.mark.parametrize("column", ["LastIP", "phonepassword", "Address", "Name", "clients.Phone"])
def test_30_a_personal_column_is_no_client_id(column: str) -> None:
    values = {"url": "sqlite:///x", "server": "live1", "client_column": column}
    with pytest.raises(ValidationError, match="personal"):
        Mt5SqlSettings.model_validate(values)
