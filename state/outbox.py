"""Desired state of CRM records, the outbox of differences, and the shadow of what the CRM has.

``desired`` holds what each record should be; ``crm_shadow`` what the CRM acknowledged. Where the
two differ there is one outbox row, which carries no payload: the desired state is read when the
row is claimed, so it is replaced until then by itself. A claim carries the fence of the engine
that made it; an engine that lost the role acknowledges nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, bindparam, func, or_, select
from sqlalchemy.engine import Connection

from state import schema
from state.projection import insert
from state.staging import count

_d, _o, _s = schema.desired, schema.outbox, schema.crm_shadow

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode

PENDING, IN_FLIGHT, ASIDE = "pending", "in_flight", "aside"


@dataclass(frozen=True, slots=True)
class Desired:
    """What a CRM record should be. ``body`` maps names to canonical texts."""

    object: str
    key: str
    body: Mapping[str, str] = field(repr=False)
    priority: int = 3

    def text(self) -> str:
        """The body as stored."""
        return _encode(self.body)


@dataclass(frozen=True, slots=True)
class Claim:
    """An outbox row in our hands, with the desired state and what the CRM acknowledged.

    ``crm_id`` is blank while the hub does not know the CRM's record; ``text`` is the stored body.
    """

    object: str
    key: str
    body: Mapping[str, str] = field(repr=False)
    hash: str
    crm_id: str
    acknowledged: Mapping[str, str] = field(repr=False)
    attempts: int
    text: str = field(default="", repr=False)


def digest(text: str) -> str:
    """Hash of a stored body."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def want(connection: Connection, destination: str, rows: Sequence[Desired], now: int) -> int:
    """Store desired states; those that changed get an outbox row.

    Returns:
        How many records' desired state changed.
    """
    changed = 0
    for start in range(0, len(rows), 5000):
        changed += _want(connection, destination, rows[start : start + 5000], now)
    return changed


def _want(connection: Connection, destination: str, rows: Sequence[Desired], now: int) -> int:
    if not rows:
        return 0
    known = _known(connection, destination, rows)
    values = []
    for row in rows:
        text = row.text()
        hash_ = digest(text)
        if known.get((row.object, row.key)) != hash_:
            values.append(
                {"destination": destination, "object": row.object, "key": row.key, "body": text,
                 "hash": hash_, "priority": row.priority, "changed_at": now}
            )  # fmt: skip
    if not values:
        return 0
    statement = insert(connection, _d)
    names = ("body", "hash", "priority", "changed_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "object", "key"],
            set_={n: statement.excluded[n] for n in names},
        ),
        values,
    )
    _announce(connection, destination, values, now)
    return len(values)


def _known(
    connection: Connection, destination: str, rows: Sequence[Desired]
) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for obj in sorted({r.object for r in rows}):
        keys = [r.key for r in rows if r.object == obj]
        query = select(_d.c.key, _d.c.hash).where(
            _d.c.destination == destination, _d.c.object == obj, _d.c.key.in_(keys)
        )
        found |= {(obj, key): hash_ for key, hash_ in connection.execute(query)}
    return found


def _announce(
    connection: Connection, destination: str, values: Sequence[Mapping[str, Any]], now: int
) -> None:
    """A difference makes (or wakes) an outbox row; no difference removes it."""
    rows = [
        {"destination": destination, "object": v["object"], "key": v["key"],
         "priority": v["priority"], "status": PENDING, "created_at": now, "next_try_at": 0}
        for v in values
    ]  # fmt: skip
    statement = insert(connection, _o)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "object", "key"],
            # A row in flight stays in flight: its acknowledgement sees the newer desired state.
            set_={
                "status": sa.case((_o.c.status == IN_FLIGHT, IN_FLIGHT), else_=PENDING),
                "next_try_at": 0,
                "attempts": 0,
                "priority": sa.case(
                    (_o.c.priority < statement.excluded.priority, _o.c.priority),
                    else_=statement.excluded.priority,
                ),
            },
        ),
        rows,
    )
    _settle(connection, destination, [v["key"] for v in values])


def _settle(connection: Connection, destination: str, keys: Sequence[str]) -> None:
    """Remove rows whose desired state is what the CRM already acknowledged."""
    same = (
        select(_s.c.key)
        .join(_d, and_(_d.c.destination == _s.c.destination, _d.c.object == _s.c.object,
                       _d.c.key == _s.c.key))
        .where(_s.c.destination == destination, _s.c.object == _o.c.object,
               _s.c.key == _o.c.key, _s.c.hash == _d.c.hash)
    )  # fmt: skip
    connection.execute(
        sa.delete(_o).where(
            _o.c.destination == destination, _o.c.key.in_(keys), _o.c.status != IN_FLIGHT,
            sa.exists(same),
        )
    )  # fmt: skip


