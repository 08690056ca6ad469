"""What went back of payments: refunds and disputes of the work list's clients, read once."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, case, func, or_, select

from state import schema
from state.fact_views import NUMBERED, of_mine, temporary

_OWN = ("nr", "amount_minor", "base_minor", "movement", "at")
MOVED = Table(
    "moved_row", temporary,
    *[Column(n, schema.Id) for n in ("source", "payment_id")],
    *[Column(n, schema.Id if n == "movement" else BigInteger) for n in _OWN],
    Column("resolution", schema.Id),
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""A row for each refund that succeeded and each dispute, which has a resolution once it is over."""


def moved_rows() -> sa.Select[tuple[object, ...]]:
    """Fill :data:`MOVED`; of disputes, a payment's n-th filing with its n-th resolution if any."""
    v = schema.movement
    here = NUMBERED
    refund, filed = v.c.movement == "refund", v.c.movement == "chargeback_opened"
    kind = case((refund, 2), (filed, 1), else_=0)
    place = func.row_number().over(
        partition_by=[v.c.source, v.c.payment_id, kind], order_by=[v.c.at, v.c.external_id]
    )
    n = (
        select(v, here.c.nr, kind.label("kind"), place.label("place"))
        .select_from(here.join(v, of_mine(v)))
        .where(v.c.deleted == 0, or_(~refund, v.c.status == "succeeded"))
        .subquery("placed")
    )
    own = [func.max(n.c[c]).filter(n.c.kind > 0).label(c) for c in _OWN]
    resolution = func.max(n.c.movement).filter(n.c.kind == 0).label("resolution")
    key = (n.c.source, n.c.payment_id)
    return (
        select(*key, *own, resolution)
        .group_by(*key, n.c.place, n.c.kind == 2)
        .having(func.count().filter(n.c.kind > 0) > 0)
    )
