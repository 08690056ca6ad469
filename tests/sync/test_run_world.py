"""`run` over a world that goes on: three hours on virtual time, through everything that is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, World
from state import engine, sources
from sync.run import Runner
from sync.schedule import Schedule
from tests import rig as rigs
from tests.rig import profiles, rig
from tests.truths import profile
from tests.virtual import VirtualTime

SEED, CLIENTS, DAYS = 11, 400, 60
INSTALLED, AWAY_DAYS, HOURS = 46, 4, 3
EVERY = {"registry": 300, "sumsub": 300, "paymentiq": 60}
MINUTE_MS = 60_000


def stages(world: World, at: int) -> dict[str, str]:
    """The oracle: everybody's stage."""
    found = {key: profile(world, client, at) for key, client in world.clients.items()}
    return {key: known.stage for key, known in found.items() if known is not None}


def test_the_crm_is_as_after_a_sync(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = grow(SEED, CLIENTS, DAYS)
    installed = world.start_ms + INSTALLED * DAY_MS
    start = installed + AWAY_DAYS * DAY_MS + 10 * HOUR_MS
    quiet = start + HOURS * HOUR_MS - 30 * MINUTE_MS  # then nothing happens any more

    def goes_on(now: int) -> None:
        world.now_ms = now
        if now - world.story_ms >= MINUTE_MS and now <= quiet:
            one.advance_to(now)

    one = rig(world, database_url, tmp_path, live_from=installed)
    one.advance_to(installed)
    one.sync(one.hub())  # and then nobody ran for days
    one.advance_to(start)
    before = stages(world, installed), stages(world, start)
    time = VirtualTime(start, goes_on)
    monkeypatch.setattr(rigs, "WorldClock", lambda _: time)
    monkeypatch.setattr(world, "sleep", time.hang)  # vendors take their time beside each other
    hub = one.hub()
    hub.stop = time.stop
    hub.schedules = {s.name: Schedule(every_s=EVERY[s.name.split("-")[0]]) for s in hub.sources}
    stop_at: list[int] = []

    def stopper() -> None:
        time.hang(HOURS * 3600)
        stop_at.append(time.now_ms())
        time.request_stop()

    time.start("stopper", stopper)
    assert Runner(hub, time).run()
    hub.store.close()
    now = stages(world, world.story_ms)
    assert now.keys() == profiles(database_url).keys()
    assert {k: p["stage"] for k, p in profiles(database_url).items()} == now
    for known in before:
        assert known != now, "something happened while nobody ran, and while it did"
    _check_watched(one.hub(), stop_at[0])
    # A sync that pulls everything at once finds nothing that is left to do.
    time.stop = type(time.stop)()
    written: Any = one.portal.writes.copy()
    last = one.sync(one.hub())
    assert (last.projected.stage_changes, last.projected.tasks_opened) == (0, 0)
    assert one.portal.writes == written


def _check_watched(hub: Any, stopped_at: int) -> None:
    """Everything was read to the end, and only cycles that did something are told."""
    with hub.store.reading() as connection:
        rows = sources.overview(connection)
        told = engine.runs(connection, 1000)
        standing = engine.standing(connection)
    hub.store.close()
    assert {r["source"].split("-")[0] for r in rows} == set(EVERY)
    for row in rows:
        late = (stopped_at - row["complete_until"]) / 1000
        assert late <= EVERY[row["source"].split("-")[0]] * 1.1 + 60, row["source"]
    assert 3 <= len(told) < HOURS * 60 / 2
    assert {(r["kind"], r["status"]) for r in told} == {("sync", "ok"), ("run", "ok")}
    assert standing is not None
    assert standing.released_at is not None
