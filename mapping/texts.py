"""Values as the hub writes them: canonical texts for CRM properties, words for task texts.

Canonical: blank is ``""``; a date is ``YYYY-MM-DD`` cut in the brand's zone; an instant is epoch
milliseconds; money is a decimal with its currency's digits; yes/no is ``true``/``false``; several
choices are joined with ``;``. A destination turns these into its own wire form and back.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from mapping.calendars import local_date
from mapping.rules import Fact, FactType
from mapping.wall import HOLD

_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_LOTS_DIGITS = 4  # stored in ten-thousandths


def canonical(value: object, fact_type: FactType, field_type: str, zone: str, digits: int) -> str:
    """A computed value as a canonical text.

    Args:
        value: what the database computed (ms for times, minor units for money).
        digits: digits of the brand's base currency.
    """
    if value is not None and field_type == "date":
        return local_date(_int(value), zone).isoformat()
    return plain(value, fact_type, digits)


def plain(value: object, fact_type: FactType, digits: int) -> str:
    """The same where the property's type does not matter: a time is its milliseconds."""
    if value is None:
        return ""
    # Asked for every field of every contact: the most frequent kinds first.
    if fact_type is FactType.TEXT or fact_type is FactType.ENUM or fact_type is FactType.COUNT:
        return str(value)
    if fact_type is FactType.TIME:
        return str(_int(value))
    if fact_type is FactType.MONEY:
        return f"{Decimal(_int(value)).scaleb(-digits):f}"
    if fact_type is FactType.BOOL:
        return "true" if value else "false"
    if fact_type is FactType.LOTS:
        return f"{Decimal(_int(value)).scaleb(-_LOTS_DIGITS):f}"
    return f"{Decimal(str(value)):f}"  # a ratio: no CRM takes an exponent


SPELLED = frozenset({"number", "checkboxes", "email"})
"""Field types of which two texts may mean one value."""


def same(field_type: str, ours: str, theirs: str) -> bool:
    """Whether two canonical texts mean the same value to a CRM."""
    if ours == theirs:
        return True
    if not ours or not theirs:
        return False
    if field_type == "number":
        try:
            return Decimal(ours) == Decimal(theirs)
        except InvalidOperation:
            return False
    if field_type == "checkboxes":
        return set(ours.split(";")) == set(theirs.split(";"))
    if field_type == "email":
        return ours.lower() == theirs.lower()
    return False


def fill(
    template: str,
    facts: Mapping[str, object],
    declared: Mapping[str, Fact],
    zone: str,
    digits: int,
    connected: Container[str],
    hidden: Container[str] = (),
) -> str:
    """A task text with each ``{fact}`` replaced by words.

    A blank fact reads "not known", one of a source family that is not ``connected`` says so, and
    a ``hidden`` one is behind the compliance wall.
    """

    def word(match: re.Match[str]) -> str:
        name = match[1]
        if name in hidden:
            return HOLD
        if declared[name].family not in connected:
            return "not connected"
        return words(facts.get(name), declared[name], zone, digits)

    return _PLACEHOLDER.sub(word, template).strip()


def words(value: object, fact: Fact, zone: str, digits: int) -> str:
    """A fact as a person reads it: absolute local time, money with digits, yes or no."""
    if value is None or value == "":
        return "not known"
    if fact.type is FactType.TIME:
        at = datetime.fromtimestamp(_int(value) / 1000, UTC).astimezone(ZoneInfo(zone))
        return at.strftime("%Y-%m-%d %H:%M %Z")
    if fact.type is FactType.BOOL:
        return "yes" if value else "no"
    if fact.type is FactType.MONEY:
        return f"{Decimal(_int(value)).scaleb(-digits):f}"
    if fact.type is FactType.ENUM:
        return str(value).replace("_", " ")
    return str(value)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, found {type(value).__name__}")
    return value
