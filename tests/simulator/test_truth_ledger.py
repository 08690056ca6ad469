"""The oracle's rules on bookings: wires, credits, bonuses, net revenue, by hand (times UTC)."""

from __future__ import annotations

import pytest

from simulator.story import Event
from simulator.truth import BASE
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
)

OPENED = account("2026-03-01 09:00")


def test_a_wire_is_a_deposit_that_went_through() -> None:
    failed = event("2026-03-05 10:00", "deposit_failed", payment="9", amount="5.00", currency="USD")
    one = client(OPENED, failed, booking("2026-03-06 10:00", "wire", "3000.00"))
    found = seen("2026-03-06 10:30", one)
    assert (found.stage, found.since, found.states) == ("LS5", at("2026-03-06 10:00"), {})
    assert found.fields["first_deposit_method"] == "wire"
    assert found.fields["first_deposit_date"] == "2026-03-06"
    assert found.fields["total_deposit_amount"] == "3000.00"
    assert seen("2026-03-06 11:00", one).states == {"CS6": at("2026-03-06 11:00")}
    without = seen("2026-03-06 10:30", one, sources=BASE)
    assert (without.stage, list(without.states)) == ("LS4", ["CS1", "CS5"])


def test_a_wire_after_a_deposit_is_the_second() -> None:
    first = deposit("2026-03-02 10:00", "100", "50.00")
    trades = [trade("2026-03-02 12:00"), trade("2026-03-03 12:00")]
    one = client(OPENED, first, *trades, booking("2026-03-06 10:00", "wire", "70.00"))
    found = seen("2026-03-06 10:30", one)
    assert (found.stage, found.since) == ("LS9", at("2026-03-06 10:00"))
    assert found.fields["second_deposit_date"] == "2026-03-06"


def test_a_wire_back_is_a_paid_withdrawal() -> None:
    sent, back = (
        booking("2026-03-03 10:00", "wire", "900.00"),
        booking("2026-03-10 10:00", "wire", "-400.00"),
    )
    one = client(OPENED, sent, back)
    found = seen("2026-03-10 12:00", one)
    assert (found.stage, found.since) == ("LS8", at("2026-03-10 10:00"))
    assert "CS8" not in found.states
    assert found.fields["total_withdrawal_amount"] == "400.00"
    assert found.fields["first_withdrawal_date"] == "2026-03-10"
    assert seen("2026-03-17 10:00", one).states["CS9"] == at("2026-03-17 10:00")


PAID = deposit("2026-03-03 10:00", "100", "500.00")


@pytest.mark.parametrize(
    ("told", "since"),
    [
        ([PAID], "2026-03-03 10:15"),
        ([PAID, booking("2026-03-03 10:01", "deposit", "500.00")], None),
        ([PAID, booking("2026-03-03 14:00", "deposit", "500.00")], None),
        ([PAID, booking("2026-03-03 10:01", "deposit", "500.01")], "2026-03-03 10:15"),
        ([PAID, booking("2026-03-03 10:01", "transfer", "500.00")], "2026-03-03 10:15"),
        ([PAID, booking("2026-03-03 10:01", "wire", "500.00")], "2026-03-03 10:15"),
        ([booking("2026-03-03 11:00", "deposit", "500.00")], "2026-03-03 11:15"),
        # The n-th with the n-th: it is the second payment that has no booking,
        (
            [
                PAID,
                deposit("2026-03-03 11:00", "101", "500.00"),
                booking("2026-03-03 12:00", "deposit", "500.00"),
            ],
            "2026-03-03 11:15",
        ),
        # and the second booking that has no payment.
        (
            [
                PAID,
                booking("2026-03-03 09:00", "deposit", "500.00"),
                booking("2026-03-03 12:30", "deposit", "500.00"),
            ],
            "2026-03-03 12:45",
        ),
        # Two that do not fit are both alone; the earliest counts.
        (
            [PAID, booking("2026-03-03 09:00", "deposit", "50.00")],
            "2026-03-03 09:15",
        ),
        # Refunded later, but it was credited; and a failed one need not be.
        (
            [
                PAID,
                event("2026-03-04 10:00", "refunded", payment="100", id="9", amount="500.00"),
            ],
            "2026-03-03 10:15",
        ),
        (
            [
                event(
                    "2026-03-03 10:00", "deposit_failed", payment="9", amount="1.00", currency="USD"
                )
            ],
            None,
        ),
        # A booking back is a withdrawal.
        ([booking("2026-03-03 11:00", "deposit", "-500.00")], None),
        # No account in its currency: not compared, and neither is one in another.
        ([deposit("2026-03-03 10:00", "100", "500.00", "EUR")], None),
        (
            [
                deposit("2026-03-03 10:00", "100", "500.00", "EUR"),
                booking("2026-03-03 10:01", "deposit", "500.00"),
            ],
            "2026-03-03 10:16",
        ),
        # A cent account holds dollars, counted in cents.
        (
            [
                PAID,
                account("2026-03-02 09:00", LOGIN + 1, "USC", "cent\\std"),
                booking("2026-03-03 10:01", "deposit", "50000", "USC", LOGIN + 1),
            ],
            None,
        ),
        # What is booked on a demo account is nothing.
        (
            [
                PAID,
                account("2026-03-02 09:00", LOGIN + 1, group="demo\\forex"),
                booking("2026-03-03 10:01", "deposit", "500.00", login=LOGIN + 1),
            ],
            "2026-03-03 10:15",
        ),
    ],
)
def test_paid_and_credited(told: list[Event], since: str | None) -> None:
    found = seen("2026-03-09 12:00", client(OPENED, *told))
    assert found.states.get("CS15") == (at(since) if since else None)


