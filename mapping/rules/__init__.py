"""The rule language: text of an admin to a typed tree. See docs/rules.md.

``state.rules_sql`` compiles the trees. Whatever the text, ``RuleError`` is the only exception.
"""

from __future__ import annotations

from mapping.rules.errors import RuleError, Span
from mapping.rules.lint import RuleWarning, lint
from mapping.rules.parts import Part, parts
from mapping.rules.scope import Expr, Scope, condition, instant, value
from mapping.rules.types import Fact, FactType

__all__ = [
    "Expr",
    "Fact",
    "FactType",
    "Part",
    "RuleError",
    "RuleWarning",
    "Scope",
    "Span",
    "condition",
    "instant",
    "lint",
    "parts",
    "value",
]
