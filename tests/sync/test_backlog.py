"""Reasons from before go-live: no task by themselves, on request the most valuable first."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from mapping.errors import ConfigError
from mapping.policy import Backlog
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, Client, World
from simulator.truth.money import in_base
from state import schema
from sync import backlog
from sync.cycle import sync_once
from sync.hub import Hub
from sync.plan import plan
from tests.rig import Rig, rig
from tests.truths import profile

MOST = 10


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> tuple[Rig, Hub, int]:
    """A hub after its first sync over a history with many failed deposits."""
    world = grow(4, 700, 60)
    at = world.start_ms + 46 * DAY_MS
    one = rig(world, database_url, tmp_path, live_from=at)
    one.advance_to(at - HOUR_MS)
    hub = one.hub()
    one.advance_to(at)
    one.sync(hub)
    return one, hub, at


Value = tuple[Decimal, Decimal]


def _waiting(world: World, brand: str, at: int) -> list[tuple[Value, str]]:
    """((deposited, largest amount tried), key) of the clients in CS5, by the world's truth."""
    found = []
    for key, client in world.clients.items():
        true = profile(world, client, at) if client.brand == brand else None
        if true is not None and "CS5" in true.states:
            deposited = Decimal(true.fields["total_deposit_amount"] or 0)
            found.append(((deposited, _tried(world, client, at)), key))
    return found


def _tried(world: World, client: Client, at: int) -> Decimal:
    base = world.brands[client.brand].base_currency
    tries = [e.data for e in client.visible(at) if e.name == "deposit_attempted"]
    amounts = [in_base(world, base, d["amount"], d["currency"]) for d in tries]
    return max((a for a in amounts if a is not None), default=Decimal(0))


def test_old_reasons_open_no_task_until_they_are_asked_for(here: tuple[Rig, Hub, int]) -> None:
    one, hub, at = here
    old = {b: _waiting(one.world, b, at) for b in one.world.brands}
    assert sum(map(len, old.values())) > 3 * MOST
    assert one.portal.tasks() == {}
    hub.backlog = Backlog("CS5", MOST)
    planned = plan(hub)["hubspot"].as_json()
    assert planned["new_tasks"] == {"CS5": MOST * len(old)}
    cycle = sync_once(hub)
    tasks = one.portal.tasks("broker_task_key")
    assert len(tasks) == MOST * len(old)
    for brand, waiting in old.items():
        admitted = {":".join(k.split(":")[:2]) for k in tasks if k.startswith(f"{brand}:")}
        assert len(admitted) == MOST
        least = min(value for value, key in waiting if key in admitted)
        most = max(value for value, key in waiting if key not in admitted)
        assert least >= most, "a more valuable client was left out"
    # Payments work round the clock, and the term is five minutes from the admission.
    assert {_due(hub, key) for key in tasks} == {cycle.started_at + 5 * 60_000}
    hub.backlog = None
    writes = dict(one.portal.writes)
    sync_once(hub)
    assert dict(one.portal.writes) == writes, "the rest stays where it was"
    hub.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_thousand_clients_and_five_thousand_old_reasons(tmp_path: Path) -> None:
    world = grow(6, 20_000, 60)
    at = world.start_ms + 46 * DAY_MS
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, live_from=at)
    one.advance_to(at - HOUR_MS)
    hub = one.hub()
    one.advance_to(at)
    one.sync(hub)
    assert one.portal.tasks() == {}
    old = _waiting(world, "alpha", at)
    assert len(old) > 400
    assert sum(_reasons(world, at).values()) >= 5_000
    hub.backlog = Backlog("CS5", 50, "alpha")
    one.sync(hub)
    tasks = one.portal.tasks("broker_task_key")
    admitted = {":".join(k.split(":")[:2]) for k in tasks}
    assert len(tasks) == len(admitted) == 50
    values = {key: value for value, key in old}
    least = min(values[key] for key in admitted)
    assert all(value <= least for key, value in values.items() if key not in admitted)
    hub.close()


def _reasons(world: World, at: int) -> Counter[str]:
    """Old reasons by state, by the world's truth."""
    found: Counter[str] = Counter()
    for client in world.clients.values():
        true = profile(world, client, at)
        found.update(list(true.states) if true is not None else [])
    return found


def _due(hub: Hub, key: str) -> int:
    with hub.store.reading() as connection:
        query = sa.select(schema.episode.c.due_at).where(schema.episode.c.key == key)
        return int(connection.scalar(query) or 0)


def test_a_request_that_could_admit_nothing_is_refused(here: tuple[Rig, Hub, int]) -> None:
    _, hub, _ = here
    with pytest.raises(ConfigError, match=r"no such playbook.*CS1, CS2"):
        backlog.check(hub, Backlog("CS99", 5))
    with pytest.raises(ConfigError, match="no such brand"):
        backlog.check(hub, Backlog("CS5", 5, "gamma"))
    with pytest.raises(ConfigError, match="opens no tasks yet"):
        backlog.check(hub, Backlog("CS4", 5))
    backlog.check(hub, Backlog("CS5", 5))
    hub.close()
