"""Outages of source families: noticed, ended, and told once their digest is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from state import schema
from state.projection import insert
from state.staging import count

_out = schema.outage


@dataclass(frozen=True, slots=True)
class Spell:
    """A family of a brand's sources that is away, or was. Instants in ms.

    ``from_at``: up to where it was complete; ``ended_at``: None while it lasts.
    """

    brand: str
    family: str
    noticed_at: int
    from_at: int
    ended_at: int | None


def untold(connection: Connection) -> list[Spell]:
    """Those that last, and those whose digest is not made yet."""
    query = select(
        _out.c.brand, _out.c.family, _out.c.noticed_at, _out.c.from_at, _out.c.ended_at
    ).where(_out.c.told_at.is_(None))
    return [Spell(*row) for row in connection.execute(query.order_by(*_out.primary_key))]


def begin(connection: Connection, spells: Sequence[Spell]) -> None:
    """Keep what was noticed."""
    rows = [{n: getattr(s, n) for n in Spell.__dataclass_fields__} for s in spells]
    if rows:
        connection.execute(insert(connection, _out).on_conflict_do_nothing(), rows)


def end(connection: Connection, spells: Sequence[Spell], at: int) -> None:
    """These are over (ms); their reasons are judged once more, by what is known now."""
    _set(connection, spells, {"ended_at": at})
    for brand in sorted({s.brand for s in spells}):
        _touch_old(connection, brand)


def told(connection: Connection, spells: Sequence[Spell], at: int) -> None:
    """Their digests are made."""
    _set(connection, spells, {"told_at": at})


def _set(connection: Connection, spells: Sequence[Spell], values: Mapping[str, int]) -> None:
    if spells:
        key = ("brand", "family", "noticed_at")
        connection.execute(
            sa.update(_out).where(*[_out.c[n] == bindparam(f"k_{n}") for n in key]).values(values),
            [{f"k_{n}": getattr(s, n) for n in key} for s in spells],
        )


def _touch_old(connection: Connection, brand: str) -> int:
    """Have the clients whose reasons an outage made old computed again."""
    e = schema.episode
    clients = select(e.c.brand, e.c.client_id).where(
        e.c.brand == brand, e.c.closed_at.is_(None), e.c.refused == "outage", e.c.digest == ""
    )
    statement = insert(connection, schema.touched)
    statement = statement.from_select(["brand", "client_id"], clients.distinct())
    return count(connection, statement.on_conflict_do_nothing())
