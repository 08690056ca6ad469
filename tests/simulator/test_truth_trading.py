"""The oracle's trading rules, by cases worked out by hand (UTC; Nicosia is two hours ahead)."""

from __future__ import annotations

import pytest

from simulator.story import Client, Event
from simulator.truth import TaskLedger
from tests.simulator.stories import (
    LOGIN,
    account,
    at,
    booking,
    client,
    deposit,
    event,
    seen,
    trade,
    withdrawal,
    world,
)  # fmt: skip

FUNDED = deposit("2026-03-03 10:00", "100", "250.00")
OPENED = account("2026-03-01 09:00")
CREDITED = booking("2026-03-03 10:00:30", "deposit", "250.00")


def test_the_first_trade_is_due_after_a_market_hour_and_the_window_ends_after_24() -> None:
    one = client(OPENED, FUNDED, CREDITED)
    due, ends = at("2026-03-03 11:00"), at("2026-03-04 10:00")
    before = seen(due - 1, one)
    assert (before.stage, before.states, before.until) == ("LS5", {}, due)
    found = seen(due, one)
    assert (found.stage, found.states) == ("LS5", {"CS6": due})
    assert found.until == ends
    assert seen(ends - 1, one).stage == "LS5"
    late = seen(ends, one)
    assert (late.stage, late.since, late.states) == ("LS6", ends, {"CS6": due})


def test_a_trade_ends_both() -> None:
    one = client(OPENED, FUNDED, CREDITED, trade("2026-03-04 12:00"))
    assert seen("2026-03-04 11:59:59", one).stage == "LS6"
    found = seen("2026-03-04 12:00", one)
    assert (found.stage, found.since, found.states) == ("LS5", at("2026-03-03 10:00"), {})


def test_they_count_from_the_first_deposit_that_still_counts() -> None:
    back = event("2026-03-10 09:00", "refunded", payment="100", id="9", amount="250.00")
    one = client(FUNDED, deposit("2026-03-09 08:00", "101", "50.00"), back)
    assert seen("2026-03-09 12:00", one).states["CS6"] == at("2026-03-03 11:00")
    found = seen("2026-03-10 09:00", one)
    assert found.states["CS6"] == at("2026-03-09 09:00")
    assert (found.stage, found.since) == ("LS6", at("2026-03-10 08:00"))


@pytest.mark.parametrize(
    ("funded", "due"),
    [
        ("2026-03-03 06:30", "2026-03-03 10:00"),  # before nine: three hours from nine
        ("2026-03-03 10:00", "2026-03-03 13:00"),
        ("2026-03-03 15:00", "2026-03-04 09:00"),  # an hour to six, two from nine
        # Nicosia changes its clock on Sunday the 29th.
        ("2026-03-27 15:00", "2026-03-30 08:00"),
    ],
)
def test_the_task_is_due_three_office_hours_after_the_funding(funded: str, due: str) -> None:
    """Not after the state's begin, which is a market hour later."""
    told = world(client(deposit(funded, "100", "250.00")))
    ledger = TaskLedger(told, at("2026-03-01 00:00"))
    for n in range(20):
        ledger.observe(at(funded) + n * 300_000)
    (task,) = ledger.tasks.values()
    assert (task.state, task.due) == ("CS6", at(due))
    assert task.opened_at == task.begin == at(funded) + 3_600_000
    assert task.owner in ("70141", "70142")


def test_traded_once_and_not_back_for_seven_days() -> None:
    one = client(OPENED, FUNDED, CREDITED, trade("2026-03-03 12:00:05"))
    missed = at("2026-03-10 12:00:05")
    assert seen(missed - 1, one).stage == "LS5"
    assert seen(missed - 1, one).until == missed
    found = seen(missed, one)
    assert (found.stage, found.since, found.states) == ("LS7", missed, {"CS7": missed})


def test_the_week_counts_from_the_first_trade_of_the_day() -> None:
    one = client(OPENED, FUNDED, trade("2026-03-03 12:00"), trade("2026-03-03 15:00"))
    assert seen("2026-03-10 14:00", one).since == at("2026-03-10 12:00")


def test_an_unfunded_client_can_have_traded_once() -> None:
    one = client(OPENED, booking("2026-03-02 09:00", "bonus", "30.00"), trade("2026-03-02 10:00"))
    found = seen("2026-03-09 10:00", one)
    assert (found.stage, found.states["CS7"]) == ("LS7", at("2026-03-09 10:00"))


OTHER = account("2026-03-01 10:00", LOGIN + 1)
DEMO = account("2026-03-01 10:00", LOGIN + 2, group="demo\\forex")


