"""Literals: a number or text as written takes the unit and type of what stands beside it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from fractions import Fraction

from mapping.rules import tree as t
from mapping.rules.errors import Source, Span, suggest
from mapping.rules.types import COUNT, DAY, MAX_EXACT, MAX_MOMENT, RATIO, TEXT, FactType, Type

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = dt.date(1970, 1, 1)

Literal = Fraction | str


@dataclass(frozen=True, slots=True)
class Want:
    """The type a piece must have, and the text of what asks for it."""

    type: Type
    peer: str


def constant(source: Source, span: Span, value: Literal, want: Want | None) -> t.Const:
    """The literal in stored units of the wanted type (alone: a count, a ratio or text).

    Raises:
        RuleError: it cannot be of that type, is finer than its unit, or too large.
    """
    if isinstance(value, str):
        return _from_text(source, span, value, want)
    return _from_number(source, span, value, want)


def _from_number(source: Source, span: Span, value: Fraction, want: Want | None) -> t.Const:
    type_ = want.type if want else COUNT if value.denominator == 1 else RATIO
    if not type_.number:
        peer = f", but {want.peer} is {type_}" if want else ""
        hint = "Write a date such as '2026-01-31'." if type_.kind is FactType.TIME else ""
        if type_.kind is FactType.ENUM:
            hint = f"Its values are: {', '.join(type_.values)}."
        raise source.error(span, f"{source.slice(span)} is a number{peer}", hint)
    if type_.kind is FactType.RATIO:
        return t.Const(span, type_, nullable=False, bound=abs(int(value)) + 1, value=float(value))
    scaled = value * type_.scale
    if scaled.denominator != 1:
        finest = "a whole number" if type_.kind is FactType.COUNT else _finest(type_)
        raise source.error(span, f"{source.slice(span)} is not exact here: {finest} is needed")
    if abs(scaled) > MAX_EXACT:
        raise source.error(span, f"{source.slice(span)} is too large")
    number = int(scaled)
    return t.Const(span, type_, nullable=False, bound=abs(number), value=number)


def _finest(type_: Type) -> str:
    if type_.kind is FactType.DURATION:
        return "a whole number of milliseconds"
    return f"{type_} with at most {len(str(type_.scale)) - 1} digits after the point"


def _from_text(source: Source, span: Span, value: str, want: Want | None) -> t.Const:
    type_ = want.type if want else TEXT
    match type_.kind:
        case FactType.TEXT:
            return t.Const(span, TEXT, nullable=False, bound=0, value=value)
        case FactType.ENUM:
            if value not in type_.values:
                known = ", ".join(type_.values)
                hint = suggest(value, type_.values) or f"Its values are: {known}."
                raise source.error(span, f"{source.slice(span)} is not {type_}", hint)
            return t.Const(span, type_, nullable=False, bound=0, value=value)
        case FactType.TIME:
            moment = _moment(source, span, value)
            return t.Const(span, type_, nullable=False, bound=MAX_MOMENT, value=moment)
    peer = f", but {want.peer} is {type_}" if want else ""
    hint = "Write the number without quotes." if type_.number else ""
    raise source.error(span, f"{source.slice(span)} is text{peer}", hint)


def _moment(source: Source, span: Span, value: str) -> int:
    hint = "Write a date as '2026-01-31' (midnight UTC)."
    if not _DATE.fullmatch(value):
        raise source.error(span, f"{source.slice(span)} is not a date", hint)
    try:
        days = (dt.date.fromisoformat(value) - _EPOCH).days
    except ValueError:
        raise source.error(span, f"{source.slice(span)} is not a day that exists", hint) from None
    if not 0 <= days * DAY <= MAX_MOMENT:
        raise source.error(span, f"{source.slice(span)} is outside 1970-2109", hint)
    return days * DAY
