"""Scenes to crash in: a world at an instant with much to do, which can be put back as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import Boundary, no_boundary
from connectors.destination import CrmObject
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS
from state import engine, schema
from sync import project
from sync.hub import Hub
from sync.push import UNSURE_MS
from tests.rig import BASE, Rig, profiles, rig, vendors

CLIENTS, DAYS = 28, 60
SEED, INSTALLED, EVERY, CRASH = 23, 6, 4, 54
SMALL_BATCH, SMALL_STEP = 4, 7
KEYS = {
    "contacts": "broker_client_id", "tasks": "broker_task_key", "companies": "broker_partner_key"
}  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]


class Crash(BaseException):
    """The process dies: nothing in the hub may catch this."""


class Bomb:
    """Counts the boundaries and goes off at one of them; what is dead passes no other."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.passed: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        """A boundary is reached."""
        with self._lock:
            self.passed.append(name)
            if 0 <= self.at < len(self.passed):
                raise Crash(name)


class Scene:
    """A world, a hub's database and a portal, which can be put back as they were.

    Args:
        in_flight: how many batches the hub has with the CRM at a time.
    """

    def __init__(self, one: Rig, database: str, in_flight: int = 1) -> None:
        self.rig, self.database, self.in_flight = one, database, in_flight
        self.engine = sa.create_engine(database, poolclass=sa.NullPool)
        one.install = False
        self._now = one.world.now_ms
        self._rows = self.dump()
        self._saved = one.crm.save()
        self.before = one.crm.snapshot()
        self.first_sync = not self.before["contacts"]
        self.boundaries = self.synced(Bomb()).passed
        self.crm = one.crm.snapshot()
        self._known = self.meaning()

    @contextmanager
    def hub(self, boundary: Boundary = no_boundary) -> Iterator[Hub]:
        """A fresh hub, as after a restart; batches are small, so that there are several."""
        hub = self.rig.hub(boundary)
        hub.in_flight = self.in_flight
        hub.destinations[self.rig.crm.name].batch = SMALL_BATCH
        try:
            yield hub
        finally:
            hub.store.close()

    def synced(self, bomb: Bomb) -> Bomb:
        """From the beginning of the scene: one sync, with a crash if the bomb is set."""
        self.restore()
        with self.hub(bomb) as hub:
            try:
                self.rig.sync(hub)
            except Crash:
                assert bomb.at >= 0
            else:
                assert bomb.at < 0, f"boundary {bomb.at} was not reached"
        return bomb

    def check_crash_at(self, at: int) -> None:
        """Crash, then see that a sync makes up for it."""
        name = f"{at}: {self.boundaries[at]}"
        bomb = self.synced(Bomb(at))
        if self.in_flight == 1:
            assert bomb.passed[: at + 1] == self.boundaries[: at + 1], name
        self.check_next_sync(name)

    def check_next_sync(self, name: str) -> None:
        """A fresh hub's sync leaves all as it should be; a further one writes nothing."""
        with self.hub() as hub:
            self.rig.sync(hub)
            if not hub.destinations[self.rig.crm.name].keyed(CrmObject.TASK):
                # Nobody knows whether a task was created: the hub waits, and looks it up.
                self.rig.world.sleep(UNSURE_MS / 1000 + 1)
                self.rig.sync(hub)
            assert self.rig.crm.snapshot() == self.crm, name
            assert self.meaning() == self._known, name
            self.check_nothing_twice(name)
            written = self.rig.crm.writes
            self.rig.sync(hub)
            assert self.rig.crm.writes == written, name

    def check_nothing_twice(self, name: str) -> None:
        """Each record and task of the hub's is there once, and nothing else is."""
        for kind, key in KEYS.items():
            records = getattr(self.rig.crm, kind)("id")
            named = [record.get(key) for record in records.values()]
            assert None not in named, name
            assert len(set(named)) == len(named), name

    def meaning(self) -> dict[str, Any]:
        """Profiles, and which reasons stand how; not when and in which run it was noticed."""
        names = ("stage", "stage_since", "states", "due_at")
        found = {key: tuple(row[n] for n in names) for key, row in profiles(self.database).items()}
        e = schema.episode
        query = sa.select(e.c.key, e.c.begin_at, e.c.due_at, e.c.owner, e.c.closed_at.is_(None))
        with self.engine.connect() as connection:
            return {**found, "episodes": {tuple(row) for row in connection.execute(query)}}

    def dump(self) -> Rows:
        """Every row of every table."""
        with self.engine.connect() as connection:
            return {
                table.name: sorted(
                    (tuple(r) for r in connection.execute(sa.select(table))), key=repr
                )
                for table in schema.metadata.sorted_tables
            }

    def take_over(self) -> Rows:
        """Another engine takes the role; everything as it stands then."""
        with self.engine.begin() as connection:
            engine.take_role(connection, self._now)
        return self.dump()

    def restore(self) -> None:
        """Back to the beginning."""
        with self.engine.begin() as connection:
            for table in schema.metadata.sorted_tables:
                connection.execute(sa.delete(table))
                names = [column.name for column in table.columns]
                rows = [dict(zip(names, row, strict=True)) for row in self._rows[table.name]]
                if rows:
                    connection.execute(sa.insert(table), rows)
        self.rig.world.now_ms = self._now
        self.rig.crm.restore(self._saved)
        self.rig.vendors = vendors(self.rig.world)  # they remember when they were last asked


