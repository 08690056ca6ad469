"""What the hub has seen in the CRM: records it may not write, properties that people edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, bindparam, or_, select
from sqlalchemy.engine import Connection

from mapping.ownership import Hold, HoldKind
from state import digests, episodes, schema
from state.fact_views import listed, same
from state.outbox import IN_FLIGHT, PENDING, decode
from state.projection import insert

_d, _o, _s, _h = schema.desired, schema.outbox, schema.crm_shadow, schema.crm_hold
_e, _m = schema.episode, schema.contact_member

ARCHIVED, MERGED, CLOSED = "archived", "merged", "closed"
"""Why a record is not written: deleted in the CRM, merged, or (a task) done by a person."""

Holds = dict[str, dict[str, Hold]]
"""Key -> property -> what is remembered of it."""


@dataclass(slots=True)
class Known:
    """A record of the CRM as the hub knows it."""

    key: str
    crm_id: str
    owner: str
    status: str
    text: str = field(repr=False)
    desired: str = field(repr=False)

    @property
    def acknowledged(self) -> dict[str, str]:
        """What the CRM holds as far as the hub knows, decoded at each access."""
        return decode(self.text) if self.text else {}

    @property
    def body(self) -> dict[str, str]:
        """What it should hold, decoded at each access; empty if the hub wants nothing any more."""
        return decode(self.desired) if self.desired else {}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a record found: the body as stored, and whether the hub has to write."""

    key: str
    crm_id: str
    owner: str
    text: str = field(repr=False)
    write: bool = False


# --- where reading stands ------------------------------------------------------------------------


def progress(
    connection: Connection, destination: str, obj: str
) -> tuple[int | None, str, int]:  # fmt: skip
    """(changes are read up to this ms of the CRM's clock, last key of the rotation, ms of then)."""
    table = schema.read_back
    query = select(table.c.since, table.c.rotation, table.c.last_ok_at).where(
        table.c.destination == destination, table.c.object == obj
    )
    row = connection.execute(query).first()
    return (row.since, row.rotation, row.last_ok_at or 0) if row else (None, "", 0)


def count_known(connection: Connection, destination: str, obj: str) -> int:
    """How many records the hub knows in the CRM."""
    query = select(sa.func.count()).where(_s.c.destination == destination, _s.c.object == obj)
    return connection.scalar(query) or 0


def advance(
    connection: Connection, destination: str, obj: str, since: int | None, rotation: str, now: int
) -> None:
    """Store where reading stands."""
    values = {"since": since, "rotation": rotation, "last_ok_at": now}
    statement = insert(connection, schema.read_back).values(
        destination=destination, object=obj, **values
    )
    connection.execute(
        statement.on_conflict_do_update(index_elements=["destination", "object"], set_=values)
    )


# --- records -------------------------------------------------------------------------------------


def by_crm_id(
    connection: Connection, destination: str, obj: str, crm_ids: Sequence[str]
) -> list[Known]:
    """The hub's own among these records."""
    query = _known.where(_s.c.crm_id.in_(bindparam("ids", expanding=True)), _s.c.status == "")
    values = {"dest": destination, "obj": obj, "ids": list(crm_ids)}
    return [Known(*row) for row in connection.execute(query, values)]


def rotation(
    connection: Connection, destination: str, obj: str, after: str, limit: int
) -> list[Known]:
    """The next records to look at in the order of their keys."""
    query = _known.where(_s.c.key > bindparam("after"), _s.c.crm_id != "", _s.c.status == "")
    values = {"dest": destination, "obj": obj, "after": after, "most": limit}
    rows = connection.execute(query.order_by(_s.c.key).limit(bindparam("most")), values)
    return [Known(*row) for row in rows]


_known: sa.Select[Any] = (
    select(_s.c.key, _s.c.crm_id, _s.c.owner, _s.c.status, _s.c.acknowledged,
           sa.func.coalesce(_d.c.body, ""))
    .select_from(
        _s.outerjoin(_d, and_(_d.c.destination == _s.c.destination, _d.c.object == _s.c.object,
                              _d.c.key == _s.c.key))
    )
    .where(_s.c.destination == bindparam("dest"), _s.c.object == bindparam("obj"))
)  # fmt: skip


