"""An evaluator of its own: meaning straight from the parsed tree, without types, units or SQL.

Money is a Fraction of currency units, elapsed time a Fraction of the unit its function names, a
ratio a Python float (the language says: a double). Blank is None. A tree becomes a closure once
and is then called for every row. Nothing here is shared with the check or the compiler.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mapping.rules import syntax as s

Row = Mapping[str, Any]
Meaning = Callable[[Row], Any]
_MS = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_MATHS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_UNITS = {"money": 100, "lots": 10_000, "duration": 3_600_000}


@dataclass(frozen=True)
class Moment:
    """An instant, so that a date in quotes beside it can be told from text."""

    ms: int


@dataclass(frozen=True)
class Oracle:
    """``kinds`` and ``families`` by fact; ``definitions`` are parsed trees."""

    kinds: Mapping[str, str]
    families: Mapping[str, str]
    definitions: Mapping[str, s.Syntax]
    now: int
    horizons: Mapping[str, int]

    def rows(self, stored: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Stored rows in user units."""
        return [{n: self._user(n, v) for n, v in row.items()} for row in stored]

    def _user(self, name: str, stored: Any) -> Any:
        kind = self.kinds.get(name, "")
        if stored is None or kind in ("bool", "enum", "text", ""):
            return stored
        return Moment(stored) if kind == "time" else Fraction(stored, _UNITS.get(kind, 1))

    # -- reading families -------------------------------------------------------------------------

    def _families(self, node: s.Syntax) -> set[str]:
        if isinstance(node, s.Name):
            if node.name in self.definitions:
                return self._families(self.definitions[node.name])
            return {self.families[node.name]}
        return {f for child in s.children(node) for f in self._families(child)}

    def _elapsed_families(self, node: s.Syntax) -> set[str]:
        """Families of the elapsed times a compared value is made of, not of conditions in it."""
        match node:
            case s.Name(name=name) if name in self.definitions:
                return self._elapsed_families(self.definitions[name])
            case s.Call(name=name) if name.endswith(("_since", "_until")):
                return self._families(node)
            case s.Case(branches=branches, otherwise=otherwise):
                values = [value for _, value in branches] + ([otherwise] if otherwise else [])
                return {f for value in values for f in self._elapsed_families(value)}
            case s.Not() | s.Logic() | s.Compare() | s.Between() | s.In() | s.IsNull():
                return set()
        return {f for child in s.children(node) for f in self._elapsed_families(child)}

    def _horizon(self, families: set[str]) -> int:
        return min((self.horizons[family] for family in families), default=self.now)

    # -- meaning ----------------------------------------------------------------------------------

    def meaning(self, node: s.Syntax, at: int | None = None) -> Meaning:
        """What ``node`` says of a row; ``at`` is the instant its elapsed times run to."""
        match node:
            case s.Number(value=fixed) | s.Quoted(value=fixed) | s.Truth(value=fixed):
                return lambda row: fixed
            case s.Name(name=name) if name in self.definitions:
                return self.meaning(self.definitions[name], at)
            case s.Name(name=name):
                return lambda row: row[name]
            case s.Negative(operand=operand):
                inner = self.meaning(operand, at)
                return lambda row: None if (v := inner(row)) is None else -v
            case s.Not(operand=operand):
                inner = self.meaning(operand)
                return lambda row: not inner(row)
            case s.Logic(operator=word, items=items):
                parts, every = [self.meaning(item) for item in items], word == "and"
                return lambda row: (
                    all(p(row) for p in parts) if every else any(p(row) for p in parts)
                )
            case s.Binary():
                return self._maths(node, at)
            case s.Compare():
                return self._compare(node)
            case s.Between():
                return self._between(node)
            case s.In(value=value, items=items, negated=negated):
                inner, wanted = self.meaning(value), [self.meaning(item) for item in items]
                return lambda row: any(_equal(inner(row), w(row)) for w in wanted) is not negated
            case s.IsNull(value=value, negated=negated):
                inner = self.meaning(value, self.now)
                return lambda row: (inner(row) is None) is not negated
            case s.Case():
                return self._case(node, at)
            case s.Call():
                return self._call(node, at)
        raise AssertionError(node)

    def _maths(self, node: s.Binary, at: int | None) -> Meaning:
        left, right = self.meaning(node.left, at), self.meaning(node.right, at)
        if node.operator == "/":
            return lambda row: _divide(left(row), right(row))
        return lambda row: _maths(_MATHS[node.operator], left(row), right(row))

    def _compare(self, node: s.Compare) -> Meaning:
        at = self._horizon(self._elapsed_families(node.left) | self._elapsed_families(node.right))
        left, right = self.meaning(node.left, at), self.meaning(node.right, at)
        if node.operator in ("=", "<>"):
            return lambda row: _equal(left(row), right(row)) is (node.operator == "=")
        return lambda row: _ordered(node.operator, left(row), right(row))

    def _between(self, node: s.Between) -> Meaning:
        sides = (node.value, node.low, node.high)
        at = self._horizon({f for side in sides for f in self._elapsed_families(side)})
        value, low, high = (self.meaning(side, at) for side in sides)
        return lambda row: (
            (_ordered(">=", value(row), low(row)) and _ordered("<=", value(row), high(row)))
            is not node.negated
        )

    def _case(self, node: s.Case, at: int | None) -> Meaning:
        branches = [(self.meaning(when), self.meaning(then, at)) for when, then in node.branches]
        last = self.meaning(node.otherwise, at) if node.otherwise else lambda row: None

        def chosen(row: Row) -> Any:
            for when, then in branches:
                if when(row):
                    return then(row)
            return last(row)

        return chosen

    def _call(self, node: s.Call, at: int | None) -> Meaning:
        args = [self.meaning(argument, at) for argument in node.arguments]
        unit, _, way = node.name.partition("_")
        if way in ("since", "until", "between", "after"):
            return self._timely(_MS[unit], way, args, self.now if at is None else at)
        match node.name:
            case "passed":
                horizon = self._horizon(self._families(node.arguments[0]))
                return lambda row: (m := _moment(args[0](row))) is not None and m.ms <= horizon
            case "coalesce":
                return lambda row: next((v for a in args if (v := a(row)) is not None), None)
            case "greatest" | "least" | "earliest" | "latest":
                return _extreme(node.name, args)
            case "abs":
                return lambda row: None if (v := args[0](row)) is None else abs(v)
            case "starts_with":
                return lambda row: (v := args[0](row)) is not None and v.startswith(args[1](row))
        assert node.name == "contains"
        return lambda row: (v := args[0](row)) is not None and args[1](row) in v

    def _timely(self, ms: int, way: str, args: Sequence[Meaning], at: int) -> Meaning:
        if way == "after":
            return lambda row: (
                None
                if (m := _moment(args[0](row))) is None
                else Moment(int(m.ms + args[1](row) * ms))
            )

        def span(row: Row) -> Any:
            start = _moment(args[0](row))
            end = _moment(args[1](row)) if way == "between" else Moment(at)
            if start is None or end is None:
                return None
            return Fraction(start.ms - end.ms if way == "until" else end.ms - start.ms, ms)

        return span


