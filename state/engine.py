"""The engine role with its fencing token, runs, and versions of the rule set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from mapping.errors import RetryableError
from state import schema
from state.projection import insert

_ROLE = "engine"


def take_role(connection: Connection, now: int) -> int:
    """Become the engine. The token fences off whoever had the role before."""
    role = schema.engine_role
    statement = insert(connection, role).values(name=_ROLE, token=1, taken_at=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"token": role.c.token + 1, "taken_at": now}
        )
    )
    return int(connection.scalar(select(role.c.token).where(role.c.name == _ROLE)) or 0)


def hold(connection: Connection, fence: int) -> None:
    """Prove that we are still the engine.

    Raises:
        RetryableError: another engine took over; nothing of this step is kept.
    """
    role = schema.engine_role
    if connection.scalar(select(role.c.token).where(role.c.name == _ROLE)) != fence:
        raise RetryableError("another engine has taken over this database; this one stops")


def start_run(connection: Connection, kind: str, now: int, fence: int, rule_version: int) -> int:
    """A new line in the history of runs; its id."""
    statement = sa.insert(schema.run).values(
        kind=kind, started_at=now, status="running", token=fence, rule_version=rule_version
    )
    key = connection.execute(statement).inserted_primary_key
    return int(key[0]) if key else 0


def end_run(
    connection: Connection, run: int, now: int, status: str, summary: Mapping[str, Any]
) -> None:
    """Close the line of a run."""
    connection.execute(
        sa.update(schema.run)
        .where(schema.run.c.id == run)
        .values(ended_at=now, status=status, summary=json.dumps(summary, sort_keys=True))
    )


def runs(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The latest runs, newest first."""
    query = select(schema.run).order_by(schema.run.c.id.desc()).limit(limit)
    found = [dict(row) for row in connection.execute(query).mappings()]
    for row in found:
        row["summary"] = json.loads(row["summary"]) if row["summary"] else {}
    return found


def rule_version(connection: Connection, digest: str, source: str, now: int) -> tuple[int, bool]:
    """The number of this rule set, storing it if it is new; and whether it is."""
    table = schema.rule_set
    latest = connection.execute(
        select(table.c.version, table.c.digest).order_by(table.c.version.desc()).limit(1)
    ).first()
    if latest is not None and latest.digest == digest:
        return int(latest.version), False
    version = int(connection.scalar(select(func.max(table.c.version))) or 0) + 1
    connection.execute(
        sa.insert(table).values(version=version, digest=digest, source=source, created_at=now)
    )
    return version, True
