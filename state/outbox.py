"""Desired state of CRM records, the outbox of differences, and the shadow of what the CRM has.

``desired`` holds what each record should be; ``crm_shadow`` what the CRM acknowledged. Where the
two differ there is one outbox row, which carries no payload: the desired state is read when the
row is claimed, so it is replaced until then by itself. A claim carries the fence of the engine
that made it; an engine that lost the role acknowledges nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from state import schema, staging
from state.projection import insert
from state.staging import count

_d, _o, _s = schema.desired, schema.outbox, schema.crm_shadow


Place = tuple[int, str]
"""(priority, key): the order in which rows are taken."""
START: Place = (-1, "")

PENDING, IN_FLIGHT, ASIDE = "pending", "in_flight", "aside"


@dataclass(frozen=True, slots=True)
class Desired:
    """What a CRM record should be. ``body`` maps names to canonical texts.

    ``create``: whether the record may be made in the CRM if it is not there.
    """

    object: str
    key: str
    body: Mapping[str, str] = field(repr=False)
    priority: int = 3
    create: bool = True

    def text(self) -> str:
        """The body as stored."""
        return encode(self.body)


@dataclass(slots=True)
class Claim:
    """An outbox row in our hands, with the desired state and what the CRM acknowledged.

    ``crm_id`` is blank while the hub does not know the CRM's record. Both states are kept as
    stored and decoded at each access: claims wait in numbers, and few at a time are looked into.
    """

    object: str
    key: str
    text: str = field(repr=False)
    hash: str
    crm_id: str
    acknowledged_text: str = field(repr=False)
    attempts: int
    create: bool = True
    priority: int = 0

    @property
    def place(self) -> Place:
        """Where it stands among the rows."""
        return self.priority, self.key

    @property
    def body(self) -> dict[str, str]:
        """What the record should be."""
        return decode(self.text)

    @property
    def acknowledged(self) -> dict[str, str]:
        """What the CRM acknowledged; empty if nothing."""
        return decode(self.acknowledged_text) if self.acknowledged_text else {}


def encode(body: Mapping[str, str]) -> str:
    """A body as it is stored and compared: one text for one content."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def decode(text: str) -> dict[str, str]:
    found: dict[str, str] = orjson.loads(text)
    return found


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
        hash_ = digest(text if row.create else f"{text}\n")
        if known.get((row.object, row.key)) != hash_:
            values.append(
                {"destination": destination, "object": row.object, "key": row.key, "body": text,
                 "hash": hash_, "priority": row.priority, "changed_at": now,
                 "creates": int(row.create)}
            )  # fmt: skip
    if not values:
        return 0
    statement = insert(connection, _d)
    names = ("body", "hash", "priority", "changed_at", "creates")
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
    """Remove rows whose desired state the CRM acknowledged, or whose record a person decides on."""
    same = (
        select(_s.c.key)
        .join(_d, and_(_d.c.destination == _s.c.destination, _d.c.object == _s.c.object,
                       _d.c.key == _s.c.key))
        .where(_s.c.destination == destination, _s.c.object == _o.c.object,
               _s.c.key == _o.c.key, or_(_s.c.hash == _d.c.hash, _s.c.status != ""))
    )  # fmt: skip
    connection.execute(
        sa.delete(_o).where(
            _o.c.destination == destination, _o.c.key.in_(keys), _o.c.status != IN_FLIGHT,
            sa.exists(same),
        )
    )  # fmt: skip


