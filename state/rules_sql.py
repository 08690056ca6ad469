"""Typed rules to SQLAlchemy: the same answers on SQLite and PostgreSQL.

A condition is compiled to SQL that is true exactly where the rule says yes; where it says no the
SQL may be false or NULL. Under a negation the test is compiled the other way round instead, with
``IS NOT true`` where a blank could make it NULL. So rules have two values though SQL has three,
and only tests that need a guard carry one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, ColumnElement, and_, case, or_

from mapping.rules import Expr, FactType
from mapping.rules import tree as t
from state import rules_due
from state.rules_elements import (
    Greatest,
    GreatestOrBlank,
    Least,
    LeastOrBlank,
    Position,
    Ratio,
)

Sql = ColumnElement[Any]

# Stand-ins for a blank while the largest or smallest is found: beyond any number of a rule.
_BEYOND = {True: "1e300", False: str(2**62)}
_YES, _NO = sa.literal_column("1", sa.Integer), sa.literal_column("0", sa.Integer)


class RuleCompiler:
    """Compiles rules over the columns of one row source.

    Args:
        column: the column of a fact. Numbers and times should be BigInteger (others are cast),
            a yes/no fact Boolean or 0/1, a fact that is not nullable never NULL.
        now: the moment of the run, in ms; one bound value for everything in a transaction.
        horizon: for a source family, the least of now and the moment it was last complete. It may
            only move forward. Elapsed times and ``passed`` run to it; where one comparison reads
            several families, to the least of theirs; where it reads no fact, to ``now``.
    """

    def __init__(
        self, column: Callable[[str], Sql], now: Sql, horizon: Callable[[str], Sql]
    ) -> None:
        self._column = column
        self._now = now
        self._horizon = horizon

    # -- what callers use -------------------------------------------------------------------------

    def condition(self, expr: Expr) -> ColumnElement[int]:
        """1 where the rule says yes, else 0; never NULL."""
        return self.flag(expr.root)

    def value(self, expr: Expr) -> Sql:
        """The value in stored units, NULL where it is blank; 1 or 0 for a condition."""
        return self.quantity(expr.root, ())

    def due(self, expr: Expr) -> ColumnElement[int]:
        """The next moment (ms) at which time alone may change the rule; NEVER if none.

        It is later than the horizons of the families concerned. It can lie at or before now while
        a source is late: then the change waits for that source.
        """
        return rules_due.due(self, expr.root)

    # -- conditions -------------------------------------------------------------------------------

    def flag(self, node: t.Node) -> ColumnElement[int]:
        """1 or 0 for a condition."""
        return case((self.yes(node), _YES), else_=_NO)

    def yes(self, node: t.Node) -> Sql:
        """SQL that is true exactly where the condition is yes."""
        match node:
            case t.Const(value=value):
                return sa.true() if value else sa.false()
            case t.FactRef():
                return self._fact_is(node, yes=True)
            case t.Defined(body=body):
                return self.yes(body)
            case t.Not(operand=operand):
                return self.no(operand)
            case t.Logic(operator=operator, items=items):
                parts = [self.yes(item) for item in items]
                return and_(*parts) if operator == "and" else or_(*parts)
            case t.Same(left=left, right=right):
                return self.flag(left) == self.flag(right)
            case t.Cases():
                return self._cases(node, ()) == _YES
            case t.IsBlank(value=value):
                return self.quantity(value, ()).is_(None)
        return self._test(node)

    def no(self, node: t.Node) -> Sql:
        """SQL that is true exactly where the condition is no."""
        match node:
            case t.Const(value=value):
                return sa.false() if value else sa.true()
            case t.FactRef():
                return self._fact_is(node, yes=False)
            case t.Defined(body=body):
                return self.no(body)
            case t.Not(operand=operand):
                return self.yes(operand)
            case t.Logic(operator=operator, items=items):
                parts = [self.no(item) for item in items]
                return or_(*parts) if operator == "and" else and_(*parts)
            case t.Same(left=left, right=right):
                return self.flag(left) != self.flag(right)
            case t.Cases():
                return self._cases(node, ()) == _NO
            case t.IsBlank(value=value):
                return self.quantity(value, ()).is_not(None)
        if any(part.nullable for part in t.children(node)):
            return self._test(node).is_not(sa.true())
        return sa.not_(self._test(node))

    def _test(self, node: t.Node) -> Sql:
        """A test of values: NULL where one of them is blank."""
        match node:
            case t.Compare(operator=operator, clock=clock):
                left, right = self.quantity(node.left, clock), self.quantity(node.right, clock)
                return compare(operator, left, right)
            case t.Between(clock=clock):
                low, high = self.quantity(node.low, clock), self.quantity(node.high, clock)
                return self.quantity(node.value, clock).between(low, high)
            case t.Member(value=value, items=items):
                return self.quantity(value, ()).in_([item.value for item in items])
            case t.Passed(moment=moment, clock=clock):
                return self.quantity(moment, ()) <= self.clock(clock)
            case t.TextTest(value=value, literal=literal):
                text, sought = self.quantity(value, ()), sa.literal(literal, sa.String)
                if node.function == "contains":
                    return Position(text, sought) > _NO
                return sa.func.substr(text, 1, len(literal), type_=sa.String) == sought
        raise AssertionError(node)  # pragma: no cover - all kinds of condition are above

    def _fact_is(self, node: t.FactRef, yes: bool) -> Sql:
        column = self._column(node.fact.name)
        if isinstance(column.type, sa.Boolean):
            return column.is_(sa.true()) if yes else column.is_not(sa.true())
        return column == _YES if yes else column == _NO

    # -- values -----------------------------------------------------------------------------------

    def clock(self, families: Sequence[str]) -> Sql:
        """The moment to which elapsed time of these families runs."""
        if not families:
            return self._now
        horizons = [self._horizon(family) for family in families]
        return horizons[0] if len(horizons) == 1 else Least(*horizons)

    def quantity(self, node: t.Node, clock: Sequence[str]) -> Sql:
        """The value of a node in stored units; elapsed times run to ``clock``."""
        match node:
            case t.Const(value=value):
                return sa.literal(value, _sql_type(node))
            case t.FactRef(fact=fact):
                return self._fact(node, self._column(fact.name))
            case t.Defined(body=body):
                return self.quantity(body, clock)
            case t.Arithmetic(operator=operator):
                left, right = self.quantity(node.left, clock), self.quantity(node.right, clock)
                if operator == "*":
                    return left * right
                return left + right if operator == "+" else left - right
            case t.Negate(value=value):
                return -self.quantity(value, clock)
            case t.Absolute(value=value):
                return sa.func.abs(self.quantity(value, clock), type_=_sql_type(node))
            case t.Divide():
                return self._divide(node, clock)
            case t.Elapsed(moment=moment, sign=sign):
                then, horizon = self.quantity(moment, ()), self.clock(clock)
                return horizon - then if sign > 0 else then - horizon
            case t.Gap(start=start, end=end):
                return self.quantity(end, ()) - self.quantity(start, ())
            case t.Shift(moment=moment, ms=ms):
                return self.quantity(moment, ()) + sa.literal(ms, BigInteger)
            case t.Pick():
                return self._pick(node, clock)
            case t.Cases():
                return self._cases(node, clock)
        return self.flag(node)

    def _fact(self, node: t.FactRef, column: Sql) -> Sql:
        if node.type.kind is FactType.BOOL:
            return self.flag(node)
        wanted = _sql_type(node)
        # PostgreSQL multiplies 4-byte integers in 4 bytes and raises beyond them.
        if isinstance(wanted, BigInteger) and not isinstance(column.type, BigInteger):
            return sa.cast(column, BigInteger)
        return column

    def _divide(self, node: t.Divide, clock: Sequence[str]) -> Sql:
        left, right = self.quantity(node.left, clock), self.quantity(node.right, clock)
        if node.left_scale != 1:
            left = left * sa.literal(node.left_scale, BigInteger)
        if node.right_scale != 1:
            right = right * sa.literal(node.right_scale, BigInteger)
        return Ratio(left, right)

    def _pick(self, node: t.Pick, clock: Sequence[str]) -> Sql:
        values = [self.quantity(item, clock) for item in node.items]
        if node.function == "coalesce":
            return sa.func.coalesce(*values, type_=values[0].type)
        largest = node.function in ("greatest", "latest")
        if not any(item.nullable for item in node.items):
            return (Greatest if largest else Least)(*values)
        # A blank becomes a number beyond all others, on the side where it wins (greatest, least:
        # the result is blank if any is) or loses (earliest, latest: blanks are skipped).
        wins = node.function in ("greatest", "least")
        beyond = _BEYOND[node.type.kind is FactType.RATIO]
        stand_in = sa.literal_column(beyond if largest is wins else f"-{beyond}", values[0].type)
        return (GreatestOrBlank if largest else LeastOrBlank)(*values, stand_in)

    def _cases(self, node: t.Cases, clock: Sequence[str]) -> Sql:
        branches = [(self.yes(when), self.quantity(then, clock)) for when, then in node.branches]
        last = None if node.otherwise is None else self.quantity(node.otherwise, clock)
        return case(*branches, else_=last)


def compare(operator: str, left: Sql, right: Sql) -> Sql:
    """``left operator right``."""
    match operator:
        case "=":
            return left == right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right


def _sql_type(node: t.Node) -> Any:
    match node.type.kind:
        case FactType.ENUM | FactType.TEXT:
            return sa.String()
        case FactType.RATIO:
            return sa.Double()
        case FactType.BOOL:
            return sa.Integer()
    return sa.BigInteger()
