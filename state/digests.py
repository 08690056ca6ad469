"""Digests: the reasons that an outage made old, as one task for each team."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import and_, bindparam, case, func, or_, select
from sqlalchemy.engine import Connection

from mapping.outage import Outage
from state import schema
from state.episodes import by_value
from state.projection import insert

_dg, _e = schema.digest, schema.episode


@dataclass(frozen=True, slots=True)
class Stored:
    """A digest as it is kept. ``ended_at``: ms, when the outage was over."""

    key: str
    brand: str
    team: str
    families: frozenset[str]
    from_at: int
    ended_at: int
    destination: str
    contact: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A family's outage, with the states whose reasons it made old. ``from_at`` in ms."""

    from_at: int
    states: Sequence[str]


@dataclass(frozen=True, slots=True)
class Member:
    """A reason in a digest. ``begin_at`` in ms."""

    brand: str
    client_id: str
    state: str
    begin_at: int
    contact: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """All reasons of a digest: the first due time (ms), and how many there are of each state."""

    due_at: int
    urgent: bool
    states: Mapping[str, int]


# --- making one ----------------------------------------------------------------------------------


def teams(connection: Connection, brand: str, waiting: Sequence[Waiting]) -> list[str]:
    """Who owns the reasons that wait for a digest."""
    query = select(_e.c.team).where(_waits(brand, waiting)).distinct().order_by(_e.c.team)
    return list(connection.scalars(query))


def gather(
    connection: Connection, brand: str, team: str, waiting: Sequence[Waiting], key: str
) -> Gathered:
    """Put a team's waiting reasons into a digest: each stands in one only."""
    mine = and_(_waits(brand, waiting), _e.c.team == team)
    connection.execute(sa.update(_e).where(mine).values(digest=key))
    urgent = func.max(case((_e.c.priority == "HIGH", 1), else_=0))
    query = select(_e.c.state, func.count(), func.min(_e.c.due_at), urgent)
    found = connection.execute(query.where(_in(key)).group_by(_e.c.state)).all()
    return Gathered(
        min(int(due) for _, _, due, _ in found), any(u for *_, u in found),
        {state: int(n) for state, n, _, _ in sorted(found)},
    )  # fmt: skip


def _waits(brand: str, waiting: Sequence[Waiting]) -> sa.ColumnElement[bool]:
    old = [and_(_e.c.state.in_(w.states), _e.c.begin_at >= w.from_at) for w in waiting]
    return and_(
        _e.c.brand == brand, _e.c.closed_at.is_(None), _e.c.refused == "outage",
        _e.c.digest == "", or_(sa.false(), *old),
    )  # fmt: skip


def _in(key: str) -> sa.ColumnElement[bool]:
    # The second condition is the index's own.
    return and_(_e.c.digest == key, _e.c.digest != "")


def ranked(connection: Connection, key: str, most: int) -> list[Member]:
    """Its reasons, most valuable first."""
    columns = (_e.c.brand, _e.c.client_id, _e.c.state, _e.c.begin_at, _e.c.contact)
    return [
        Member(*row) for row in connection.execute(by_value(*columns).where(_in(key)).limit(most))
    ]


def reachable(connection: Connection, destination: str, contacts: Sequence[str]) -> set[str]:
    """Those of the contacts that the CRM has, or will have: a task is put on one."""
    d, s = schema.desired, schema.crm_shadow
    same = and_(s.c.destination == d.c.destination, s.c.object == d.c.object, s.c.key == d.c.key)
    query = (
        select(d.c.key)
        .select_from(d.outerjoin(s, same))
        .where(
            d.c.destination == destination, d.c.object == "contact", d.c.key.in_(list(contacts)),
            or_(and_(s.c.key.is_(None), d.c.creates == 1),
                and_(s.c.crm_id != "", s.c.status == "")),
        )
    )  # fmt: skip
    return set(connection.scalars(query))


def keep(connection: Connection, digest: Stored) -> None:
    """Store a digest that was made."""
    values = {n: getattr(digest, n) for n in Stored.__dataclass_fields__}
    values["families"] = ",".join(sorted(digest.families))
    connection.execute(insert(connection, _dg).values(values))


# --- later ---------------------------------------------------------------------------------------


def outages(connection: Connection, keys: Iterable[str]) -> dict[str, Outage]:
    """Digest -> its outage: whatever began before that was over, and stands in it, stays there."""
    query = select(_dg.c.key, _dg.c.families, _dg.c.from_at, _dg.c.ended_at).where(
        _dg.c.key.in_(sorted(keys))
    )
    return {
        key: Outage(frozenset(families.split(",")), from_at, ended_at, ended_at)
        for key, families, from_at, ended_at in connection.execute(query)
    }


def over(connection: Connection) -> list[tuple[str, str, str]]:
    """(key, brand, destination) of open digests of which every reason is closed."""
    last = select(_e.c.key).where(
        _e.c.digest == _dg.c.key, _e.c.digest != "", _e.c.closed_at.is_(None)
    )
    query = select(_dg.c.key, _dg.c.brand, _dg.c.destination).where(
        _dg.c.closed_at.is_(None), ~sa.exists(last)
    )
    return [(k, b, d) for k, b, d in connection.execute(query.order_by(_dg.c.key))]


def close(connection: Connection, why: Mapping[str, str], at: int) -> None:
    """Close digests (key -> reason); what is closed stays so, and other keys are none."""
    if why:
        connection.execute(
            sa.update(_dg)
            .where(_dg.c.key == bindparam("k"), _dg.c.closed_at.is_(None))
            .values(closed_at=at, close_reason=bindparam("why")),
            [{"k": key, "why": reason} for key, reason in why.items()],
        )


def count(connection: Connection) -> list[tuple[str, int, int]]:
    """(team, digests ever made, still open)."""
    still = func.sum(case((_dg.c.closed_at.is_(None), 1), else_=0))
    query = select(_dg.c.team, func.count(), still).group_by(_dg.c.team).order_by(_dg.c.team)
    return [(t, int(n), int(o)) for t, n, o in connection.execute(query)]
