"""What a field does with our value on its way into a CRM property: a closed list of transforms.

A value is first a canonical text of its own kind (see ``mapping/texts.py``: an instant is its
milliseconds, yes/no is ``true`` or ``false``); a transform turns that text into the property's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

from mapping.rules import FactType

FIELD_TYPES = ("string", "number", "date", "datetime", "enumeration", "checkboxes", "bool")
DATE_FORMS: Mapping[str, str] = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "DD.MM.YYYY": "%d.%m.%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
    "YYYY-MM": "%Y-%m",
    "YYYY": "%Y",
    "YYYY-MM-DD HH:MM": "%Y-%m-%d %H:%M",
    "DD.MM.YYYY HH:MM": "%d.%m.%Y %H:%M",
}
NUMBERS = frozenset([FactType.COUNT, FactType.MONEY, FactType.LOTS, FactType.RATIO])
WORDS = frozenset([FactType.ENUM, FactType.TEXT])
MAX_DIGITS = 6
_DATE = re.compile(r"\d{4}-\d\d-\d\d")

_PLAIN: Mapping[str, frozenset[FactType]] = {
    "string": WORDS,
    "enumeration": WORDS,
    "number": NUMBERS,
    "date": frozenset([FactType.TIME]),
    "datetime": frozenset([FactType.TIME]),
    "bool": frozenset([FactType.BOOL]),
    "checkboxes": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What kind of value a field takes in.

    ``words`` are all values it can have, where that is known. ``several``: joined with ``;``.
    ``personal``: a client's own text. ``shown``: its values may be listed in reports.
    """

    kind: FactType
    words: tuple[str, ...] | None = None
    several: bool = False
    personal: bool = False
    shown: bool = False

    @property
    def named(self) -> str:
        """For messages."""
        if self.several:
            return "list of several values"
        return {FactType.TIME: "time", FactType.BOOL: "yes or no"}.get(self.kind, self.kind.value)


class Unmapped(StrEnum):
    """What becomes of a value that a value map does not name.

    ``REFUSE``: the map has to name every value; of an open text, what the CRM holds is left.
    """

    BLANK = "blank"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class ValueMap:
    """Our value -> the portal's."""

    values: Mapping[str, str]
    unmapped: Unmapped = Unmapped.BLANK

    def __str__(self) -> str:
        return f"map of {len(self.values)}, others: {self.unmapped}"

    def written(self, ours: str, zone: str) -> str | None:
        """The portal's value; None leaves the property as it is."""
        del zone
        if ";" in ours and ours not in self.values:
            found = [t for part in ours.split(";") if (t := self._one(part))]
            return ";".join(dict.fromkeys(found))
        return self._one(ours)

    def _one(self, ours: str) -> str | None:
        found = self.values.get(ours)
        if found is not None:
            return found
        return {Unmapped.BLANK: "", Unmapped.KEEP: ours, Unmapped.REFUSE: None}[self.unmapped]

    def targets(self, words: Iterable[str] | None) -> list[str]:
        """Every value this map can write, given the words it takes in."""
        kept = [w for w in words or () if w not in self.values]
        found = [*self.values.values(), *(kept if self.unmapped is Unmapped.KEEP else [])]
        return [t for t in dict.fromkeys(found) if t]


@dataclass(frozen=True, slots=True)
class Rounded:
    """A number times ``scale``, with ``digits`` after the point (half away from zero)."""

    scale: Decimal = Decimal(1)
    digits: int | None = None

    def __str__(self) -> str:
        words = [f"times {self.scale:f}"] if self.scale != 1 else []
        return ", ".join([*words, *([f"digits: {self.digits}"] if self.digits is not None else [])])

    def written(self, ours: str, zone: str) -> str | None:
        """The number as a plain decimal."""
        del zone
        found = Decimal(ours) * self.scale
        if self.digits is not None:
            found = found.quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_UP)
        return f"{found if found else abs(found):f}"  # no "-0.00"