def later(
    database: str, folder: Path, in_flight: int = 1, crm: str = "hubspot", **portal: Any
) -> Scene:
    """The hub has synced for weeks; now much happens at once, a merge among it."""
    world = grow(SEED, CLIENTS, DAYS)
    start = world.start_ms + INSTALLED * DAY_MS
    one = rig(world, database, folder, live_from=start, crm=crm, **portal)
    one.advance_to(start - HOUR_MS)
    hub = one.hub()
    for day in range(INSTALLED, CRASH, EVERY):
        one.advance_to(world.start_ms + day * DAY_MS)
        one.sync(hub)
    hub.store.close()
    one.advance_to(world.start_ms + CRASH * DAY_MS)
    return Scene(one, database, in_flight)


def first(database: str, folder: Path, in_flight: int = 1, crm: str = "hubspot") -> Scene:
    """The first sync of all, over the whole history."""
    world = grow(SEED, CLIENTS, DAYS)
    start = world.start_ms + CRASH * DAY_MS
    one = rig(world, database, folder, live_from=start, crm=crm)
    one.psp = {"window_days": 50}
    one.advance_to(start - HOUR_MS)
    one.hub().store.close()
    one.advance_to(start)
    return Scene(one, database, in_flight)


def partners(database: str, folder: Path) -> Scene:
    """Partners were told to the CRM; now one is new, and one has another plan and name."""
    world = grow(SEED, 8, DAYS)
    start = world.start_ms + CRASH * DAY_MS
    families = BASE | {"affiliate"}
    one = rig(world, database, folder, live_from=start, families=families)
    one.advance_to(start)
    hub = one.hub()
    one.sync(hub)
    hub.store.close()
    changed, *rest = world.partners["alpha"]
    moved = replace(changed, name="Another name", plan="hybrid")
    world.partners["alpha"] = (moved, *rest, replace(changed, id="A-99", name="New"))
    one.vendors = vendors(world)
    one.advance_to(start + DAY_MS)
    return Scene(one, database)


SCENES = {"later": later, "first": first}


@contextmanager
def small_steps() -> Iterator[None]:
    """Several steps of projection, where one would do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "STEP", SMALL_STEP)
        yield


def chosen(boundaries: Sequence[str]) -> list[int]:
    """The first and the last boundary of each name; of projection and push one between, too."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(boundaries):
        places.setdefault(name, []).append(place)
    found = {p[i] for p in places.values() for i in (0, -1)}
    found |= {p[len(p) // 2] for name, p in places.items() if "pull" not in name}
    return sorted(found)
