"""What names a client beside its id: a login, a helpdesk user, an e-mail address.

A record of a naming kind means a client itself, and gives its name to others. An e-mail address
means a client only while it is verified and exactly one client has it; such links are made for
addresses that some record carries, no others.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Table, and_, func, select
from sqlalchemy.engine import Connection

from mapping.words import Kind
from state import schema
from state.kinds import NAMES, SPECS
from state.linking import BLANK, CLIENT_ID, Key, hands, links, rename, store

EMAIL = "email"


def given(connection: Connection, kind: Kind, stage: Table, at: int) -> None:
    """Names that staged records of a naming kind give to their clients."""
    t, link = SPECS[kind].table, schema.identity_link
    name_kind, name = NAMES[kind](t.c)
    known = and_(link.c.brand == t.c.brand, link.c.kind == name_kind, link.c.value == name)
    same = and_(t.c.source == stage.c.source, t.c.external_id == stage.c.external_id)
    query = (
        select(t.c.brand, name_kind, name, t.c.client_id)
        .select_from(stage.join(t, same).outerjoin(link, known))
        .where(func.coalesce(link.c.client_id, "") != t.c.client_id)
        .distinct()
    )
    rename(connection, [tuple(row) for row in connection.execute(query)], at)


def wanted_emails(connection: Connection, stage: Table, at: int) -> None:
    """Links for addresses that staged records carry and nobody asked for so far."""
    link = schema.identity_link
    known = and_(
        link.c.brand == stage.c.brand, link.c.kind == EMAIL, link.c.value == stage.c.ref_value
    )
    query = (
        select(stage.c.brand, stage.c.ref_value)
        .select_from(stage.outerjoin(link, known))
        .where(stage.c.ref_kind == EMAIL, link.c.value.is_(None))
        .distinct()
    )
    derive_emails(connection, [(b, v) for b, v in connection.execute(query)], at)


def changed_emails(connection: Connection, clients: Iterable[Key], at: int) -> None:
    """Links of addresses that these clients have or had, where some record carries them."""
    c, link = schema.client, schema.identity_link
    keys: set[Key] = set()
    for brand in sorted({b for b, _ in clients}):
        if not _carried(connection, brand):
            continue
        ids = sorted(i for b, i in clients if b == brand)
        for n in range(0, len(ids), 500):
            some = ids[n : n + 500]
            had = select(link.c.value).where(
                link.c.brand == brand, link.c.kind == EMAIL, link.c.client_id.in_(some)
            )
            has = select(c.c.email_norm).where(
                c.c.brand == brand, c.c.external_id.in_(some), c.c.email_norm != ""
            )
            keys |= {(brand, v) for v in connection.scalars(had)}
            keys |= {(brand, v) for v in connection.scalars(has)}
    derive_emails(connection, sorted(keys), at)


def _carried(connection: Connection, brand: str) -> bool:
    """Whether any record of the brand means its client by an address."""
    link = schema.identity_link
    linked = select(link.c.value).where(link.c.brand == brand, link.c.kind == EMAIL).limit(1)
    if connection.scalar(linked) is not None:
        return True
    return any(
        connection.scalar(
            select(t.c.external_id)
            .where(t.c.brand == brand, t.c.ref_kind == EMAIL, t.c.client_id == BLANK)
            .limit(1)
        )
        is not None
        for t in schema.CURRENT.values()
    )


def derive_emails(connection: Connection, keys: Iterable[Key], at: int) -> None:
    """Bring the links of addresses (brand, normalised address) in line with the clients."""
    decided = hands(connection)
    wanted = {
        (brand, email): _owner(connection, brand, email)
        for brand, email in keys
        if (brand, EMAIL, email) not in decided
    }
    store(connection, wanted, links(connection, wanted, EMAIL), at, EMAIL)


def _owner(connection: Connection, brand: str, email: str) -> str:
    """The only client with this verified address; blank if there are none or several."""
    c, link = schema.client, schema.identity_link
    means = and_(
        link.c.brand == c.c.brand, link.c.kind == CLIENT_ID, link.c.value == c.c.external_id
    )
    query = (
        select(func.coalesce(link.c.client_id, c.c.external_id))
        .select_from(c.outerjoin(link, means))
        .where(
            c.c.brand == brand, c.c.email_norm == email, c.c.email_verified == 1, c.c.deleted == 0
        )
        .distinct()
        .limit(2)
    )
    found = list(connection.scalars(query))
    return str(found[0]) if len(found) == 1 else ""


def given_to(connection: Connection, brand: str, kind: str, value: str) -> str:
    """The client that naming records give a name to; blank if none does."""
    if kind == EMAIL:
        return _owner(connection, brand, value)
    for naming, names in NAMES.items():
        t = SPECS[naming].table
        name_kind, name = names(t.c)
        query = select(t.c.client_id).where(
            t.c.brand == brand, sa.cast(name_kind, sa.Text) == kind, name == value
        )
        if found := connection.scalar(query.order_by(t.c.source, t.c.external_id).limit(1)):
            return str(found)
    return ""
