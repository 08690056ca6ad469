"""From parsed tree to typed tree: types, units of literals, and bounds that keep numbers exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from mapping.rules import arithmetic, calls
from mapping.rules import syntax as s
from mapping.rules import tree as t
from mapping.rules.errors import Source, Span, suggest
from mapping.rules.literals import Literal, Want, constant
from mapping.rules.nesting import MAX_NESTING, nesting
from mapping.rules.types import BOOL, MAX_EXACT, Fact, FactType, Type

MAX_NODES = 400
_MAX_PIECES = 16
_MAX_RATIO = 10**100


@dataclass(frozen=True, slots=True)
class Definition:
    """A checked definition: a typed tree, or a bare literal that takes its unit where it is used.

    ``size`` counts its nodes, those of the definitions in it included.
    """

    name: str
    text: str
    body: t.Node
    literal: Literal | None
    size: int


class Checker:
    """Types one rule. Use a new one for each."""

    def __init__(
        self,
        source: Source,
        facts: Mapping[str, Fact],
        definitions: Mapping[str, Definition],
        money_exponent: int,
    ) -> None:
        self.source = source
        self.size = 0
        self._facts = facts
        self._definitions = definitions
        self._money_exponent = money_exponent

    # -- entry points -----------------------------------------------------------------------------

    def check(self, node: s.Syntax, want: Want | None = None) -> t.Node:
        """The typed tree of ``node``, of the wanted type if one is wanted.

        Raises:
            RuleError: the types do not fit.
        """
        literal = self.literal(node)
        if literal is None:
            typed = self._typed(node, want)
        else:
            typed = constant(self.source, node.span, literal, want)
        self._count(node, 1)
        if want and typed.type != want.type:
            self.fail(
                node.span,
                f"{self.say(node)} is {typed.type}, but {want.peer} is {want.type}",
                _mismatch_hint(typed.type, want.type),
            )
        limit = _MAX_RATIO if typed.type.kind is FactType.RATIO else MAX_EXACT
        if typed.bound > limit:
            self.fail(node.span, f"{self.say(node)} could become too large to be exact")
        return typed

    def condition(self, node: s.Syntax) -> t.Node:
        """The typed tree of ``node``, which must be yes or no."""
        typed = self.check(node)
        if typed.type.kind is not FactType.BOOL:
            hint = "Compare it with something, such as > 0." if typed.type.number else ""
            self.fail(
                node.span, f"a condition is needed here, but {self.say(node)} is {typed.type}", hint
            )
        return typed

    def peers(self, nodes: Sequence[s.Syntax], want: Want | None = None) -> list[t.Node]:
        """The typed trees of values that must be of one type; literals take it from the others."""
        for node in nodes:
            if want is None and (type_ := self.infer(node)) is not None:
                want = Want(type_, self.say(node))
        if want is None:
            first = self.check(nodes[0])
            want = Want(first.type, self.say(nodes[0]))
        return [self.check(node, want) for node in nodes]

    def say(self, node: s.Syntax) -> str:
        """The text of a node, for a message."""
        text = self.source.slice(node.span)
        return text if isinstance(node, s.Quoted) else f"'{text}'"

    def fail(self, span: Span, message: str, hint: str = "") -> NoReturn:
        """Raise the rule error that points at ``span``."""
        raise self.source.error(span, message, hint)

    # -- literals and types before the check ------------------------------------------------------

    def literal(self, node: s.Syntax) -> Literal | None:
        """The value of a literal, or of ``+ - *`` over literals; None for everything else."""
        match node:
            case s.Number(value=value):
                return value
            case s.Quoted(value=text):
                return text
            case s.Name(name=name) if name in self._definitions:
                return self._definitions[name].literal
            case s.Negative(operand=operand):
                inner = self.literal(operand)
                return -inner if isinstance(inner, Fraction) else None
            case s.Binary(operator=operator) if operator != "/":
                left, right = self.literal(node.left), self.literal(node.right)
                if isinstance(left, Fraction) and isinstance(right, Fraction):
                    return self._fold(node.span, operator, left, right)
        return None

    def _fold(self, span: Span, operator: str, left: Fraction, right: Fraction) -> Fraction:
        value = {"+": left + right, "-": left - right}.get(operator, left * right)
        if abs(value) > MAX_EXACT or value.denominator > 10**8:
            self.fail(span, "this number is too large or too fine")
        return value

    def infer(self, node: s.Syntax) -> Type | None:
        """The type ``node`` has by itself; None where it is made of literals alone."""
        if self.literal(node) is not None:
            return None
        match node:
            case s.Name(name=name):
                return self._named(node.span, name)
            case s.Negative(operand=operand):
                return self.infer(operand)
            case s.Binary():
                return arithmetic.infer(self, node)
            case s.Call():
                return calls.infer(self, node)
            case s.Case(branches=branches, otherwise=otherwise):
                values = [value for _, value in branches]
                return self.first_type([*values, otherwise] if otherwise else values)
        return BOOL

    def first_type(self, nodes: Sequence[s.Syntax]) -> Type | None:
        """The type of the first node that has one by itself."""
        return next((x for x in map(self.infer, nodes) if x is not None), None)

    def _named(self, span: Span, name: str) -> Type:
        if name in self._facts:
            return self._facts[name].typed(self._money_exponent)
        if name in self._definitions:
            return self._definitions[name].body.type
        known = {*self._facts, *self._definitions}
        hint = f"Did you mean '{name.lower()}'?" if name.lower() in known else suggest(name, known)
        message = f"'{self.source.slice(span)}' is neither a fact nor a definition"
        raise self.source.error(span, message, hint)

    # -- the nodes --------------------------------------------------------------------------------

    def _count(self, node: s.Syntax, nodes: int) -> None:
        self.size += nodes
        if self.size > MAX_NODES:
            self.fail(node.span, f"the rule has more than {MAX_NODES} parts, definitions included")

    def _typed(self, node: s.Syntax, want: Want | None) -> t.Node:
        match node:
            case s.Truth(value=value):
                return t.truth(node.span, value)
            case s.Name():
                return self._name(node)
            case s.Not(operand=operand):
                return self._not(node.span, self.condition(operand))
            case s.Logic(operator=operator, items=items):
                parts = tuple([self.condition(item) for item in items])
                return t.Logic(node.span, BOOL, False, 1, operator, parts)
            case s.Compare():
                return self._compare(node)
            case s.Between():
                return self._between(node)
            case s.In():
                return self._in(node)
            case s.IsNull():
                return self._is_null(node)
            case s.Case():
                return self._case(node, want)
            case s.Negative(operand=operand):
                return arithmetic.negate(self, node, want)
            case s.Binary():
                return arithmetic.binary(self, node, want)
            case s.Call():
                return calls.call(self, node, want)
        raise AssertionError(node)  # pragma: no cover - all kinds of syntax are above

    def _not(self, span: Span, operand: t.Node) -> t.Node:
        return t.Not(span, BOOL, False, 1, operand)

    def _negated(self, span: Span, node: t.Node, negated: bool) -> t.Node:
        return self._not(span, node) if negated else node

    def _name(self, node: s.Name) -> t.Node:
        type_ = self._named(node.span, node.name)
        fact = self._facts.get(node.name)
        if fact is not None:
            return t.FactRef(node.span, type_, fact.nullable, fact.bound, fact)
        found = self._definitions[node.name]
        self._count(node, found.size)
        body = found.body
        return t.Defined(node.span, type_, body.nullable, body.bound, found.name, found.text, body)

    def _compare(self, node: s.Compare) -> t.Node:
        equal = node.operator in ("=", "<>")
        left, right = self.peers([node.left, node.right])
        kind = left.type.kind
        if kind is FactType.BOOL:
            if not equal:
                self.fail(node.span, f"yes or no has no order: '{node.operator}' cannot be used")
            same = t.Same(node.span, BOOL, False, 1, left, right)
            return self._negated(node.span, same, node.operator == "<>")
        if equal and kind in (FactType.RATIO, FactType.DURATION):
            self.fail(
                node.span,
                f"{left.type} is never compared with '{node.operator}': it is hardly ever equal",
                "Use >= and <, or between.",
            )
        if not equal:
            self._ordered(node.span, left.type, node.operator)
        self._few_pieces(node.span, left, right)
        operator = "=" if equal else node.operator
        clock = t.clock(left, right)
        compare = t.Compare(node.span, BOOL, False, 1, operator, left, right, clock)
        return self._negated(node.span, compare, node.operator == "<>")

    def _ordered(self, span: Span, type_: Type, operator: str) -> None:
        if not type_.number and type_.kind is not FactType.TIME:
            self.fail(
                span, f"{type_} has no order: '{operator}' cannot be used", "Use =, <> or in."
            )

    def _few_pieces(self, span: Span, left: t.Node, right: t.Node) -> None:
        if t.pieces(left) * t.pieces(right) > _MAX_PIECES:
            self.fail(span, "too many alternatives of elapsed time are compared at once")

    def _between(self, node: s.Between) -> t.Node:
        value, low, high = self.peers([node.value, node.low, node.high])
        self._ordered(node.span, value.type, "between")
        self._few_pieces(node.span, value, low)
        self._few_pieces(node.span, value, high)
        clock = t.clock(value, low, high)
        between = t.Between(node.span, BOOL, False, 1, value, low, high, clock)
        return self._negated(node.span, between, node.negated)

    def _in(self, node: s.In) -> t.Node:
        type_ = self.infer(node.value)
        if type_ is None or type_.kind in (FactType.BOOL, FactType.RATIO, FactType.DURATION):
            said = "a literal" if type_ is None else type_
            self.fail(node.value.span, f"'in' cannot be used with {said}")
        want, items = Want(type_, self.say(node.value)), []
        for item in node.items:
            literal = self.literal(item)
            if literal is None:
                self.fail(item.span, "a list may hold literals only", "Join comparisons with 'or'.")
            self._count(item, 1)
            items.append(constant(self.source, item.span, literal, want))
        value = self.check(node.value)
        member = t.Member(node.span, BOOL, False, 1, value, tuple(items))
        return self._negated(node.span, member, node.negated)

    def _is_null(self, node: s.IsNull) -> t.Node:
        value = self.check(node.value)
        if value.type.kind is FactType.BOOL or isinstance(value, t.Const):
            what = "a literal" if isinstance(value, t.Const) else "a condition"
            self.fail(node.span, f"{what} is never blank")
        blank = t.IsBlank(node.span, BOOL, False, 1, value)
        return self._negated(node.span, blank, node.negated)

    def _case(self, node: s.Case, want: Want | None) -> t.Node:
        conditions = [self.condition(condition) for condition, _ in node.branches]
        written = [value for _, value in node.branches]
        if node.otherwise is not None:
            written.append(node.otherwise)
        values = self.peers(written, want)
        type_ = values[0].type
        if type_.kind is FactType.BOOL and node.otherwise is None:
            self.fail(node.span, "a case that is a condition needs an 'else'")
        last = values[len(conditions)] if node.otherwise is not None else None
        nullable = last is None or any(value.nullable for value in values)
        bound = max(value.bound for value in values)
        branches = tuple(zip(conditions, values, strict=False))
        return t.Cases(node.span, type_, nullable, bound, branches, last)


def check(
    source: Source,
    node: s.Syntax,
    facts: Mapping[str, Fact],
    definitions: Mapping[str, Definition],
    money_exponent: int,
    *,
    want: Want | None = None,
    condition: bool = False,
    max_depth: int,
) -> tuple[t.Node, int, Literal | None]:
    """The typed tree of a whole rule, its size, and its value if it is a bare literal.

    Raises:
        RuleError: anything about it that the language does not allow.
    """
    checker = Checker(source, facts, definitions, money_exponent)
    typed = checker.condition(node) if condition else checker.check(node, want)
    if t.depth(typed) > max_depth or nesting(typed) > MAX_NESTING:
        checker.fail(
            node.span, "the rule, definitions included, is nested too deeply", "Make it flatter."
        )
    return typed, checker.size, checker.literal(node)


def _mismatch_hint(found: Type, wanted: Type) -> str:
    kinds = {found.kind, wanted.kind}
    if found.kind is wanted.kind is FactType.DURATION:
        return "Use the same unit on both sides."
    if kinds == {FactType.MONEY, FactType.COUNT}:
        return "Money is compared with money or with a number: total >= 500."
    if kinds == {FactType.TIME, FactType.DURATION}:
        return "Compare times with times, or use hours_between(from, to)."
    return ""
