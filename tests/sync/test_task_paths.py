"""Exactly one task an episode, whether the portal keeps the task key unique or not.

The search index lags, and every tenth call happens without its answer ever arriving.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.destination import CrmObject
from simulator.examples import load
from simulator.story import World
from state import outbox
from state.outbox import Desired
from sync.cycle import anyone
from sync.hub import Hub
from sync.push import Pusher
from tests.conftest import Place
from tests.rig import Rig, rig

CONTACTS, EPISODES, AT_ONCE = 200, 1000, 10
_EXAMPLE = load(Path(__file__).parent.parent / "data" / "examples.yaml")[0]


def _rig(place: Place, folder: Path, *, unique: bool) -> Rig:
    world = World([], {"alpha": _EXAMPLE.brand}, _EXAMPLE.start_ms, _EXAMPLE.rates)
    portal: dict[str, Any] = {
        "hubspot": {"task_unique_keys": unique, "search_lag_s": 30.0},
        "salesforce": {"activity_external_ids": unique},
    }[place.crm]
    return rig(world, place.database, folder, _EXAMPLE.live_from, crm=place.crm, **portal)


def _contact(n: int) -> Desired:
    key = f"alpha:C{n}"
    return Desired(
        "contact",
        key,
        {
            "broker_client_id": key,
            "email": f"c{n}@example.com",
            "lastname": f"C{n}",
        },
    )


def _task(n: int, status: str = "open") -> Desired:
    contact = f"alpha:C{n % CONTACTS}"
    body = {
        "subject": f"Task {n}", "body": "What to do", "owner": "", "due": "1772323200000",
        "priority": "HIGH", "status": status, "contact": contact,
    }  # fmt: skip
    return Desired("task", f"{contact}:CS5:{n}", body, 1)


def _want(hub: Hub, rows: list[Desired]) -> None:
    with hub.store.transaction("test") as connection:
        outbox.want(connection, _name(hub), rows, hub.clock.now_ms())


def _left(hub: Hub) -> int:
    with hub.store.reading() as connection:
        return sum(outbox.backlog(connection, _name(hub)).values())


def _name(hub: Hub) -> str:
    (name,) = hub.destinations
    return name


def _push(hub: Hub) -> None:
    name = _name(hub)
    Pusher(hub, name, hub.destinations[name], 0, anyone).push()


@pytest.mark.parametrize("unique", [True, False], ids=["unique key", "no unique key"])
def test_one_task_an_episode(place: Place, tmp_path: Path, unique: bool) -> None:
    one = _rig(place, tmp_path, unique=unique)
    hub = one.hub()
    assert hub.destinations[_name(hub)].keyed(CrmObject.TASK) is unique
    _want(hub, [_contact(n) for n in range(CONTACTS)])
    _push(hub)
    one.crm.lose_each(10, 200)
    lost = 0
    for start in range(0, EPISODES, AT_ONCE):
        _want(hub, [_task(n) for n in range(start, start + AT_ONCE)])
        while _left(hub):
            before = len(one.crm.tasks("id"))
            _push(hub)
            lost += bool(_left(hub)) and len(one.crm.tasks("id")) > before
            one.world.sleep(20)
    shown = one.crm.tasks("id")
    keys = Counter(t["broker_task_key"] for t in shown.values())
    assert keys == {_task(n).key: 1 for n in range(EPISODES)}
    assert {key: set(to) for key, to in one.crm.links().items()} == {
        _task(n).key: {_task(n).body["contact"]} for n in range(EPISODES)
    }
    assert unique or lost >= 3, "no creation was left without an answer"
    hub.store.close()


def test_a_hub_that_was_killed_looks_before_it_creates(place: Place, tmp_path: Path) -> None:
    """The process dies after the portal made the tasks and before the hub knew."""
    one = _rig(place, tmp_path, unique=False)

    class Killed(BaseException):
        pass

    def kill(name: str) -> None:
        if name == f"http:after:{place.crm}" and one.crm.tasks("id"):
            raise Killed

    hub = one.hub()
    _want(hub, [_contact(0)])
    _push(hub)
    _want(hub, [_task(0)])
    hub.store.close()
    hub = one.hub(kill)
    with pytest.raises(Killed):
        _push(hub)
    hub.store.close()
    assert len(one.crm.tasks("id")) == 1
    hub = one.hub()
    _push(hub)
    assert _left(hub) == 1, "it waits until the portal would show the task"
    one.world.sleep(61)
    _push(hub)
    assert (_left(hub), len(one.crm.tasks("id"))) == (0, 1)
    _want(hub, [_task(0, "done")])
    _push(hub)
    (shown,) = one.crm.tasks("id").values()
    assert shown["status"] == "done"
    hub.store.close()


def test_a_task_whose_link_was_cut_is_found_by_its_key(tmp_path: Path) -> None:
    """HubSpot's: its tasks without a unique key are looked for on their contacts."""
    one = _rig(Place(f"sqlite:///{tmp_path / 'hub.db'}", "hubspot"), tmp_path, unique=False)
    hub = one.hub()
    _want(hub, [_contact(0)])
    _push(hub)
    _want(hub, [_task(0)])
    _push(hub)
    (crm_id,) = one.crm.tasks("id")
    one.portal.portal.links.remove("tasks", crm_id, "contacts", next(iter(one.portal.contacts())))
    one.world.sleep(60)
    with hub.store.transaction("forget") as connection:
        connection.exec_driver_sql("DELETE FROM crm_shadow WHERE object = 'task'")
    _push(hub)
    assert list(one.crm.tasks("id")) == [crm_id]
    hub.store.close()
