"""Which source families are late, and the clients whose cards have to say so, or no longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.engine import Connection

from mapping.freshness import Late
from state import schema
from state.projection import insert
from state.staging import count

_late = schema.late_family


def known(connection: Connection) -> dict[str, dict[str, Late]]:
    """brand -> family -> how late it is, as noticed last."""
    found: dict[str, dict[str, Late]] = {}
    for brand, family, until, since in connection.execute(select(_late)):
        found.setdefault(brand, {})[family] = Late(until, since)
    return found


def store(connection: Connection, brand: str, late: Mapping[str, Late]) -> None:
    """These families of a brand are late, and no others."""
    connection.execute(sa.delete(_late).where(_late.c.brand == brand))
    rows = [
        {"brand": brand, "family": f, "until_at": one.until, "since_at": one.since}
        for f, one in late.items()
    ]
    if rows:
        connection.execute(sa.insert(_late), rows)


def touch_with_tasks(connection: Connection, brand: str) -> int:
    """Have the clients with an open task computed again: somebody is about to call them."""
    e = schema.episode
    here = (e.c.brand == brand, e.c.closed_at.is_(None), e.c.admitted_at.is_not(None))
    return _touch(connection, select(e.c.brand, e.c.client_id).where(*here).distinct())


def touch_computed_since(connection: Connection, brand: str, since: int) -> int:
    """Have the clients computed again that were computed since an instant (ms)."""
    p = schema.profile
    here = (p.c.brand == brand, p.c.evaluated_at >= since)
    return _touch(connection, select(p.c.brand, p.c.client_id).where(*here))


def _touch(connection: Connection, clients: sa.Select[Any]) -> int:
    """Returns: how many were not to be computed anyway."""
    statement = insert(connection, schema.touched).from_select(["brand", "client_id"], clients)
    return count(connection, statement.on_conflict_do_nothing())
