"""`explain` on a client of each stage: rule, conditions, records, refusals, the next change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from brokersync import explain
from simulator.grow import grow
from simulator.story import DAY_MS, Client, World
from sync.hub import Hub
from tests.rig import rig
from tests.truths import profile

STAGES = ("LS0", "LS1", "LS2", "LS3", "LS4", "LS5", "LS8", "LS9", "LS12")
END_DAY = 50
MOST_WAKES = 100


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A grown world, synced once on day 50; reasons younger than day 46 open tasks."""
    folder = tmp_path_factory.mktemp("explain")
    world = grow(11, 260, 60)
    live_from = world.start_ms + 46 * DAY_MS
    one = rig(world, f"sqlite:///{folder / 'hub.db'}", folder, live_from)
    hub = one.hub()
    one.advance_to(world.start_ms + END_DAY * DAY_MS)
    one.sync(hub)
    yield world, hub
    hub.close()


def _clients(world: World, stage: str) -> list[Client]:
    found = []
    for client in world.clients.values():
        known = profile(world, client, world.story_ms)
        if known is not None and known.stage == stage:
            found.append(client)
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_client_of_each_stage(synced: tuple[World, Hub], stage: str) -> None:
    world, hub = synced
    clients = _clients(world, stage)
    assert clients, "the world must hold every stage"
    for client in clients[:3]:
        found = explain.client(hub, client.key)
        known = profile(world, client, world.story_ms)
        assert known is not None
        assert (found["stage"], _ms(found["since"])) == (stage, known.since)
        assert found["rule"]
        assert found["conditions"], "a rule shows its conditions"
        assert found["conditions"][0]["holds"] is True
        for condition in found["conditions"]:
            assert condition["condition"] == "true" or condition["facts"], condition
        assert {s["state"]: _ms(s["since"]) for s in found["states"]} == known.states
        _evidence(world, client, found)
        assert _next(world, client, known.stage) == _shown(found["next_stage_change"])


def _evidence(world: World, client: Client, found: dict[str, Any]) -> None:
    """Every payment the vendors show stands behind the explanation, by the vendor's own id."""
    at = world.story_ms
    people = [client, *(world.clients[key] for key in world.merges.get(client.key, []))]
    shown = {r["id"] for r in found["records"] if r["kind"] == "payment"}
    told = {
        str(e.data["payment"])
        for person in people
        if person is client or any(e.name == "merged" for e in person.visible(at))
        for e in person.visible(at)
        if e.name.startswith(("deposit_", "withdrawal_"))
    }
    assert shown == told
    assert any(r["kind"] == "profile" for r in found["records"])


def _next(world: World, client: Client, stage: str) -> tuple[int, str] | None:
    """The oracle: the story frozen, the client looked at whenever time could change something."""
    frozen = Client(client.brand, client.id, client.visible(world.story_ms))
    alone = World([frozen], world.brands, world.start_ms, world.rates)
    at: int | None = world.story_ms
    for _ in range(MOST_WAKES):
        known = profile(alone, frozen, at)
        assert known is not None
        if known.stage != stage:
            return at, known.stage
        if known.until is None:
            return None
        at = known.until
    raise AssertionError("time changes this client too often")


def _shown(change: dict[str, Any] | None) -> tuple[int, str] | None:
    return None if change is None else (_ms(change["at"]), change["stage"])


def test_refused_tasks_say_why(synced: tuple[World, Hub]) -> None:
    world, hub = synced
    live_from = world.start_ms + 46 * DAY_MS
    seen = set()
    for client in world.clients.values():
        known = profile(world, client, world.story_ms)
        if known is None or not known.states:
            continue
        found = explain.client(hub, client.key)
        tasks = {t["state"] for t in found["tasks"]}
        for refusal in found["refused"]:
            begin = known.states[refusal["state"]]
            old = begin < live_from and refusal["state"] in ("CS3", "CS5", "CS8")
            assert refusal["refused"] == ("live_from" if old else "mode")
            assert refusal["why"]
            seen.add(refusal["refused"])
        assert tasks | {r["state"] for r in found["refused"]} == set(known.states)
    assert seen == {"live_from", "mode"}


def test_merged_and_unknown_clients(synced: tuple[World, Hub]) -> None:
    world, hub = synced
    merged = next(
        c for c in world.clients.values()
        if any(e.name == "merged" and e.visible_at <= world.story_ms for e in c.events)
    )  # fmt: skip
    found = explain.client(hub, merged.key)
    assert found["stage"] is None
    assert "merged into" in found["why"]
    with pytest.raises(Exception, match="no client 'nobody'"):
        explain.client(hub, "nobody")


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