@dataclass(frozen=True, slots=True)
class Dated:
    """A time as a text in one of the closed list of forms, in the brand's zone."""

    form: str

    def __str__(self) -> str:
        return self.form

    def written(self, ours: str, zone: str) -> str | None:
        """The local date or time in words."""
        at = datetime.fromtimestamp(int(ours) / 1000, UTC).astimezone(ZoneInfo(zone))
        # strftime leaves out the zeros of early years on some systems.
        form = DATE_FORMS[self.form].replace("%Y", f"{at.year:04}")
        return at.strftime(form)


Transform = ValueMap | Rounded | Dated


def misfit(type_: str, source: Source, transform: Transform | None) -> str:
    """Why a value cannot fill a property of a type, with what would; blank if it can."""
    if isinstance(transform, ValueMap):
        return _map_misfit(type_, source)
    if isinstance(transform, Rounded):
        return _taken(source, NUMBERS, "`number`") or _put(type_, ("number", "string"), "`number`")
    if isinstance(transform, Dated):
        return _taken(source, {FactType.TIME}, "`date`") or _put(type_, ("string",), "`date`")
    if source.several:
        fits = ["checkboxes"]
    else:
        fits = [t for t, kinds in _PLAIN.items() if source.kind in kinds]
    if type_ in fits:
        return ""
    return f"a {source.named} cannot fill a {type_} property; fitting types: {', '.join(fits)}" + (
        _hint(type_, source)
    )


def _map_misfit(type_: str, source: Source) -> str:
    if source.personal:
        return "a client's own text has no value map"
    kinds = {FactType.ENUM, FactType.TEXT, FactType.BOOL, FactType.COUNT}
    fits = ("checkboxes",) if source.several else ("string", "enumeration", "number", "bool")
    return _taken(source, kinds, "`map`", several=True) or _put(type_, fits, "`map`")


def _taken(
    source: Source, kinds: Iterable[FactType], what: str, *, several: bool = False
) -> str:  # fmt: skip
    if source.kind in kinds and (several or not source.several):
        return ""
    names = ", ".join(sorted(Source(k).named for k in kinds))
    return f"{what} takes {names}; this is a {source.named}"


def _put(type_: str, fits: Iterable[str], what: str) -> str:
    if type_ in fits:
        return ""
    return f"{what} fills a property of type {' or '.join(fits)}, not {type_}"


def _hint(type_: str, source: Source) -> str:
    if type_ == "string" and source.kind is FactType.TIME:
        return ", or write the time as a text with `date: YYYY-MM-DD`"
    if type_ == "string" and source.kind in NUMBERS:
        return ", or write the number as a text with `number: {digits: 2}`"
    if type_ in ("string", "enumeration", "number") and source.kind is FactType.BOOL:
        return ", or say what to write with `map: {true: ..., false: ...}`"
    if type_ in ("bool", "number") and source.kind in WORDS and not source.personal:
        return ", or say what to write with `map: {...}`"
    return ""


def fixed_misfit(type_: str, text: str) -> str:
    """Why a fixed text cannot be the value of a property of a type; blank if it can.

    A blank fits everywhere: it means no value.
    """
    check, expected = _FIXED.get(type_, (None, ""))
    if not text or check is None or check(text):
        return ""
    return f"{text[:40]!r} cannot fill a {type_} property: expected {expected}"


def is_number(text: str) -> bool:
    """Whether a text is a plain decimal."""
    try:
        return Decimal(text).is_finite() and "e" not in text.lower()
    except InvalidOperation:
        return False


def _is_day(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_FIXED: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "number": (is_number, "a number, with a dot"),
    "bool": (frozenset({"true", "false"}).__contains__, "true or false"),
    "date": (_is_day, "a day such as 2026-01-31"),
    "datetime": (frozenset[str]().__contains__, "a rule: a fixed time is of no use"),
    "checkboxes": (lambda text: ";" not in text, "one option, without a semicolon"),
}
