"""Instants as local texts, for texts that are made for every client.

The same texts as :func:`mapping.texts.words` gives, in a tenth of the time: what a day of UTC looks
like in a zone is worked out once; only on a day on which the clocks change, for each instant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
_EPOCH = date(1970, 1, 1).toordinal()
_MOST_DAYS = 20_000
_CLOCK = tuple(f" {minute // 60:02}:{minute % 60:02} " for minute in range(1440))


class _Day(NamedTuple):
    """A day of UTC as a zone sees it: up to local midnight (ms) one date, then the next."""

    midnight: int
    before: str
    after: str
    ahead: int
    zone_name: str


class LocalTimes:
    """Local texts of instants (ms UTC) in one time zone.

    Args:
        unknown: the text of a blank.
    """

    def __init__(self, zone: str, unknown: str = "") -> None:
        self._zone = ZoneInfo(zone)
        self._days: dict[int, _Day] = {}
        self._unknown = unknown

    def at(self, instant_ms: int | None) -> str:
        """``2026-03-06 14:05 EET``."""
        if instant_ms is None:
            return self._unknown
        found = self._days.get(instant_ms // _DAY_MS) or self._day(instant_ms)
        midnight, before, after, ahead, name = found
        clock = _CLOCK[(instant_ms + ahead) // _MINUTE_MS % 1440]
        return f"{before if instant_ms < midnight else after}{clock}{name}"

    def day(self, instant_ms: int | None) -> str:
        """``2026-03-06``."""
        if instant_ms is None:
            return self._unknown
        found = self._days.get(instant_ms // _DAY_MS) or self._day(instant_ms)
        return found.before if instant_ms < found.midnight else found.after

    def _day(self, instant_ms: int) -> _Day:
        number = instant_ms // _DAY_MS
        ahead, name = self._offset(instant_ms)
        local = (number * _DAY_MS + ahead) // _DAY_MS
        found = _Day((local + 1) * _DAY_MS - ahead, _date(local), _date(local + 1), ahead, name)
        ends = (number * _DAY_MS, (number + 1) * _DAY_MS - 1)
        if all(self._offset(end) == (ahead, name) for end in ends):
            if len(self._days) >= _MOST_DAYS:
                self._days.clear()
            self._days[number] = found
        return found

    def _offset(self, instant_ms: int) -> tuple[int, str]:
        """(ms ahead of UTC, the zone's short name) at an instant."""
        at = datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(self._zone)
        offset = at.utcoffset()
        return (round(offset.total_seconds() * 1000) if offset else 0), at.tzname() or ""


@lru_cache(maxsize=64)
def local_times(zone: str, unknown: str = "") -> LocalTimes:
    """Those of a zone; what was worked out is kept from one run to the next."""
    return LocalTimes(zone, unknown)


def _date(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()
