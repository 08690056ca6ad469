"""When the engine is wanted next, and what it notes of its sources for those who watch it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from state import partners, schema

_src = schema.source_state


def work_waits(connection: Connection, now: int) -> bool:
    """Whether someone was touched, everybody is swept, or a client is due by ``now`` (ms)."""
    if connection.execute(select(schema.touched.c.brand).limit(1)).first() is not None:
        return True
    if connection.execute(select(schema.sweep.c.brand).limit(1)).first() is not None:
        return True
    if partners.waiting(connection):
        return True
    due = _next_due(connection, None)
    return due is not None and due <= now


def next_due(connection: Connection, after: int) -> int | None:
    """The first instant (ms) past ``after`` at which time alone changes a client."""
    return _next_due(connection, after)


def _next_due(connection: Connection, after: int | None) -> int | None:
    found = []
    for column in (schema.profile.c.due_at, schema.fact.c.facts_due_at):
        query = select(func.min(column)).where(schema.comes(column))  # the end of an index
        if after is not None:
            query = query.where(column > after)
        found.append(connection.scalar(query))
    return min((int(at) for at in found if at is not None), default=None)


def last_tries(connection: Connection) -> dict[str, int]:
    """source -> when it was last pulled (ms), of those that ever were."""
    query = select(_src.c.source, _src.c.last_try_at).where(_src.c.last_try_at.is_not(None))
    return {source: int(at) for source, at in connection.execute(query)}


def pull_planned(connection: Connection, source: str, due_at: int) -> None:
    """When the source is to be pulled for the first time by an engine that starts."""
    connection.execute(_of(source).values(started_at=None, due_at=due_at))


def pull_started(connection: Connection, source: str, now: int) -> None:
    """A pull of the source is on its way."""
    connection.execute(_of(source).values(started_at=now))


def pull_ended(
    connection: Connection, source: str, now: int, error: str, due_at: int | None = None
) -> None:
    """A pull ended.

    Args:
        error: why it ended early; blank when it did not.
        due_at: ms of the next one, where somebody has a schedule.
    """
    since = func.coalesce(_src.c.failing_since, now) if error else None
    values: dict[str, Any] = {"started_at": None, "failing_since": since, "due_at": due_at}
    if error:
        values["last_error"] = error
    connection.execute(_of(source).values(**values))


def all_stopped(connection: Connection) -> None:
    """The engine ends: nothing is on its way, and nothing is due until the next one starts."""
    connection.execute(sa.update(_src).values(started_at=None, due_at=None))


def _of(source: str) -> sa.Update:
    return sa.update(_src).where(_src.c.source == source)
