"""The plan is what happens: writes and calls the portal receives equal what was announced.

Counted are all calls to the CRM: reads of records the hub does not know there, the writes, the
associations, and one reading of the portal's schema in the first push of a process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS
from state import schema
from sync.cycle import pull_once
from sync.hub import Hub
from sync.plan import plan
from tests.conftest import Place
from tests.rig import Rig, rig

DAYS = 60
INSTALLED = 46
WRITES = ("contacts", "tasks", "associations")


@dataclass(slots=True)
class Installed:
    """A hub that has done its first sync."""

    rig: Rig
    hub: Hub
    at: int

    def day(self) -> None:
        """The story goes on for a day."""
        self.at += DAY_MS
        self.rig.advance_to(self.at)

    def planned(self) -> dict[str, Any]:
        """What the hub says it would write."""
        return plan(self.hub)[self.rig.crm.name].as_json()

    def received(self) -> tuple[Counter[str], int]:
        """Writes and calls the portal received so far."""
        return self.rig.crm.writes, self.rig.crm.calls

    def synced(self) -> tuple[dict[str, int], int]:
        """Writes and calls of the push that the portal received in one sync."""
        writes, calls = self.received()
        cycle = self.rig.sync(self.hub)
        after, calls_after = self.received()
        # What people did, and whom the CRM had before the hub, is looked up, not planned.
        name = self.rig.crm.name
        calls += cycle.read_back[name].calls + cycle.pushed[name].claims.calls
        return {name: after[name] - writes[name] for name in WRITES}, calls_after - calls


@contextmanager
def installed(
    place: Place, folder: Path, clients: int, *, first_sync: bool = True
) -> Iterator[Installed]:
    """A world on day 46 and a hub over it."""
    world = grow(3, clients, DAYS)
    start = world.start_ms + INSTALLED * DAY_MS
    one = rig(world, place.database, folder, live_from=start, crm=place.crm)
    one.advance_to(start - HOUR_MS)
    hub = one.hub()
    one.advance_to(start)
    found = Installed(one, hub, start)
    try:
        if first_sync:
            found.synced()
        yield found
    finally:
        hub.store.close()


def _totals(planned: dict[str, Any]) -> dict[str, int]:
    return {
        "contacts": planned["contacts"]["total"],
        "tasks": planned["tasks"]["total"],
        "associations": planned["associations"],
    }


def test_a_days_writes_and_calls_are_the_planned_ones(place: Place, tmp_path: Path) -> None:
    with installed(place, tmp_path, 500) as one:
        for _ in range(4):
            one.day()
            pull_once(one.hub)
            planned = one.planned()
            written, calls = one.synced()
            assert written == _totals(planned)
            assert calls == planned["calls"]
            assert planned["contacts"]["create"]
            assert planned["contacts"]["update"]
            assert planned["associations"]
            assert sum(planned["new_tasks"].values()) == planned["tasks"]["create"]
            assert one.synced() == (dict.fromkeys(WRITES, 0), 0)
            assert _totals(one.planned()) == dict.fromkeys(WRITES, 0)


def test_the_first_sync_is_planned_too(crm: str, tmp_path: Path) -> None:
    with installed(_here(tmp_path, crm), tmp_path, 450, first_sync=False) as one:
        pull_once(one.hub)
        planned = one.planned()
        written, calls = one.synced()
        assert written == _totals(planned)
        assert calls == planned["calls"]
        assert planned["contacts"]["create"] > 300
        assert planned["unread"] == planned["contacts"]["create"]


def test_the_fields_of_the_plan_are_the_fields_written(crm: str, tmp_path: Path) -> None:
    with installed(_here(tmp_path, crm), tmp_path, 200) as one:
        one.day()
        pull_once(one.hub)
        planned, before = one.planned(), len(one.rig.crm.written)
        one.synced()
        writes = [w for w in one.rig.crm.written[before:] if w.object == "contacts"]
        created = [w for w in writes if w.created]
        assert (len(created), len(writes) - len(created)) == (
            planned["contacts"]["create"], planned["contacts"]["update"],
        )  # fmt: skip
        fields = Counter(n for w in writes for n in w.properties)
        assert dict(fields) == planned["fields"]


def test_planning_changes_nothing(place: Place, tmp_path: Path) -> None:
    with installed(place, tmp_path, 120) as one:
        one.day()
        pull_once(one.hub)
        before = _everything(place.database), one.rig.crm.snapshot(), one.received()
        first = one.planned()
        assert _totals(first)["contacts"] > 0
        assert (_everything(place.database), one.rig.crm.snapshot(), one.received()) == before
        assert one.planned() == first


def test_an_emptied_shadow_is_read_again_and_nothing_is_written(
    place: Place, tmp_path: Path
) -> None:
    with installed(place, tmp_path, 250) as one:
        for _ in range(3):
            one.day()
            one.synced()
        crm = one.rig.crm.snapshot()
        whole = _shadow(place.database)
        assert {obj for obj, _ in whole} == {"contact", "task"}
        _execute(place.database, sa.delete(schema.crm_shadow))
        written, calls = one.synced()
        assert written == dict.fromkeys(WRITES, 0)
        assert calls > 0
        assert one.rig.crm.snapshot() == crm
        assert _shadow(place.database) == whole
        assert one.synced() == (dict.fromkeys(WRITES, 0), 0)


@pytest.mark.parametrize("obj", ["contact", "task"])
def test_half_a_shadow_is_made_whole_and_changes_still_arrive(
    obj: str, crm: str, tmp_path: Path
) -> None:
    place = _here(tmp_path, crm)
    database = place.database
    with installed(place, tmp_path, 200) as one:
        one.day()
        one.synced()
        shadow = schema.crm_shadow
        _execute(database, sa.delete(shadow).where(shadow.c.object == obj))
        one.day()
        pull_once(one.hub)
        planned = one.planned()
        written, _ = one.synced()
        # Records the plan has not read may hold the wanted values already.
        assert 0 < written["contacts"] <= planned["contacts"]["total"]
        desired = {key for key, body in _bodies(database) if body}
        assert desired == _shadow(database).keys()
        assert one.synced()[0] == dict.fromkeys(WRITES, 0)


def _here(folder: Path, crm: str) -> Place:
    return Place(f"sqlite:///{folder / 'hub.db'}", crm)


def _engine(database: str) -> sa.Engine:
    return sa.create_engine(database, poolclass=sa.NullPool)


def _execute(database: str, statement: sa.Delete) -> None:
    with _engine(database).begin() as connection:
        connection.execute(statement)


def _everything(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with _engine(database).connect() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(sa.select(table)))
            for table in schema.metadata.sorted_tables
        }


def _bodies(database: str) -> list[tuple[tuple[str, str], str]]:
    d = schema.desired
    with _engine(database).connect() as connection:
        rows = connection.execute(sa.select(d.c.object, d.c.key, d.c.body)).all()
    return [((obj, key), body) for obj, key, body in rows]


def _shadow(database: str) -> dict[tuple[str, str], tuple[str, dict[str, str], str]]:
    """What the hub believes the CRM holds, without when it saw it. A blank is no value."""
    s = schema.crm_shadow
    query = sa.select(s.c.object, s.c.key, s.c.crm_id, s.c.acknowledged, s.c.hash)
    with _engine(database).connect() as connection:
        rows = connection.execute(query).all()
    return {
        (obj, key): (crm_id, {n: v for n, v in json.loads(held).items() if v}, digest)
        for obj, key, crm_id, held, digest in rows
    }
