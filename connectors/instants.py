"""Reading a vendor's time: datetimes, texts or epochs, as milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from email.utils import parsedate_to_datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mapping.errors import ConfigError, RecordError

# An older instant is a vendor's mistake (a zero, a two-digit year): 2000-01-01.
EARLIEST_MS = 946_684_800_000
# So is one further ahead of now than a day (a wrong unit, a wrong zone).
LATEST_AHEAD_MS = 86_400_000
# Numbers from here on are milliseconds: as seconds they would lie after the year 5000.
EPOCH_MS_FROM = 100_000_000_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - compared with local times of UTC


@cache
def zone(name: str, where: str) -> tzinfo:
    """The IANA zone of a setting; ``where`` names the setting.

    Raises:
        ConfigError: there is no such zone.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{where}: unknown time zone {name!r}; expected an IANA name such as Europe/Nicosia"
        ) from None


def instant(value: object, field: str, now_ms: int, naive: tzinfo = UTC) -> int:
    """``value`` (datetime, date, ISO text, epoch seconds or milliseconds) as milliseconds UTC.

    A time without an offset is a local time of ``naive`` (the earlier one where the clock is
    turned back), a date its midnight.

    Raises:
        RecordError: missing, not a time, before the year 2000 or over a day ahead of ``now_ms``.
    """
    if value is None or value == "":
        raise RecordError(f"field {field!r} is missing")
    at = _milliseconds(value, field, naive)
    if not EARLIEST_MS <= at <= now_ms + LATEST_AHEAD_MS:
        when = "before the year 2000" if at < EARLIEST_MS else "more than a day in the future"
        raise RecordError(f"field {field!r} is {when}")
    return at


def _milliseconds(value: object, field: str, naive: tzinfo) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise RecordError(f"field {field!r} is not a time: expected ISO 8601") from None
    if isinstance(value, datetime):
        return _of_datetime(value, field, naive)
    if isinstance(value, date):
        return _of_datetime(datetime.combine(value, time()), field, naive)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"field {field!r} should be a time, found {type(value).__name__}")
    try:
        return int(value) if abs(value) >= EPOCH_MS_FROM else round(value * 1000)
    except (OverflowError, ValueError):
        raise RecordError(f"field {field!r} is not a finite number") from None


def _of_datetime(value: datetime, field: str, naive: tzinfo) -> int:
    if value.tzinfo is None and naive is UTC and not value.microsecond:
        passed = value - _EPOCH  # what most rows hold, at a fifth of the price
        return (passed.days * 86_400 + passed.seconds) * 1000
    try:
        at = value if value.tzinfo is not None else value.replace(tzinfo=naive)
        return round(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise RecordError(f"field {field!r} is a time out of range") from None


def skew_s(date_header: str | None, now_ms: int) -> float | None:
    """How far our clock is ahead of a server's, seconds, by the Date of its answer.

    None where the answer has none that can be read.
    """
    if not date_header:
        return None
    try:
        theirs = parsedate_to_datetime(date_header)
    except ValueError:
        return None
    utc = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    return now_ms / 1000 - utc.timestamp()
