"""The check of ``+ - * /``: units, exactness, and products that stay within range."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from mapping.rules import syntax as s
from mapping.rules import tree as t
from mapping.rules.literals import Want
from mapping.rules.types import COUNT, MAX_EXACT, RATIO, FactType, Type

if TYPE_CHECKING:
    from mapping.rules.check import Checker


def infer(checker: Checker, node: s.Binary) -> Type | None:
    """The type of ``node`` by itself: a count times anything is that thing."""
    left, right = checker.infer(node.left), checker.infer(node.right)
    if node.operator == "/":
        return RATIO
    if node.operator == "*" and left == COUNT:
        return right or left
    return left or right


def negate(checker: Checker, node: s.Negative, want: Want | None) -> t.Node:
    """``-x``."""
    value = checker.check(node.operand, want if checker.infer(node) is None else None)
    _number(checker, node.operand, value)
    return t.Negate(node.span, value.type, value.nullable, value.bound, value)


def binary(checker: Checker, node: s.Binary, want: Want | None) -> t.Node:
    """``+ - * /``."""
    if node.operator == "/":
        return _divide(checker, node)
    if node.operator == "*":
        return _multiply(checker, node)
    # A sum of typed values has its own type; one without takes what is wanted.
    wanted = want if checker.infer(node) is None else None
    left, right = checker.peers([node.left, node.right], wanted)
    _number(checker, node.left, left)
    nullable = left.nullable or right.nullable
    bound = left.bound + right.bound
    return t.Arithmetic(node.span, left.type, nullable, bound, node.operator, left, right)


def _number(checker: Checker, node: s.Syntax, value: t.Node) -> None:
    if value.type.number:
        return
    hint = ""
    if value.type.kind is FactType.TIME:
        hint = "Use hours_between(from, to) or days_after(time, number)."
    checker.fail(
        node.span, f"arithmetic needs numbers, but {checker.say(node)} is {value.type}", hint
    )


def _multiply(checker: Checker, node: s.Binary) -> t.Node:
    if isinstance(checker.literal(node.left), Fraction):
        return _scale(checker, node, node.left, node.right)
    if isinstance(checker.literal(node.right), Fraction):
        return _scale(checker, node, node.right, node.left)
    left, right = checker.check(node.left), checker.check(node.right)
    _number(checker, node.left, left)
    _number(checker, node.right, right)
    kinds = [left.type.kind, right.type.kind]
    if FactType.COUNT not in kinds or FactType.RATIO in kinds:
        checker.fail(
            node.span,
            f"{left.type} cannot be multiplied by {right.type}",
            "One of the two must be a count or a number.",
        )
    if t.moves(left) or t.moves(right):
        checker.fail(node.span, "elapsed time can be multiplied by a number only")
    type_ = right.type if left.type == COUNT else left.type
    nullable = left.nullable or right.nullable
    return t.Arithmetic(node.span, type_, nullable, left.bound * right.bound, "*", left, right)


def _scale(checker: Checker, node: s.Binary, number: s.Syntax, other: s.Syntax) -> t.Node:
    """A literal times a value: a whole number, except beside a ratio."""
    value = checker.check(other)
    _number(checker, other, value)
    literal = checker.literal(number)
    ratio = value.type.kind is FactType.RATIO
    if not ratio and isinstance(literal, Fraction) and literal.denominator != 1:
        checker.fail(
            number.span,
            f"{value.type} can be multiplied by a whole number only",
            "Multiply both sides instead: 2 * a < 3 * b.",
        )
    factor = checker.check(number, Want(RATIO if ratio else COUNT, checker.say(other)))
    bound = factor.bound * value.bound
    return t.Arithmetic(node.span, value.type, value.nullable, bound, "*", factor, value)


def _divide(checker: Checker, node: s.Binary) -> t.Node:
    left, left_unit = _operand(checker, node.left)
    right, right_unit = _operand(checker, node.right)
    if isinstance(left, t.Const) and isinstance(right, t.Const):
        checker.fail(node.span, "a number divided by a number", "Write the result instead.")
    if isinstance(right, t.Const) and right.value == 0:
        checker.fail(node.right.span, "division by zero")
    common = math.gcd(left_unit, right_unit)
    left_scale, right_scale = right_unit // common, left_unit // common
    if max(left.bound * left_scale, right.bound * right_scale) > MAX_EXACT:
        checker.fail(node.span, f"{checker.say(node)} could become too large to be exact")
    nullable = left.nullable or right.nullable or not isinstance(right, t.Const)
    bound = left.bound * left_scale // right_scale + 1
    return t.Divide(node.span, RATIO, nullable, bound, left, right, left_scale, right_scale)


def _operand(checker: Checker, node: s.Syntax) -> tuple[t.Node, int]:
    """One side of a division as a whole number, and how many of it make one unit."""
    literal = checker.literal(node)
    if isinstance(literal, Fraction):
        top = literal.numerator
        return (
            t.Const(node.span, COUNT, nullable=False, bound=abs(top), value=top),
            literal.denominator,
        )
    value = checker.check(node)
    _number(checker, node, value)
    if value.type.kind is FactType.RATIO:
        checker.fail(node.span, "a ratio cannot be divided again", "Multiply the other side.")
    if t.moves(value):
        checker.fail(node.span, "elapsed time cannot be divided", "Multiply the other side.")
    return value, value.type.scale
