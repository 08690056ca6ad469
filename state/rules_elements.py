"""The few SQL pieces that SQLite and PostgreSQL write differently."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Greatest(FunctionElement[Any]):
    """The largest of two or more values, none of which may be NULL.

    The engines treat a NULL in opposite ways; callers rule it out.
    """

    inherit_cache = True
    name = "rule_greatest"
    postgresql, sqlite = "greatest", "max"

    def __init__(self, *values: sa.ColumnElement[Any]) -> None:
        super().__init__(*values)
        self.type = values[0].type


class Least(Greatest):
    """The smallest of two or more values, none of which may be NULL."""

    inherit_cache = True
    name = "rule_least"
    postgresql, sqlite = "least", "min"


class GreatestOrBlank(Greatest):
    """The largest of several values that may be NULL; the last argument stands in for a NULL.

    The stand-in lies beyond any value: above them, the result is NULL if any value is; below
    them, NULLs are skipped. One element for the whole keeps nested ones within Python's recursion.
    """

    inherit_cache = True
    name = "rule_greatest_or_blank"


class LeastOrBlank(Least):
    """The smallest of several values, as ``GreatestOrBlank``."""

    inherit_cache = True
    name = "rule_least_or_blank"


class Ratio(FunctionElement[Any]):
    """``a / b`` as a double; NULL where ``b`` is 0."""

    inherit_cache = True
    name = "rule_ratio"
    type = sa.Double()


class Position(FunctionElement[Any]):
    """Where the second text first occurs in the first, from 1; 0 if it does not."""

    inherit_cache = True
    name = "rule_position"
    type = sa.Integer()


class Hint(FunctionElement[bool]):
    """A condition that follows from others: for PostgreSQL; SQLite would but ask it of each row."""

    inherit_cache = True
    name = "hint"
    type = sa.Boolean()


class Given(FunctionElement[Any]):
    """A column by which SQLite must not look its table up: it begins with that table, then."""

    inherit_cache = True
    name = "given"

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(Greatest)
@compiles(Least)
def _extreme(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.postgresql}({compiler.process(element.clauses, **kw)})"


@compiles(Greatest, "sqlite")
@compiles(Least, "sqlite")
def _extreme_sqlite(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.sqlite}({compiler.process(element.clauses, **kw)})"


@compiles(GreatestOrBlank)
@compiles(LeastOrBlank)
def _blank_extreme(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return _filled(element, element.postgresql, compiler, **kw)


@compiles(GreatestOrBlank, "sqlite")
@compiles(LeastOrBlank, "sqlite")
def _blank_extreme_sqlite(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return _filled(element, element.sqlite, compiler, **kw)


def _filled(element: Greatest, function: str, compiler: SQLCompiler, **kw: Any) -> str:
    *values, stand_in = [compiler.process(clause, **kw) for clause in element.clauses]
    filled = ", ".join([f"coalesce({value}, {stand_in})" for value in values])
    return f"nullif({function}({filled}), {stand_in})"


@compiles(Ratio)
def _ratio(element: Ratio, compiler: SQLCompiler, **kw: Any) -> str:
    # Written out with brackets: an operator made by .op() has no precedence of its own and lost
    # the brackets of its operands.
    over, under = (compiler.process(clause, **kw) for clause in element.clauses)
    double = "DOUBLE PRECISION"
    return f"(CAST({over} AS {double}) / NULLIF(CAST({under} AS {double}), 0.0))"


@compiles(Hint)
def _hint(element: Hint, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


@compiles(Hint, "sqlite")
def _hint_sqlite(element: Hint, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "1"


@compiles(Given)
def _given(element: Given, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(Given, "sqlite")
def _given_sqlite(element: Given, compiler: SQLCompiler, **kw: Any) -> str:
    return f"+{compiler.process(element.clauses, **kw)}"


@compiles(Position)
def _position(element: Position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


@compiles(Position, "sqlite")
def _position_sqlite(element: Position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"
