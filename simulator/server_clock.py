"""The trading server's clock: seven hours before New York's, so its midnight is New York's 17:00.

Its Monday to Friday are the hours in which the market is open. Derived from New York's zone, so
the server changes its clock when New York does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from simulator.story import DAY_MS, HOUR_MS

RULE = "NY+7"
SATURDAY = 5
_NEW_YORK = ZoneInfo("America/New_York")
_AHEAD_MS = 7 * HOUR_MS


@lru_cache(maxsize=8192)
def _offset_ms(hour: int) -> int:
    """What the clock is ahead of UTC in one hour since 1970; New York changes on whole hours."""
    moment = datetime.fromtimestamp(hour * 3600, UTC).astimezone(_NEW_YORK)
    ahead = moment.utcoffset() or timedelta()
    return round(ahead.total_seconds() * 1000) + _AHEAD_MS


def server_ms(instant: int) -> int:
    """What the server's clock shows, as ms since its own 1970-01-01."""
    return instant + _offset_ms(instant // HOUR_MS)


def server_day(instant: int) -> int:
    """The server's day, counted from 1970-01-01 (a Thursday)."""
    return server_ms(instant) // DAY_MS


def weekday(day: int) -> int:
    """0 for Monday."""
    return (day + 3) % 7


def twice_shown(instant: int) -> bool:
    """Whether the clock shows this time twice: in the two hours around its change in autumn."""
    shown = server_ms(instant)
    return any(server_ms(other) == shown for other in (instant - HOUR_MS, instant + HOUR_MS))


def when_open(instant: int) -> int:
    """The instant, or the next opening of the market: the server's Monday 00:00."""
    day, clock = divmod(server_ms(instant), DAY_MS)
    if weekday(day) < SATURDAY:
        return instant
    opens = instant + (7 - weekday(day)) * DAY_MS - clock
    # New York changes its clock on the Sunday between.
    return opens + server_ms(instant) - instant - (server_ms(opens) - opens)
