"""Market hours: Sunday 17:00 to Friday 17:00 in New York (decision 0015)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_TURNS = time(17)
HOUR = 3_600_000


@lru_cache(maxsize=4096)
def market_after(begin: int, term: int, *, always: bool = False) -> int:
    """The instant at which ``term`` ms of open market have passed since ``begin``.

    A term that is over exactly when the market closes is over then, not at the next opening.
    """
    if always:
        return begin + term
    sunday = _sunday_before(begin)
    left = term
    while True:
        opens, closes = _week(sunday)
        start = max(begin, opens)
        if start + left <= closes:
            return start + left
        left -= max(0, closes - start)
        sunday += timedelta(days=7)


def _sunday_before(instant: int) -> date:
    """New York's Sunday on or before an instant."""
    day = datetime.fromtimestamp(instant / 1000, UTC).astimezone(_NEW_YORK).date()
    return day - timedelta(days=(day.weekday() + 1) % 7)


@lru_cache(maxsize=512)
def _week(sunday: date) -> tuple[int, int]:
    """When the market opens on a Sunday, and when it closes on the Friday after."""
    opens = datetime.combine(sunday, _TURNS, _NEW_YORK)
    closes = datetime.combine(sunday + timedelta(days=5), _TURNS, _NEW_YORK)
    return round(opens.timestamp() * 1000), round(closes.timestamp() * 1000)