def sweep(connection: Connection, destination: str, now: int) -> int:
    """Make an outbox row wherever desired and acknowledged state differ and none stands.

    The outbox is a hint; this is the truth. It also takes back rows a dead engine left in flight.

    Returns:
        How many rows were made or taken back.
    """
    back = connection.execute(
        sa.update(_o)
        .where(_o.c.destination == destination, _o.c.status == IN_FLIGHT)
        .values(status=PENDING, next_try_at=0)
    ).rowcount
    stands = select(_o.c.key).where(
        _o.c.destination == _d.c.destination, _o.c.object == _d.c.object, _o.c.key == _d.c.key
    )
    rows = (
        select(_d.c.destination, _d.c.object, _d.c.key, _d.c.priority, sa.literal(PENDING),
               sa.literal(now), sa.literal(0))
        .select_from(
            _d.outerjoin(_s, and_(_s.c.destination == _d.c.destination,
                                  _s.c.object == _d.c.object, _s.c.key == _d.c.key))
        )
        .where(_d.c.destination == destination,
               or_(_s.c.hash.is_(None), _s.c.hash != _d.c.hash), ~sa.exists(stands))
    )  # fmt: skip
    names = ["destination", "object", "key", "priority", "status", "created_at", "next_try_at"]
    statement = insert(connection, _o).from_select(names, rows)
    return int(back) + count(connection, statement.on_conflict_do_nothing())


def unwant(connection: Connection, destination: str, obj: str, keys: Sequence[str]) -> None:
    """Stop caring for records (their client is gone); what the CRM holds stays as it is."""
    for table in (_d, _o):
        if keys:
            connection.execute(
                sa.delete(table).where(
                    table.c.destination == destination, table.c.object == obj,
                    table.c.key.in_(keys),
                )
            )  # fmt: skip


def claim(
    connection: Connection,
    destination: str,
    obj: str,
    limit: int,
    now: int,
    fence: int,
    *,
    needed_by_tasks: bool = False,
) -> list[Claim]:
    """Take up to ``limit`` rows that are due, most urgent first, and mark them in flight.

    Args:
        needed_by_tasks: only contacts that a waiting task is put on and whose CRM id is unknown.
    """  # fmt: skip
    values = {"dest": destination, "obj": obj, "now": now, "most": limit}
    rows = connection.execute(_claimable(needed_by_tasks), values).all()
    if rows:
        keys = [r.key for r in rows]
        connection.execute(_TAKE, {"dest": destination, "obj": obj, "keys": keys,
                                   "new_fence": fence})  # fmt: skip
    return [
        Claim(obj, r.key, json.loads(r.body), r.hash, r.crm_id or "",
              json.loads(r.acknowledged) if r.acknowledged else {}, r.attempts, r.body)
        for r in rows
    ]  # fmt: skip


@cache
def _claimable(needed_by_tasks: bool) -> sa.Select[Any]:
    """The next rows. Each status is read in the order of its index, and no further than needed."""
    rows = sa.union_all(*[select(_next(s, needed_by_tasks)) for s in (PENDING, ASIDE)])
    n = rows.subquery("candidates")
    return (
        select(n.c.key, _d.c.body, _d.c.hash, _s.c.crm_id, _s.c.acknowledged, n.c.attempts)
        .select_from(
            n.join(_d, and_(_mine(_d), _d.c.key == n.c.key))
            .outerjoin(_s, and_(_mine(_s), _s.c.key == n.c.key))
        )
        .order_by(n.c.priority, n.c.key)
        .limit(bindparam("most"))
    )  # fmt: skip


def _next(status: str, needed_by_tasks: bool) -> sa.Subquery:
    query = (
        select(_o.c.key, _o.c.priority, _o.c.attempts)
        .where(_mine(_o), _o.c.status == status,
               func.coalesce(_o.c.next_try_at, 0) <= bindparam("now", type_=BigInteger))
        .order_by(_o.c.priority, _o.c.key)
        .limit(bindparam("most", type_=BigInteger))
    )  # fmt: skip
    if needed_by_tasks:
        known = select(_s.c.key).where(_mine(_s), _s.c.key == _o.c.key, _s.c.crm_id != "")
        query = query.where(_o.c.key.in_(_put_on_by_waiting_tasks()), ~sa.exists(known))
    return query.subquery(status)


