"""The typed tree: every node knows its type, whether it may be blank, and its range in the text.

Numbers in it are stored units (minor units, milliseconds), so that a compiler need not know units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mapping.rules.errors import Span
from mapping.rules.types import BOOL, Fact, FactType, Type


@dataclass(frozen=True, slots=True)
class Node:
    """A typed piece of a rule.

    ``nullable`` says whether its value may be blank (never for a condition); ``bound`` is the
    largest absolute value it can take, in stored units.
    """

    span: Span
    type: Type
    nullable: bool
    bound: int


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A literal in stored units; a condition's literal is 0 or 1."""

    value: int | float | str


@dataclass(frozen=True, slots=True)
class FactRef(Node):
    """A fact of the client."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Defined(Node):
    """A definition used by name; ``text`` is its own text, which ``body``'s ranges refer to."""

    name: str
    text: str
    body: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    """Yes where the operand is no. ``<>``, ``not in`` and ``not between`` are this too."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``and`` / ``or`` of two or more conditions."""

    operator: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """``= < <= > >=`` of two values of one type; no when either is blank.

    ``clock`` names the families whose horizon all elapsed times in it run to.
    """

    operator: str
    left: Node
    right: Node
    clock: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between(Node):
    """``low <= value <= high``; no when any is blank."""

    value: Node
    low: Node
    high: Node
    clock: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    """The value equals one of the literals; no when it is blank."""

    value: Node
    items: tuple[Const, ...]


@dataclass(frozen=True, slots=True)
class Same(Node):
    """Two conditions have the same answer."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class IsBlank(Node):
    """The value is blank."""

    value: Node


@dataclass(frozen=True, slots=True)
class Passed(Node):
    """The instant has come; no when it is blank."""

    moment: Node
    clock: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextTest(Node):
    """``starts_with`` / ``contains``; no when the text is blank."""

    function: str
    value: Node
    literal: str


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``+ - *`` of numbers in stored units."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """``-x``."""

    value: Node


@dataclass(frozen=True, slots=True)
class Divide(Node):
    """``(left * left_scale) / (right * right_scale)`` as a double; blank where right is 0."""

    left: Node
    right: Node
    left_scale: int
    right_scale: int


@dataclass(frozen=True, slots=True)
class Elapsed(Node):
    """Time from the moment to the horizon (``sign`` 1) or from the horizon to it (-1), in ms."""

    moment: Node
    sign: int


@dataclass(frozen=True, slots=True)
class Gap(Node):
    """``end - start`` in ms."""

    start: Node
    end: Node


@dataclass(frozen=True, slots=True)
class Shift(Node):
    """``moment + ms``."""

    moment: Node
    ms: int


@dataclass(frozen=True, slots=True)
class Pick(Node):
    """One of the items: ``coalesce greatest least earliest latest``.

    ``greatest`` and ``least`` are blank if any item is, the others only if all are.
    """

    function: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Absolute(Node):
    """``abs(x)``."""

    value: Node


@dataclass(frozen=True, slots=True)
class Cases(Node):
    """``case``: the value of the first branch whose condition is yes."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


def truth(span: Span, value: bool) -> Const:
    """``true`` or ``false``."""
    return Const(span, BOOL, nullable=False, bound=1, value=int(value))


def children(node: Node) -> Iterator[Node]:
    """The direct parts of a node, definitions opened."""
    match node:
        case Defined(body=part) | Not(operand=part):
            yield part
        case Logic(items=items) | Pick(items=items):
            yield from items
        case Member(value=part) | IsBlank(value=part) | TextTest(value=part):
            yield part
        case Negate(value=part) | Absolute(value=part):
            yield part
        case Passed(moment=part) | Elapsed(moment=part) | Shift(moment=part):
            yield part
        case Between():
            yield from (node.value, node.low, node.high)
        case Gap(start=left, end=right):
            yield from (left, right)
        case Compare(left=left, right=right) | Same(left=left, right=right):
            yield from (left, right)
        case Arithmetic(left=left, right=right) | Divide(left=left, right=right):
            yield from (left, right)
        case Cases():
            for condition, value in node.branches:
                yield from (condition, value)
            if node.otherwise is not None:
                yield node.otherwise


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, definitions opened."""
    stack = [node]
    while stack:
        found = stack.pop()
        yield found
        stack.extend(children(found))


def depth(node: Node) -> int:
    """Levels of the tree."""
    level, levels = [node], 0
    while level:
        levels += 1
        level = [child for found in level for child in children(found)]
    return levels


def facts(node: Node) -> dict[str, Fact]:
    """The facts a node reads, by name, also through definitions."""
    return {found.fact.name: found.fact for found in walk(node) if isinstance(found, FactRef)}


def families(node: Node) -> tuple[str, ...]:
    """The source families of those facts, sorted."""
    return tuple(sorted({fact.family for fact in facts(node).values()}))


def value_parts(node: Node) -> Iterator[Node]:
    """The parts of a value that are values themselves: conditions of a ``case`` are left out."""
    return (child for child in children(node) if child.type.kind is not FactType.BOOL)


def elapsed(node: Node) -> Iterator[Elapsed]:
    """The elapsed times a value is made of; those inside conditions are left out."""
    if isinstance(node, Elapsed):
        yield node
        return
    for part in value_parts(node):
        yield from elapsed(part)


def moves(node: Node) -> bool:
    """Whether a value changes by time alone at every moment (holds an elapsed time)."""
    return any(True for _ in elapsed(node))


def clock(*values: Node) -> tuple[str, ...]:
    """The families that bound the elapsed times of a comparison of these values."""
    found: set[str] = set()
    for value in values:
        for piece in elapsed(value):
            found.update(families(piece.moment))
    return tuple(sorted(found))


def pieces(node: Node) -> int:
    """How many straight lines over time a value can follow (1 where it stands still).

    Of a comparison: how many pairs of lines can meet.
    """
    match node:
        case Compare(left=left, right=right):
            return pieces(left) * pieces(right)
        case Defined(body=part) | Negate(value=part):
            return pieces(part)
        case Arithmetic(left=left, right=right):
            return pieces(left) * pieces(right)
        case Absolute(value=part):
            return 2 * pieces(part) if moves(part) else 1
        case Pick() | Cases() if moves(node):
            return sum(pieces(part) for part in value_parts(node))
    return 1
