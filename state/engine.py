"""The engine role with its fencing token and lease, runs, and versions of the rule set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from mapping.errors import RoleError
from state import schema
from state.projection import insert

_ROLE = "engine"
_role, _run = schema.engine_role, schema.run
_TOKEN = select(_role.c.token).where(_role.c.name == _ROLE)  # asked at every step


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that is, or was, the engine.

    Args:
        kind: the command: ``run``, ``sync``, ``plan``.
        host: the machine's name, for people.
        place: what tells machines (and containers on them) apart, so that ``pid`` means something.
        born: tells a process from a later one of the same number.
    """

    kind: str = ""
    host: str = ""
    place: str = ""
    pid: int = 0
    born: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the engine role stands. Instants in ms; ``released_at`` is None until it was given up."""

    token: int
    holder: Holder
    taken_at: int
    beat_at: int
    lease_until: int
    released_at: int | None

    def held(self, now: int, gone: Callable[[Holder], bool]) -> bool:
        """Whether a living engine holds the role: not given up, lease not over, process there."""
        return self.released_at is None and now < self.lease_until and not gone(self.holder)


def standing(connection: Connection) -> Standing | None:
    """How the role stands; None before the first engine."""
    row = connection.execute(select(_role).where(_role.c.name == _ROLE)).first()
    if row is None:
        return None
    holder = Holder(row.kind, row.host, row.place, row.pid, row.born)
    return Standing(
        row.token, holder, row.taken_at or 0, row.beat_at or 0, row.lease_until or 0,
        row.released_at,
    )  # fmt: skip


def lock_role(connection: Connection) -> Standing | None:
    """The same, for the one that is about to take it: two newcomers look one after the other."""
    first = insert(connection, _role).values(name=_ROLE, token=0, released_at=0)
    connection.execute(first.on_conflict_do_nothing())
    connection.execute(select(_role.c.token).where(_role.c.name == _ROLE).with_for_update())
    return standing(connection)


def take_role(
    connection: Connection, now: int, holder: Holder | None = None, lease_until: int = 0
) -> int:
    """Become the engine, whoever was it before: the new token fences that one off."""
    values = {
        **asdict(holder or Holder()), "taken_at": now, "beat_at": now, "lease_until": lease_until,
        "released_at": None,
    }  # fmt: skip
    statement = insert(connection, _role).values(name=_ROLE, token=1, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"token": _role.c.token + 1, **values}
        )
    )
    token = int(connection.scalar(_TOKEN) or 0)
    # What a killed engine left behind: it will not come back to say how it ended.
    died = sa.update(_run).where(_run.c.status == "running", _run.c.token < token)
    connection.execute(died.values(status="died"))
    return token


def hold(connection: Connection, fence: int) -> None:
    """Prove that we are still the engine.

    Raises:
        RoleError: another engine took over; nothing of this step is kept.
    """
    if connection.scalar(_TOKEN) != fence:
        raise RoleError("another engine has taken over this database; this one stops")


def renew(connection: Connection, fence: int, now: int, lease_until: int) -> None:
    """Put off the end of the lease.

    Raises:
        RoleError: another engine took over.
    """
    mine = sa.update(_role).where(_role.c.name == _ROLE, _role.c.token == fence)
    if not connection.execute(mine.values(beat_at=now, lease_until=lease_until)).rowcount:
        hold(connection, fence)


def release(connection: Connection, fence: int, now: int) -> None:
    """Give the role up, if it is still ours. The token goes up: what lags behind is fenced off."""
    mine = sa.update(_role).where(_role.c.name == _ROLE, _role.c.token == fence)
    connection.execute(mine.values(token=fence + 1, released_at=now, lease_until=now))


def start_run(connection: Connection, kind: str, now: int, fence: int, rule_version: int) -> int:
    """A new line in the history of runs; its id."""
    statement = sa.insert(_run).values(
        kind=kind, started_at=now, status="running", token=fence, rule_version=rule_version
    )
    key = connection.execute(statement).inserted_primary_key
    return int(key[0]) if key else 0


def end_run(
    connection: Connection, run: int, now: int, status: str, summary: Mapping[str, Any]
) -> None:
    """Close the line of a run."""
    connection.execute(
        sa.update(_run)
        .where(_run.c.id == run)
        .values(ended_at=now, status=status, summary=json.dumps(summary, sort_keys=True))
    )


def forget_run(connection: Connection, run: int) -> None:
    """Take back the line of a run that did nothing: the history is to be read by people."""
    connection.execute(sa.delete(_run).where(_run.c.id == run))


def end_open_runs(connection: Connection, fence: int, now: int, status: str) -> None:
    """Close what an engine that is about to end has left open."""
    mine = sa.update(_run).where(_run.c.status == "running", _run.c.token == fence)
    connection.execute(mine.values(ended_at=now, status=status))


def runs(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The latest runs, newest first."""
    query = select(_run).order_by(_run.c.id.desc()).limit(limit)
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
