"""The check of functions: arguments, units and blanks of each."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mapping.rules import syntax as s
from mapping.rules import tree as t
from mapping.rules.functions import FUNCTIONS
from mapping.rules.literals import Want
from mapping.rules.types import BOOL, MAX_MOMENT, TEXT, TIME, FactType, Type

if TYPE_CHECKING:
    from mapping.rules.check import Checker

_BOOL = frozenset(["passed", "starts_with", "contains"])
_MOMENTS = frozenset(["earliest", "latest"])
_PICKS = frozenset(["coalesce", "greatest", "least"])


def infer(checker: Checker, node: s.Call) -> Type | None:
    """The type of a call by itself."""
    if node.name in _BOOL:
        return BOOL
    if node.name in _MOMENTS or node.name.endswith("_after"):
        return TIME
    if node.name in _PICKS or node.name == "abs":
        return checker.first_type(node.arguments)
    return Type(FactType.DURATION, FUNCTIONS[node.name].unit)


def call(checker: Checker, node: s.Call, want: Want | None) -> t.Node:
    """The typed tree of a call.

    Raises:
        RuleError: a wrong number or type of arguments.
    """
    function, given = FUNCTIONS[node.name], len(node.arguments)
    if not function.least <= given <= function.most:
        checker.fail(
            node.span,
            f"{node.name} takes {_times(function.least, function.most)}, not {given}",
            f"Write {function.signature}.",
        )
    if node.name in _PICKS:
        return _pick(checker, node, want)
    if node.name in _MOMENTS:
        times = tuple([_moment(checker, node, argument) for argument in node.arguments])
        blank = all(time.nullable for time in times)
        return t.Pick(node.span, TIME, blank, max(x.bound for x in times), node.name, times)
    match node.name.rpartition("_")[2]:
        case "since" | "until" as way:
            return _elapsed(checker, node, 1 if way == "since" else -1)
        case "between":
            return _gap(checker, node)
        case "after":
            return _shift(checker, node)
        case "passed":
            moment = _moment(checker, node, node.arguments[0])
            return t.Passed(node.span, BOOL, False, 1, moment, t.families(moment))
        case "abs":
            return _absolute(checker, node, want)
    return _text_test(checker, node)


def _times(least: int, most: int) -> str:
    if least == most:
        return "1 argument" if least == 1 else f"{least} arguments"
    return f"{least} to {most} arguments"


def _moment(checker: Checker, node: s.Call, argument: s.Syntax) -> t.Node:
    return checker.check(argument, Want(TIME, f"the argument of {node.name}"))


def _elapsed(checker: Checker, node: s.Call, sign: int) -> t.Node:
    moment = _moment(checker, node, node.arguments[0])
    type_ = Type(FactType.DURATION, FUNCTIONS[node.name].unit)
    bound = moment.bound + MAX_MOMENT
    return t.Elapsed(node.span, type_, moment.nullable, bound, moment, sign)


def _gap(checker: Checker, node: s.Call) -> t.Node:
    start, end = (_moment(checker, node, argument) for argument in node.arguments)
    type_ = Type(FactType.DURATION, FUNCTIONS[node.name].unit)
    nullable = start.nullable or end.nullable
    return t.Gap(node.span, type_, nullable, start.bound + end.bound, start, end)


def _shift(checker: Checker, node: s.Call) -> t.Node:
    moment = _moment(checker, node, node.arguments[0])
    number = node.arguments[1]
    literal = checker.literal(number)
    if not isinstance(literal, Fraction) or literal < 0:
        checker.fail(number.span, f"{node.name} needs a number of 0 or more here")
    ms = literal * FUNCTIONS[node.name].unit
    if ms.denominator != 1 or ms > MAX_MOMENT:
        checker.fail(number.span, f"{checker.say(number)} is too large or too fine")
    return t.Shift(node.span, TIME, moment.nullable, moment.bound + int(ms), moment, int(ms))


def _pick(checker: Checker, node: s.Call, want: Want | None) -> t.Node:
    items = checker.peers(node.arguments, want)
    type_ = items[0].type
    if type_.kind is FactType.BOOL:
        checker.fail(node.span, f"{node.name} takes values, and a condition is never blank")
    if node.name != "coalesce" and not type_.number and type_.kind is not FactType.TIME:
        checker.fail(node.span, f"{node.name} needs numbers or times, not {type_}")
    blank = [item.nullable for item in items]
    nullable = all(blank) if node.name == "coalesce" else any(blank)
    bound = max(item.bound for item in items)
    return t.Pick(node.span, type_, nullable, bound, node.name, tuple(items))


def _absolute(checker: Checker, node: s.Call, want: Want | None) -> t.Node:
    value = checker.check(node.arguments[0], want)
    if not value.type.number:
        checker.fail(node.span, f"abs needs a number, not {value.type}")
    return t.Absolute(node.span, value.type, value.nullable, value.bound, value)


def _text_test(checker: Checker, node: s.Call) -> t.Node:
    text, wanted = node.arguments
    value = checker.check(text, Want(TEXT, f"the first argument of {node.name}"))
    literal = checker.literal(wanted)
    if not isinstance(literal, str):
        checker.fail(wanted.span, f"{node.name} needs a text in quotes here")
    return t.TextTest(node.span, BOOL, False, 1, node.name, value, literal)
