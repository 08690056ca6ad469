"""The fake trading server writes what the story says, in the shapes of real exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simulator.metatrader.clock import EPOCH, ZERO, ServerClock, filetime
from simulator.metatrader.fake import MetaTrader
from simulator.metatrader.tables import Shape
from tests.contracts.world import at, client, event, world


def made(tmp_path: Path, *events: Any, now: str = "2026-03-20 00:00", **more: Any) -> MetaTrader:
    """A server whose one client these events happen to."""
    shown = world(client("C-1", *events), now=now)
    fake = MetaTrader(shown, f"sqlite:///{tmp_path / 'mt.db'}", others=False, **more)
    fake.create()
    fake.refresh()
    return fake


def rows(fake: MetaTrader, table: str) -> list[dict[str, Any]]:
    """A table's rows, by key."""
    found = fake.tables[table]
    with fake.engine.connect() as connection:
        query = sa.select(found).order_by(*found.primary_key)
        return [dict(row) for row in connection.execute(query).mappings()]


def test_a_trade_is_two_deals_and_a_deposit_one(tmp_path: Path) -> None:
    fake = made(
        tmp_path,
        event("2026-03-05 09:00", "ledger_deposit", amount="500.00"),
        event("2026-03-05 10:00", "traded", lots="0.25", profit="12.34", side="sell"),
    )
    deposit, came_in, went_out = rows(fake, "mt5_deals")
    assert (deposit["Action"], deposit["Entry"], deposit["Symbol"]) == (2, 0, "")
    assert (deposit["Profit"], deposit["Volume"], deposit["Order"]) == (500.0, 0, 0)
    assert deposit["Time"] == "2026-03-05 11:00:00"  # two hours ahead of UTC
    assert deposit["Timestamp"] == filetime(at("2026-03-05 09:00"))
    assert (came_in["Action"], came_in["Entry"], came_in["Profit"]) == (1, 0, 0.0)
    assert (went_out["Action"], went_out["Entry"], went_out["Profit"]) == (0, 1, 12.34)
    assert (went_out["Volume"], went_out["VolumeExt"]) == (2500, 25_000_000)
    assert rows(fake, "mt5_deals_2026") == rows(fake, "mt5_deals")
    (account,) = rows(fake, "mt5_accounts")
    assert account["Balance"] == 512.34
    (user,) = rows(fake, "mt5_users")
    assert 70_000_000 <= user["Login"] < 80_000_000
    assert (user["Group"], user["LastAccess"]) == ("real\\std", ZERO)


def test_a_trade_closes_when_the_story_comes_to_it(tmp_path: Path) -> None:
    trade = event("2026-03-05 10:00", "traded", closed_at=at("2026-03-06 11:00"), profit="1.00")
    fake = made(tmp_path, trade, now="2026-03-06 10:00")
    assert len(rows(fake, "mt5_deals")) == len(rows(fake, "mt5_positions")) == 1
    fake.world.advance(3600)
    fake.refresh()
    assert [d["Entry"] for d in rows(fake, "mt5_deals")] == [0, 1]
    assert rows(fake, "mt5_positions") == []


def test_mt4_keeps_one_row_of_an_order(tmp_path: Path) -> None:
    trade = event("2026-03-05 10:00", "traded", closed_at=at("2026-03-06 11:00"), profit="1.00")
    fake = made(tmp_path, trade, now="2026-03-06 10:00", shape=Shape(profile="mt4"))
    (order,) = rows(fake, "mt4_trades")
    assert (order["CLOSE_TIME"], order["PROFIT"], order["VOLUME"]) == (EPOCH, 0.0, 10)
    fake.world.advance(3600)
    fake.refresh()
    (order,) = rows(fake, "mt4_trades")
    assert (order["CLOSE_TIME"], order["PROFIT"]) == ("2026-03-06 13:00:00", 1.0)
    assert order["TIMESTAMP"] == at("2026-03-06 11:00") // 1000


def test_edits_and_deletions_reach_every_copy(tmp_path: Path) -> None:
    fake = made(
        tmp_path,
        event("2026-03-05 09:00", "ledger_deposit", amount="500.00", deal="a"),
        event("2026-03-05 09:00", "ledger_deposit", amount="1.00", deal="b"),
        event("2026-03-07 09:00", "deal_edited", deal="a", amount="450.00", comment="changed"),
        event("2026-03-07 10:00", "deal_deleted", deal="b"),
    )
    for table in ("mt5_deals", "mt5_deals_2026"):
        (deal,) = rows(fake, table)
        assert (deal["Profit"], deal["Comment"]) == (450.0, "changed")
        assert deal["Timestamp"] == filetime(at("2026-03-07 09:00"))
    assert [a["Balance"] for a in rows(fake, "mt5_accounts")] == [450.0]


@pytest.mark.parametrize(
    ("rule", "when", "shown"),
    [
        ("NY+7", "2026-03-15 12:00", "2026-03-15 15:00:00"),
        ("Europe/Athens", "2026-03-15 12:00", "2026-03-15 14:00:00"),
        ("fixed:-04:30", "2026-03-15 12:00", "2026-03-15 07:30:00"),
    ],
)
def test_the_clock_follows_its_rule(rule: str, when: str, shown: str) -> None:
    assert ServerClock(rule).text(at(when)) == shown


def test_only_the_brands_clients_trade_here(tmp_path: Path) -> None:
    shown = world(
        client("C-1", event("2026-03-05 09:00", "ledger_deposit", amount="1.00")),
        client("C-1", event("2026-03-05 09:00", "ledger_deposit", amount="2.00"), brand="beta"),
    )
    fake = MetaTrader(shown, f"sqlite:///{tmp_path / 'mt.db'}", brand="beta")
    fake.create()
    fake.refresh()
    (user,) = [u for u in rows(fake, "mt5_users") if u["Login"] > 70_000_000]
    assert [d["Profit"] for d in rows(fake, "mt5_deals") if d["Login"] == user["Login"]] == [2.0]
    assert len(rows(fake, "mt5_users")) == 5  # with demo, manager, coverage and lead
    fake.close()
