"""Identity: which client a vendor's reference means. Links are derived, so merges are reversible.

A client's own id links to itself, or to the client it was merged into. When a link changes, the
records that carry the reference move with it and both clients are computed again; the journal,
which keeps the reference as the vendor gave it, is never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from state import schema

_CLIENT_ID = "client_id"
# Written out, not bound: only so do the engines see that the partial indexes serve.
_BLANK: sa.ColumnElement[str] = sa.literal_column("''")
_MOST_HOPS = 10
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Records that wait for their client: how many, of which kind and source."""

    brand: str
    source: str
    kind: str
    count: int


def relink(connection: Connection, batch: int, at: int) -> None:
    """Bring links in line with the profiles of a batch and with merges that name them."""
    wanted: dict[Key, str] = {}
    known: dict[Key, str] = {}
    for brand, client_id, merged_into, linked in connection.execute(_batch_profiles(batch)):
        key = (brand, client_id)
        wanted[key] = _survivor(connection, key) if merged_into else client_id
        if linked is not None:
            known[key] = linked
    others = _merged_into(connection, wanted) - set(wanted)
    wanted |= {key: _survivor(connection, key) for key in others}
    _store(connection, wanted, known | _links(connection, others), at)


def _batch_profiles(batch: int) -> sa.Select[Any]:
    journal, client, link = schema.journal, schema.client, schema.identity_link
    return (
        select(client.c.brand, client.c.external_id, client.c.merged_into, link.c.client_id)
        .select_from(
            journal.join(
                client,
                (client.c.brand == journal.c.brand)
                & (client.c.external_id == journal.c.external_id),
            ).outerjoin(
                link,
                (link.c.brand == client.c.brand)
                & (link.c.kind == _CLIENT_ID)
                & (link.c.value == client.c.external_id),
            )
        )
        .where(journal.c.batch == batch, journal.c.kind == "profile")
        .distinct()
    )


def _merged_into(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    """Clients whose merge chain may run through one of ``keys``."""
    client = schema.client
    found: set[Key] = set()
    frontier = set(keys)
    any_merge = connection.scalar(
        select(client.c.external_id).where(client.c.merged_into != _BLANK).limit(1)
    )
    if any_merge is None:
        return found
    query = (
        select(client.c.brand, client.c.external_id)
        .where(client.c.brand == bindparam("b"), client.c.merged_into == bindparam("c"))
        .where(client.c.merged_into != _BLANK)
    )
    for _ in range(_MOST_HOPS):
        step = {
            (row.brand, row.external_id)
            for brand, c in frontier
            for row in connection.execute(query, {"b": brand, "c": c})
        }
        frontier = step - found
        if not frontier:
            break
        found |= frontier
    return found


def _survivor(connection: Connection, key: Key) -> str:
    """The client at the end of the merge chain. A missing target ends it; in a circle nobody is
    merged, as somebody must stay."""
    client = schema.client
    brand, current = key
    seen = {current}
    for _ in range(_MOST_HOPS):
        query = select(client.c.merged_into).where(
            client.c.brand == brand, client.c.external_id == current
        )
        target = connection.scalar(query)
        if target in seen:
            return key[1]
        if not target or not _exists(connection, brand, target):
            return current
        seen.add(target)
        current = target
    return current


def _exists(connection: Connection, brand: str, client_id: str) -> bool:
    query = select(schema.client.c.external_id).where(
        schema.client.c.brand == brand, schema.client.c.external_id == client_id
    )
    return connection.scalar(query) is not None


def _links(connection: Connection, keys: Iterable[Key]) -> dict[Key, str]:
    link = schema.identity_link
    query = select(link.c.client_id).where(
        link.c.brand == bindparam("b"), link.c.kind == _CLIENT_ID, link.c.value == bindparam("v")
    )
    found = {k: connection.scalar(query, {"b": k[0], "v": k[1]}) for k in keys}
    return {k: v for k, v in found.items() if v is not None}


def _store(connection: Connection, wanted: dict[Key, str], known: dict[Key, str], at: int) -> None:
    changed = {key: to for key, to in sorted(wanted.items()) if known.get(key) != to}
    if not changed:
        return
    link = schema.identity_link
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(link)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["brand", "kind", "value"],
            set_={"client_id": insert.excluded.client_id, "from_at": insert.excluded.from_at},
        ),
        [
            {
                "brand": b,
                "kind": _CLIENT_ID,
                "value": v,
                "client_id": to,
                "source": "",
                "from_at": at,
            }
            for (b, v), to in changed.items()
        ],
    )
    _rekey(connection, changed, known)
    touch(
        connection,
        {(b, to) for (b, _), to in changed.items()}
        | set(changed)
        | {(b, known[b, v]) for b, v in changed if (b, v) in known},
    )


def _rekey(connection: Connection, changed: dict[Key, str], known: dict[Key, str]) -> None:
    """Move the records that carry a changed reference to the client it now means."""
    moves = [
        {"b": b, "v": v, "was": known.get((b, v), ""), "to": to} for (b, v), to in changed.items()
    ]
    for table in schema.CURRENT.values():
        # A link that is new can only free records that waited unlinked: skip the writes if none.
        if not known and not _waiting(connection, table):
            continue
        connection.execute(
            sa.update(table)
            .where(
                table.c.brand == bindparam("b"),
                table.c.client_id == bindparam("was"),
                table.c.ref_kind == _CLIENT_ID,
                table.c.ref_value == bindparam("v"),
            )
            .values(client_id=bindparam("to")),
            moves,
        )


def _waiting(connection: Connection, table: sa.Table) -> bool:
    query = select(table.c.external_id).where(table.c.client_id == _BLANK).limit(1)
    return connection.scalar(query) is not None


def touch(connection: Connection, keys: Iterable[Key]) -> None:
    """Mark clients to be computed again."""
    rows = [{"brand": b, "client_id": c} for b, c in sorted(keys)]
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(schema.touched).on_conflict_do_nothing(), rows)


def unlinked(connection: Connection) -> list[Unlinked]:
    """What waits for its client, by brand, source and kind."""
    found = []
    for kind, table in schema.CURRENT.items():
        count = sa.func.count()
        query = (
            select(table.c.brand, table.c.source, count)
            .where(table.c.client_id == _BLANK)
            .group_by(table.c.brand, table.c.source)
        )
        found += [Unlinked(b, s, kind, n) for b, s, n in connection.execute(query)]
    return sorted(found, key=lambda u: (u.brand, u.source, u.kind))
