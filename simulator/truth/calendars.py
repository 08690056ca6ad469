"""Due times: a term counted in the owner team's open time (domain §4)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

OPENS, CLOSES = time(9), time(18)


def round_the_clock(begin: int, term: int, zone: str) -> int:
    """Payments and support never close."""
    del zone
    return begin + term


def office_hours(begin: int, term: int, zone: str) -> int:
    """Monday to Friday 09:00-18:00 in the brand's zone, no holidays."""
    place = ZoneInfo(zone)
    day = datetime.fromtimestamp(begin / 1000, UTC).astimezone(place).date()
    left = term
    while True:
        if day.weekday() < 5:
            start = max(begin, _ms(datetime.combine(day, OPENS, place)))
            end = _ms(datetime.combine(day, CLOSES, place))
            if start + left <= end:
                return start + left
            left -= max(0, end - start)
        day += timedelta(days=1)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
