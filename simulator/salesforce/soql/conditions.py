"""Conditions at work on rows.

Documented: texts compare without regard to case; ``!=`` and ``NOT IN`` are true for a blank. Times
are the organisation's, which here is UTC.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulator.salesforce.fields import NUMBERS, Field
from simulator.salesforce.ids import whole
from simulator.salesforce.problems import SalesforceError
from simulator.salesforce.soql.scope import Column, Scope
from simulator.salesforce.soql.syntax import Both, Compare, Condition, Literal, Not
from simulator.salesforce.store import Values

Test = Callable[[Values], bool]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_KINDS = {"boolean": "boolean", "date": "date", "datetime": "datetime"}


def compiled(scope: Scope, condition: Condition) -> Test:
    """A condition as a test of rows."""
    match condition:
        case Not(part):
            inner = compiled(scope, part)
            return lambda row: not inner(row)
        case Both(word, parts):
            tests = [compiled(scope, part) for part in parts]
            if word == "AND":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        case Compare():
            return _comparison(scope, condition)


def _comparison(scope: Scope, compare: Compare) -> Test:
    column = scope.column(compare.path)
    field, sign = column.field, compare.sign
    if not field.filterable:  # documented: long texts
        raise SalesforceError(
            "INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call"
        )
    if sign in ("INCLUDES", "EXCLUDES"):
        return _several(column, compare)
    if sign == "LIKE":
        return _like(column, compare)
    if field.type == "multipicklist" and sign not in ("=", "!=", "IN", "NOT IN"):
        raise _no_operator(field, sign)
    if any(literal.kind == "range" for literal in compare.values):
        return _in_range(scope, column, compare)
    values = [value_of(field, literal) for literal in compare.values]
    if sign in ("=", "IN"):
        return _among(column, values)
    if sign in ("!=", "NOT IN"):
        among = _among(column, values)
        return lambda row: not among(row)
    if field.type == "boolean":
        raise _no_operator(field, sign)
    return _ordered(column, sign, values[0])


def _no_operator(field: Field, sign: str) -> SalesforceError:
    return SalesforceError(
        "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator {sign} on field '{field.name}'"
    )


def value_of(field: Field, literal: Literal) -> Any:
    """A literal as the field's values are compared; None for blank.

    Raises:
        SalesforceError: a literal of another kind (documented code; the words are assumed).
    """
    if literal.kind == "null":
        return None
    if field.type in NUMBERS:
        _same_kind(field, literal, "number")
        return float(literal.value)
    if field.type in _KINDS:
        _same_kind(field, literal, _KINDS[field.type])
        return literal.value == "true" if field.type == "boolean" else literal.value
    _same_kind(field, literal, "text")
    if literal.value == "":
        return None  # assumed: a blank is an empty text, too
    if field.type in ("id", "reference"):
        found = whole(literal.value)
        if found is None:
            raise SalesforceError(
                "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}"
            )
        return found
    return field.folded(literal.value)


def _same_kind(field: Field, literal: Literal, kind: str) -> None:
    if literal.kind != kind:
        told = "string" if kind == "text" else field.type
        quotes = "should be" if kind == "text" else "should not be"
        raise SalesforceError(
            "INVALID_FIELD",
            f"value of filter criterion for field '{field.name}' must be of type {told} and "
            f"{quotes} enclosed in quotes",
        )


def _folds(field: Field) -> bool:
    plain = ("id", "reference", "boolean", "date", "datetime", *NUMBERS)
    return field.type not in plain and not field.case_sensitive


def _among(column: Column, values: Sequence[Any]) -> Test:
    wanted, get = frozenset(values), column.get
    if not _folds(column.field):
        return lambda row: get(row) in wanted

    def test(row: Values) -> bool:
        value = get(row)
        return (None if value is None else value.casefold()) in wanted

    return test


def _ordered(column: Column, sign: str, bound: Any) -> Test:
    compare, get, folds = _ORDER[sign], column.get, _folds(column.field)

    def test(row: Values) -> bool:
        value = get(row)
        if value is None or bound is None:
            return False
        return compare(value.casefold() if folds else value, bound)

    return test


def _like(column: Column, compare: Compare) -> Test:
    (literal,) = compare.values
    if not _folds(column.field) and not column.field.case_sensitive:
        raise _no_operator(column.field, "LIKE")
    _same_kind(column.field, literal, "text")
    pattern, get = re.compile(_pattern(literal.value), re.IGNORECASE | re.DOTALL), column.get
    return lambda row: pattern.fullmatch(get(row) or "") is not None


def _pattern(text: str) -> str:
    out, place = "", 0
    while place < len(text):
        char = text[place]
        if char == "\\" and text[place + 1 : place + 2] in ("_", "%"):
            out += re.escape(text[place + 1])
            place += 1
        else:
            out += {"%": ".*", "_": "."}.get(char, re.escape(char))
        place += 1
    return out


def _several(column: Column, compare: Compare) -> Test:
    """Documented: ``INCLUDES ('a;b', 'c')`` is (a and b) or c."""
    if column.field.type != "multipicklist":
        raise _no_operator(column.field, compare.sign)
    for literal in compare.values:
        _same_kind(column.field, literal, "text")
    wanted = [frozenset(v.value.casefold().split(";")) for v in compare.values]
    get, includes = column.get, compare.sign == "INCLUDES"

    def test(row: Values) -> bool:
        held = frozenset((get(row) or "").casefold().split(";"))
        return any(parts <= held for parts in wanted) is includes

    return test


# Days by name


def _in_range(scope: Scope, column: Column, compare: Compare) -> Test:
    field = column.field
    if field.type not in ("date", "datetime") or len(compare.values) > 1:
        raise SalesforceError("INVALID_FIELD", f"field '{field.name}' is no date")
    today = datetime.fromtimestamp(scope.org.now_ms / 1000, UTC).date()
    first, behind = _days(compare.values[0].value, today)
    start, end = first.isoformat(), behind.isoformat()  # texts of both kinds sort by time
    get = column.get
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda value: start <= value < end,
        "<": lambda value: value < start,
        ">": lambda value: value >= end,
        "<=": lambda value: value < end,
        ">=": lambda value: value >= start,
    }
    if compare.sign == "!=":
        return lambda row: not (get(row) is not None and tests["="](get(row)))
    test = tests.get(compare.sign)
    if test is None:
        raise _no_operator(field, compare.sign)
    return lambda row: get(row) is not None and test(get(row))


def _days(word: str, today: date) -> tuple[date, date]:
    """First day, and the one behind the last (documented; weeks begin on Sunday)."""
    name, _, digits = word.partition(":")
    day, count = timedelta(days=1), timedelta(days=int(digits or 0))
    week = today - timedelta(days=(today.weekday() + 1) % 7)
    month = today.replace(day=1)
    next_month = (month + timedelta(days=31)).replace(day=1)
    year = today.replace(month=1, day=1)
    ranges = {
        "TODAY": (today, today + day),
        "YESTERDAY": (today - day, today),
        "TOMORROW": (today + day, today + 2 * day),
        "LAST_N_DAYS": (today - count, today + day),
        "NEXT_N_DAYS": (today + day, today + day + count),
        "THIS_WEEK": (week, week + 7 * day),
        "LAST_WEEK": (week - 7 * day, week),
        "THIS_MONTH": (month, next_month),
        "LAST_MONTH": ((month - day).replace(day=1), month),
        "THIS_YEAR": (year, year.replace(year=year.year + 1)),
        "LAST_YEAR": (year.replace(year=year.year - 1), year),
    }
    return ranges[name]
