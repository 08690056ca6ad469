"""What a row of the fact catalogue says."""

from __future__ import annotations

from dataclasses import dataclass

from mapping.rules import Fact, FactType


@dataclass(frozen=True, slots=True)
class FactDef:
    """One fact: its declaration for the rules, and how it is computed."""

    fact: Fact
    view: str
    pick: str
    column: str = ""
    where: tuple[str, ...] = ()
    personal: bool = False

    @property
    def name(self) -> str:
        """The fact's name, and its column in the fact table."""
        return self.fact.name


def define(
    name: str,
    type_: FactType,
    family: str,
    source: tuple[str, str, str] | tuple[str, str, str, tuple[str, ...]],
    help_: str,
    *,
    default: int | str | None = None,
    values: tuple[str, ...] = (),
) -> FactDef:
    """One row of the catalogue. ``source``: view, pick, column and, where needed, conditions."""
    view, pick, column, *rest = source
    fact = Fact(
        name=name,
        type=type_,
        family=family,
        nullable=default is None,
        default=default,
        values=values,
        help=help_,
    )
    return FactDef(fact, view, pick, column, rest[0] if rest else ())
