"""Property values: what the portal takes, and what it shows when read again.

Documented: every value is a text; a date is ``YYYY-MM-DD`` or ms at exactly midnight UTC, a
datetime ISO 8601 or ms, both read back as ISO; an option must equal the option's value exactly;
a number has no thousands separators (400 since May 2023).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache

MAX_TEXT = 65_536  # documented (knowledge base): characters of a text written through the API
DAY_MS = 86_400_000
_NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>(),;:\"\[\]]+@[^\s@<>(),;:\"\[\]]+\.[^\s@<>(),;:\"\[\]]{2,}")
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)


class RejectedError(Exception):
    """A value that is not taken: HubSpot's code (recorded) and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Parse = Callable[[str], str]
"""From the text sent to the text shown; "" (which clears, documented) stays "".

Raises RejectedError, KeyError (no such option) or TypeError (not a text); `explain` words them.
"""

parse_text: Parse = str.__str__
"""Any text: the length is looked at per record. In C, because a bulk load parses millions."""


@lru_cache(maxsize=65_536)
def iso(ms: int) -> str:
    """An instant as HubSpot shows it: ``2026-03-01T08:00:00Z``; ms only where there are any."""
    seconds, milli = divmod(ms, 1000)
    t = time.gmtime(seconds)
    text = f"{t[0]:04d}-{t[1]:02d}-{t[2]:02d}T{t[3]:02d}:{t[4]:02d}:{t[5]:02d}"
    return f"{text}.{milli:03d}Z" if milli else f"{text}Z"


@lru_cache(maxsize=16_384)
def parse_number(value: str) -> str:
    """Assumed: the text comes back as it was sent."""
    if value and not _NUMBER.fullmatch(value):
        raise RejectedError("INVALID_LONG", f"{value} was not a valid long.")
    return value


@lru_cache(maxsize=16_384)
def parse_date(value: str) -> str:
    """A day, shown as ISO."""
    if not value:
        return ""
    if _WHOLE.fullmatch(value):
        ms = int(value)
        if ms % DAY_MS:
            clock = iso(ms)[11:-1]
            raise RejectedError("INVALID_DATE", f"{value} is at {clock} UTC, not midnight!")
        return iso(ms)[:10]
    try:
        return date.fromisoformat(value).isoformat() if len(value) == 10 else _no_date(value)
    except ValueError:
        return _no_date(value)


def _no_date(value: str) -> str:
    raise RejectedError("INVALID_DATE", f"{value} was not a valid date.")


@lru_cache(maxsize=65_536)
def parse_datetime(value: str) -> str:
    """An instant, shown as ISO in UTC."""
    if not value:
        return ""
    if _WHOLE.fullmatch(value):
        return iso(int(value))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or "T" not in value or moment.tzinfo is None:
        raise RejectedError("INVALID_DATE", f"{value} was not a valid date.")
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return iso(since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000)


def parse_email(value: str) -> str:
    """Recorded: stored in lower case."""
    if value and not _EMAIL.fullmatch(value):
        raise RejectedError("INVALID_EMAIL", f"Email address {value} is invalid")
    return value.lower()


def some_of(allowed: dict[str, str]) -> Parse:
    """Several options joined by ``;`` (documented); shown in the order of the options (assumed)."""

    def parse(value: str) -> str:
        wanted = value.split(";")
        for part in wanted:
            allowed[part]
        return ";".join(option for option in allowed if option in wanted)

    return parse


def explain(value: str, parse: Parse, allowed: dict[str, str]) -> RejectedError | None:
    """Why ``value`` is not taken, None if it is."""
    try:
        stored = parse(value)
    except RejectedError as rejected:
        return rejected
    except KeyError as missing:
        options = ", ".join(option for option in allowed if option)
        return RejectedError(
            "INVALID_OPTION", f"{missing.args[0]} was not one of the allowed options: [{options}]"
        )
    if len(stored) > MAX_TEXT:
        return RejectedError("INVALID_LENGTH", f"The value is longer than {MAX_TEXT} characters.")
    return None
