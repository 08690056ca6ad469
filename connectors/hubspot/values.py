"""Values between the hub's texts and HubSpot's.

The hub's canonical texts: a date is ``YYYY-MM-DD``, an instant the text of its ms since 1970 UTC, a
yes/no ``true`` or ``false``, several options their values sorted and joined with ``;``, blank is
empty. HubSpot takes dates as ms at midnight UTC and instants as ms; both come back as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from connectors.destination import CrmProperty

Convert = Callable[[str], str]
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=8192)
def date_to_wire(text: str) -> str:
    """``2026-03-01`` -> ms at midnight UTC.

    Raises:
        ValueError: not a date.
    """
    if not text:
        return ""
    if len(text) != 10:
        raise ValueError("not a date")
    return str((date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY_MS)


def instant_to_wire(text: str) -> str:
    """Ms stay ms.

    Raises:
        ValueError: not a whole number.
    """
    if text:
        int(text)
    return text


@lru_cache(maxsize=65_536)
def instant_from_wire(text: str) -> str:
    """ISO 8601 (or ms) -> ms.

    Raises:
        ValueError: neither.
    """
    if text.lstrip("-").isdigit():
        return text
    since = datetime.fromisoformat(text).astimezone(UTC) - _EPOCH
    return str(since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000)


def date_from_wire(text: str) -> str:
    """HubSpot shows days as ISO; ms are read too, because it once did."""
    if text.lstrip("-").isdigit():
        return date.fromordinal(_EPOCH_DAY + int(text) // DAY_MS).isoformat()
    return text[:10]


def number_from_wire(text: str) -> str:
    """A plain decimal: HubSpot may show large numbers with an exponent."""
    return f"{Decimal(text):f}" if "e" in text.lower() else text


def options_sorted(text: str) -> str:
    """Several options in one order, whatever order they came in."""
    return ";".join(sorted({part for part in text.split(";") if part}))


def writers(properties: Mapping[str, CrmProperty]) -> dict[str, Convert]:
    """Property -> conversion to HubSpot, for those that need one."""
    out: dict[str, Convert] = {}
    for name, prop in properties.items():
        if prop.type == "date":
            out[name] = date_to_wire
        elif prop.type == "datetime":
            out[name] = instant_to_wire
        elif prop.type == "enumeration" and prop.field_type == "checkbox":
            out[name] = options_sorted
    return out


def readers(properties: Mapping[str, CrmProperty]) -> dict[str, Convert]:
    """Property -> conversion from HubSpot, for those that need one."""
    out: dict[str, Convert] = {}
    for name, prop in properties.items():
        if prop.type == "date":
            out[name] = date_from_wire
        elif prop.type == "datetime":
            out[name] = instant_from_wire
        elif prop.type == "number":
            out[name] = number_from_wire
        elif prop.type == "enumeration" and prop.field_type == "checkbox":
            out[name] = options_sorted
        elif prop.type == "bool":
            out[name] = str.lower
    return out
