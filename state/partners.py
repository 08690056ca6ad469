"""Partners of affiliate platforms: which changed, what is known of them, and who takes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import and_, literal, select
from sqlalchemy.engine import Connection

from state import schema
from state.identity import Versions, among
from state.projection import insert

Key = tuple[str, str]
"""(brand, the partner's id on its platform)"""
_p, _t, _off = schema.partner, schema.touched_partner, schema.crm_off


@dataclass(frozen=True, slots=True)
class Known:
    """A partner as its platform tells of it; one that is deleted there stays as it last was."""

    brand: str
    partner: str
    name: str = field(repr=False)
    plan: str
    status: str
    country: str
    registered_at: int | None


# --- which changed -------------------------------------------------------------------------------


def touch(connection: Connection, versions: Versions) -> None:
    """Partners of whom a version was journalled are to be worked out again."""
    j = schema.journal
    rows = select(j.c.brand, j.c.ref_value).where(among(j), j.c.kind == "partner").distinct()
    _touch(connection, rows, versions.bounds)


def touch_all(connection: Connection) -> None:
    """All partners are to be worked out again (the rule set changed, say)."""
    _touch(connection, select(_p.c.brand, _p.c.ref_value).where(sa.true()).distinct(), {})


def _touch(
    connection: Connection, rows: sa.Select[tuple[str, str]], values: dict[str, int]
) -> None:
    statement = insert(connection, _t).from_select(["brand", "partner"], rows)
    connection.execute(statement.on_conflict_do_nothing(), values)


def waiting(connection: Connection) -> bool:
    """Whether a partner was touched."""
    return connection.execute(select(_t.c.brand).limit(1)).first() is not None


def take(connection: Connection, limit: int) -> tuple[int, list[Known]]:
    """Up to ``limit`` touched partners, which are touched no longer.

    Returns:
        How many were touched, and what is known of them. Of two connections of a brand that have
        the same id, the first by name tells.
    """
    next_ = select(_t.c.brand, _t.c.partner).order_by(_t.c.brand, _t.c.partner).limit(limit)
    keys = [(brand, partner) for brand, partner in connection.execute(next_)]
    if not keys:
        return 0, []
    n = next_.subquery("next")
    # A partner is nobody's record. Literal: the index over such records has this very condition.
    unlinked = _p.c.client_id == literal("", literal_execute=True)
    mine = and_(_p.c.brand == n.c.brand, unlinked, _p.c.ref_kind == "partner",
                _p.c.ref_value == n.c.partner)  # fmt: skip
    query = (
        select(_p.c.brand, _p.c.ref_value, _p.c.name, _p.c.plan, _p.c.status, _p.c.country,
               _p.c.registered_at)
        .select_from(n.join(_p, mine))
        .order_by(_p.c.brand, _p.c.ref_value, _p.c.deleted, _p.c.source, _p.c.external_id)
    )  # fmt: skip
    found: dict[Key, Known] = {}
    for row in connection.execute(query):
        found.setdefault((row.brand, row.ref_value), Known(*row))
    connection.execute(
        sa.delete(_t).where(sa.tuple_(_t.c.brand, _t.c.partner).in_(select(n.c.brand, n.c.partner)))
    )
    return len(keys), list(found.values())


# --- who takes none ------------------------------------------------------------------------------


def note_off(connection: Connection, destination: str, obj: str, why: str, now: int) -> None:
    """Keep why a CRM does not take an object that is wanted; blank: it does, or nobody wants it."""
    mine = (_off.c.destination == destination, _off.c.object == obj)
    known = connection.scalar(select(_off.c.why).where(*mine))
    if known == (why or None):
        return
    if not why:
        connection.execute(sa.delete(_off).where(*mine))
    elif known is None:
        values = {"destination": destination, "object": obj, "why": why, "since": now}
        connection.execute(sa.insert(_off).values(**values))
    else:
        connection.execute(sa.update(_off).where(*mine).values(why=why))


def off(
    connection: Connection, obj: str, destinations: Sequence[str]
) -> dict[str, tuple[str, int]]:
    """Destination -> (why it does not take the object, since when in ms), where that is so."""
    query = select(_off.c.destination, _off.c.why, _off.c.since).where(
        _off.c.object == obj, _off.c.destination.in_(list(destinations))
    )
    return {name: (why, since) for name, why, since in connection.execute(query)}
