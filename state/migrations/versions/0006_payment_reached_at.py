"""A payment carries when it first reached the status it is in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_RECORD = ("source", "external_id", "attempt", "status")


def upgrade() -> None:
    """Take it from the milestones; a payment without one has no earlier time than its own."""
    op.add_column("payment", sa.Column("reached_at", sa.BigInteger))
    p = sa.table("payment", *map(sa.column, (*_RECORD, "status_at", "reached_at")))
    m = sa.table("milestone", *map(sa.column, (*_RECORD, "kind", "first_at")))
    same = [m.c[n] == p.c[n] for n in _RECORD]
    first = sa.select(m.c.first_at).where(m.c.kind == "payment", *same).scalar_subquery()
    op.execute(sa.update(p).values(reached_at=sa.func.coalesce(first, p.c.status_at)))