def sweep(connection: Connection, destination: str, now: int, unsure_until: int = 0) -> int:
    """Make an outbox row wherever desired and acknowledged state differ and none stands.

    The outbox is a hint; this is the truth. It also takes back rows a dead engine left in flight
    (see :func:`take_back`).

    Returns:
        How many rows were made or taken back.
    """
    back = take_back(connection, destination, unsure_until)
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
               or_(_s.c.hash.is_(None), and_(_s.c.hash != _d.c.hash, _s.c.status == "")),
               ~sa.exists(stands))
    )  # fmt: skip
    names = ["destination", "object", "key", "priority", "status", "created_at", "next_try_at"]
    statement = insert(connection, _o).from_select(names, rows)
    return back + count(connection, statement.on_conflict_do_nothing())


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
    after: Place | None = None,
) -> list[Claim]:
    """Take up to ``limit`` rows that are due, most urgent first, and mark them in flight.

    Args:
        needed_by_tasks: only contacts that a waiting task is put on and whose CRM id is unknown.
        after: only rows after this place, which are not marked. For records that may be sent again
            as they are: the only engine there is knows what it has in hand.
    """  # fmt: skip
    values = {"dest": destination, "obj": obj, "now": now, "most": limit}
    values |= {"after_priority": START[0], "after_key": START[1]}
    if after is not None:
        values |= {"after_priority": after[0], "after_key": after[1]}
    rows = connection.execute(_claimable(needed_by_tasks), values).all()
    if rows and after is None:
        connection.execute(_take(needed_by_tasks), {**values, "new_fence": fence})
    # Sorted here: a database would carry the bodies along.
    return [
        Claim(obj, key, body, hash_, crm_id or "", acknowledged or "", attempts, bool(creates),
              priority)
        for priority, key, body, hash_, crm_id, acknowledged, attempts, creates
        in sorted(rows, key=_place)
    ]  # fmt: skip


def _place(row: Any) -> Place:
    return row[0], row[1]


def _due(needed_by_tasks: bool) -> sa.Subquery:
    """The next rows. Each status is read in the order of its index, and no further than needed."""
    needed = _put_on_by_waiting_tasks() if needed_by_tasks else None
    rows = sa.union_all(*[select(_next(s, needed)) for s in (PENDING, ASIDE)]).subquery()
    most = bindparam("most", type_=BigInteger)
    return select(rows).order_by(rows.c.priority, rows.c.key).limit(most).subquery("due")


@cache
def _claimable(needed_by_tasks: bool) -> sa.Select[Any]:
    n = _due(needed_by_tasks)
    return (
        select(n.c.priority, n.c.key, _d.c.body, _d.c.hash, _s.c.crm_id, _s.c.acknowledged,
               n.c.attempts, _d.c.creates)
        .select_from(
            n.join(_d, and_(_mine(_d), _d.c.key == n.c.key))
            .outerjoin(_s, and_(_mine(_s), _s.c.key == n.c.key))
        )
    )  # fmt: skip


@cache
def _take(needed_by_tasks: bool) -> sa.Update:
    """The same rows, found again: cheaper than telling the database their keys."""
    due = select(_due(needed_by_tasks).c.key)
    fence = bindparam("new_fence", type_=BigInteger)
    return sa.update(_o).where(_mine(_o), _o.c.key.in_(due)).values(status=IN_FLIGHT, fence=fence)


def _next(status: str, needed: sa.CTE | None) -> sa.Subquery:
    query = (
        select(_o.c.key, _o.c.priority, _o.c.attempts)
        .where(_mine(_o), _o.c.status == status,
               sa.tuple_(_o.c.priority, _o.c.key) > sa.tuple_(
                   bindparam("after_priority", type_=BigInteger),
                   bindparam("after_key", type_=schema.Id)),
               func.coalesce(_o.c.next_try_at, 0) <= bindparam("now", type_=BigInteger))
        .order_by(_o.c.priority, _o.c.key)
        .limit(bindparam("most", type_=BigInteger))
    )  # fmt: skip
    if needed is not None:
        known = select(_s.c.key).where(_mine(_s), _s.c.key == _o.c.key, _s.c.crm_id != "")
        # From the few that are needed on: PostgreSQL would ask of each pending one whether it is.
        query = query.select_from(needed.join(_o, _o.c.key == needed.c.contact))
        query = query.where(~sa.exists(known))
    return query.subquery(status)


def _mine(table: sa.Table) -> sa.ColumnElement[bool]:
    """Rows of the statement's destination and object."""
    return and_(table.c.destination == bindparam("dest"),
                table.c.object == bindparam("obj"))  # fmt: skip


def _put_on_by_waiting_tasks() -> sa.CTE:
    """Keys of the contacts that tasks in the outbox are put on, each once."""
    waits = _o.alias("waits")
    found = sa.union(*[
        select(t.c.contact)
        .select_from(waits.join(t, t.c.key == waits.c.key))
        .where(waits.c.destination == bindparam("dest"), waits.c.object == "task")
        for t in (schema.episode, schema.digest)
    ])  # fmt: skip
    return found.cte("needed").prefix_with("MATERIALIZED")


