"""What a rule may speak of, and the three ways to read one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from mapping.rules import syntax as s
from mapping.rules import tree as t
from mapping.rules.check import Definition, check
from mapping.rules.errors import Source, Span
from mapping.rules.functions import FUNCTIONS
from mapping.rules.literals import Want
from mapping.rules.parser import MAX_DEPTH, parse
from mapping.rules.types import BOOL, KEYWORDS, NAME, TIME, Fact, FactType


@dataclass(frozen=True, slots=True)
class Expr:
    """A checked rule: its text, type, what it reads (through definitions too) and typed tree."""

    text: str
    type: FactType
    facts: frozenset[str]
    families: frozenset[str]
    root: t.Node
    where: str = ""


class Scope:
    """Facts and definitions: everything a rule can name. Immutable.

    Args:
        facts: declared facts by name.
        definitions: expressions by name; each may use the others.
        money_exponent: digits after the point of the base currency.

    Raises:
        RuleError: a definition is wrong or refers to itself; ``where`` is ``definitions.<name>``.
        ValueError: a fact is declared under another name or under that of a function.
    """

    def __init__(
        self,
        facts: Mapping[str, Fact],
        definitions: Mapping[str, str] | None = None,
        money_exponent: int = 2,
    ) -> None:
        for name, fact in facts.items():
            if name != fact.name or name in FUNCTIONS:
                raise ValueError(f"the fact {fact.name!r} cannot be declared as {name!r}")
        self.facts: Mapping[str, Fact] = MappingProxyType(dict(facts))
        self.money_exponent = money_exponent
        resolver = _Resolver(self.facts, dict(definitions or {}), money_exponent)
        self.definitions: Mapping[str, Definition] = MappingProxyType(resolver.all())

    def definition(self, name: str) -> Expr:
        """The checked definition ``name``."""
        found = self.definitions[name]
        return expression(found.text, found.body, f"definitions.{name}")


def condition(text: str, scope: Scope, where: str = "") -> Expr:
    """A rule that must be yes or no.

    Raises:
        RuleError: the text is not such a rule.
    """
    return _read(text, scope, where, None, condition=True)


def instant(text: str, scope: Scope, where: str = "") -> Expr:
    """A rule that must be a time, such as a ``since``.

    Raises:
        RuleError: the text is not such a rule.
    """
    return _read(text, scope, where, Want(TIME, "what is needed here"))


def value(text: str, scope: Scope, where: str = "") -> Expr:
    """A rule of any type that changes only when something happened or a threshold is crossed.

    Raises:
        RuleError: the text is not a rule, or it is elapsed time.
    """
    expr = _read(text, scope, where, None)
    if expr.root.type != BOOL and t.moves(expr.root):
        raise Source(text, where).error(
            expr.root.span,
            "elapsed time changes at every moment and would be written to every client for ever",
            "Use the time itself, or a threshold such as days_since(x) >= 30.",
        )
    return expr


def expression(text: str, root: t.Node, where: str = "") -> Expr:
    """The rule made of a typed tree whose ranges refer to ``text``."""
    facts = t.facts(root)
    families = frozenset(fact.family for fact in facts.values())
    return Expr(text, root.type.kind, frozenset(facts), families, root, where)


def _read(
    text: str, scope: Scope, where: str, want: Want | None, *, condition: bool = False
) -> Expr:
    source = _source(text, where)
    root, _, _ = check(
        source,
        parse(source),
        scope.facts,
        scope.definitions,
        scope.money_exponent,
        want=want,
        condition=condition,
        max_depth=MAX_DEPTH,
    )
    return expression(text, root, where)


def _source(text: object, where: str) -> Source:
    """The text as a source. YAML reads ``true`` or ``5`` as something else: say so."""
    if isinstance(text, str):
        return Source(text, where)
    shown = str(text).lower() if isinstance(text, bool | int | float) else ""
    raise Source(shown, where).error(
        Span(0, max(1, len(shown))), "a rule is text", "Put it in quotes in the file."
    )


class _Resolver:
    """Checks definitions in the order in which they need each other."""

    def __init__(
        self, facts: Mapping[str, Fact], texts: Mapping[str, str], money_exponent: int
    ) -> None:
        self._facts = facts
        self._exponent = money_exponent
        self._sources = {n: _source(text, f"definitions.{n}") for n, text in texts.items()}
        for name, source in self._sources.items():
            self._check_name(name, source)
        self._trees = {name: parse(source) for name, source in self._sources.items()}
        self._done: dict[str, Definition] = {}

    def all(self) -> dict[str, Definition]:
        for name in self._trees:
            self._resolve(name, [])
        return {name: self._done[name] for name in self._trees}

    def _check_name(self, name: object, source: Source) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in KEYWORDS:
            raise source.error(Span(0, 1), f"'{name}' cannot be the name of a definition")
        taken = "a fact" if name in self._facts else "a function" if name in FUNCTIONS else ""
        if taken:
            raise source.error(Span(0, 1), f"'{name}' is the name of {taken} already")

    def _resolve(self, name: str, path: list[str]) -> None:
        """Depth first; ``path`` holds the definitions that wait for this one."""
        if name in self._done:
            return
        source = self._sources[name]
        for used in _names(self._trees[name]):
            if used.name not in self._trees:
                continue
            if used.name in (*path, name):
                self._refuse_cycle(source, used, [*path, name])
            if len(path) >= MAX_DEPTH:
                raise source.error(used.span, f"definitions are nested more than {MAX_DEPTH} deep")
            self._resolve(used.name, [*path, name])
        body, size, literal = check(
            source,
            self._trees[name],
            self._facts,
            self._done,
            self._exponent,
            max_depth=MAX_DEPTH,
        )
        self._done[name] = Definition(name, source.text, body, literal, size)

    def _refuse_cycle(self, source: Source, used: s.Name, path: list[str]) -> NoReturn:
        cycle = [*path[path.index(used.name) :], used.name]
        raise source.error(
            used.span, f"definition '{used.name}' refers to itself: {' -> '.join(cycle)}"
        )


def _names(node: s.Syntax) -> list[s.Name]:
    found, stack = [], [node]
    while stack:
        node = stack.pop()
        if isinstance(node, s.Name):
            found.append(node)
        stack.extend(s.children(node))
    return sorted(found, key=lambda name: name.span)
