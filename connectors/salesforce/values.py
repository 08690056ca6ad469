"""Values between the hub's texts and Salesforce's JSON.

The hub's canonical texts: a date is ``YYYY-MM-DD``, an instant the text of its ms since 1970 UTC, a
yes/no ``true`` or ``false``, several options their values sorted and joined with ``;``, blank is
empty. Salesforce has numbers as JSON doubles, booleans that are never blank, instants as ISO 8601
(``+0000`` on the way out), and null for blank (documented, and seen in captures).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Json = str | int | float | bool | None
TYPES: Mapping[str, str] = {
    "boolean": "bool",
    "int": "number",
    "double": "number",
    "currency": "number",
    "percent": "number",
    "date": "date",
    "datetime": "datetime",
    "picklist": "enumeration",
    "multipicklist": "enumeration",
    "combobox": "string",
}
"""Salesforce's type of a field -> the hub's; whatever is not named is a text."""


def outward(kind: str, text: str) -> Json:
    """A canonical text as the value of a field of this type.

    Raises:
        ValueError: it is none.
    """
    return _OUT.get(kind, _text)(text)


def inward(kind: str, value: Any) -> str:
    """A field's value as a canonical text.

    Raises:
        ValueError: not a value of this type.
    """
    if value is None:
        return ""
    return _IN.get(kind, str)(value)


def _text(text: str) -> str | None:
    return text or None


def _bool(text: str) -> bool:
    if text not in ("", "true", "false"):
        raise ValueError("neither true nor false")
    return text == "true"  # documented: a checkbox is never blank


def _number(text: str) -> int | float | None:
    if not text:
        return None
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not exact.is_finite():
        raise ValueError("not a number")
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _date(text: str) -> str | None:
    if text and len(text) != 10:
        raise ValueError("not a date")
    return date.fromisoformat(text).isoformat() if text else None


@lru_cache(maxsize=65_536)
def _instant(text: str) -> str | None:
    if not text:
        return None
    at = _EPOCH + timedelta(milliseconds=int(text))
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _options(text: str) -> str | None:
    return ";".join(sorted({part for part in text.split(";") if part})) or None


@lru_cache(maxsize=65_536)
def instant_ms(text: str) -> int:
    """ISO 8601 -> ms.

    Raises:
        ValueError: not an instant.
    """
    since = datetime.fromisoformat(text).astimezone(UTC) - _EPOCH
    return since // timedelta(milliseconds=1)


def _number_text(value: Any) -> str:
    # A whole double comes back as 500.0; an exponent would be another text for the same number.
    exact = Decimal(str(value))
    whole = exact.to_integral_value()
    return f"{whole:f}" if exact == whole else f"{exact.normalize():f}"


_OUT: Mapping[str, Callable[[str], Json]] = {
    "boolean": _bool,
    "int": _number,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "date": _date,
    "datetime": _instant,
    "multipicklist": _options,
}
_IN: Mapping[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "int": _number_text,
    "double": _number_text,
    "currency": _number_text,
    "percent": _number_text,
    "date": lambda value: str(value)[:10],
    "datetime": lambda value: str(instant_ms(str(value))),
    "multipicklist": lambda value: _options(str(value)) or "",
}
