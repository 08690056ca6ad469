"""The sub-conditions of a rule that an explanation shows one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mapping.rules import tree as t
from mapping.rules.scope import Expr, expression
from mapping.rules.types import FactType


@dataclass(frozen=True, slots=True)
class Part:
    """One line of an explanation: a condition with its text, how deep it stands, what it reads."""

    text: str
    expr: Expr
    depth: int
    facts: frozenset[str]
    definition: str = ""

    @property
    def node(self) -> t.Node:
        """The typed tree of the part."""
        return self.expr.root


def parts(expr: Expr) -> list[Part]:
    """The conditions a rule is made of, in reading order.

    The members of ``and`` and ``or`` are parts; a chain inside a chain is a part itself, followed
    by its members one deeper. A definition is a part under its name, followed by its own parts
    one deeper; definitions inside it are named and not opened. A comparison is one part.
    """
    return list(_parts(expr.text, expr.root, 0, opened=False, top=True))


def _parts(text: str, node: t.Node, depth: int, *, opened: bool, top: bool) -> Iterator[Part]:
    """``opened``: inside a definition. ``top``: a chain here has been announced already."""
    match node:
        case t.Logic(items=items):
            if not top:
                yield _part(text, node, depth)
            for item in items:
                yield from _parts(text, item, depth + (not top), opened=opened, top=False)
        case t.Not(operand=operand):
            yield _part(text, node, depth)
            yield from _below(text, operand, depth + 1, opened)
        case t.Defined(name=name):
            yield _part(text, node, depth, name)
            yield from _below(text, node, depth + 1, opened)
        case _:
            yield _part(text, node, depth)


def _below(text: str, node: t.Node, depth: int, opened: bool) -> Iterator[Part]:
    """What a line is made of: nothing more for a comparison or a definition in a definition."""
    if isinstance(node, t.Defined):
        if not opened and node.type.kind is FactType.BOOL:
            yield from _parts(node.text, node.body, depth, opened=True, top=True)
    elif isinstance(node, t.Logic | t.Not):
        yield from _parts(text, node, depth, opened=opened, top=True)


def _part(text: str, node: t.Node, depth: int, definition: str = "") -> Part:
    expr = expression(text[node.span.start : node.span.end], node)
    return Part(expr.text, expr, depth, expr.facts, definition)
