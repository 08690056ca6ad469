"""One cycle of the engine: pull, project, push; and its rehearsal, which shows and takes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from mapping.errors import BrokersyncError, ConfigError
from state import engine, retention
from sync.hub import Hub
from sync.project import Guard, Projected, Projector, touch_all
from sync.pull import Pulled, pull
from sync.push import Pushed, Pusher

_DAY_MS = 86_400_000
_PURGED_AT_ONCE = 10_000


@dataclass(slots=True)
class Cycle:
    """What a cycle did, and the number of its line in the history of runs."""

    run: int
    started_at: int
    pulled: Pulled = field(default_factory=Pulled)
    projected: Projected = field(default_factory=Projected)
    pushed: dict[str, Pushed] = field(default_factory=dict)

    @property
    def errors(self) -> list[tuple[str, BrokersyncError]]:
        """(source or destination, error) of whatever ended early."""
        stopped = [(n, p.stopped) for n, p in self.pushed.items() if p.stopped is not None]
        return [*self.pulled.failed.items(), *stopped]

    @property
    def waiting(self) -> dict[str, list[str]]:
        """Brands that were left alone -> the source families never read to their end."""
        return self.projected.waiting

    @property
    def status(self) -> str:
        """ok, set_aside, stopped or refused: what the exit code says in a word."""
        if any(isinstance(e, ConfigError) for _, e in self.errors):
            return "refused"
        if self.errors:
            return "stopped"
        refused = self.pulled.rejects + sum(p.refused for p in self.pushed.values())
        return "set_aside" if refused else "ok"

    def summary(self) -> dict[str, Any]:
        """The run in numbers, without personal data."""
        pushed = list(self.pushed.values())
        return {
            "records": self.pulled.records,
            "versions": self.pulled.journalled,
            "rejects": self.pulled.rejects,
            "clients": self.projected.clients,
            "stage_changes": self.projected.stage_changes,
            "tasks_opened": self.projected.tasks_opened,
            "tasks_closed": self.projected.tasks_closed,
            "contacts_written": sum(p.contacts_written for p in pushed),
            "tasks_written": sum(p.tasks_written for p in pushed),
            "associations": sum(p.associations for p in pushed),
            "refused": sum(p.refused for p in pushed),
            "errors": {name: error.admin for name, error in self.errors},
        }


def sync_once(hub: Hub, *, kind: str = "sync") -> Cycle:
    """Do it once: pull everything, compute what changed, write what differs.

    Raises:
        RetryableError: the database is away, or another engine took over.
    """
    now = hub.clock.now_ms()
    with hub.store.transaction("cycle.start") as connection:
        fence = engine.take_role(connection, now)
        version, fresh = _version(connection, hub, now)
        run = engine.start_run(connection, kind, now, fence, version)

    def guard(connection: Connection) -> None:
        engine.hold(connection, fence)

    cycle = Cycle(run, now)
    if fresh:
        touch_all(hub, guard)
    cycle.pulled = pull(hub, guard)
    cycle.projected = Projector(hub, run, version, guard).project(now)
    for name, destination in hub.destinations.items():
        cycle.pushed[name] = Pusher(hub, name, destination, fence, guard).push()
    _purge(hub, guard, now)
    with hub.store.transaction("cycle.end") as connection:
        guard(connection)
        engine.end_run(connection, run, hub.clock.now_ms(), cycle.status, cycle.summary())
    return cycle


def _purge(hub: Hub, guard: Guard, now: int) -> None:
    """Forget raw vendor rows whose time is over, in steps that keep nobody waiting."""
    before = now - hub.retention_days * _DAY_MS
    gone = _PURGED_AT_ONCE
    while gone == _PURGED_AT_ONCE:
        with hub.store.transaction("cycle.purge") as connection:
            guard(connection)
            gone = retention.purge_raw(connection, before, _PURGED_AT_ONCE)


def pull_once(hub: Hub) -> Pulled:
    """Only pull: what is new is stored, nothing is computed or written."""
    now = hub.clock.now_ms()
    with hub.store.transaction("cycle.start") as connection:
        fence = engine.take_role(connection, now)

    def guard(connection: Connection) -> None:
        engine.hold(connection, fence)

    return pull(hub, guard)


def anyone(connection: Connection) -> None:
    """The guard of a rehearsal: it needs no engine role, as it keeps nothing."""
    del connection


def rehearse(hub: Hub) -> tuple[int, Projected]:
    """Compute what a sync would want now. The caller holds a rehearsal and takes it back."""
    now = hub.clock.now_ms()
    with hub.store.transaction("cycle.start") as connection:
        version, fresh = _version(connection, hub, now)
    if fresh:
        touch_all(hub, anyone)
    return now, Projector(hub, 0, version, anyone).project(now)


def _version(connection: Connection, hub: Hub, now: int) -> tuple[int, bool]:
    return engine.rule_version(connection, digest(hub.rules), hub.rules_source, now)


def digest(rules: Mapping[str, Any]) -> str:
    """One digest for the rule sets of all brands."""
    return "-".join(f"{brand}={rules[brand].digest}" for brand in sorted(rules))