@pytest.mark.parametrize(
    ("trades", "once"),
    [
        ([trade("2026-03-03 12:00"), trade("2026-03-03 13:00")], True),
        ([trade("2026-03-03 12:00"), trade("2026-03-03 13:00", LOGIN + 1)], True),
        ([trade("2026-03-03 12:00"), trade("2026-03-04 13:00", LOGIN + 2)], True),
        ([trade("2026-03-03 12:00"), trade("2026-03-04 12:00")], False),
        # The server's midnight is 22:00 in winter, and 21:00 once New York has summer.
        ([trade("2026-03-03 21:59:59"), trade("2026-03-03 22:00")], False),
        ([trade("2026-03-09 21:59:59"), trade("2026-03-09 22:00")], True),
        ([trade("2026-03-09 20:59:59"), trade("2026-03-09 21:00")], False),
        # A deal that closes is a deal too.
        ([trade("2026-03-03 12:00", closed="2026-03-03 21:59:59")], True),
        ([trade("2026-03-03 12:00", closed="2026-03-03 22:00")], False),
        ([trade("2026-03-03 12:00", closed="2026-05-03 22:00")], True),  # still open
    ],
)
def test_trading_days(trades: list[Event], once: bool) -> None:
    found = seen("2026-03-17 12:00", client(OPENED, OTHER, DEMO, FUNDED, *trades))
    assert ("CS7" in found.states) is once
    assert (found.stage == "LS7") is once


def test_trades_on_demo_accounts_are_none() -> None:
    one = client(OPENED, DEMO, FUNDED, trade("2026-03-03 10:30", LOGIN + 2))
    found = seen("2026-03-05 12:00", one)
    assert (found.stage, found.fields["first_trade_date"]) == ("LS6", "")


def test_inactive_after_thirty_days() -> None:
    one = client(OPENED, FUNDED, CREDITED, trade("2026-03-03 12:00"), trade("2026-03-05 12:00:00"))
    begins = at("2026-04-04 12:00")
    assert seen(begins - 1, one).stage == "LS5"
    assert seen(begins - 1, one).until == begins
    found = seen(begins, one)
    assert (found.stage, found.since, found.states) == ("LS10", begins, {"CS11": begins})


def test_a_deposit_is_activity_and_a_failed_one_is_not() -> None:
    failed = event(
        "2026-03-20 10:00", "deposit_failed", payment="102", amount="5.00", currency="USD"
    )
    one = client(OPENED, FUNDED, trade("2026-03-03 12:00"), trade("2026-03-04 12:00"), failed)
    assert seen("2026-04-03 12:00", one).stage == "LS10"
    again = client(*one.events, deposit("2026-03-20 11:00", "103", "5.00"))
    assert seen("2026-04-19 10:59:59", again).stage == "LS9"
    assert seen("2026-04-19 11:00", again).stage == "LS10"


def test_a_registration_is_activity_of_the_unfunded() -> None:
    found = seen("2026-03-31 08:00", client())
    assert found.stage == "LS1"
    assert found.states["CS11"] == at("2026-03-31 08:00")
    assert "CS11" not in seen("2026-03-31 07:59:59.999", client()).states


def test_an_open_position_is_activity() -> None:
    place = {"login": LOGIN, "position": "p1"}
    trades = [trade("2026-03-03 12:00"), trade("2026-03-04 12:00")]
    held = event("2026-03-04 12:00", "position_opened", **place)
    let_go = event("2026-04-10 09:00", "position_closed", **place)
    one = client(OPENED, FUNDED, *trades, held, let_go)
    assert seen("2026-04-10 08:59:59", one).stage == "LS5"
    found = seen("2026-04-10 09:00", one)
    assert (found.stage, found.since) == ("LS10", at("2026-04-03 12:00"))


def test_a_trade_that_has_not_closed_is_an_open_position() -> None:
    one = client(
        OPENED, FUNDED, trade("2026-03-03 12:00", closed="2026-04-20 10:00", commission="-7.00")
    )
    found = seen("2026-04-10 12:00", one)
    assert (found.stage, found.fields["net_revenue"]) == ("LS7", "0.00")
    assert found.until == at("2026-04-20 10:00")
    closed = seen("2026-04-20 10:00", one)
    assert (closed.stage, closed.fields["net_revenue"]) == ("LS5", "7.00")
    assert seen("2026-05-20 10:00", one).since == at("2026-05-20 10:00")


def rich(*steps: Event) -> Client:
    """Someone who traded on the last day of the story, with these payments."""
    return client(OPENED, trade("2026-03-30 10:00"), trade("2026-03-31 10:00"), *steps)