def test_it_begins_fifteen_minutes_after_the_payment_and_ends_with_the_booking() -> None:
    one = client(OPENED, PAID, booking("2026-03-03 12:00", "deposit", "500.00"))
    begins = at("2026-03-03 10:15")
    assert "CS15" not in seen(begins - 1, one).states
    assert seen(begins - 1, one).until == begins
    assert seen(begins, one).states["CS15"] == begins
    assert "CS15" in seen("2026-03-03 11:59:59.999", one).states
    assert "CS15" not in seen("2026-03-03 12:00", one).states


def test_without_a_trading_account_nothing_is_compared() -> None:
    assert "CS15" not in seen("2026-03-03 12:00", client(PAID)).states


def charged(amount: str, when: str = "2026-03-03 12:00") -> Event:
    return trade(when, commission=f"-{amount}")


TWO = [booking("2026-03-04 10:00", "bonus", "100.00"), booking("2026-03-06 10:00", "bonus", "60")]


@pytest.mark.parametrize(
    ("told", "since"),
    [
        (TWO, "2026-03-06 10:00"),  # it earned nothing
        (TWO[:1], None),
        ([*TWO, charged("320.00")], None),  # 160 is half of it, not more
        ([*TWO, charged("319.99")], "2026-03-06 10:00"),
        # What the PSP took is not earned: 320 - 0.01.
        (
            [*TWO, charged("320.00"), deposit("2026-03-02 09:00", "1", "5.00", fee="0.01")],
            "2026-03-06 10:00",
        ),
        # A swap the client received is a cost as well: 330 - 10.01.
        ([*TWO, trade("2026-03-03 12:00", commission="-330.00", swap="10.01")], "2026-03-06 10:00"),
        # One taken back: 100 + 60 - 60 is less than half of 220; still two were given.
        ([*TWO, booking("2026-03-07 10:00", "bonus", "-60.00"), charged("220.00")], None),
        (
            [*TWO, booking("2026-03-07 10:00", "bonus", "-60.00"), charged("199.00")],
            "2026-03-06 10:00",
        ),
        # All taken back; but nothing was earned either.
        ([*TWO, booking("2026-03-07 10:00", "bonus", "-160.00")], "2026-03-06 10:00"),
        # Where a rate is missing nothing is known, so nothing is said.
        (
            [
                *TWO,
                account("2026-03-02 09:00", LOGIN + 1, "KWD"),
                trade("2026-03-03 12:00", LOGIN + 1, commission="-1.000"),
            ],
            None,
        ),
    ],
)
def test_bonuses_that_outweigh_what_was_earned(told: list[Event], since: str | None) -> None:
    found = seen("2026-03-20 10:00", client(OPENED, *told))
    assert found.states.get("CS12") == (at(since) if since else None)


def test_ninety_days_after_the_first_bonus_it_no_longer_counts() -> None:
    one = client(OPENED, *TWO)
    ends = at("2026-06-02 10:00")
    assert seen(ends - 1, one).states["CS12"] == at("2026-03-06 10:00")
    assert seen(ends - 1, one).until == ends
    assert "CS12" not in seen(ends, one).states


