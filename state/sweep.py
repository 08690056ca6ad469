"""Everybody of a brand is to be computed again: a place in the order of its clients.

New rules or a new fact concern all clients. They are not listed one by one: a brand's sweep says
behind which client the rest begins, and goes on with each step of a projection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from state import schema

_s, _c = schema.sweep.c, schema.client.c


def begin(connection: Connection) -> None:
    """Every client of every brand, from the first on."""
    brands = list(connection.scalars(select(_c.brand).distinct()))
    if not brands:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(schema.sweep)
    again = insert.on_conflict_do_update(index_elements=["brand"], set_={"after_client": ""})
    connection.execute(again, [{"brand": brand, "after_client": ""} for brand in brands])


def begun(connection: Connection, brands: Collection[str]) -> dict[str, str]:
    """Those of the brands of which somebody is left -> behind whom, in the order of brands."""
    rows = select(_s.brand, _s.after_client).where(_s.brand.in_(brands)).order_by(_s.brand)
    return {row.brand: row.after_client for row in connection.execute(rows)}


def move(connection: Connection, brand: str, after: str | None) -> None:
    """Go on behind a client; None: there is nobody left."""
    if after is None:
        connection.execute(sa.delete(schema.sweep).where(_s.brand == brand))
    else:
        statement = sa.update(schema.sweep).where(_s.brand == brand)
        connection.execute(statement.values(after_client=after))


def ranges(connection: Connection, brand: str, after: str, size: int) -> Iterator[Sequence[str]]:
    """First and last client of each ``size`` clients behind one of a brand."""
    while True:
        some = (
            select(_c.external_id)
            .where(_c.brand == brand, _c.external_id > after)
            .order_by(_c.external_id)
            .limit(size)
            .subquery()
        )
        ends = select(func.min(some.c.external_id), func.max(some.c.external_id))
        first, last = connection.execute(ends).one()
        if first is None:
            return
        yield first, last
        after = last


def left(connection: Connection) -> int:
    """How many clients are left."""
    behind = sa.and_(_c.brand == _s.brand, _c.external_id > _s.after_client)
    query = select(func.count()).select_from(schema.sweep.join(schema.client, behind))
    return int(connection.scalar(query) or 0)
