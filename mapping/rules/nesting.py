"""How deeply a rule nests once it is SQL, so that every accepted rule also runs.

SQLite's parser has room for 100 pending symbols, and SQLAlchemy recurses in Python. A rule may use
a part of that; the rest is for what is built round it (stages, due moments, the statement).
The figures lie on the safe side: tests/rules/test_limits.py runs the deepest rules of each shape.
"""

from __future__ import annotations

from mapping.rules import tree as t

MAX_NESTING = 60


def nesting(node: t.Node) -> int:
    """Symbols a SQL parser keeps pending at the deepest point of ``node``."""
    return _own(node) + max(map(nesting, t.children(node)), default=0)


def _own(node: t.Node) -> int:
    match node:
        case t.Defined():
            return 0
        case t.Not() | t.IsBlank() | t.Member() | t.Const():
            return 1
        case t.FactRef() | t.Negate():
            return 2
        case t.Between() | t.TextTest() | t.Absolute():
            return 4
        case t.Pick():
            blanks = any(item.nullable for item in node.items)
            return 11 if blanks and node.function != "coalesce" else 5
        case t.Cases():
            return 6
        case t.Same():
            return 7
        case t.Divide():
            return 9
    return 3
