"""The trading server's wall clock: rules with their own daylight saving time, never an offset.

MetaTrader writes wall-clock times; only ``Timestamp`` is UTC (a Windows FILETIME: 100 ns since
1601-01-01). Most servers keep midnight at 17:00 New York, and switch either on the American or on
the European dates, which differ on 28 days of 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache

from connectors.instants import zone
from mapping.errors import ConfigError

DAY = timedelta(days=1)
DAY_MS = 86_400_000
FILETIME_EPOCH_MS = 11_644_473_600_000
_FIXED = re.compile(r"fixed:([+-])(\d\d):(\d\d)")
_SHIFTED = re.compile(r"NY([+-])(\d{1,2})")


def of_filetime(ticks: int) -> int:
    """Milliseconds UTC of a FILETIME."""
    return ticks // 10_000 - FILETIME_EPOCH_MS


def to_filetime(ms: int) -> int:
    """The FILETIME of milliseconds UTC."""
    return (ms + FILETIME_EPOCH_MS) * 10_000


@dataclass(frozen=True, slots=True)
class Repeat:
    """Wall-clock times that happen twice: ``first`` up to ``last``, again from ``again_ms`` on."""

    first: datetime
    last: datetime
    again_ms: int


class ServerTime:
    """One rule: a zone, and hours that the server is ahead of it."""

    def __init__(self, rule: str, base: tzinfo, shift: timedelta) -> None:
        self.rule = rule
        self._base, self._shift = base, shift

    def __repr__(self) -> str:
        return f"ServerTime({self.rule!r})"

    @classmethod
    def read(cls, rule: str, where: str) -> ServerTime:
        """The rule of a setting: ``NY+7``, ``fixed:+03:00`` or an IANA name.

        Raises:
            ConfigError: it is none; ``where`` names the setting.
        """
        if found := _SHIFTED.fullmatch(rule):
            hours = int(found[1] + found[2])
            return cls(rule, zone("America/New_York", where), timedelta(hours=hours))
        if found := _FIXED.fullmatch(rule):
            minutes = int(found[2]) * 60 + int(found[3])
            offset = timedelta(minutes=-minutes if found[1] == "-" else minutes)
            if abs(offset) < DAY:
                return cls(rule, timezone(offset), timedelta())
        if rule.startswith(("fixed", "NY")):
            raise ConfigError(
                f"{where}: {rule[:40]!r} is no rule; expected an IANA zone such as Europe/Athens,"
                " NY+7, fixed:+03:00 or measure"
            )
        return cls(rule, zone(rule, where), timedelta())

    def wall(self, ms: int) -> datetime:
        """What the server's clock shows at an instant."""
        local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(self._base)
        return local.replace(tzinfo=None, fold=0) + self._shift

    def day(self, ms: int) -> date:
        """The server's date at an instant."""
        return self.wall(ms).date()

    def utc_ms(self, wall: datetime, *, again: bool = False) -> int:
        """The instant of a wall-clock time; of one that happens twice the second if ``again``."""
        local = (wall - self._shift).replace(tzinfo=self._base, fold=int(again))
        return round(local.timestamp() * 1000)

    def offset_min(self, ms: int) -> int:
        """How far the server's clock is ahead of UTC at an instant, minutes."""
        return round((self.wall(ms) - _utc(ms)).total_seconds() / 60)

    def repeats(self, first: date, last: date) -> list[Repeat]:
        """The times that happen twice within these days."""
        years = range(first.year, last.year + 1)
        return [
            found
            for year in years
            for found in _repeats(self, year)
            if first <= found.first.date() <= last or first <= found.last.date() <= last
        ]


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


@cache
def _repeats(clock: ServerTime, year: int) -> tuple[Repeat, ...]:
    """The clock's turns backward in a year, found by bisection of the days they lie in."""
    found = []
    start = round(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000)
    for low in range(start, start + 366 * DAY_MS, DAY_MS):
        before, after = clock.offset_min(low), clock.offset_min(low + DAY_MS)
        if after >= before:
            continue
        left, right = low, low + DAY_MS
        while right - left > 1000:
            middle = (left + right) // 2000 * 1000
            if clock.offset_min(middle) == before:
                left = middle
            else:
                right = middle
        turn = clock.wall(right)
        found.append(Repeat(turn, turn + timedelta(minutes=before - after), right))
    return tuple(found)
