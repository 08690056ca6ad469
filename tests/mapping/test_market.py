"""Market hours through weekends and clock changes, and the crossing into high value: by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mapping.market import Market


def at(text: str) -> int:
    """An instant of 2026, ``03-06 20:00`` UTC."""
    return round(datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("begin", "hours", "end"),
    [
        ("03-03 10:00", 1, "03-03 11:00"),
        ("03-03 10:00", 24, "03-04 10:00"),
        # Winter: New York's 17:00 is 22:00 UTC. Two hours on Friday, the rest from Sunday, when
        # summer time has begun there: 17:00 is 21:00 UTC.
        ("03-06 20:00", 1, "03-06 21:00"),
        ("03-06 20:00", 24, "03-09 19:00"),
        # Summer: Friday 21:00 UTC to Sunday 21:00 UTC.
        ("03-20 20:30", 1, "03-22 21:30"),
        ("03-21 12:00", 1, "03-22 22:00"),  # a Saturday
        ("03-22 20:59", 1, "03-22 22:00"),
        ("03-13 21:00", 1, "03-15 22:00"),  # funded as the market closes
        # Back to winter on 1 November: the week opens at 22:00 UTC.
        ("10-30 20:00", 24, "11-02 21:00"),
    ],
)
def test_market_hours(begin: str, hours: int, end: str) -> None:
    assert Market().after(at(begin), hours) == at(end)


def test_crypto_never_closes() -> None:
    assert Market(always=True).after(at("03-07 12:00"), 24) == at("03-08 12:00")


def test_a_vendors_absurd_instant_has_no_calendar() -> None:
    assert Market().after(-(10**14), 1) == -(10**14) + 3_600_000
    assert Market().after(2**50, 1) == 2**50 + 3_600_000
