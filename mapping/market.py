"""Market hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000
FIRST_TRADE_HOURS, WINDOW_HOURS = 1, 24
"""Market hours after funding until the first trade is due, and until the trade window is over."""
_LATEST_MS = 2**42
"""Instants beyond (the year 2109), or before 1970, are a vendor's mistake and have no calendar."""
_NEW_YORK = ZoneInfo("America/New_York")
_OPENS = _CLOSES = time(17)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Market:
    """When clients can trade: from Sunday to Friday 17:00 New York, or ``always`` (crypto)."""

    always: bool = False

    def after(self, begin_ms: int, hours: int) -> int:
        """The instant, ms, at which the market was open for ``hours`` since ``begin_ms``."""
        left = hours * HOUR_MS
        if self.always or not 0 <= begin_ms < _LATEST_MS:
            return begin_ms + left
        opens, closes = _week(begin_ms)
        while True:
            start = max(begin_ms, opens)
            if start < closes and left <= closes - start:
                return start + left
            left -= max(0, closes - start)
            opens, closes = _week(closes + 12 * HOUR_MS)


def _week(at_ms: int) -> tuple[int, int]:
    """Opening and closing of the trading week that ends next, by New York's clock."""
    return _week_of_hour(at_ms // HOUR_MS)


@lru_cache(maxsize=4096)
def _week_of_hour(hour: int) -> tuple[int, int]:
    """All its instants lie in one week: it begins and ends at a full hour."""
    at_ms = hour * HOUR_MS
    day = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(_NEW_YORK).date()
    friday = day + timedelta(days=(_FRIDAY - day.weekday()) % 7)
    closes = _instant(friday, _CLOSES)
    if closes <= at_ms:
        friday += timedelta(days=7)
        closes = _instant(friday, _CLOSES)
    sunday = friday - timedelta(days=5)
    return _instant(sunday, _OPENS), closes


def _instant(day: date, at: time) -> int:
    return round(datetime.combine(day, at, _NEW_YORK).timestamp() * 1000)
