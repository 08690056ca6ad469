"""Warnings about rules that are right but may not say what their author meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mapping.rules import tree as t
from mapping.rules.errors import Span
from mapping.rules.scope import Expr
from mapping.rules.types import FactType


@dataclass(frozen=True, slots=True)
class RuleWarning:
    """A remark about one place of a rule."""

    line: int
    column: int
    message: str


def lint(expr: Expr) -> list[RuleWarning]:
    """Tests under a negation that a blank turns into yes, where blank is not spoken of."""
    found: dict[tuple[int, int], RuleWarning] = {}
    for span, names in _unguarded(expr.root, negative=False, guarded=frozenset(), outer=None):
        line = expr.text.count("\n", 0, span.start) + 1
        column = span.start - (expr.text.rfind("\n", 0, span.start) + 1) + 1
        which = " or ".join(names) or "a value"
        found.setdefault(
            (span.start, span.end),
            RuleWarning(
                line,
                column,
                f"this is yes also for a client whose {which} is blank; "
                f"add '{names[0] if names else 'x'} is not null and', if that is not meant",
            ),
        )
    return sorted(found.values(), key=lambda warning: (warning.line, warning.column))


_Found = Iterator[tuple[Span, list[str]]]


def _unguarded(node: t.Node, negative: bool, guarded: frozenset[str], outer: Span | None) -> _Found:
    """Nullable tests in negative position. ``outer`` is where a definition stands in the rule."""
    match node:
        case t.Defined(body=body):
            yield from _unguarded(body, negative, guarded, outer or node.span)
        case t.Not(operand=operand):
            yield from _unguarded(operand, not negative, guarded, outer)
        case t.Logic(operator=operator, items=items):
            inner = guarded.union(*(_settled(operator, item) for item in items))
            for item in items:
                yield from _unguarded(item, negative, inner, outer)
        case t.Same(left=left, right=right):
            # Either side counts as asserted and as denied.
            for side in (left, right):
                yield from _unguarded(side, True, guarded, outer)
                yield from _unguarded(side, False, guarded, outer)
        case t.Cases():
            yield from _in_values(node, guarded, outer)
            if node.type.kind is FactType.BOOL:
                for part in t.children(node):
                    yield from _unguarded(part, negative, guarded, outer)
        case t.Compare() | t.Between() | t.Member() | t.Passed() | t.TextTest():
            yield from _in_values(node, guarded, outer)
            blank = [part for part in t.children(node) if part.nullable]
            names = sorted({n for part in blank for n, f in t.facts(part).items() if f.nullable})
            open_ = [name for name in names if name not in guarded]
            if negative and blank and (open_ or not names):
                yield outer or node.span, open_
        case _:
            yield from _in_values(node, guarded, outer)


def _in_values(node: t.Node, guarded: frozenset[str], outer: Span | None) -> _Found:
    """Conditions inside values (``case``) begin afresh: a blank there takes the next branch."""
    for part in t.children(node):
        if part.type.kind is not FactType.BOOL:
            yield from _in_values(part, guarded, outer)
        elif isinstance(node, t.Cases) and node.type.kind is not FactType.BOOL:
            yield from _unguarded(part, False, guarded, outer)


def _settled(operator: str, node: t.Node) -> set[str]:
    """The fact whose blank settles a chain alone: ``x is null or``, ``x is not null and``."""
    while isinstance(node, t.Defined):
        node = node.body
    if operator == "and":
        if not isinstance(node, t.Not):
            return set()
        node = node.operand
    if not isinstance(node, t.IsBlank):
        return set()
    value = node.value
    while isinstance(value, t.Defined | t.Elapsed | t.Shift):
        value = value.body if isinstance(value, t.Defined) else value.moment
    return {value.fact.name} if isinstance(value, t.FactRef) else set()
