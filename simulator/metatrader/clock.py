"""The trading server's wall clock, and the times it writes.

Documented: midnight is 17:00 New York, or the clock follows a European zone; FILETIME is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

FILETIME_EPOCH_S = 11_644_473_600
ZERO = "0000-00-00 00:00:00"
EPOCH = "1970-01-01 00:00:00"


class ServerClock:
    """``NY+7``, ``fixed:+HH:MM``, or an IANA zone."""

    def __init__(self, rule: str) -> None:
        self._zone: tzinfo
        self._ahead = timedelta()
        if rule.startswith("fixed:"):
            hours, minutes = rule[7:].split(":")
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            self._zone = timezone(-offset if rule[6] == "-" else offset)
        elif rule.startswith("NY+"):
            self._zone, self._ahead = ZoneInfo("America/New_York"), timedelta(hours=int(rule[3:]))
        else:
            self._zone = ZoneInfo(rule)

    def wall(self, ms: int) -> datetime:
        """What the clock shows at an instant."""
        local = datetime.fromtimestamp(ms // 1000, UTC).astimezone(self._zone)
        return local.replace(tzinfo=None) + self._ahead

    def text(self, ms: int, day: str = "") -> str:
        """The same as the export writes it, with another date if given."""
        shown = self.wall(ms).isoformat(" ")
        return f"{day}{shown[10:]}" if day else shown


def filetime(ms: int) -> int:
    """100 ns since 1601-01-01 UTC."""
    return (ms + FILETIME_EPOCH_S * 1000) * 10_000
