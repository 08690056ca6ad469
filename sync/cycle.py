"""One cycle of the engine: pull, project, push; and its rehearsal, which shows and takes back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from mapping.errors import BrokersyncError, ConfigError, RetryableError, RoleError, StoppingError
from state import agenda, engine, intake, retention
from sync.backlog import take
from sync.edge import Edge
from sync.heap import steady
from sync.hub import Guard, Hub
from sync.project import Projected, Projector, touch_all
from sync.pull import Pulled, pull
from sync.push import Pushed, Pusher
from sync.readback import ReadBack, Reader
from sync.role import Role

_DAY_MS = 86_400_000
_PURGED_AT_ONCE = 10_000
_ROUTINE = ("records", "read_back", "clients", "companies_off")  # nothing new


@dataclass(slots=True)
class Cycle:
    """What a cycle did, and the number of its line in the history of runs.

    ``interrupted``: it was asked to stop before its end.
    """

    run: int
    started_at: int
    pulled: Pulled = field(default_factory=Pulled)
    projected: Projected = field(default_factory=Projected)
    read_back: dict[str, ReadBack] = field(default_factory=dict)
    pushed: dict[str, Pushed] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def errors(self) -> list[tuple[str, BrokersyncError]]:
        """(source or destination, error) of whatever ended early."""
        ended: list[tuple[str, ReadBack | Pushed]] = [
            *self.read_back.items(), *self.pushed.items()
        ]  # fmt: skip
        stopped = [(n, e.stopped) for n, e in ended if e.stopped is not None]
        every = [*self.pulled.failed.items(), *stopped]
        return [(n, e) for n, e in every if not isinstance(e, StoppingError)]

    @property
    def waiting(self) -> dict[str, list[str]]:
        """Brands that were left alone -> the source families never read to their end."""
        return self.projected.waiting

    @property
    def status(self) -> str:
        """ok, set_aside, stopped, refused or interrupted: what the exit code says in a word."""
        if self.interrupted:
            return "interrupted"
        if any(isinstance(e, ConfigError) for _, e in self.errors):
            return "refused"
        if self.errors:
            return "stopped"
        refused = self.pulled.rejects + sum(p.refused for p in self.pushed.values())
        return "set_aside" if refused else "ok"

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell: nothing new, nothing changed, no trouble."""
        told = {n: v for n, v in self.summary().items() if n not in _ROUTINE}
        return not self.interrupted and not any(told.values())

    def in_words(self) -> str:
        """What is not nothing, for a line of the log."""
        told = [f"{v:,} {n.replace('_', ' ')}" for n, v in self.summary().items()
                if isinstance(v, int) and v]  # fmt: skip
        return ", ".join([*told, *(f"{name} ended early" for name, _ in self.errors)]) or "nothing"

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
            "companies_written": sum(p.companies_written for p in pushed),
            "associations": sum(p.associations for p in pushed),
            "refused": sum(p.refused for p in pushed),
            "read_back": sum(r.looked for r in self.read_back.values()),
            "edits": sum(r.edits for r in self.read_back.values()),
            "tasks_done_by_people": sum(r.tasks_closed for r in self.read_back.values()),
            "companies_off": {name: p.off for name, p in self.pushed.items() if p.off},
            "errors": {name: error.admin for name, error in self.errors},
        }


def sync_once(hub: Hub, role: Role | None = None, edge: Edge | None = None) -> Cycle:
    """Do it once: pull everything, compute what changed, write what differs.

    Args:
        role: not taken yet; one of its own if left out.
        edge: where the heartbeat runs beside the work. Without one (a test, the demo), the lease is
            renewed by the work's own transactions alone.

    Returns:
        What it did, also when ``hub.stop`` ended it early.

    Raises:
        RoleError: a living engine works on this database, or another one took over.
        RetryableError: the database is away.
    """
    role = role or Role(hub, "sync")
    with hub.store.transaction("cycle.start") as connection:
        role.take(connection)
        version = take_up_rules(connection, hub)
        cycle = begin(connection, hub, role, version)
    if edge is not None:
        role.keep(edge, lambda _: hub.stop.request())  # the next transaction says why
    with _closing(role):
        try:
            cycle.pulled = pull(hub, role.guard)
            settle(hub, role, version, cycle)
        except StoppingError:
            cycle.interrupted = True
        with hub.store.transaction("cycle.end") as connection:
            role.hold(connection)
            if not cycle.interrupted:
                _note_pulls(connection, hub, cycle.pulled)
            end(connection, hub, cycle)
            role.release(connection)
    return cycle


