"""Links as they are stored: written where they differ, their records moved, their clients touched.

A record may name its client for others (a trading account: its login): when it moves to another
client, the name goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import sqlalchemy as sa
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from state import schema
from state.kinds import NAMES, SPECS

CLIENT_ID = "client_id"
# Written out, not bound: only so do the engines see that the partial indexes serve.
BLANK: sa.ColumnElement[str] = sa.literal_column("''")
_AT_ONCE = 400  # pairs in one statement; SQLite counts its parameters
_OF_PEOPLE = ("real", "cent", "unclassified")
Key = tuple[str, str]
"""(brand, value)"""
Hands = dict[tuple[str, str, str], str]
"""(brand, kind, value) -> the client that a person decided on."""


def hands(connection: Connection) -> Hands:
    """What people decided, as it stands."""
    d = schema.link_decision
    query = select(d.c.brand, d.c.kind, d.c.value, d.c.client_id).where(d.c.standing == 1)
    return {(b, k, v): to for b, k, v, to in connection.execute(query)}


def links(connection: Connection, keys: Iterable[Key], kind: str) -> dict[Key, str]:
    """The stored links of some references."""
    found = {k: connection.scalar(_LINK, {"b": k[0], "k": kind, "v": k[1]}) for k in keys}
    return {k: v for k, v in found.items() if v is not None}


_l = schema.identity_link
_LINK = select(_l.c.client_id).where(
    _l.c.brand == bindparam("b"), _l.c.kind == bindparam("k"), _l.c.value == bindparam("v")
)


def store(
    connection: Connection, wanted: dict[Key, str], known: dict[Key, str], at: int, kind: str
) -> None:
    """Write the links that differ, move their records and touch whom it concerns.

    Args:
        wanted: reference -> client; blank: no link.
        known: the links as they are stored.
    """
    changed = {key: to for key, to in sorted(wanted.items()) if known.get(key, "") != to}
    if not changed:
        return
    link = schema.identity_link
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(link)
    rows = [
        {"brand": b, "kind": kind, "value": v, "client_id": to, "source": "", "from_at": at}
        for (b, v), to in changed.items()
        if to
    ]
    if rows:
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["brand", "kind", "value"],
                set_={"client_id": insert.excluded.client_id, "from_at": insert.excluded.from_at},
            ),
            rows,
        )
    for b, v in [key for key, to in changed.items() if not to]:
        where = (link.c.brand == b, link.c.kind == kind, link.c.value == v)
        connection.execute(sa.delete(link).where(*where))
    _rekey(connection, changed, known, kind)
    own = set(changed) if kind == CLIENT_ID else set()
    touch(
        connection,
        {(b, to) for (b, _), to in changed.items() if to}
        | own
        | {(b, known[b, v]) for b, v in changed if (b, v) in known},
    )
    _follow(connection, changed, kind, at)


def _rekey(
    connection: Connection, changed: dict[Key, str], known: dict[Key, str], kind: str
) -> None:
    """Move the records that carry a changed reference to the client it now means."""
    moves = [
        {"b": b, "k": kind, "v": v, "was": known.get((b, v), ""), "to": to}
        for (b, v), to in changed.items()
    ]
    for table in schema.CURRENT.values():
        # A link that is new can only free records that waited unlinked: skip the writes if none.
        if not known and not _waiting(connection, table):
            continue
        connection.execute(_move(table), moves)


@cache
def _move(table: sa.Table) -> sa.Update:
    return (
        sa.update(table)
        .where(
            table.c.brand == bindparam("b"),
            table.c.client_id == bindparam("was"),
            table.c.ref_kind == bindparam("k"),
            table.c.ref_value == bindparam("v"),
        )
        .values(client_id=bindparam("to"))
    )


def waits(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a record has no client and ought to have one: demo, manager and coverage accounts
    are nobody's."""
    if table is not schema.trading_account:
        return table.c.client_id == BLANK
    return sa.and_(table.c.client_id == BLANK, table.c.account_class.in_(_OF_PEOPLE))


def _waiting(connection: Connection, table: sa.Table) -> bool:
    return connection.scalar(_any_waiting(table)) is not None


@cache
def _any_waiting(table: sa.Table) -> sa.Select[tuple[str]]:
    return select(table.c.external_id).where(table.c.client_id == BLANK).limit(1)


@cache
def _any(table: sa.Table) -> sa.Select[tuple[str]]:
    return select(table.c.external_id).limit(1)


def _follow(connection: Connection, changed: dict[Key, str], kind: str, at: int) -> None:
    """Records that moved and name their client take the name along."""
    for naming, names in NAMES.items():
        t = SPECS[naming].table
        if connection.scalar(_any(t)) is None:
            continue
        owners = sorted({(b, to) for (b, _), to in changed.items()})
        for n in range(0, len(owners), _AT_ONCE):
            query = select(t.c.brand, *names(t.c), t.c.ref_value, t.c.client_id).where(
                sa.tuple_(t.c.brand, t.c.client_id).in_(owners[n : n + _AT_ONCE]),
                t.c.ref_kind == kind,
            )
            named = [
                (brand, name_kind, name, to)
                for brand, name_kind, name, value, to in connection.execute(query)
                if (brand, value) in changed
            ]
            rename(connection, named, at)


def rename(connection: Connection, named: Iterable[tuple[str, str, str, str]], at: int) -> None:
    """Have names mean clients: (brand, name kind, name, client), unless a person decided."""
    decided = hands(connection)
    wanted: dict[str, dict[Key, str]] = {}
    for brand, kind, name, client_id in named:
        if (brand, kind, name) not in decided:
            wanted.setdefault(kind, {})[brand, name] = client_id
    for kind, found in sorted(wanted.items()):
        store(connection, found, links(connection, found, kind), at, kind)


def touch(connection: Connection, keys: Iterable[Key]) -> None:
    """Mark clients (brand, client id) to be computed again."""
    rows = [{"brand": b, "client_id": c} for b, c in sorted(keys)]
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(schema.touched).on_conflict_do_nothing(), rows)
