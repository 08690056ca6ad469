"""What happens upstream afterwards: edits, moves, deletions, late rows, with an index and without.

After each pull the hub must hold what the export holds now: the same as a hub that begins anew.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.mt5_sql.server_time import to_filetime
from connectors.mt5_sql.source import Mt5SqlSource
from mapping.money import Money
from mapping.words import Kind
from simulator.metatrader.tables import Shape
from simulator.story import Event
from tests.connectors.mt5_rig import SERVER, Hub, Make, Mt5Rig, day_id, deposit, one, traded, usd
from tests.contracts.source import of
from tests.contracts.world import at, client, event

SHAPES = [
    Shape(),
    Shape(indexed=False),
    Shape(indexed=False, yearly=(), clients=False, extended=False),
    Shape(profile="mt4"),
]
NIGHT_S = 24 * 3600


def contents(hub: Hub) -> dict[tuple[Kind, str], Any]:
    """What a hub holds, but balances (read hourly) and when rows were read."""
    return {key: r.payload for key, r in hub.known.items() if key[0] is not Kind.BALANCE}


def same(hub: Hub, source: Any) -> None:
    """The hub holds what one that begins anew would."""
    assert contents(hub) == contents(Hub().pull(source))


@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_15_a_deal_edited_afterwards(make: Make, shape: Shape) -> None:
    rig = make(
        one(traded("2026-03-10 10:00", profit="10.00", lots="0.10", deal="a"),
            traded("2026-03-10 11:00", profit="1.00", lots="0.20"), deposit(deal="d")),
        shape=shape,
    )  # fmt: skip
    source = rig.source()
    hub = Hub().pull(source)
    rig.happen(
        "C-1",
        event("2026-03-20 00:00:20", "deal_edited", deal="a", profit="-4.00", lots="0.40"),
        event("2026-03-20 00:00:21", "deal_edited", deal="d", amount="450.00"),
    )
    hub.pull(source)
    (day,) = hub.of(Kind.TRADING_DAY).values()
    # The whole day again: the trade that was not touched counts as well.
    assert (day.profit, day.lots, day.opened, day.closed) == (usd("-3.00"), 6000, 2, 2)
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("450.00")]
    same(hub, source)
    rig.close()


@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_a_deal_moved_to_another_day(make: Make, shape: Shape) -> None:
    rig = make(
        one(traded("2026-03-19 10:00", profit="10.00", deal="a"),
            traded("2026-03-18 10:00", profit="2.00")),
        shape=shape,
    )  # fmt: skip
    source = rig.source()
    hub = Hub().pull(source)
    moved = event("2026-03-20 00:00:20", "deal_edited", deal="a", day="2026-03-18")
    rig.happen("C-1", moved)
    hub.pull(source)
    assert hub.of(Kind.TRADING_DAY)[day_id("2026-03-18")].profit == usd("12.00")
    # The day it left is read whole at the server's next midnight.
    rig.world.advance(NIGHT_S)
    hub.pull(source)
    assert {i: d.profit for i, d in hub.of(Kind.TRADING_DAY).items()} == {
        day_id("2026-03-18"): usd("12.00")
    }
    same(hub, source)
    rig.close()


@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_a_deal_deleted_upstream(make: Make, shape: Shape) -> None:
    wire = event("2026-03-19 12:00", "ledger_wire", login=1000, amount="900.00", deal="w")
    rig = make(
        one(traded("2026-03-19 10:00", profit="10.00", deal="a"),
            traded("2026-03-18 10:00", profit="2.00", deal="b"),
            traded("2026-03-18 11:00", profit="3.00"), deposit("2026-03-19 09:00", deal="d"), wire,
            deposit("2026-03-19 13:00", "1.00")),
        shape=shape,
    )  # fmt: skip
    source = rig.source()
    hub = Hub().pull(source)
    assert len(hub.of(Kind.PAYMENT)) == 1
    deleted = [event("2026-03-20 00:00:20", "deal_deleted", deal=key) for key in "abdw"]
    rig.happen("C-1", *deleted, seconds=NIGHT_S)
    hub.pull(source)
    assert {i: d.profit for i, d in hub.of(Kind.TRADING_DAY).items()} == {
        day_id("2026-03-18"): usd("3.00")
    }
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("1.00")]
    assert hub.of(Kind.PAYMENT) == {}
    same(hub, source)
    rig.close()


def test_a_days_only_trade_that_is_cancelled_leaves_no_day(make: Make) -> None:
    rig = make(one(traded("2026-03-10 10:00", deal="a")))
    source = rig.source()
    hub = Hub().pull(source)
    for number in rig.fake.writer.numbers["a"]:
        rig.execute("Action", 13, number)
        rig.execute("Timestamp", to_filetime(at("2026-03-20 00:00:30")), number)
    rig.world.advance(60)
    assert hub.pull(source).of(Kind.TRADING_DAY) == {}
    rig.close()


@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_half_a_day_never_overwrites_a_whole_one(make: Make, shape: Shape) -> None:
    rig = make(one(traded("2026-03-19 22:30", profit="1.00")), shape=shape)
    source = rig.source()
    hub = Hub().pull(source)
    for n in range(3):
        late = traded(f"2026-03-20 0{n}:30", profit="1.00")
        rig.happen("C-1", late, seconds=3600)
        hub.pull(source)
    (day,) = hub.of(Kind.TRADING_DAY).values()
    assert (day.day, day.profit, day.opened) == ("2026-03-20", usd("4.00"), 4)
    same(hub, source)
    rig.close()


def test_a_row_exported_late_is_found(make: Make) -> None:
    rig = make(one(deposit("2026-03-19 23:58:00")), now="2026-03-20 00:00")
    source = rig.source()
    hub = Hub().pull(source)
    # It carries an earlier Timestamp than the row the cursor stands on.
    data = {"login": 1000, "amount": "7.00", "deal": "late"}
    late = Event(at("2026-03-19 23:57:00"), "ledger_deposit", data, at("2026-03-20 00:00:30"))
    rig.happen("C-1", late)
    number = rig.fake.writer.numbers["late"][0]
    rig.execute("Timestamp", to_filetime(at("2026-03-19 23:57:00")), number)
    hub.pull(source)
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00"), usd("7.00")]
    rig.close()


def test_ties_on_the_cursor_lose_nothing_in_later_pulls(make: Make) -> None:
    for indexed in (True, False):
        rig = make(one(deposit(deal="first")), shape=Shape(indexed=indexed))
        source = rig.source()
        hub = Hub().pull(source)
        burst = [deposit("2026-03-20 00:00:30", f"{n + 1}.00") for n in range(23)]
        burst += [traded("2026-03-20 00:00:30", profit="1.00") for _ in range(9)]
        rig.happen("C-1", *burst)
        pages = list(source.pull(hub.cursor))
        assert len(pages) > 4
        assert all(len(page.records) <= 10 for page in pages)
        hub.take(pages)
        assert len(hub.of(Kind.LEDGER_ENTRY)) == 24
        (day,) = hub.of(Kind.TRADING_DAY).values()
        assert day.profit == usd("9.00")
        rig.close()


@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_a_later_pull_resumes_after_any_page(lite: Make, shape: Shape) -> None:
    rig = lite(one(deposit("2026-03-18 09:00"), traded("2026-03-18 10:00")), shape=shape)
    source = rig.source(page_size=2)
    start = list(source.pull(None))
    burst = [deposit("2026-03-20 00:00:30", f"{n + 1}.00") for n in range(9)]
    burst += [traded(f"2026-03-{10 + n} 10:00", profit="1.00") for n in range(9)]
    rig.happen("C-1", *burst, seconds=NIGHT_S)  # with a reading of whole days
    pages = list(source.pull(start[-1].cursor))
    assert len(pages) > 5
    expected = contents(Hub().take([*start, *pages]))
    same(Hub().take([*start, *pages]), source)
    for seen in range(1, len(pages) + 1):
        hub = Hub().take([*start, *pages[:seen]]).pull(source)
        assert contents(hub) == expected, f"resumed after page {seen}"


def test_16_without_an_index_new_deals_and_the_last_ones_are_read(make: Make) -> None:
    deals = [deposit("2026-03-10 09:00", f"{n + 1}.00", deal=f"d{n}") for n in range(20)]
    rig = make(one(*deals), shape=Shape(indexed=False))
    source = rig.source(tail_deals=10, rescan_days=0)
    statements: list[str] = []
    sa.event.listen(
        source._database._engine, "before_cursor_execute", lambda *a: statements.append(a[2])
    )
    hub = Hub().pull(source)
    edits = [event("2026-03-20 00:00:20", "deal_edited", deal=f"d{n}", amount="99.00")
             for n in (3, 15)]  # fmt: skip
    rig.happen("C-1", *edits, deposit("2026-03-20 00:00:30", "50.00"))
    statements.clear()
    hub.pull(source)
    found = [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()]
    assert found[15] == usd("99.00")
    assert found[20] == usd("50.00")
    assert found[3] == usd("4.00")  # beyond the tail: only a reading of whole days finds it
    paging = [s for s in statements if "LIMIT" in s and "deals" in s]
    assert paging
    ordered = {s[s.index("ORDER BY"):].replace('"', "").replace("`", "").split("\n")[0].strip()
               for s in paging if "ORDER BY" in s}  # fmt: skip
    assert not [o for o in ordered if "Timestamp" in o]
    rig.close()


def test_16_the_index_is_used_where_there_is_one(make: Make) -> None:
    rig = make(one(deposit()))
    source = rig.source()
    statements: list[str] = []
    hub = Hub().pull(source)
    sa.event.listen(
        source._database._engine, "before_cursor_execute", lambda *a: statements.append(a[2])
    )
    rig.world.advance(60)
    hub.pull(source)
    assert [s for s in statements if "deals" in s and 'ORDER BY' in s and "Timestamp" in
            s[s.index("ORDER BY"):]]  # fmt: skip
    rig.close()


def test_days_are_read_whole_once_a_server_day(lite: Make) -> None:
    rig = lite(one(traded("2026-03-19 10:00")), now="2026-03-20 00:00")
    source = rig.source()
    hub = Hub().pull(source)
    told = []
    for _ in range(30):  # 30 hours: midnight on the server is 21:00 UTC in the American summer
        rig.world.advance(3600)
        pages = list(source.pull(hub.cursor))
        whole = [w for p in pages for w in p.whole if w.kind is Kind.TRADING_DAY]
        told += [(rig.world.now_ms, w.first, w.last) for w in whole]
        hub.take(pages)
    assert {when for when, _, _ in told} == {at("2026-03-20 21:00")}
    first, last = told[0][1], told[-1][2]
    assert (first, last) == (f"2026-03-18:{SERVER}:{0:012}", f"2026-03-22:{SERVER}:{'9' * 12}")


def test_whole_ranges_leave_no_gap_and_hold_their_pages_records(lite: Make) -> None:
    rig = lite()
    pages = list(rig.source(page_size=3).pull(None))
    ranges = [(w.first, w.last) for p in pages for w in p.whole if w.kind is Kind.TRADING_DAY]
    assert ranges == sorted(ranges)
    for page in pages:
        days = [r.external_id for r in page.records if r.kind is Kind.TRADING_DAY]
        for name in days:
            assert [w for w in page.whole if w.first <= name <= w.last], name
    for (_, last), (first, _) in pairwise(ranges):
        assert last < first
        after = _following(last)
        assert first == after, (last, first)


def _following(name: str) -> str:
    day, server, login = name.split(":")
    if login != "9" * 12:
        return f"{day}:{server}:{int(login) + 1:012}"
    year, month, number = (int(part) for part in day.split("-"))
    days = {3: 31, 2: 28}.get(month, 31)
    if number < days:
        return f"{year:04}-{month:02}-{number + 1:02}:{server}:{0:012}"
    return f"{year:04}-{month + 1:02}-01:{server}:{0:012}"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_the_first_reading_finds_days_by_the_deals_they_lie_in(
    make: Make, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = [traded(f"2026-03-{3 + n % 9:02} 10:00", profit="1.00", deal=f"t{n}")
              for n in range(18)]  # fmt: skip
    backdated = event("2026-03-18 10:00", "deal_edited", deal="t17", day="2026-02-27")
    rig = make(one(*trades, backdated))
    monkeypatch.setattr("connectors.mt5_sql.mt5.STEP", step)
    days = Hub().pull(rig.source(page_size=4)).of(Kind.TRADING_DAY)
    expected = {f"2026-03-{3 + n:02}": usd("2.00") for n in range(8)}
    expected |= {"2026-03-11": usd("1.00"), "2026-02-27": usd("1.00")}
    assert {d.day: d.profit for d in days.values()} == expected
    rig.close()


def test_a_time_ahead_of_the_clock_does_not_carry_the_cursor_along(make: Make) -> None:
    for indexed in (True, False):
        rig = make(one(deposit(deal="d")), shape=Shape(indexed=indexed))
        number = rig.fake.writer.numbers["d"][0]
        rig.execute("Timestamp", to_filetime(at("2099-01-01 00:00")), number)
        source = rig.source()
        hub = Hub().pull(source)
        rig.happen("C-1", deposit("2026-03-20 00:00:30", "7.00"))
        hub.pull(source)
        assert usd("7.00") in [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()]
        rig.close()


def test_a_new_rule_reads_everything_again(lite: Make) -> None:
    rig = lite(one(deposit(comment="Rebate"), traded("2026-03-10 10:00")))
    hub = Hub().pull(rig.source())
    rules = [{"kind": "rebate", "comment": "rebate"}]
    pages = list(rig.source(ledger_rules=rules).pull(hub.cursor))
    before = next(r for r in hub.known.values() if r.kind is Kind.LEDGER_ENTRY)
    after = next(r for r in of(pages) if r.kind is Kind.LEDGER_ENTRY)
    # One deal, one Timestamp, two meanings: the rank says which is the later one.
    assert after.version_at == before.version_at
    assert after.rank > before.rank
    hub.take(pages)
    same(hub, rig.source(ledger_rules=rules))
    assert len(list(rig.source(ledger_rules=rules).pull(hub.cursor))) == 1


def test_a_yearly_table_that_appears_is_read(make: Make) -> None:
    rig = make(one(deposit()), shape=Shape(yearly=()))
    source = rig.source()
    hub = Hub().pull(source)
    grown = Mt5Rig(rig.url, one(deposit(), deposit("2026-03-19 23:59", "3.00", deal="n")))
    with grown.fake.engine.begin() as connection:
        deals = grown.fake.tables["mt5_deals"]
        number = grown.fake.writer.numbers["n"][0]
        connection.execute(sa.delete(deals).where(deals.c.Deal == number))
    hub.pull(source)
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00"), usd("3.00")]
    rig.close()
    grown.close()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=["index", "no index", "2019", "mt4"])
def test_the_hub_ends_up_right_whatever_happens(lite: Make, shape: Shape, seed: int) -> None:
    """Trades, edits, moves within the days read whole, deletions, crashes after any page."""
    chance = random.Random(seed)
    opened = [event("2026-03-02 08:00", "account_opened", login=1000 + n, group="real\\std",
                    currency="USD") for n in range(4)]  # fmt: skip
    rig = lite(client("C-1", *opened), shape=shape, now="2026-03-10 00:00")
    hub = Hub()
    made: list[str] = []
    for step in range(14):
        events = []
        for n in range(chance.randint(0, 6)):
            when = rig.world.story_ms + chance.randint(0, 3_600_000)
            login = 1000 + chance.randrange(4)
            key = f"{step}/{n}"
            amount = f"{chance.randint(-900, 900) / 100:.2f}"
            what = chance.choice(("traded", "traded", "ledger_deposit", "ledger_wire", "edit"))
            if what == "edit" and made:
                old = chance.choice(made)
                when += 3_600_000  # after whatever it changes
                change = chance.choice(({"profit": amount, "amount": amount}, {"comment": "wire"}))
                events.append(Event(when, "deal_edited", {"deal": old, **change}))
                continue
            if what == "edit":
                continue
            made.append(key)
            data = {"login": login, "deal": key, "profit": amount, "amount": amount}
            events.append(Event(when, what, data))
        if made and chance.random() < 0.3:
            gone = made.pop(chance.randrange(len(made)))
            events.append(Event(rig.world.story_ms + 7_200_000, "deal_deleted", {"deal": gone}))
        rig.happen("C-1", *sorted(events, key=lambda e: e.at), seconds=3600 * chance.randint(2, 9))
        source = rig.source(page_size=chance.choice((1, 2, 3, 100)), rescan_days=12)
        pages = list(source.pull(hub.cursor))
        hub.take(pages[: chance.randint(1, len(pages))])
    rig.world.advance(NIGHT_S)
    hub.pull(rig.source(rescan_days=30))
    same(hub, rig.source())
    rig.close()


def test_balances_are_read_again_when_they_are_due(lite: Make) -> None:
    rig = lite(one(deposit()))
    source = rig.source(balance_every_s=3600)
    hub = Hub().pull(source)
    rig.happen("C-1", deposit("2026-03-20 00:00:30", "1.00"), seconds=1800)
    assert not [r for r in of(list(source.pull(hub.cursor))) if r.kind is Kind.BALANCE]
    rig.world.advance(1800)
    hub.pull(source)
    (held,) = hub.of(Kind.BALANCE).values()
    assert held.balance == usd("501.00")


def test_a_balance_that_is_as_before_is_not_handed_over_again(lite: Make) -> None:
    # The account that changed last is read at each pull, and its balance with it: another one's.
    later = event(
        "2026-03-10 08:00", "account_opened", login=1001, group="real\\std", currency="USD"
    )
    rig = lite(one(deposit()), client("C-2", later))
    settings = {"balance_every_s": 3600, "currency": "USD"}
    source = rig.source(**settings)
    hub = Hub().pull(source)

    def balances(asked: Mt5SqlSource) -> int:
        rig.world.advance(3600)
        pages = list(asked.pull(hub.cursor))
        hub.cursor = pages[-1].cursor
        return sum(r.kind is Kind.BALANCE and "1000" in r.external_id for r in of(pages))

    assert balances(source) == 0
    assert balances(rig.source(**settings)) == 1, "a new process hands it over"
    assert balances(source) == 1, "another one's cursor proves nothing"
    moved = event("2026-03-20 04:00:10", "account_moved", login=1000, group="real\\vip")
    rig.happen("C-1", moved, seconds=NIGHT_S)
    assert balances(source) == 1, "its account is another one"


def test_a_group_that_appears_unclassified_stops_nothing(lite: Make) -> None:
    rig = lite(one(deposit("2026-03-19 09:00"), traded("2026-03-19 10:00")))
    source = rig.source()
    hub = Hub().pull(source)
    rig.happen("C-1", event("2026-03-20 00:00:10", "account_moved", login=1000, group="archive"),
               seconds=NIGHT_S)  # fmt: skip
    hub.pull(source)
    # Nobody says what the account is now: what is known of it stays, and an admin is told.
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [usd("500.00")]
    assert list(hub.of(Kind.TRADING_DAY)) == [day_id("2026-03-19")]
    assert [r for r in hub.rejects.values() if "'archive'" in r]
    rules = [{"match": "archive", "class": "demo"}]
    hub.pull(rig.source(group_rules=[*rules, {"match": "*", "class": "internal"}]))
    assert hub.of(Kind.LEDGER_ENTRY) == {}
    assert hub.of(Kind.TRADING_DAY) == {}
    assert hub.rejects == {}


def test_an_amount_that_is_none_sets_its_row_aside(lite: Make) -> None:
    rig = lite(one(deposit(deal="d"), traded("2026-03-10 10:00", deal="t"), deposit()))
    hub = Hub().pull(rig.source())
    rig.execute("Profit", None, rig.fake.writer.numbers["t"][1])
    number = rig.fake.writer.numbers["d"][0]
    rig.execute("Profit", 1e300, number)
    rig.world.advance(NIGHT_S)
    hub.pull(rig.source(rescan_days=20))
    assert "'profit' is missing" in hub.rejects[day_id("2026-03-10")]
    assert "'amount' is out of range" in hub.rejects[f"{SERVER}:{number:020}"]
    # What was read before stays until it can be read again.
    assert len(hub.of(Kind.LEDGER_ENTRY)) == 2
    assert len(hub.of(Kind.TRADING_DAY)) == 1


def test_a_time_of_trade_in_the_future_is_set_aside(lite: Make) -> None:
    rig = lite(one(deposit(), deposit(deal="d"), traded("2026-03-10 10:00", deal="t")))
    source = rig.source()
    hub = Hub().pull(source)
    now = to_filetime(rig.world.now_ms)
    for key in "dt":
        for number in rig.fake.writer.numbers[key]:
            rig.execute("Time", "2031-01-01 10:00:00", number)
            rig.execute("Timestamp", now, number)
    rig.world.advance(60)
    hub.pull(source)
    number = rig.fake.writer.numbers["d"][0]
    assert "more than a day" in hub.rejects[f"{SERVER}:{number:020}"]
    trades = [f"{SERVER}:{n:020}" for n in rig.fake.writer.numbers["t"]]
    assert all("in the future" in hub.rejects[name] for name in trades)
    assert [name for name in Hub().pull(source).rejects if name in trades] == trades
    for number in rig.fake.writer.numbers["t"]:  # corrected: it counts again
        rig.execute("Time", "2026-03-10 10:00:00", number)
        rig.execute("Timestamp", to_filetime(rig.world.now_ms), number)
    rig.world.advance(60)
    hub.pull(source)
    assert [name for name in hub.rejects if name in trades] == []
    assert list(hub.of(Kind.TRADING_DAY)) == [day_id("2026-03-10")]


def test_an_account_of_an_unknown_currency_is_set_aside(lite: Make) -> None:
    odd = event("2026-03-02 08:00", "account_opened", login=1001, group="real\\x", currency="USX")
    paid = event("2026-03-05 09:00", "ledger_deposit", login=1001, amount="5.00", deal="x")
    rig = lite(one(deposit()), client("C-2", odd, paid))
    hub = Hub().pull(rig.source())
    number = rig.fake.writer.numbers["x"][0]
    assert "unknown currency 'USX'" in hub.rejects[f"{SERVER}:{number:020}"]
    assert [e.amount for e in hub.of(Kind.LEDGER_ENTRY).values()] == [Money(50_000, "USD")]
