"""Tasks whose contact the CRM does not take, or the hub lost sight of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simulator.examples import Example, load
from simulator.story import HOUR_MS, Client, Event, World
from state import schema, sources
from state.sources import Aside
from state.store import Store
from sync.cycle import sync_once
from tests.conftest import Place
from tests.rig import Rig, rig

_EXAMPLES = load(Path(__file__).parent.parent / "data" / "examples.yaml")
FAILED_DEPOSIT = next(e for e in _EXAMPLES if e.id == "E06")
MINUTE_MS = 60_000
BAD = "no,body@example.com"  # the portal takes no address with a comma


def _world(example: Example, **changes: Any) -> World:
    """The example's world with something else in the client's first row."""
    (client,) = example.clients
    registered = client.events[0]
    first = replace(registered, data={**registered.data, **changes})
    changed = Client(client.brand, client.id, [first, *client.events[1:]])
    return World([changed], {example.brand.id: example.brand}, example.start_ms, example.rates)


def _task_at(example: Example) -> int:
    return next(e["at"] for e in example.expectations if e.get("tasks"))


def _asides(one: Rig) -> dict[str, str]:
    store = Store(one.database)
    with store.reading() as connection:
        found = {row["kind"]: row["reason"] for row in sources.asides(connection)}
    store.close()
    return found


def test_a_task_waits_for_its_refused_contact(place: Place, tmp_path: Path) -> None:
    world = _world(FAILED_DEPOSIT, email=BAD)
    one = rig(world, place.database, tmp_path, FAILED_DEPOSIT.live_from, crm=place.crm)
    one.advance_to(world.start_ms)
    hub = one.hub()
    at = _task_at(FAILED_DEPOSIT)
    for tries in range(3):  # each time it is said again, and nothing is half written
        one.advance_to(at + tries * 30 * HOUR_MS)
        cycle = sync_once(hub)
        assert cycle.status == "set_aside"
        assert (one.crm.contacts(), one.crm.tasks()) == ({}, {})
        reasons = _asides(one)
        assert reasons["contact"].startswith("INVALID_EMAIL")
        assert "contact is not in the CRM" in reasons["task"]
    _mend(world, at + 61 * HOUR_MS)
    one.advance_to(at + 90 * HOUR_MS)
    one.sync(hub)
    (key,) = world.clients
    tasks = one.crm.tasks()
    assert one.crm.contacts("broker_client_id")[key]["email"] == "somebody@example.com"
    assert one.crm.links() == {task: [key] for task in tasks}
    assert list(tasks) == [f"{key}:CS5:1"]
    assert _asides(one) == {}
    hub.store.close()


def _mend(world: World, at: int) -> None:
    (client,) = world.clients.values()
    client.events.append(Event(at, "profile_updated", {"email": "somebody@example.com"}))
    world.add(client)


def test_a_contact_the_hub_no_longer_wants_is_looked_up(place: Place, tmp_path: Path) -> None:
    """As after a merge, with the shadow lost: the task stays where it is; nothing is written."""
    world = _world(FAILED_DEPOSIT)
    one = rig(world, place.database, tmp_path, FAILED_DEPOSIT.live_from, crm=place.crm)
    one.advance_to(world.start_ms)
    hub = one.hub()
    one.advance_to(_task_at(FAILED_DEPOSIT))
    one.sync(hub)
    crm, written = one.crm.snapshot(), one.crm.writes
    assert written["tasks"] == 1
    with hub.store.transaction("test.lose") as connection:
        connection.execute(sa.delete(schema.crm_shadow))
        connection.execute(sa.delete(schema.desired).where(schema.desired.c.object == "contact"))
    one.sync(hub)
    assert (one.crm.snapshot(), one.crm.writes) == (crm, written)
    assert _asides(one) == {}
    with hub.store.reading() as connection:
        shadow = schema.crm_shadow
        known = connection.execute(sa.select(shadow.c.object, shadow.c.key)).all()
    assert [tuple(row) for row in known] == [("task", f"{next(iter(world.clients))}:CS5:1")]
    hub.store.close()


def test_what_is_set_aside_is_tried_less_and_less_often(database_url: str) -> None:
    store = Store(database_url)
    store.migrate()
    now = 1_772_323_200_000
    row = Aside("push", "hubspot", "task", "alpha:1:CS5:1", "alpha", "refused")
    waits = []
    for _ in range(7):
        with store.transaction("test.aside") as connection:
            waits.append(sources.set_aside(connection, [row], now)["alpha:1:CS5:1"] - now)
    store.close()
    assert [wait // HOUR_MS for wait in waits] == [1, 2, 4, 8, 16, 24, 24]


@pytest.mark.parametrize("minutes", [30])
def test_a_refused_contact_is_not_tried_before_its_time(
    minutes: int, crm: str, tmp_path: Path
) -> None:
    world = _world(FAILED_DEPOSIT, email=BAD)
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    one = rig(world, database, tmp_path, FAILED_DEPOSIT.live_from, crm=crm)
    one.advance_to(world.start_ms)
    hub = one.hub()
    at = _task_at(FAILED_DEPOSIT)
    one.advance_to(at)
    sync_once(hub)
    calls = one.crm.calls
    one.advance_to(at + minutes * MINUTE_MS)
    sync_once(hub)
    assert one.crm.calls == calls
    hub.store.close()
