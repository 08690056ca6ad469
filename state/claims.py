"""Contacts the hub has not found in the CRM by its key, and the addresses of the CRM's contacts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import and_, func, select
from sqlalchemy.engine import Connection

from mapping.claiming import Person
from state import schema, staging

_a, _c, _d, _m, _o, _s = (
    schema.crm_address, schema.client, schema.desired, schema.contact_member, schema.outbox,
    schema.crm_shadow,
)  # fmt: skip


def digest(email: str) -> str:
    """An address as the hub keeps it of contacts that are not its own."""
    return hashlib.blake2b(email.encode(), digest_size=16).hexdigest()


def unknown(
    connection: Connection, destination: str, after: str, limit: int, now: int,
    among: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Keys of contacts that wait to be written and of whom the hub knows no record, by key."""
    known = select(_s.c.key).where(
        _s.c.destination == destination, _s.c.object == "contact", _s.c.key == _o.c.key,
        _s.c.crm_id != "",
    )  # fmt: skip
    query = (
        select(_o.c.key)
        .where(_o.c.destination == destination, _o.c.object == "contact", _o.c.key > after,
               func.coalesce(_o.c.next_try_at, 0) <= now, ~sa.exists(known))
        .order_by(_o.c.key)
        .limit(limit)
    )  # fmt: skip
    if among:
        query = query.where(_o.c.key.in_(list(among)))
    return list(connection.scalars(query))


def people(connection: Connection, destination: str, keys: Sequence[str]) -> dict[str, Person]:
    """Who stands behind contact keys, of those with an address."""
    verified = func.max(
        sa.case((_m.c.brand + ":" + _m.c.client_id == _m.c.contact, _c.c.email_verified), else_=0)
    )
    query = (
        select(_m.c.contact, func.min(_m.c.email_norm), verified, func.count())
        .select_from(
            _m.outerjoin(_c, and_(_c.c.brand == _m.c.brand, _c.c.external_id == _m.c.client_id))
        )
        .where(_m.c.destination == destination, _m.c.contact.in_(list(keys)),
               _m.c.email_norm != "")
        .group_by(_m.c.contact)
    )  # fmt: skip
    return {k: Person(e, bool(v), n) for k, e, v, n in connection.execute(query)}


def update_only(
    connection: Connection, destination: str, keys: Sequence[str]
) -> dict[str, str]:  # fmt: skip
    """Key -> hash of the desired state, of the contacts that may not be created."""
    query = select(_d.c.key, _d.c.hash).where(
        _d.c.destination == destination, _d.c.object == "contact", _d.c.key.in_(list(keys)),
        _d.c.creates == 0,
    )  # fmt: skip
    return {row.key: row.hash for row in connection.execute(query)}


def suitors(
    connection: Connection, destination: str, emails: Iterable[str]
) -> dict[str, set[str]]:  # fmt: skip
    """Address -> keys of the hub's contacts that have it."""
    query = select(_m.c.email_norm, _m.c.contact).where(
        _m.c.destination == destination, _m.c.email_norm.in_(sorted(set(emails)))
    )
    found: dict[str, set[str]] = defaultdict(set)
    for email, contact in connection.execute(query):
        found[email].add(contact)
    return found


def forget_addresses(connection: Connection, destination: str) -> None:
    """Before the CRM's contacts are listed anew."""
    connection.execute(sa.delete(_a).where(_a.c.destination == destination))


def add_addresses(
    connection: Connection, destination: str, rows: Iterable[tuple[str, str]]
) -> None:  # fmt: skip
    """Keep (address, CRM id) of contacts, each pair once."""
    distinct = {(digest(email), crm_id) for email, crm_id in rows}
    staging.append(connection, _a, ((destination, d, i) for d, i in sorted(distinct)))


def having(
    connection: Connection, destination: str, emails: Sequence[str]
) -> dict[str, frozenset[str]]:  # fmt: skip
    """Address -> ids of the CRM's contacts that had it when they were listed."""
    named = {digest(email): email for email in emails}
    query = select(_a.c.digest, _a.c.crm_id).where(
        _a.c.destination == destination, _a.c.digest.in_(list(named))
    )
    found: dict[str, set[str]] = defaultdict(set)
    for hashed, crm_id in connection.execute(query):
        found[named[hashed]].add(crm_id)
    return {email: frozenset(ids) for email, ids in found.items()}
