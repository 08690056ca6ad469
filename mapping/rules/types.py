"""Types of the rule language and the declaration of a fact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

# Whole numbers stay below this everywhere: exact as a double, and far from bigint's end, where
# PostgreSQL raises (one bad row would fail the statement for all clients) and SQLite goes inexact.
MAX_EXACT = 2**52
# Milliseconds to the year 2109: later instants are a vendor's mistake.
MAX_MOMENT = 2**42

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

KEYWORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "between",
        "is",
        "null",
        "case",
        "when",
        "then",
        "else",
        "end",
        "true",
        "false",
    ]
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class FactType(StrEnum):
    """What a value means, and so what may be done with it."""

    BOOL = "bool"
    COUNT = "count"
    MONEY = "money"
    LOTS = "lots"
    DURATION = "duration"
    RATIO = "ratio"
    ENUM = "enum"
    TEXT = "text"
    TIME = "time"


NUMBERS = frozenset(
    [FactType.COUNT, FactType.MONEY, FactType.LOTS, FactType.DURATION, FactType.RATIO]
)
LOT_SCALE = 10_000

_SAID = {
    FactType.BOOL: "yes or no",
    FactType.COUNT: "a count",
    FactType.MONEY: "money",
    FactType.LOTS: "lots",
    FactType.RATIO: "a ratio",
    FactType.ENUM: "one of a list",
    FactType.TEXT: "text",
    FactType.TIME: "a time",
}
_UNITS = {MINUTE: "minutes", HOUR: "hours", DAY: "days"}
_MAGNITUDE = {
    FactType.BOOL: 1,
    FactType.COUNT: 10**6,
    FactType.MONEY: 10**13,
    FactType.LOTS: 10**11,
    FactType.DURATION: MAX_MOMENT,
    FactType.RATIO: 10**9,
    FactType.ENUM: 1,
    FactType.TEXT: 1,
    FactType.TIME: MAX_MOMENT,
}


@dataclass(frozen=True, slots=True)
class Type:
    """A kind with its unit: ``scale`` stored units make one unit as an admin writes it."""

    kind: FactType
    scale: int = 1
    values: tuple[str, ...] = ()
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.kind is FactType.DURATION:
            return f"elapsed time in {_UNITS[self.scale]}"
        if self.kind is FactType.ENUM:
            return f"a {self.name}"
        return _SAID[self.kind]

    @property
    def number(self) -> bool:
        """Whether arithmetic and order apply."""
        return self.kind in NUMBERS


BOOL = Type(FactType.BOOL)
COUNT = Type(FactType.COUNT)
TEXT = Type(FactType.TEXT)
TIME = Type(FactType.TIME)
RATIO = Type(FactType.RATIO)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is declared of one column of the fact row.

    Stored form: bool 0/1 or boolean; count, money (minor units), lots (1/10,000), duration and
    time (ms) as big integers; ratio as a double; enum and text as text.

    Args:
        family: the source family whose completeness bounds ``*_since`` and ``passed``.
        nullable: whether it may be blank; a yes/no fact may not.
        default: what the fact builder stores for a client without such records (documentation).
        values: the words of an enum.
        magnitude: largest absolute stored value (0: the type's own). The builder of facts keeps to
            it; products that could leave the exact range are refused by it.

    Raises:
        ValueError: a declaration that makes no sense (a mistake in code, never in a rule).
    """

    name: str
    type: FactType
    family: str
    nullable: bool = False
    default: int | str | None = None
    values: tuple[str, ...] = ()
    magnitude: int = 0
    help: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name.lower() in KEYWORDS:
            raise ValueError(f"{self.name!r} cannot be the name of a fact")
        if self.type is FactType.BOOL and self.nullable:
            raise ValueError(f"{self.name}: a yes/no fact is never blank")
        if (self.type is FactType.ENUM) != bool(self.values):
            raise ValueError(f"{self.name}: an enum, and only an enum, lists its values")
        if not 0 <= self.magnitude <= MAX_EXACT:
            raise ValueError(f"{self.name}: the magnitude must be between 0 and 2^52")

    @property
    def bound(self) -> int:
        """Largest absolute stored value."""
        return self.magnitude or _MAGNITUDE[self.type]

    def typed(self, money_exponent: int) -> Type:
        """The type of this fact where money has so many digits after the point."""
        if self.type is FactType.MONEY:
            return Type(self.type, 10**money_exponent)
        if self.type is FactType.LOTS:
            return Type(self.type, LOT_SCALE)
        if self.type is FactType.DURATION:
            return Type(self.type, HOUR)
        return Type(self.type, 1, self.values, self.name)
