"""What a rule set means, without how it is spelled: the basis of its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from mapping.rules import Expr, Fact
from mapping.rules import tree as t
from mapping.rules.types import Type

# Where it stands in a text, what follows from the rest, and words that only messages use.
_LEFT_OUT = frozenset({"span", "nullable", "bound", "places", "origin"})


def digest(*parts: Any) -> str:
    """One short text for one meaning."""
    text = json.dumps([structure(part) for part in parts], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def structure(value: Any) -> Any:
    """Plain data that is the same for two spellings of one thing.

    Raises:
        TypeError: a kind of value that has no form here (a mistake in code).
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return f"{value.normalize():f}"
        case Expr():
            return structure(value.root)
        case Fact():
            return value.name
        case Type():
            return [value.kind, value.scale]
        case t.Defined():
            return structure(value.body)
        case Mapping():
            return {str(k): structure(v) for k, v in value.items()}
        case tuple() | list():
            return [structure(v) for v in value]
        case frozenset() | set():
            return sorted(structure(v) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        own = {
            f.name: structure(getattr(value, f.name))
            for f in fields(value)
            if f.name not in _LEFT_OUT
        }
        return [type(value).__name__, own]
    raise TypeError(f"no structure of a {type(value).__name__}")


def words_of(node: t.Node) -> tuple[str, ...] | None:
    """All words a value can be, where its rule says so; None for an open text."""
    parts: list[t.Node] = []
    match node:
        case t.Const(value=str() as word):
            return (word,)
        case t.Defined(body=body):
            return words_of(body)
        case t.Pick(items=items):
            parts = list(items)
        case t.Cases(branches=branches, otherwise=otherwise):
            parts = [value for _, value in branches]
            parts += [otherwise] if otherwise is not None else []
    if not parts:
        return node.type.values or None
    found: dict[str, None] = {}
    for part in parts:
        words = words_of(part)
        if words is None:
            return None
        found |= dict.fromkeys(words)
    return tuple(found)