def paid_out(when: str, payment: str, amount: str) -> list[Event]:
    return [
        withdrawal("2026-03-04 00:00", "requested", "199", "1.00"),
        withdrawal("2026-03-04 00:00", "rejected", "199", "1.00"),
        withdrawal(when, "requested", payment, amount),
        withdrawal(when, "paid", payment, amount),
    ]


@pytest.mark.parametrize(
    ("steps", "since"),
    [
        ([deposit("2026-03-10 10:00", "100", "10000.00")], "2026-03-10 10:00"),
        ([deposit("2026-03-10 10:00", "100", "9999.99")], None),
        # In the base: 9,091 EUR at 1.10 are 10,000.10 USD.
        ([deposit("2026-03-10 10:00", "100", "9091.00", "EUR")], "2026-03-10 10:00"),
        ([deposit("2026-03-10 10:00", "100", "90000.000", "KWD")], None),  # unknown
        # Up, down, up again: the last crossing.
        (
            [
                deposit("2026-03-10 10:00", "100", "12000.00"),
                *paid_out("2026-03-12 10:00", "101", "5000.00"),
                deposit("2026-03-14 10:00", "102", "4000.00"),
            ],
            "2026-03-14 10:00",
        ),
        # Down, but not below: the first crossing stays.
        (
            [
                deposit("2026-03-10 10:00", "100", "15000.00"),
                *paid_out("2026-03-12 10:00", "101", "5000.00"),
                deposit("2026-03-14 10:00", "102", "4000.00"),
            ],
            "2026-03-10 10:00",
        ),
        # At one instant the deposit goes first: up and down again, and up for good later.
        (
            [
                deposit("2026-03-10 10:00", "100", "8000.00"),
                deposit("2026-03-12 10:00", "102", "4000.00"),
                *paid_out("2026-03-12 10:00", "101", "4000.00"),
                deposit("2026-03-14 10:00", "103", "2000.00"),
            ],
            "2026-03-14 10:00",
        ),
        # The other way round it would have gone below, and up again there.
        (
            [
                deposit("2026-03-10 10:00", "100", "12000.00"),
                deposit("2026-03-12 10:00", "102", "4000.00"),
                *paid_out("2026-03-12 10:00", "101", "4000.00"),
            ],
            "2026-03-10 10:00",
        ),
        # A refund counts from the deposit's own time.
        (
            [
                deposit("2026-03-10 10:00", "100", "12000.00"),
                deposit("2026-03-11 10:00", "101", "2000.00"),
                event("2026-03-20 10:00", "refunded", payment="100", id="9", amount="3000.00"),
            ],
            "2026-03-11 10:00",
        ),
    ],
)
def test_high_value_begins_at_the_crossing(steps: list[Event], since: str | None) -> None:
    found = seen("2026-03-31 12:00", rich(*steps))
    assert found.states.get("CS10") == (at(since) if since else None)
    assert (found.stage == "LS11") is (since is not None)
    if since:
        assert found.since == at(since)


def test_high_value_needs_activity() -> None:
    one = client(OPENED, deposit("2026-03-10 10:00", "100", "20000.00"))
    assert seen("2026-04-09 09:59:59", one).stage == "LS11"
    found = seen("2026-04-09 10:00", one)
    assert (found.stage, "CS10" in found.states) == ("LS10", False)


def test_the_order_of_the_stages() -> None:
    """High value before inactive, a first withdrawal before both, a dispute before that."""
    big = deposit("2026-03-10 10:00", "100", "20000.00")
    asked = withdrawal("2026-03-11 10:00", "requested", "101")
    filed = event("2026-03-12 10:00", "chargeback_opened", payment="100", id="9", amount="1.00")
    rejected = event("2026-03-13 10:00", "kyc_rejected", attempt=1, final=True, reason="aml_match")
    shown = [
        seen("2026-03-20 10:00", rich(big, *steps)).stage
        for steps in ([], [asked], [asked, filed], [asked, filed, rejected])
    ]
    assert shown == ["LS11", "LS8", "LS12", "LS0"]
    assert seen("2026-03-20 10:00", rich(big, rejected)).states == {}


def test_first_trade_date_is_cut_in_the_brands_zone() -> None:
    one = client(OPENED, trade("2026-03-02 21:59:59"), trade("2026-03-09 21:30"))
    assert seen("2026-03-20 10:00", one).fields["first_trade_date"] == "2026-03-02"
    later = client(OPENED, trade("2026-03-09 21:30"))  # the server's 10 March, Nicosia's 9
    assert seen("2026-03-20 10:00", later).fields["first_trade_date"] == "2026-03-09"
