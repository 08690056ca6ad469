"""Retention: vendors' raw rows are kept for a short time, the journal itself for ever."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from state import schema


def purge_raw(connection: Connection, before: int, most: int) -> int:
    """Forget up to ``most`` raw rows received before ``before`` (ms), oldest first.

    Returns:
        How many were forgotten; fewer than ``most`` when none is left.
    """
    raw = schema.journal_raw
    old = sa.select(raw.c.seq).where(raw.c.received_at < before).order_by(raw.c.received_at)
    return connection.execute(sa.delete(raw).where(raw.c.seq.in_(old.limit(most)))).rowcount
