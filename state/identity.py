"""Identity: which client a vendor's reference means. Links are derived, so merges are reversible.

A client's own id links to itself, or to the client it was merged into. What a person decided
(:mod:`state.links`) wins over both. When a link changes, the records that carry the reference move
with it and both clients are computed again; the journal, which keeps the reference as the vendor
gave it, is never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from state import names, schema
from state.linking import BLANK, CLIENT_ID, Hands, Key, links, store, waits
from state.linking import hands as all_hands

_MOST_HOPS = 10


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Records that wait for their client: how many, of which kind and source."""

    brand: str
    source: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the journal: those behind ``before`` up to ``last``."""

    before: int
    last: int

    @property
    def bounds(self) -> dict[str, int]:
        """Bind values for :func:`among`."""
        return {"before": self.before, "last": self.last}


def among(journal: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a version is one of :class:`Versions`."""
    before = bindparam("before", type_=sa.BigInteger)
    return sa.and_(journal.c.seq > before, journal.c.seq <= bindparam("last", type_=sa.BigInteger))


def relink(connection: Connection, versions: Versions, at: int) -> None:
    """Bring links in line with the profiles journalled last and with merges that name them.

    Args:
        versions: what was journalled.
    """
    hands = all_hands(connection)
    wanted: dict[Key, str] = {}
    known: dict[Key, str] = {}
    for brand, client_id, merged_into, linked in connection.execute(
        _new_profiles(), versions.bounds
    ):
        key = (brand, client_id)
        moved = merged_into or (brand, CLIENT_ID, client_id) in hands
        wanted[key] = survivor(connection, key, hands) if moved else client_id
        if linked is not None:
            known[key] = linked
    others = _merged_into(connection, wanted) - set(wanted)
    others |= _handed(connection, hands, set(wanted) | others) - set(wanted)
    wanted |= {key: survivor(connection, key, hands) for key in others}
    store(connection, wanted, known | links(connection, others, CLIENT_ID), at, CLIENT_ID)
    names.changed_emails(connection, wanted, at)
    for (brand, kind, value), to in hands.items():
        if kind != CLIENT_ID and (brand, to) in wanted:
            derive(connection, brand, kind, value, at)


def derive(connection: Connection, brand: str, kind: str, value: str, at: int) -> None:
    """Bring the link of one reference in line with decisions and profiles, and those behind it."""
    hands = all_hands(connection)
    if kind == CLIENT_ID:
        keys = {(brand, value)} | _merged_into(connection, [(brand, value)])
        keys |= _handed(connection, hands, keys)
        wanted = {key: survivor(connection, key, hands) for key in keys}
        # An id that is nobody's, and of which nobody decided, means nothing.
        lost = {k for k in keys if (k[0], kind, k[1]) not in hands and not exists(connection, *k)}
        known = links(connection, keys, CLIENT_ID)
        store(connection, wanted | dict.fromkeys(lost, ""), known, at, CLIENT_ID)
        names.changed_emails(connection, keys, at)
        return
    key, to = (brand, value), hands.get((brand, kind, value))
    if to is None:
        to = names.given_to(connection, brand, kind, value)
    else:
        to = survivor(connection, (brand, to), hands)
    store(connection, {key: to}, links(connection, [key], kind), at, kind)


def _handed(connection: Connection, hands: Hands, keys: set[Key]) -> set[Key]:
    """Client ids that people linked to one of ``keys``, and what was merged into those."""
    found = {(b, v) for (b, kind, v), to in hands.items() if kind == CLIENT_ID and (b, to) in keys}
    if not found - keys:
        return found
    found |= _merged_into(connection, found)
    return found | _handed(connection, hands, found | keys)


def _new_profiles() -> sa.Select[Any]:
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
                & (link.c.kind == CLIENT_ID)
                & (link.c.value == client.c.external_id),
            )
        )
        .where(among(journal), journal.c.kind == "profile")
        .distinct()
    )


def _merged_into(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    """Clients whose merge chain may run through one of ``keys``."""
    client = schema.client
    found: set[Key] = set()
    frontier = set(keys)
    any_merge = connection.scalar(
        select(client.c.external_id).where(client.c.merged_into != BLANK).limit(1)
    )
    if any_merge is None:
        return found
    query = (
        select(client.c.brand, client.c.external_id)
        .where(client.c.brand == bindparam("b"), client.c.merged_into == bindparam("c"))
        .where(client.c.merged_into != BLANK)
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


def survivor(connection: Connection, key: Key, hands: Hands | None = None) -> str:
    """The client at the end of the chain of merges and of links by hand. A missing target ends it;
    in a circle nobody is merged, as somebody must stay."""
    client = schema.client
    brand, current = key
    if hands is None:
        hands = all_hands(connection)
    seen = {current}
    for _ in range(_MOST_HOPS):
        query = select(client.c.merged_into).where(
            client.c.brand == brand, client.c.external_id == current
        )
        target = hands.get((brand, CLIENT_ID, current)) or connection.scalar(query)
        if target in seen:
            return key[1]
        if not target or not exists(connection, brand, target):
            return current
        seen.add(target)
        current = target
    return current


def exists(connection: Connection, brand: str, client_id: str) -> bool:
    """Whether the registry has, or had, such a client."""
    query = select(schema.client.c.external_id).where(
        schema.client.c.brand == brand, schema.client.c.external_id == client_id
    )
    return connection.scalar(query) is not None


def unlinked(connection: Connection) -> list[Unlinked]:
    """What waits for its client, by brand, source and kind."""
    found = []
    for kind, table in schema.OF_CLIENTS.items():
        count = sa.func.count()
        query = (
            select(table.c.brand, table.c.source, count)
            .where(waits(table))
            .group_by(table.c.brand, table.c.source)
        )
        found += [Unlinked(b, s, kind, n) for b, s, n in connection.execute(query)]
    return sorted(found, key=lambda u: (u.brand, u.source, u.kind))
