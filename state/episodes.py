"""Episodes: one row a reason. Opened by conditional insert, so that no reason opens twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.engine import Connection

from state import schema
from state.fact_views import listed, same
from state.projection import Key, insert

_e = schema.episode


@dataclass(frozen=True, slots=True)
class Episode:
    """A reason that began: open while ``closed_at`` is None, a task once ``admitted_at`` is set.

    ``digest`` is the key of the digest it stands in. One that an outage made old has the team, due
    time and priority of the task it would have been.
    """

    brand: str
    client_id: str
    state: str
    n: int
    key: str
    begin_at: int
    opened_at: int
    closed_at: int | None
    close_reason: str
    refused: str
    refused_why: str
    admitted_at: int | None
    due_at: int | None
    team: str
    owner: str
    priority: str
    destination: str
    contact: str
    rule_version: int
    digest: str = ""

    @property
    def client(self) -> Key:
        """(brand, client id)."""
        return (self.brand, self.client_id)


_COLUMNS = [_e.c[n] for n in Episode.__dataclass_fields__]


def open_of_work(connection: Connection) -> dict[tuple[str, str, str], Episode]:
    """Open episodes of the clients on the work list, by (brand, client, state)."""
    here = listed()
    query = select(*_COLUMNS).select_from(here.join(_e, same(_e, here)))
    found = [Episode(*row) for row in connection.execute(query.where(_e.c.closed_at.is_(None)))]
    return {(e.brand, e.client_id, e.state): e for e in found}


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest closed episode of a client and state. ``closed_at`` in ms UTC."""

    n: int
    closed_at: int
    by_person: bool


def latest_of_work(connection: Connection) -> dict[tuple[str, str, str], Latest]:
    """The latest closed episodes of the clients on the work list, by (brand, client, state)."""
    last, here = func.max(_e.c.n), listed()
    query = (
        select(here.c.brand, here.c.client_id, _e.c.state, last.label("n"))
        .select_from(here.join(_e, same(_e, here)))
        .where(_e.c.closed_at.is_not(None))
        .group_by(here.c.brand, here.c.client_id, _e.c.state)
        .subquery()
    )
    rows = select(
        query.c.brand, query.c.client_id, query.c.state, _e.c.n, _e.c.closed_at, _e.c.by_person
    ).select_from(
        query.join(
            _e,
            and_(_e.c.brand == query.c.brand, _e.c.client_id == query.c.client_id,
                 _e.c.state == query.c.state, _e.c.n == query.c.n),
        )
    )  # fmt: skip
    return {(b, c, s): Latest(n, at, bool(by)) for b, c, s, n, at, by in connection.execute(rows)}


def open_(connection: Connection, episodes: Sequence[Episode]) -> None:
    """Open episodes; one that somebody else opened meanwhile stays as it is."""
    if episodes:
        connection.execute(
            insert(connection, _e).on_conflict_do_nothing(), [_row(e) for e in episodes]
        )


def judge(connection: Connection, episodes: Sequence[Episode]) -> None:
    """Store a new judgement (and begin) of open episodes without a task.

    In which digest they stand is not part of it.
    """
    names = ("begin_at", "refused", "refused_why", "admitted_at", "due_at", "team", "owner",
             "priority", "destination", "contact", "rule_version")  # fmt: skip
    if episodes:
        connection.execute(
            sa.update(_e)
            .where(_e.c.key == bindparam("b_key"), _e.c.admitted_at.is_(None))
            .values({n: bindparam(f"b_{n}") for n in names}),
            [{f"b_{k}": v for k, v in _row(e).items() if k in {*names, "key"}} for e in episodes],
        )


def close(connection: Connection, keys: Sequence[str], at: int, reason: str) -> None:
    """Close episodes whose reason is gone."""
    if keys:
        connection.execute(
            sa.update(_e)
            .where(_e.c.key.in_(keys), _e.c.closed_at.is_(None))
            .values(closed_at=at, close_reason=reason)
        )


def old(connection: Connection, brand: str, state: str, most: int) -> list[str]:
    """Keys of open reasons from before go-live or from an outage, most valuable first."""
    query = by_value(_e.c.key).where(
        _e.c.brand == brand, _e.c.state == state, _e.c.closed_at.is_(None),
        _e.c.admitted_at.is_(None), _e.c.refused.in_(["live_from", "outage"]),
    )  # fmt: skip
    return list(connection.scalars(query.limit(most)))


def by_value(*columns: sa.Column[Any]) -> sa.Select[Any]:
    """Reasons, most valuable first.

    Value: what the client has deposited, then the largest amount the client tried to deposit (both
    in the brand's base currency), then the latest begin.
    """
    f, p = schema.fact, schema.payment
    tried = (
        select(func.max(p.c.base_minor))
        .where(p.c.brand == _e.c.brand, p.c.client_id == _e.c.client_id, p.c.direction == "deposit")
        .scalar_subquery()
    )
    mine = and_(f.c.brand == _e.c.brand, f.c.client_id == _e.c.client_id)
    return (
        select(*columns)
        .select_from(_e.outerjoin(f, mine))
        .order_by(func.coalesce(f.c.total_deposits, 0).desc(), func.coalesce(tried, 0).desc(),
                  _e.c.begin_at.desc(), _e.c.key)
    )  # fmt: skip


def touch(connection: Connection, keys: Sequence[str]) -> None:
    """Have the clients of these episodes computed again."""
    if keys:
        clients = select(_e.c.brand, _e.c.client_id).where(_e.c.key.in_(list(keys))).distinct()
        statement = insert(connection, schema.touched)
        statement = statement.from_select(["brand", "client_id"], clients)
        connection.execute(statement.on_conflict_do_nothing())


def of_client(connection: Connection, brand: str, client_id: str) -> list[Episode]:
    """All episodes of a client, latest first."""
    query = (
        select(*_COLUMNS)
        .where(_e.c.brand == brand, _e.c.client_id == client_id)
        .order_by(_e.c.opened_at.desc(), _e.c.key)
    )
    return [Episode(*row) for row in connection.execute(query)]


def count_tasks(connection: Connection) -> list[tuple[str, str, int, int]]:
    """(team, state, tasks ever opened, still open)."""
    still = func.sum(sa.case((_e.c.closed_at.is_(None), 1), else_=0))
    query = (
        select(_e.c.team, _e.c.state, func.count(), still)
        .where(_e.c.admitted_at.is_not(None))
        .group_by(_e.c.team, _e.c.state)
        .order_by(_e.c.team, _e.c.state)
    )
    return [(t, s, n, o) for t, s, n, o in connection.execute(query)]


def _row(e: Episode) -> dict[str, Any]:
    return {n: getattr(e, n) for n in Episode.__dataclass_fields__}
