"""Field values: what is taken, and how it is kept and shown.

Documented: a dateTime is ISO 8601 with an offset (ms optional), a date ``yyyy-MM-dd`` without one;
numbers are JSON doubles; a multi-select picklist is ``a;b``; null clears. Assumed: texts lose the
blanks around them, and an empty text clears as null does.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from simulator.salesforce.fields import NUMBERS, TEXTS, Field
from simulator.salesforce.ids import whole
from simulator.salesforce.problems import SalesforceError, malformed_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})", re.ASCII
)
_EMAIL = re.compile(r"[^\s@<>(),;:\"\[\]]+@[^\s@<>(),;:\"\[\]]+\.[^\s@<>(),;:\"\[\].]{2,}")


@lru_cache(maxsize=65_536)
def shown(ms: int) -> str:
    """An instant as Salesforce shows it (recorded): ``2011-07-07T00:37:00.000+0000``."""
    seconds, milli = divmod(ms, 1000)
    t = time.gmtime(seconds)
    day = f"{t[0]:04d}-{t[1]:02d}-{t[2]:02d}"
    return f"{day}T{t[3]:02d}:{t[4]:02d}:{t[5]:02d}.{milli:03d}+0000"


@lru_cache(maxsize=65_536)
def moment(text: str) -> str | None:
    """A sent dateTime as it is shown; None if it is none. Texts of this form sort by time."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return None
    return shown(since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000)


@lru_cache(maxsize=16_384)
def day(text: str) -> str | None:
    """A sent date; None if it is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def taken(field: Field, value: Any) -> Any:
    """A sent JSON value as it is kept; None for blank.

    Raises:
        SalesforceError: the value does not fit the field.
    """
    if value is None or value == "":
        if field.type == "boolean":
            raise _wrong_type(field, "null")  # assumed; documented is that none is ever null
        return None
    if isinstance(value, dict | list):
        raise SalesforceError(
            "JSON_PARSER_ERROR",
            f"Cannot deserialize instance of {field.type} from START_"
            f"{'OBJECT' if isinstance(value, dict) else 'ARRAY'} value",
            [field.name],
        )
    return _TAKERS[field.type](field, value)


def from_csv(text: str, field: Field) -> Any:
    """A cell of a bulk job as the JSON value of the same meaning. (``#N/A`` is the caller's.)"""
    if field.type == "boolean":
        # Documented for the Bulk API: true, false, 1, 0 in any case.
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    return text


def _wrong_type(field: Field, value: object) -> SalesforceError:
    """Recorded code; the words are assumed."""
    return SalesforceError(
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        f"{field.label}: value not of required type: {value}",
        [field.name],
    )


def _text(field: Field, value: Any) -> str | None:
    # Assumed: a number or truth value is taken as the text of it.
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    text = text.strip()
    if len(text) > field.length:
        raise SalesforceError(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {text} (max length={field.length})",
            [field.name],
        )
    return text or None


def _email(field: Field, value: Any) -> str | None:
    text = _text(field, value)
    if text is not None and not _EMAIL.fullmatch(text):
        # Documented code; the words are assumed.
        raise SalesforceError(
            "INVALID_EMAIL_ADDRESS",
            f"{field.label}: invalid email address: {text}",
            [field.name],
        )
    return text


def _picklist(field: Field, value: Any) -> str | None:
    text = _text(field, value)
    if text is not None and field.restricted:
        parts = text.split(";") if field.type == "multipicklist" else [text]
        for part in parts:
            if not any(v.value == part and v.active for v in field.values):
                # Recorded. (An open picklist takes any value in silence.)
                raise SalesforceError(
                    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                    f"{field.label}: bad value for restricted picklist field: {part}",
                    [field.name],
                )
    return text


def _number(field: Field, value: Any) -> float | int:
    if isinstance(value, bool):
        raise _wrong_type(field, str(value).lower())
    try:
        number = float(value)
    except ValueError:
        raise _wrong_type(field, value) from None
    if not math.isfinite(number):
        raise _wrong_type(field, value)
    if abs(number) >= 10 ** (field.precision - field.scale):
        raise SalesforceError(  # documented code, assumed words
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label}: value outside of valid range on numeric field: {value}",
            [field.name],
        )
    # Assumed: kept with the field's decimal places.
    return round(number) if field.type == "int" else round(number, field.scale)


def _boolean(field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("true", "false"):
        return text == "true"
    raise _wrong_type(field, value)


def _date(field: Field, value: Any) -> str:
    found = day(value) if isinstance(value, str) else None
    if found is None:
        raise _wrong_type(field, value)
    return found


def _datetime(field: Field, value: Any) -> str:
    found = moment(value) if isinstance(value, str) else None
    if found is None:
        raise _wrong_type(field, value)
    return found


def _id(field: Field, value: Any) -> str:
    found = whole(value) if isinstance(value, str) else None
    if found is None:
        raise malformed_id(field.label, value, field.name)
    return found


_TAKERS: dict[str, Callable[[Field, Any], Any]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(NUMBERS, _number),
    "email": _email,
    "picklist": _picklist,
    "multipicklist": _picklist,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "id": _id,
    "reference": _id,
}
