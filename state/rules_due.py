"""When will time alone change a rule? Derived from the typed tree, as SQL.

Each comparison of elapsed time is a straight line ``c * h + d`` against 0, where ``h`` is the
horizon of the families in it: it flips once, at a known moment, in a known direction. So for every
condition there are two answers: the earliest moment at which it can stop being yes (``_until_no``,
meant for rows where it is yes now) and at which it can stop being no (``_until_yes``). Keeping them
apart makes the moments exact and the SQL small:

- ``and`` that is yes ends with the first of its members; ``and`` that is no begins only after the
  *last* of the members that are no now. ``or`` is the mirror image.
- a comparison that can never flip back contributes nothing.

Where a condition sits inside a value (``case``) or under ``cond = cond``, every flip below it
counts: a superset of the truth is safe, since a wake-up that changes nothing is only a small cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import BigInteger, ColumnElement, and_, case

from mapping.rules import Expr, FactType
from mapping.rules import tree as t
from mapping.rules.nesting import nesting
from state.rules_elements import Greatest, Least
from state.schema import NEVER

if TYPE_CHECKING:
    from state.rules_sql import RuleCompiler

Sql = ColumnElement[Any]

# "No such moment": later than any instant, and still exact as a double.
_NEVER = sa.literal_column(str(NEVER), BigInteger)
_ZERO = sa.literal_column("0", BigInteger)

# SQLite's parser has room for 100 pending symbols. What is left here for one rule's moments, after
# the statement and the choice of stage; logic that would need more wakes at any flip below it.
_ROOM = 70
_LEAF = 5
# Beyond this many stages that time can move, each flip of any of them counts.
_MAX_TIMED = 16
_TIMED = t.Elapsed | t.Passed


class Line(NamedTuple):
    """A value over time: ``slope * horizon + offset``."""

    slope: int
    offset: Sql


class Flip(NamedTuple):
    """A moment at which a comparison changes, to yes or to no. NULL: it never does."""

    moment: Sql
    to_yes: bool


def due(compiler: RuleCompiler, node: t.Node) -> ColumnElement[int]:
    """The next moment at which time alone may change the value or condition ``node``."""
    if node.type.kind is not FactType.BOOL:
        return _never_if_none(_any_flip(compiler, node))
    until_no, until_yes = _until_no(compiler, node), _until_yes(compiler, node)
    if until_no is None and until_yes is None:
        return _NEVER
    return case((compiler.yes(node), _never_if_none(until_no)), else_=_never_if_none(until_yes))


def first_match(
    compiler: RuleCompiler, rules: Sequence[tuple[str, Expr]]
) -> tuple[Sql, ColumnElement[int]]:
    """The id of the first rule that says yes (NULL if none), and when time may change it.

    A rule after the winner cannot change the result, so it wakes nobody.
    """
    roots = [expr.root for _, expr in rules]
    winner = case(
        *[
            (compiler.yes(root), sa.literal(name, sa.String))
            for (name, _), root in zip(rules, roots, strict=True)
        ],
        else_=sa.null(),
    )
    return winner, _never_if_none(_first_due(compiler, roots))


def earliest_due(columns: Sequence[Sql]) -> ColumnElement[int]:
    """The first of several due moments; NEVER if there is none."""
    return _never_if_none(_least([column for column in columns if column is not _NEVER]))


# -- conditions -----------------------------------------------------------------------------------


def _until_no(compiler: RuleCompiler, node: t.Node, room: int = _ROOM) -> Sql | None:
    """For rows where ``node`` is yes: when it can become no at the earliest. None: never."""
    match node:
        case t.Logic() | t.Between() if room - _cost(node) < nesting(node) + _LEAF:
            return _any_flip(compiler, node)
        case t.Defined(body=body):
            return _until_no(compiler, body, room)
        case t.Not(operand=operand):
            return _until_yes(compiler, operand, room)
        case t.Logic(operator="and", items=items):
            return _least([_until_no(compiler, item, room - _cost(node)) for item in items])
        case t.Logic(items=items):
            return _last_of(compiler, items, True, room - _cost(node))
        case t.Between():
            return _until_no(compiler, _both_ends(node), room)
    return _leaf(compiler, node, to_yes=False)


def _until_yes(compiler: RuleCompiler, node: t.Node, room: int = _ROOM) -> Sql | None:
    """For rows where ``node`` is no: when it can become yes at the earliest. None: never."""
    match node:
        case t.Logic() | t.Between() if room - _cost(node) < nesting(node) + _LEAF:
            return _any_flip(compiler, node)
        case t.Defined(body=body):
            return _until_yes(compiler, body, room)
        case t.Not(operand=operand):
            return _until_no(compiler, operand, room)
        case t.Logic(operator="or", items=items):
            return _least([_until_yes(compiler, item, room - _cost(node)) for item in items])
        case t.Logic(items=items):
            return _last_of(compiler, items, False, room - _cost(node))
        case t.Between():
            return _until_yes(compiler, _both_ends(node), room)
    return _leaf(compiler, node, to_yes=True)


def _cost(node: t.Node) -> int:
    """Pending symbols that the choice among the members of a chain adds round each of them."""
    timed = sum(any(isinstance(x, _TIMED) for x in t.walk(part)) for part in t.children(node))
    return 15 if timed > 1 else 5


def _last_of(
    compiler: RuleCompiler, items: Sequence[t.Node], now_yes: bool, room: int
) -> Sql | None:
    """``or`` that is yes (``and`` that is no) changes after the last member that holds it so.

    Members that time cannot move settle it alone: one of them that holds it so holds it for ever.
    """
    held_by = compiler.yes if now_yes else compiler.no
    free_by = compiler.no if now_yes else compiler.yes
    when = _until_no if now_yes else _until_yes
    moving = [
        (item, moment) for item in items if (moment := when(compiler, item, room)) is not None
    ]
    moved = {id(item) for item, _ in moving}
    fixed = [item for item in items if id(item) not in moved]
    if not moving:
        return None
    if len(moving) == 1:
        last: Sql = moving[0][1]  # no fixed member holds it, so this one does
    else:
        last = Greatest(*[case((held_by(item), moment), else_=_ZERO) for item, moment in moving])
    if not fixed:
        return last
    return case((and_(*[free_by(item) for item in fixed]), last), else_=_NEVER)


def _both_ends(node: t.Between) -> t.Logic:
    """``between`` as the two comparisons it stands for."""
    low = t.Compare(node.span, node.type, False, 1, ">=", node.value, node.low, node.clock)
    high = t.Compare(node.span, node.type, False, 1, "<=", node.value, node.high, node.clock)
    return t.Logic(node.span, node.type, False, 1, "and", (low, high))


def _leaf(compiler: RuleCompiler, node: t.Node, to_yes: bool) -> Sql | None:
    """A test of values: its own flips in the wanted direction, and all flips of what it reads."""
    if not isinstance(node, t.Compare | t.Passed):
        return _any_flip(compiler, node)
    wanted = [flip.moment for flip in _flips(compiler, node) if flip.to_yes is to_yes]
    below = [_any_flip(compiler, part) for part in t.children(node)]
    if t.pieces(node) == 1 and not _any_of(below):
        # One line against one line: the flip leads away from what holds now, so it is to come.
        return sa.func.coalesce(wanted[0], _NEVER, type_=BigInteger()) if wanted else None
    horizon = compiler.clock(node.clock)
    return _least([*(_future(moment, horizon) for moment in wanted), *below])


def _any_flip(compiler: RuleCompiler, node: t.Node) -> Sql | None:
    """The first flip of any comparison in or below ``node``, in either direction."""
    moments: list[Sql | None] = []
    for found in t.walk(node):
        ends = _both_ends(found).items if isinstance(found, t.Between) else (found,)
        for end in ends:
            if isinstance(end, t.Compare | t.Passed):
                horizon = compiler.clock(end.clock)
                moments += [_future(flip.moment, horizon) for flip in _flips(compiler, end)]
    return _least(moments)


# -- moments --------------------------------------------------------------------------------------


def _flips(compiler: RuleCompiler, node: t.Compare | t.Passed) -> Iterator[Flip]:
    """The moments at which one comparison changes by its own elapsed times."""
    if isinstance(node, t.Passed):
        yield Flip(compiler.quantity(node.moment, ()), to_yes=True)
        return
    lefts, rights = (
        _lines(compiler, node.left, node.clock),
        _lines(compiler, node.right, node.clock),
    )
    for left, right in product(lefts, rights):
        slope = left.slope - right.slope
        if slope:
            yield _flip(node.operator, slope, left.offset, right.offset)


def _flip(operator: str, slope: int, left: Sql, right: Sql) -> Flip:
    """Where ``slope * h + left`` passes ``right``, to the millisecond.

    Rising, ``>=`` and ``<`` change at the first whole ms at or after the meeting point, ``>`` and
    ``<=`` at the first one after it; falling, the other way round.
    """
    rising = slope > 0
    steps = abs(slope)
    distance = right - left if rising else left - right
    at_meeting = (operator in (">=", "<")) is rising
    if steps == 1:
        moment = distance if at_meeting else distance + sa.literal(1, BigInteger)
    else:
        # Both engines cut towards 0; a meeting point in the future is positive.
        extra = steps - 1 if at_meeting else steps
        moment = (distance + sa.literal(extra, BigInteger)) // sa.literal(steps, BigInteger)
    return Flip(moment, to_yes=rising is (operator in (">=", ">")))


def _lines(compiler: RuleCompiler, node: t.Node, clock: Sequence[str]) -> list[Line]:
    """The straight lines a value may follow (blanks give NULL, which never flips)."""
    if not t.moves(node):
        return [Line(0, compiler.quantity(node, clock))]
    match node:
        case t.Defined(body=body):
            return _lines(compiler, body, clock)
        case t.Elapsed(moment=moment, sign=sign):
            then = compiler.quantity(moment, ())
            return [Line(sign, -then if sign > 0 else then)]
        case t.Negate(value=value):
            return [Line(-line.slope, -line.offset) for line in _lines(compiler, value, clock)]
        case t.Absolute(value=value):
            # Up to the sign the value is one of its lines; it turns only where they meet 0.
            lines = _lines(compiler, value, clock)
            return [*lines, *[Line(-line.slope, -line.offset) for line in lines]]
        case t.Arithmetic(operator="*", left=factor, right=value):
            times = int(factor.value) if isinstance(factor, t.Const) else 0
            scale = sa.literal(times, BigInteger)
            lines = _lines(compiler, value, clock)
            return [Line(times * line.slope, scale * line.offset) for line in lines]
        case t.Arithmetic(operator=operator):
            lefts = _lines(compiler, node.left, clock)
            rights = _lines(compiler, node.right, clock)
            sign = 1 if operator == "+" else -1
            return [
                Line(
                    a.slope + sign * b.slope,
                    a.offset + b.offset if sign > 0 else a.offset - b.offset,
                )
                for a, b in product(lefts, rights)
            ]
    # coalesce, greatest, least and case are continuous between the flips of their conditions, so
    # the comparison can change only where one of their own lines does.
    return [line for part in t.value_parts(node) for line in _lines(compiler, part, clock)]


def _future(moment: Sql, horizon: Sql) -> Sql:
    return case((moment > horizon, moment), else_=_NEVER)


# -- stages ---------------------------------------------------------------------------------------


def _first_due(compiler: RuleCompiler, roots: Sequence[t.Node]) -> Sql | None:
    """When the first yes of a list changes: the winner ends, or a rule before it begins.

    Written flat: one case, in which each winner names the moments that can unseat it.
    """
    begins = [_until_yes(compiler, root) for root in roots]
    ends = [_until_no(compiler, root) for root in roots]
    timed = [root for root, *moments in zip(roots, begins, ends, strict=True) if _any_of(moments)]
    if not timed:
        return None
    if len(timed) > _MAX_TIMED:
        return _least([_any_flip(compiler, root) for root in timed])
    branches = [
        (compiler.yes(root), _never_if_none(_least([*begins[:i], ends[i]])))
        for i, root in enumerate(roots)
    ]
    return case(*branches, else_=_never_if_none(_least(begins)))


def _any_of(moments: Sequence[Sql | None]) -> bool:
    """Whether there is a moment among them."""
    return any(moment is not None for moment in moments)


def _least(moments: Sequence[Sql | None]) -> Sql | None:
    """The first of the moments; they are never NULL. Wide lists are grouped for SQLite."""
    found = [moment for moment in moments if moment is not None]
    if len(found) <= 1:
        return found[0] if found else None
    while len(found) > 1:
        groups = [found[i : i + 50] for i in range(0, len(found), 50)]
        found = [group[0] if len(group) == 1 else Least(*group) for group in groups]
    return found[0]


def _never_if_none(moment: Sql | None) -> Sql:
    return _NEVER if moment is None else moment
