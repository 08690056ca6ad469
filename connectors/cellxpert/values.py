"""Reading one cell: dates in the tenant's order, and amounts as a report writes them."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from decimal import Decimal

from connectors.instants import instant
from mapping.errors import RecordError
from mapping.money import MAX_MINOR, Money, exponent

_DATE = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?([AaPp])[Mm])?)?",
    re.ASCII,
)
# A blank of any kind and an apostrophe may part thousands; a currency sign may stand beside.
_AROUND = re.compile(r"[\s'\u2019$\u20ac\u00a3]")
_POINT = re.compile(r"-?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)", re.ASCII)
_NOON = 12


def at(value: object, field: str, order: str, zone: tzinfo, now_ms: int) -> int:
    """The instant of a date such as ``3/14/2026``, with or without a time, in ms.

    Args:
        order: ``M/D/YYYY``, ``D/M/YYYY`` or ``YYYY-MM-DD``; ISO texts are read in any case.

    Raises:
        RecordError: missing, no date of that order, or out of range.
    """
    found = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, bool | int | float):
            raise RecordError(f"field {field!r} should be a date ({order}), found a number")
        return instant(value.strip() if isinstance(value, str) else value, field, now_ms, zone)
    first, second, year = (int(part) for part in found.group(1, 2, 3))
    if order == "YYYY-MM-DD":
        raise RecordError(f"field {field!r} is not a date of the order {order} (date_format)")
    month, day = (first, second) if order == "M/D/YYYY" else (second, first)
    hour, minute, second = (int(part or 0) for part in found.group(4, 5, 6))
    half = (found.group(7) or "").lower()
    if half:
        if not 1 <= hour <= _NOON:
            raise RecordError(f"field {field!r} has an hour that no clock of twelve hours shows")
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=None)  # noqa: DTZ001
    except ValueError:
        raise RecordError(
            f"field {field!r} is not a date of the order {order} (setting date_format)"
        ) from None
    return instant(local, field, now_ms, zone)


def money(value: object, field: str, currency: str, *, decimal_comma: bool) -> Money | None:
    """An amount, rounded half-even to the currency's smallest unit; None where the cell is blank.

    A share of revenue has more digits than a currency. Thousands may be parted (``1,234.50``);
    a comma that parts no three digits is not guessed at.

    Raises:
        RecordError: not an amount, or out of range.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecordError(f"field {field!r} should be an amount, found {type(value).__name__}")
    text = _AROUND.sub("", str(value)) if isinstance(value, str) else _plain(value, field)
    if not text:
        return None
    if decimal_comma and isinstance(value, str):
        text = text.translate({ord("."): ",", ord(","): "."})
    if len(text) > 40 or not _POINT.fullmatch(text):
        hint = "" if decimal_comma else "; is its comma a decimal comma (setting decimal_comma)?"
        raise RecordError(f"field {field!r} is not an amount such as 1,234.50{hint}")
    minor = int(
        Decimal(text.replace(",", ""))
        .scaleb(exponent(currency))
        .to_integral_value(rounding="ROUND_HALF_EVEN")
    )
    if abs(minor) > MAX_MINOR:
        raise RecordError(f"field {field!r} is out of range")
    return Money(minor, currency)


def _plain(value: float, field: str) -> str:
    """A JSON number without an exponent."""
    number = Decimal(repr(value))
    if not number.is_finite():
        raise RecordError(f"field {field!r} is not a finite number")
    if number.adjusted() > 30:
        raise RecordError(f"field {field!r} is out of range")
    return f"{number:f}" if number.adjusted() > -20 else "0"
