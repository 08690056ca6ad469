"""Team calendars: open hours, and due times counted in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
_MAX_DAYS = 400  # a calendar without an open day within a year is refused when it is built


@dataclass(frozen=True, slots=True)
class Term:
    """How long a team has: ``minutes`` of open time, or the end of the n-th open day after today.

    ``days=0`` is "same day": the end of the first open day.
    """

    minutes: int | None = None
    days: int | None = None

    @property
    def urgent(self) -> bool:
        """Due within the hour: the task has priority HIGH."""
        return self.minutes is not None and self.minutes <= 60


@dataclass(frozen=True, slots=True)
class Calendar:
    """Open hours of a team: ``weekdays`` 0 = Monday; ``always`` is 24/7. Hours are brand-local."""

    always: bool = False
    weekdays: frozenset[int] = frozenset(range(5))
    opens: time = time(9)
    closes: time = time(18)

    def due(self, begin_ms: int, term: Term, zone: str) -> int:
        """When a task that begins at ``begin_ms`` is due, ms UTC.

        Minutes are counted in open time; days end with the open day (24/7: local midnight).
        """
        if term.minutes is not None:
            return self._after_minutes(begin_ms, term.minutes, ZoneInfo(zone))
        return self._end_of_day(begin_ms, term.days or 0, ZoneInfo(zone))

    def _after_minutes(self, begin_ms: int, minutes: int, zone: ZoneInfo) -> int:
        left = minutes * MINUTE_MS
        if self.always:
            return begin_ms + left
        day = _local(begin_ms, zone).date()
        for _ in range(_MAX_DAYS):
            if day.weekday() in self.weekdays:
                start = max(begin_ms, _instant(day, self.opens, zone))
                end = _instant(day, self.closes, zone)
                if start < end:
                    if left <= end - start:
                        return start + left
                    left -= end - start
            day += timedelta(days=1)
        raise ValueError("the calendar has no open day")

    def _end_of_day(self, begin_ms: int, days: int, zone: ZoneInfo) -> int:
        day = _local(begin_ms, zone).date()
        for _ in range(_MAX_DAYS):
            if self.always or day.weekday() in self.weekdays:
                end = self._close_of(day, zone)
                if end > begin_ms:
                    if days == 0:
                        return end
                    days -= 1
            day += timedelta(days=1)
        raise ValueError("the calendar has no open day")

    def _close_of(self, day: date, zone: ZoneInfo) -> int:
        if self.always:
            return _instant(day + timedelta(days=1), time(0), zone)
        return _instant(day, self.closes, zone)


def local_date(instant_ms: int, zone: str) -> date:
    """The calendar day of an instant in a zone."""
    return _local(instant_ms, ZoneInfo(zone)).date()


def _local(instant_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, at, zone).timestamp() * 1000)
