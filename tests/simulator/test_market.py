"""Market hours and the trading server's clock, over both changes of New York's clock in 2026."""

from __future__ import annotations

from datetime import date

import pytest

from simulator.server_clock import server_day, server_ms, twice_shown, weekday, when_open
from simulator.story import DAY_MS, HOUR_MS
from simulator.truth.market import market_after
from tests.simulator.stories import at


@pytest.mark.parametrize(
    ("begin", "hours", "ends"),
    [
        ("2026-03-04 10:00", 1, "2026-03-04 11:00"),  # a Wednesday
        ("2026-03-04 10:00", 24, "2026-03-05 10:00"),
        # Winter: closed from Friday 22:00 to Sunday 22:00 UTC.
        ("2026-02-27 21:30", 1, "2026-03-01 22:30"),
        ("2026-02-28 12:00", 1, "2026-03-01 23:00"),
        ("2026-03-01 21:59:59.999", 24, "2026-03-02 22:00"),
        # New York changes on 8 March: closed from Friday 22:00 to Sunday 21:00 UTC.
        ("2026-03-06 20:00", 1, "2026-03-06 21:00"),
        ("2026-03-06 20:00", 24, "2026-03-09 19:00"),
        ("2026-03-07 12:00", 1, "2026-03-08 22:00"),
        ("2026-03-07 12:00", 24, "2026-03-09 21:00"),
        ("2026-03-04 22:00", 130, "2026-03-12 07:00"),  # 48 h to Friday, 82 h from Sunday
        # Summer: a term that ends with the week is over then; a millisecond more waits.
        ("2026-03-13 20:00", 1, "2026-03-13 21:00"),
        ("2026-03-13 20:00:00.001", 1, "2026-03-15 21:00:00.001"),
        ("2026-03-13 21:00", 1, "2026-03-15 22:00"),
        # New York changes back on 1 November.
        ("2026-10-31 12:00", 1, "2026-11-01 23:00"),
        ("2026-10-30 20:30", 1, "2026-11-01 22:30"),
        # A whole week and more.
        ("2026-03-13 20:00", 1 + 120 + 24, "2026-03-23 21:00"),
    ],
)
def test_market_hours(begin: str, hours: int, ends: str) -> None:
    assert market_after(at(begin), hours * HOUR_MS) == at(ends)


def test_a_market_that_never_closes() -> None:
    assert market_after(at("2026-03-07 12:00"), HOUR_MS, always=True) == at("2026-03-07 13:00")


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-03-05 21:59:59.999", date(2026, 3, 5)),  # winter: two hours ahead of UTC
        ("2026-03-05 22:00", date(2026, 3, 6)),
        ("2026-03-06 22:00", date(2026, 3, 7)),
        ("2026-03-08 20:59:59.999", date(2026, 3, 8)),  # summer since this Sunday: three
        ("2026-03-08 21:00", date(2026, 3, 9)),
        ("2026-03-28 21:00", date(2026, 3, 29)),  # Europe's change is none of its business
        ("2026-10-31 21:00", date(2026, 11, 1)),
        ("2026-11-01 21:59:59.999", date(2026, 11, 1)),
        ("2026-11-01 22:00", date(2026, 11, 2)),
    ],
)
def test_server_days(instant: str, day: date) -> None:
    found = server_day(at(instant))
    assert found == day.toordinal() - date(1970, 1, 1).toordinal()
    assert weekday(found) == day.weekday()


def test_the_server_shows_an_hour_twice_in_autumn_only() -> None:
    # Back from 02:00 to 01:00 in New York: 08:00 to 09:00 by the server is shown twice.
    assert [twice_shown(at(f"2026-11-01 {h:02}:59:59")) for h in range(3, 9)] == [
        False, False, True, True, False, False,
    ]  # fmt: skip
    assert server_ms(at("2026-11-01 05:30")) == server_ms(at("2026-11-01 06:30"))
    assert not any(twice_shown(at(f"2026-03-08 {h:02}:30")) for h in range(24))


@pytest.mark.parametrize(
    ("instant", "opens"),
    [
        ("2026-03-06 21:59:59", "2026-03-06 21:59:59"),
        ("2026-03-06 22:00", "2026-03-08 21:00"),
        ("2026-03-08 03:00", "2026-03-08 21:00"),
        ("2026-03-08 12:00", "2026-03-08 21:00"),
        ("2026-02-28 12:00", "2026-03-01 22:00"),
        ("2026-10-31 12:00", "2026-11-01 22:00"),
        ("2026-11-01 12:00", "2026-11-01 22:00"),
    ],
)
def test_when_the_market_opens(instant: str, opens: str) -> None:
    assert when_open(at(instant)) == at(opens)


def test_the_market_opens_when_the_servers_monday_begins() -> None:
    """Two rules written apart, New York's Sunday 17:00 and the server's Monday 00:00, agree."""
    for n in range(300):
        instant = at("2026-01-01 05:00") + n * (DAY_MS + 17 * 60_000)
        assert market_after(instant, 1) == when_open(instant) + 1