@contextmanager
def _closing(role: Role) -> Iterator[None]:
    """What fails within leaves neither an open run nor the role behind, if that can be helped."""
    try:
        yield
    except RoleError:
        raise
    except Exception:
        with suppress(BrokersyncError):
            role.abandon("stopped")
        raise


def take_up_rules(connection: Connection, hub: Hub) -> int:
    """The version of the hub's rules. If they are new, every client is to be computed again."""
    version, fresh = _version(connection, hub, hub.clock.now_ms())
    if fresh:
        intake.touch_all(connection)
    return version


def begin(connection: Connection, hub: Hub, role: Role, version: int) -> Cycle:
    """A cycle with its line in the history of runs."""
    now = hub.clock.now_ms()
    return Cycle(engine.start_run(connection, role.me.kind, now, role.fence, version), now)


@steady()
def settle(
    hub: Hub, role: Role, version: int, cycle: Cycle, skip: Collection[str] = ()
) -> None:  # fmt: skip
    """What follows a pull: see what people did, compute, write what differs, forget the oldest.

    Args:
        skip: destinations that are not to be written to now.

    Raises:
        StoppingError: the hub is to stop. What was delivered is stored.
        RoleError, RetryableError: see :func:`sync_once`.
    """
    for name, destination in hub.destinations.items():
        if name not in skip:
            reader = Reader(hub, name, destination, role.guard, hub.read_back_calls)
            cycle.read_back[name] = reader.read()
    projector = Projector(hub, cycle.run, version, role.guard)
    cycle.projected = projector.done
    _project(hub, projector, role.guard, cycle.started_at)
    for name, destination in hub.destinations.items():
        hub.stop.check()
        away = name in cycle.read_back and isinstance(cycle.read_back[name].stopped, RetryableError)
        if name not in skip and not away:
            # Its guard does not mind a wish to stop: what is delivered is to be stored first.
            pusher = Pusher(hub, name, destination, role.fence, role.hold)
            cycle.pushed[name] = pusher.done
            pusher.push()
    _purge(hub, role.guard, cycle.started_at)


def _project(hub: Hub, projector: Projector, guard: Guard, now: int) -> None:
    """Compute what changed; then what was asked for of the old reasons; then tell the others."""
    projector.project(now)
    if hub.backlog is not None:
        projector.late = take(hub, guard, hub.backlog)
        projector.project(now)
    projector.tell(now)


def end(connection: Connection, hub: Hub, cycle: Cycle) -> None:
    """Close a cycle's line in the history of runs."""
    engine.end_run(connection, cycle.run, hub.clock.now_ms(), cycle.status, cycle.summary())


def _note_pulls(connection: Connection, hub: Hub, pulled: Pulled) -> None:
    now = hub.clock.now_ms()
    for source in hub.sources:
        error = pulled.failed.get(source.name)
        agenda.pull_ended(connection, source.name, now, error.admin if error else "")


def _purge(hub: Hub, guard: Guard, now: int) -> None:
    """Forget raw vendor rows whose time is over, in steps that keep nobody waiting."""
    before = now - hub.retention_days * _DAY_MS
    gone = _PURGED_AT_ONCE
    while gone == _PURGED_AT_ONCE:
        with hub.store.transaction("cycle.purge") as connection:
            guard(connection)
            gone = retention.purge_raw(connection, before, _PURGED_AT_ONCE)


def pull_once(hub: Hub) -> Pulled:
    """Only pull: what is new is stored, nothing is computed or written.

    Raises:
        RoleError, RetryableError: see :func:`sync_once`.
    """
    role = Role(hub, "plan")
    with hub.store.transaction("cycle.start") as connection:
        role.take(connection)
    with _closing(role):
        pulled = pull(hub, role.guard)
        with hub.store.transaction("cycle.end") as connection:
            role.hold(connection)
            _note_pulls(connection, hub, pulled)
            role.release(connection)
    return pulled


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
    projector = Projector(hub, 0, version, anyone)
    _project(hub, projector, anyone, now)
    return now, projector.done


def _version(connection: Connection, hub: Hub, now: int) -> tuple[int, bool]:
    return engine.rule_version(connection, digest(hub.rules), hub.rules_source, now)


def digest(rules: Mapping[str, Any]) -> str:
    """One digest for the rule sets of all brands."""
    return "-".join(f"{brand}={rules[brand].digest}" for brand in sorted(rules))