@dataclass(slots=True)
class Acknowledged:
    """What the CRM holds of one record now, as stored (see :func:`encode`).

    ``hash`` is that of the desired state it fulfils; blank while something is still missing.
    ``as_wanted``: ``text`` is that state to the letter, so the database need not be told it.
    """

    key: str
    crm_id: str
    text: str = field(repr=False)
    hash: str
    as_wanted: bool = False


def acknowledge(
    connection: Connection,
    destination: str,
    obj: str,
    rows: Sequence[Acknowledged],
    now: int,
    fence: int,
) -> None:
    """Store what the CRM acknowledged.

    Outbox rows with nothing left to do go; those with a newer desired state are pending again.
    """
    if not rows:
        return
    values = {"dest": destination, "obj": obj, "at": now, "new_fence": fence}
    keep = _keep(connection.dialect.name == "postgresql")
    brief = ((r.key, r.crm_id, None if r.as_wanted else r.text, r.hash) for r in rows)
    staging.fill(connection, _told, brief)
    connection.execute(keep, values)
    if connection.execute(_FINISH, values).rowcount < len(rows):
        # What is wanted may be another text by now.
        staging.fill(connection, _told, ((r.key, r.crm_id, r.text, r.hash) for r in rows))
        connection.execute(keep, values)
        connection.execute(_AGAIN, values)


_told = sa.Table(
    "acknowledged_now", sa.MetaData(),
    *[sa.Column(n, schema.Id) for n in ("key", "crm_id", "acknowledged", "hash")],
    prefixes=["TEMPORARY"],
)  # fmt: skip


@cache
def _keep(on_postgresql: bool) -> Any:
    """Into the shadow, in one statement."""
    wanted = select(_d.c.body).where(
        _mine(_d), _d.c.key == _told.c.key, _d.c.hash == _told.c.hash
    ).scalar_subquery()  # fmt: skip
    held = {"acknowledged": func.coalesce(_told.c.acknowledged, wanted, "")}
    told = select(
        bindparam("dest", type_=schema.Id), bindparam("obj", type_=schema.Id),
        *[held.get(c.name, c) for c in _told.c],
        bindparam("at", type_=BigInteger), bindparam("new_fence", type_=BigInteger),
    ).where(sa.true())  # fmt: skip
    names = [c.name for c in _told.c] + ["seen_at", "fence"]
    statement: Any = (postgresql if on_postgresql else sqlite).insert(_s)
    statement = statement.from_select(["destination", "object", *names], told)
    return statement.on_conflict_do_update(
        index_elements=["destination", "object", "key"],
        set_={n: statement.excluded[n] for n in names if n != "key"},
    )


# A scalar subquery: with a join, SQLite reads all of `desired` for want of figures of `_told`.
_wanted_now = select(_d.c.hash).where(_mine(_d), _d.c.key == _told.c.key).scalar_subquery()
_done = select(_told.c.key).where(_told.c.hash == _wanted_now)
_FINISH = sa.delete(_o).where(_mine(_o), _o.c.key.in_(_done))
_AGAIN = (
    sa.update(_o)
    .where(_mine(_o), _o.c.status == IN_FLIGHT, _o.c.key.in_(select(_told.c.key)))
    .values(status=PENDING)
)


def take_up(connection: Connection, destination: str, obj: str, keys: Sequence[str]) -> None:
    """What was set aside is due now."""
    if keys:
        connection.execute(
            sa.update(_o)
            .where(_o.c.destination == destination, _o.c.object == obj, _o.c.key.in_(list(keys)))
            .values(status=PENDING, next_try_at=0)
        )


def take_back(connection: Connection, destination: str, unsure_until: int = 0) -> int:
    """Make claimed rows pending that nobody delivers any more; how many there were.

    Args:
        unsure_until: ms before which tasks that may just have been created are not looked up.
    """
    known = select(_s.c.key).where(
        _s.c.destination == destination, _s.c.object == "task", _s.c.key == _o.c.key,
        _s.c.crm_id != "",
    )  # fmt: skip
    unsure = and_(_o.c.object == "task", ~sa.exists(known))
    next_try = sa.case((unsure, sa.literal(unsure_until, BigInteger)), else_=0)
    flying = and_(_o.c.destination == destination, _o.c.status == IN_FLIGHT)
    statement = sa.update(_o).where(flying).values(status=PENDING, next_try_at=next_try)
    return int(connection.execute(statement).rowcount)


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
        _s.c.crm_id != "", _s.c.status == "",
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
    return {key: decode(body) for key, body in connection.execute(query)}