def store(connection: Connection, destination: str, obj: str, rows: Sequence[Seen]) -> None:
    """Keep what was seen; a record that has to be written again waits in the outbox."""
    if not rows:
        return
    connection.execute(
        sa.update(_s)
        .where(_s.c.destination == destination, _s.c.object == obj, _s.c.key == bindparam("k"))
        .values(acknowledged=bindparam("text"), crm_id=bindparam("id"), owner=bindparam("who")),
        [{"k": r.key, "text": r.text, "id": r.crm_id, "who": r.owner} for r in rows],
    )
    again(connection, destination, obj, [r.key for r in rows if r.write])


def again(connection: Connection, destination: str, obj: str, keys: Sequence[str]) -> None:
    """Let records be compared and written once more."""
    if not keys:
        return
    mine = (_s.c.destination == destination, _s.c.object == obj, _s.c.key.in_(list(keys)))
    connection.execute(sa.update(_s).where(*mine).values(hash=""))
    rows = select(
        _d.c.destination, _d.c.object, _d.c.key, _d.c.priority, sa.literal(PENDING),
        sa.literal(0, BigInteger), _d.c.changed_at,
    ).where(
        _d.c.destination == destination, _d.c.object == obj, _d.c.key.in_(list(keys))
    )  # fmt: skip
    names = ["destination", "object", "key", "priority", "status", "next_try_at", "created_at"]
    statement = insert(connection, _o).from_select(names, rows)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "object", "key"],
            set_={"status": sa.case((_o.c.status == IN_FLIGHT, IN_FLIGHT), else_=PENDING),
                  "next_try_at": 0},
        )
    )  # fmt: skip


def block(connection: Connection, destination: str, obj: str, why: Mapping[str, str]) -> None:
    """Stop writing these records until a person decides; a merge stops all keys on the record.

    Args:
        why: key -> status.
    """
    for status in sorted(set(why.values())):
        keys = [k for k, s in why.items() if s == status]
        mine = and_(_s.c.destination == destination, _s.c.object == obj)
        same = select(_s.c.crm_id).where(mine, _s.c.key.in_(keys), _s.c.crm_id != "")
        theirs = _s.c.crm_id.in_(same) if status == MERGED else sa.false()
        named = or_(_s.c.key.in_(keys), theirs)
        free = _s.c.status == ""
        connection.execute(sa.update(_s).where(mine, named, free).values(status=status))
        stopped = select(_s.c.key).where(mine, _s.c.status == status)
        connection.execute(
            sa.delete(_o).where(
                _o.c.destination == destination, _o.c.object == obj, _o.c.key.in_(stopped)
            )
        )


def blocked(connection: Connection, destination: str, obj: str) -> dict[str, str]:
    """Key -> status of the records a person has to decide on."""
    query = select(_s.c.key, _s.c.status).where(
        _s.c.destination == destination, _s.c.object == obj, _s.c.status.in_([ARCHIVED, MERGED])
    )
    return {row.key: row.status for row in connection.execute(query)}


def decide(connection: Connection, destination: str, obj: str, key: str, *, recreate: bool) -> bool:
    """A person's decision on a blocked record.

    Args:
        recreate: forget the CRM's record, so that the hub looks for the key and may create a new
            one; else go on with the record as it is now.

    Returns:
        Whether there was such a record.
    """  # fmt: skip
    mine = (_s.c.destination == destination, _s.c.object == obj, _s.c.key == key)
    if connection.scalar(select(_s.c.key).where(*mine)) is None:
        return False
    if recreate:
        connection.execute(sa.delete(_s).where(*mine))
    else:
        connection.execute(sa.update(_s).where(*mine).values(status=""))
    connection.execute(
        sa.delete(_h).where(_h.c.destination == destination, _h.c.object == obj, _h.c.key == key)
    )
    again(connection, destination, obj, [key])
    return True


# --- properties that people edited ---------------------------------------------------------------