def _mine(table: sa.Table) -> sa.ColumnElement[bool]:
    """Rows of the statement's destination and object."""
    return and_(table.c.destination == bindparam("dest"),
                table.c.object == bindparam("obj"))  # fmt: skip


def _put_on_by_waiting_tasks() -> sa.Select[tuple[str]]:
    """Keys of the contacts that tasks in the outbox are put on."""
    waits, e = _o.alias("waits"), schema.episode
    return (
        select(e.c.contact)
        .select_from(waits.join(e, e.c.key == waits.c.key))
        .where(waits.c.destination == bindparam("dest"), waits.c.object == "task")
    )


_among = and_(_mine(_o), _o.c.key.in_(bindparam("keys", expanding=True)))
_TAKE = sa.update(_o).where(_among).values(status=IN_FLIGHT, fence=bindparam("new_fence"))


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the CRM holds of one record now; ``hash`` is blank while something is still missing.

    ``text`` is the body as JSON where that is at hand.
    """

    key: str
    crm_id: str
    body: Mapping[str, str] = field(repr=False)
    hash: str
    text: str = field(default="", repr=False)


def acknowledge(
    connection: Connection,
    destination: str,
    obj: str,
    rows: Sequence[Acknowledged],
    now: int,
    fence: int,
) -> None:
    """Store what the CRM acknowledged; outbox rows with nothing left to do go."""
    if not rows:
        return
    statement = insert(connection, _s)
    names = ("crm_id", "acknowledged", "hash", "seen_at", "fence")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "object", "key"],
            set_={n: statement.excluded[n] for n in names},
        ),
        [
            {"destination": destination, "object": obj, "key": r.key, "crm_id": r.crm_id,
             "acknowledged": r.text or _encode(r.body),
             "hash": r.hash, "seen_at": now, "fence": fence}
            for r in rows
        ],
    )  # fmt: skip
    release(connection, destination, obj, [r.key for r in rows])


def release(connection: Connection, destination: str, obj: str, keys: Sequence[str]) -> None:
    """Give claimed rows back: done ones go, those with a newer desired state are pending again."""
    if not keys:
        return
    values = {"dest": destination, "obj": obj, "keys": list(keys)}
    if connection.execute(_FINISH, values).rowcount < len(keys):
        connection.execute(_AGAIN, values)


_acknowledged = (
    select(_d.c.key)
    .join(_s, and_(_s.c.destination == _d.c.destination, _s.c.object == _d.c.object,
                   _s.c.key == _d.c.key))
    .where(_mine(_d), _d.c.key == _o.c.key, _s.c.hash == _d.c.hash)
)  # fmt: skip
_FINISH = sa.delete(_o).where(_among, sa.exists(_acknowledged))
_AGAIN = sa.update(_o).where(_among).values(status=PENDING)


def put_aside(
    connection: Connection, destination: str, obj: str, next_try: Mapping[str, int]
) -> None:
    """Set rows aside until their next try (ms); a changed desired state wakes them earlier."""
    if next_try:
        connection.execute(
            sa.update(_o)
            .where(_o.c.destination == destination, _o.c.object == obj,
                   _o.c.key == bindparam("k"))
            .values(status=ASIDE, next_try_at=bindparam("at"), attempts=_o.c.attempts + 1),
            [{"k": key, "at": at} for key, at in next_try.items()],
        )  # fmt: skip


def crm_ids(
    connection: Connection, destination: str, obj: str, keys: Iterable[str]
) -> dict[str, str]:
    """CRM ids the hub knows."""
    query = select(_s.c.key, _s.c.crm_id).where(
        _s.c.destination == destination, _s.c.object == obj, _s.c.key.in_(list(keys)),
        _s.c.crm_id != "",
    )  # fmt: skip
    return {row.key: row.crm_id for row in connection.execute(query)}


def backlog(connection: Connection, destination: str) -> dict[tuple[str, str], int]:
    """Outbox rows by (object, status)."""
    query = (
        select(_o.c.object, _o.c.status, func.count())
        .where(_o.c.destination == destination)
        .group_by(_o.c.object, _o.c.status)
    )
    return {(obj, status): n for obj, status, n in connection.execute(query)}


def bodies(
    connection: Connection, destination: str, obj: str, keys: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Desired states as stored."""
    query = select(_d.c.key, _d.c.body).where(
        _d.c.destination == destination, _d.c.object == obj, _d.c.key.in_(list(keys))
    )
    return {key: json.loads(body) for key, body in connection.execute(query)}