def test_what_was_earned_ninety_days_ago_no_longer_counts() -> None:
    one = client(OPENED, *TWO, charged("320.00", "2026-03-03 12:00"))
    ends = at("2026-06-01 12:00")
    assert "CS12" not in seen(ends - 1, one).states
    assert seen(ends - 1, one).until == ends
    assert seen(ends, one).states["CS12"] == at("2026-03-06 10:00")


def test_bonus_used_and_net_revenue() -> None:
    """In dollars: 30 + 11 earned; 1.25 to the PSP, 40 of bonuses, 55 to partners, 20 disputed."""
    told = [
        OPENED,
        account("2026-03-01 10:00", LOGIN + 1, "EUR"),
        trade("2026-03-03 12:00", commission="-28.00", swap="-3.50"),
        trade("2026-03-04 12:00", swap="1.50"),
        trade("2026-03-04 12:00", LOGIN + 1, commission="-10.00"),
        deposit("2026-03-03 10:00", "100", "500.00", fee="1.25"),
        event("2026-03-10 10:00", "refunded", payment="100", id="8", amount="70.00"),
        event("2026-03-11 10:00", "chargeback_opened", payment="100", id="9", amount="20.00"),
        booking("2026-03-05 10:00", "bonus", "50.00"),
        booking("2026-03-06 10:00", "bonus", "-10.00"),
        booking("2026-03-06 11:00", "credit", "99.00"),
        event("2026-03-01 08:00", "attributed", affiliate="A", sub_id=""),
        event(
            "2026-03-05 10:00", "payout_accrued", affiliate="A", plan="cpa", amount="75.00",
            currency="USD",
        ),
        event(
            "2026-03-06 10:00", "payout_accrued", affiliate="A", plan="cpa", amount="-20.00",
            currency="USD",
        ),
    ]  # fmt: skip
    found = seen("2026-03-20 10:00", client(*told)).fields
    assert found["bonus_used"] == "40.00"
    assert found["payment_fees"] == "1.25"
    assert found["net_revenue"] == "-75.25"


def test_revenue_is_turned_into_the_base_once_an_account_and_day() -> None:
    """0.05 + 0.04 EUR of one day are 0.099, so 0.10 USD; of two days 0.06 (0.055) and 0.04."""
    opened = account("2026-03-01 09:00", currency="EUR")
    for second, expected in (("2026-03-03 13:00", "0.10"), ("2026-03-04 13:00", "0.10")):
        one = client(
            opened,
            trade("2026-03-03 12:00", commission="-0.05"),
            trade(second, commission="-0.04"),
        )
        assert seen("2026-03-20 10:00", one).fields["net_revenue"] == expected
    # 0.05 + 0.05: 0.11 of one day, 0.06 + 0.06 of two (half to even).
    for second, expected in (("2026-03-03 13:00", "0.11"), ("2026-03-04 13:00", "0.12")):
        one = client(
            opened,
            trade("2026-03-03 12:00", commission="-0.05"),
            trade(second, commission="-0.05"),
        )
        assert seen("2026-03-20 10:00", one).fields["net_revenue"] == expected


def test_cents_are_hundredths() -> None:
    opened = account("2026-03-01 09:00", currency="USC", group="cent\\std")
    told = [trade("2026-03-03 12:00", commission="-700", swap="-50")]
    bonus = booking("2026-03-02 10:00", "bonus", "3000", "USC")
    found = seen("2026-03-20 10:00", client(opened, *told, bonus)).fields
    assert (found["bonus_used"], found["net_revenue"]) == ("30.00", "-22.50")


def test_an_amount_without_a_rate_makes_the_sum_unknown() -> None:
    opened = account("2026-03-01 09:00", currency="KWD")
    one = client(opened, booking("2026-03-02 10:00", "bonus", "3.000", "KWD"))
    found = seen("2026-03-20 10:00", one).fields
    assert (found["bonus_used"], found["net_revenue"]) == ("", "")


def test_a_withdrawal_that_never_left_is_none() -> None:
    """Bookings of withdrawals are the server's side of what the PSP tells; they are not added."""
    told = [booking("2026-03-05 10:00", "withdrawal", "100.00")]
    asked = withdrawal("2026-03-05 09:00", "requested", "7")
    found = seen("2026-03-20 10:00", client(OPENED, *told, asked)).fields
    assert found["total_withdrawal_amount"] == "0.00"
