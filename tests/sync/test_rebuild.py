"""Facts of everybody, range by range on a server: as client by client, and no news is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mapping.errors import StoppingError
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS
from state import fact_views, facts_sql, intake, projection, schema, sweep
from state.staging import fresh
from sync import project, rebuild
from sync.cycle import anyone
from sync.hub import Hub
from sync.project import Projector, figures
from tests.rig import ALL, Rig, profiles, rig

CLIENTS = 260
Rows = dict[tuple[str, str], dict[str, Any]]


class Told:
    """A hub's boundaries; something may be done at one of them, once."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.at: dict[str, Any] = {}

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if do := self.at.pop(name, None):
            do()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def one(postgres_url: str, tmp_path: Path) -> Rig:
    world = grow(47, CLIENTS, 60)
    at = world.start_ms + 58 * DAY_MS
    made = rig(world, postgres_url, tmp_path, live_from=at, families=ALL)
    made.advance_to(at - HOUR_MS)
    made.hub().store.close()
    made.advance_to(at)
    return made


@pytest.fixture
def hub(one: Rig, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Everybody was synced once; from now on few are enough to be worked out ahead."""
    made = one.hub(told)
    one.sync(made)
    monkeypatch.setattr(rebuild, "_LEAST", 1)
    monkeypatch.setattr(rebuild, "RANGE", 17)
    monkeypatch.setattr(project, "STEP", 50)
    yield made
    made.store.close()


def facts(hub: Hub) -> Rows:
    with hub.store.reading() as connection:
        found = connection.execute(sa.select(schema.fact)).mappings()
        return {(row["brand"], row["client_id"]): dict(row) for row in found}


def forget(hub: Hub) -> None:
    with hub.store.transaction("test") as connection:
        connection.execute(sa.delete(schema.fact))


def again(hub: Hub) -> Projector:
    """Everybody is to be computed again, and is."""
    with hub.store.transaction("test") as connection:
        intake.touch_all(connection)
    projector = Projector(hub, 0, 1, anyone)
    projector.project(hub.clock.now_ms())
    return projector


def test_by_range_they_are_what_they_are_client_by_client(hub: Hub) -> None:
    now = hub.clock.now_ms()
    forget(hub)
    with hub.store.transaction("test") as connection:
        fresh(connection, fact_views.work)
        c = schema.client.c
        everybody = sa.select(c.brand, c.external_id)
        connection.execute(
            sa.insert(fact_views.work).from_select(["brand", "client_id"], everybody)
        )
        for brand in projection.work_brands(connection):
            facts_sql.compute(connection, brand, now, figures(hub, brand))
    by_list = facts(hub)
    forget(hub)
    with hub.store.transaction("test") as connection:
        for brand in hub.brands:
            for first, last in sweep.ranges(connection, brand, "", 60):
                known = figures(hub, brand)
                facts_sql.compute_range(connection, brand, first, last, now, known)
    assert facts(hub) == by_list
    assert len(by_list) > 200
    for name in ("high_value_at", "second_deposit_at", "first_trade_due_at", "tickets",
                 "uncredited_at", "chargebacks", "bonuses", "affiliate_id"):  # fmt: skip
        assert len({str(row[name]) for row in by_list.values()}) > 1, name


def test_everybody_again_leaves_everything_as_it_was(hub: Hub, one: Rig, told: Told) -> None:
    before, were = facts(hub), profiles(one.database)
    forget(hub)
    told.names.clear()
    done = again(hub).done
    assert facts(hub) == before
    assert told.names.count("after:project.facts") >= len(before) // 17
    assert done.clients >= len(before)
    assert (done.stage_changes, done.contacts, done.tasks) == (0, 0, 0)
    same = ("stage", "stage_since", "states", "due_at")
    now = profiles(one.database)
    assert {k: [p[n] for n in same] for k, p in now.items()} == {
        k: [p[n] for n in same] for k, p in were.items()
    }
    with hub.store.reading() as connection:
        assert sweep.left(connection) == 0


def test_news_meanwhile_are_not_lost(hub: Hub, told: Told) -> None:
    """A client of the first range has news after its facts were worked out."""
    with hub.store.reading() as connection:
        brand = sorted(hub.brands)[0]
        client, _ = next(sweep.ranges(connection, brand, "", 17))

    def news() -> None:
        c = schema.client
        mine = (c.c.brand == brand, c.c.external_id == client)
        with hub.store.engine.begin() as connection:
            connection.execute(sa.update(c).where(*mine).values(country="ZZ"))
            insert = sa.insert(schema.touched)
            connection.execute(insert.values(brand=brand, client_id=client))

    told.at["before:project.step"] = news
    again(hub)
    assert facts(hub)[brand, client]["country"] == "ZZ"


def test_stopped_on_the_way_it_goes_on_where_it_was(hub: Hub, told: Told) -> None:
    with hub.store.transaction("test") as connection:
        intake.touch_all(connection)
        everybody = sweep.left(connection)
    steps = 0

    def guard(connection: Any) -> None:
        del connection
        nonlocal steps
        if told.names[-1] == "before:project.step":
            steps += 1
            if steps > 2:
                raise StoppingError("asked to stop")

    with pytest.raises(StoppingError):
        Projector(hub, 0, 1, guard).project(hub.clock.now_ms())
    with hub.store.reading() as connection:
        assert sweep.left(connection) == everybody - 2 * 50
    before = facts(hub)
    projector = Projector(hub, 0, 1, anyone)
    projector.project(hub.clock.now_ms())
    assert everybody - 2 * 50 <= projector.done.clients < everybody
    assert facts(hub) == before


def test_a_range_that_fails_ends_the_run_and_leaves_the_sweep(hub: Hub, told: Told) -> None:
    with hub.store.transaction("test") as connection:
        intake.touch_all(connection)
        everybody = sweep.left(connection)

    def guard(connection: Any) -> None:
        del connection
        if told.names.count("before:project.facts") > 3:
            raise StoppingError("asked to stop")

    with pytest.raises(StoppingError):
        Projector(hub, 0, 1, guard).project(hub.clock.now_ms())
    with hub.store.reading() as connection:
        assert sweep.left(connection) == everybody