def holds(connection: Connection, destination: str, obj: str, keys: Sequence[str]) -> Holds:
    """What is remembered of the properties of these records."""
    query = _holds.where(_h.c.destination == destination, _h.c.object == obj)
    if not keys or connection.execute(query.limit(1)).first() is None:
        return {}  # mostly there are none, and a list of keys is dear
    return _by_key(connection.execute(query.where(_h.c.key.in_(list(keys)))))


_holds: sa.Select[Any] = select(
    _h.c.key, _h.c.property, _h.c.kind, _h.c.times, _h.c.since, _h.c.last_at
)


def all_holds(connection: Connection, destination: str, obj: str, kind: HoldKind) -> Holds:
    """All properties of one kind."""
    query = _holds.where(
        _h.c.destination == destination, _h.c.object == obj, _h.c.kind == kind.value
    )
    return _by_key(connection.execute(query.order_by(_h.c.key, _h.c.property)))


def _by_key(rows: Any) -> Holds:
    found: Holds = defaultdict(dict)
    for key, name, kind, times, since, last_at in rows:
        found[key][name] = Hold(HoldKind(kind), times, since, last_at)
    return dict(found)


def remember(
    connection: Connection, destination: str, obj: str,
    changes: Mapping[tuple[str, str], Hold | None],
) -> None:  # fmt: skip
    """Store or (None) forget what is known of (key, property)."""
    kept = [
        {"destination": destination, "object": obj, "key": key, "property": name,
         "kind": hold.kind.value, "times": hold.times, "since": hold.since,
         "last_at": hold.last_at}
        for (key, name), hold in changes.items()
        if hold is not None
    ]  # fmt: skip
    if kept:
        statement = insert(connection, _h)
        names = ("kind", "times", "since", "last_at")
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["destination", "object", "key", "property"],
                set_={n: statement.excluded[n] for n in names},
            ),
            kept,
        )
    gone = [{"k": k, "p": p} for (k, p), hold in changes.items() if hold is None]
    if gone:
        connection.execute(
            sa.delete(_h).where(
                _h.c.destination == destination, _h.c.object == obj,
                _h.c.key == bindparam("k"), _h.c.property == bindparam("p"),
            ),
            gone,
        )  # fmt: skip


# --- what follows for clients --------------------------------------------------------------------


def close_episodes(connection: Connection, why: Mapping[str, str], now: int) -> None:
    """A person ended these tasks: their episodes close and their clients are looked at again.

    Of a digest only itself closes: what becomes of its reasons is its person's.

    Args:
        why: task key -> reason.
    """
    for reason in sorted(set(why.values())):
        keys = [k for k, r in why.items() if r == reason]
        connection.execute(
            sa.update(_e)
            .where(_e.c.key.in_(keys), _e.c.closed_at.is_(None))
            .values(closed_at=now, close_reason=reason, by_person=1)
        )
    digests.close(connection, why, now)
    episodes.touch(connection, list(why))


def set_owners(connection: Connection, destination: str, owners: Mapping[str, str]) -> None:
    """Keep who owns contacts (key -> CRM id)."""
    rows = [{"k": key, "who": owner} for key, owner in owners.items() if owner]
    if rows:
        connection.execute(
            sa.update(_s)
            .where(_s.c.destination == destination, _s.c.object == "contact",
                   _s.c.key == bindparam("k"))
            .values(owner=bindparam("who")),
            rows,
        )  # fmt: skip


def owners_of_work(connection: Connection, destination: str) -> list[tuple[str, str]]:
    """(contact key, CRM id of its owner) of the contacts of the clients on the work list."""
    here = listed()
    mine = (
        select(_m.c.contact)
        .select_from(here.join(_m, same(_m, here)))
        .where(_m.c.destination == destination)
    )
    # IN, not a join: SQLite would begin with all contacts of the destination.
    query = select(_s.c.key, _s.c.owner).where(
        _s.c.destination == destination, _s.c.object == "contact", _s.c.key.in_(mine),
        _s.c.owner != "",
    )  # fmt: skip
    return [(key, owner) for key, owner in connection.execute(query)]
