"""A row of the registry as a profile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.instants import instant
from mapping.errors import RecordError
from mapping.payloads import Profile
from mapping.records import check_text
from mapping.words import Disposition

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_YES = ("1", "true", "t", "yes", "y")
_NO = ("", "0", "false", "f", "no", "n")
_BIT = {b"\x00": False, b"\x01": True}


def profile(row: Mapping[str, Any], now_ms: int, zone: tzinfo) -> Profile:
    """The client of a row that is named by our column names.

    Raises:
        RecordError: a field is missing, malformed, too long or absurd.
    """
    client_id = check_text(row, "client_id", most=100)
    if not client_id:
        raise RecordError("field 'client_id' is missing")
    merged_into = check_text(row, "merged_into", most=100)
    if merged_into == client_id:
        raise RecordError("field 'merged_into' names the client itself")
    deleted = flag(row, "deleted")
    disposition = _disposition(row)
    return Profile(
        client_id=client_id,
        registered_at=instant(row.get("registered_at"), "registered_at", now_ms, zone),
        entity=check_text(row, "entity", most=100),
        email=_email(row),
        email_verified=flag(row, "email_verified"),
        first_name=check_text(row, "first_name", most=200),
        last_name=check_text(row, "last_name", most=200),
        phone=check_text(row, "phone", most=60),
        country=check_text(row, "country", most=60),
        language=check_text(row, "language", most=60),
        zone=_zone(row),
        device=check_text(row, "device", most=200),
        landing_page=check_text(row, "landing_page", most=2000),
        source_type=check_text(row, "source_type", most=100),
        campaign=check_text(row, "campaign", most=500),
        consents=_consents(row),
        disposition=Disposition.CLOSED if deleted else disposition,
        merged_into=merged_into,
    )


def flag(row: Mapping[str, Any], key: str) -> bool:
    """A yes or no: booleans, 0 and 1, their texts, MySQL's BIT; blank is no.

    Raises:
        RecordError: anything else.
    """
    value = row.get(key)
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes) and value in _BIT:
        return _BIT[value]
    text = check_text(row, key, most=10).lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise RecordError(f"field {key!r} should be yes or no (true, false, 1, 0)")


def _disposition(row: Mapping[str, Any]) -> Disposition:
    text = check_text(row, "disposition", most=60)
    try:
        return Disposition(text.lower()) if text else Disposition.OPEN
    except ValueError:
        known = ", ".join(Disposition)
        raise RecordError(f"unknown disposition {text!r}; known are {known}") from None


def _email(row: Mapping[str, Any]) -> str:
    text = check_text(row, "email", most=254)
    if text and not _EMAIL.fullmatch(text):
        raise RecordError("field 'email' is not an e-mail address")
    return text


def _zone(row: Mapping[str, Any]) -> str:
    text = check_text(row, "zone", most=60)
    if text:
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise RecordError(f"field 'zone' is no IANA time zone: {text!r}") from None
    return text


def _consents(row: Mapping[str, Any]) -> str:
    """A text as it is; a JSON column in one canonical form."""
    value = row.get("consents")
    if isinstance(value, dict | list):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return check_text({"consents": value}, "consents", most=2000)
