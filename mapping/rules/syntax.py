"""The tree as parsed: names and literals without types. The check turns it into ``tree``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from mapping.rules.errors import Span


@dataclass(frozen=True, slots=True)
class Syntax:
    """A piece of a rule; ``span`` is its range in the text, brackets round it left out."""

    span: Span


@dataclass(frozen=True, slots=True)
class Number(Syntax):
    """A number as written: it has no unit until it meets one."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Quoted(Syntax):
    """Text in quotes: text, a word of a list or a date, by what stands beside it."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth(Syntax):
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    """A fact or a definition."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """A function with its arguments; ``name_span`` is the range of its name alone."""

    name: str
    name_span: Span
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Negative(Syntax):
    """``-x``."""

    operand: Syntax


@dataclass(frozen=True, slots=True)
class Not(Syntax):
    """``not x``."""

    operand: Syntax


@dataclass(frozen=True, slots=True)
class Logic(Syntax):
    """A chain of ``and`` or of ``or``."""

    operator: str
    items: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Binary(Syntax):
    """``+ - * /``."""

    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Compare(Syntax):
    """``= <> < <= > >=`` (``!=`` reads as ``<>``)."""

    operator: str
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class Between(Syntax):
    """``x [not] between low and high``, both ends included."""

    value: Syntax
    low: Syntax
    high: Syntax
    negated: bool


@dataclass(frozen=True, slots=True)
class In(Syntax):
    """``x [not] in (a, b)``."""

    value: Syntax
    items: tuple[Syntax, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class IsNull(Syntax):
    """``x is [not] null``."""

    value: Syntax
    negated: bool


@dataclass(frozen=True, slots=True)
class Case(Syntax):
    """``case when c then v ... [else v] end``."""

    branches: tuple[tuple[Syntax, Syntax], ...]
    otherwise: Syntax | None


def children(node: Syntax) -> Iterator[Syntax]:
    """The direct parts of a node."""
    match node:
        case Call(arguments=items) | Logic(items=items):
            yield from items
        case Negative(operand=operand) | Not(operand=operand):
            yield operand
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            yield from (left, right)
        case Between():
            yield from (node.value, node.low, node.high)
        case In():
            yield node.value
            yield from node.items
        case IsNull():
            yield node.value
        case Case():
            for condition, value in node.branches:
                yield from (condition, value)
            if node.otherwise is not None:
                yield node.otherwise