def _moment(value: Any) -> Moment | None:
    if isinstance(value, str):
        day = dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
        return Moment(int(day.timestamp()) * 1000)
    return value  # type: ignore[no-any-return]


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Two values made comparable: dates beside moments, doubles beside ratios."""
    if isinstance(a, Moment) or isinstance(b, Moment):
        return _moment(a).ms, _moment(b).ms  # type: ignore[union-attr]
    if isinstance(a, float) or isinstance(b, float):
        return float(a), float(b)
    return a, b


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    a, b = _alike(a, b)
    return bool(a == b)


def _ordered(sign: str, a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    return bool(_ORDER[sign](*_alike(a, b)))


def _maths(step: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return None if a is None or b is None else step(*_alike(a, b))


def _divide(a: Any, b: Any) -> float | None:
    return None if a is None or b is None or b == 0 else float(Fraction(a) / Fraction(b))


def _extreme(name: str, args: Sequence[Meaning]) -> Meaning:
    skips, largest = name in ("earliest", "latest"), name in ("greatest", "latest")

    def found(row: Row) -> Any:
        values = [a(row) for a in args]
        if skips:
            values = [v for v in values if v is not None]
        if not values or None in values:
            return None
        if any(isinstance(v, Moment) for v in values) or skips:
            pick = max if largest else min
            return pick((_moment(v) for v in values), key=lambda m: m.ms)  # type: ignore[union-attr]
        if any(isinstance(v, float) for v in values):
            values = [float(v) for v in values]
        return max(values) if largest else min(values)

    return found
