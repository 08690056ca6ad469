"""The whole hub against the world's truth: every client, every field, every task.

The hub is installed on day 46 of a grown story, syncs once over its history, then once an hour to
the end. What then lies in the fake CRM is compared with :mod:`simulator.truth`, which shares no
code with the hub: it was told of the same instants and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, World
from simulator.truth import ContactGroup, Profile, TaskLedger, contacts, profile
from state import schema
from sync.hub import Hub
from tests.rig import ALL, Rig, profiles, rig

INSTALLED, DAYS = 46, 60
CLIENTS = 260
SEEDS = (7, 11, 23, 42, 101)
PERSON = {"email": "email", "first_name": "firstname", "last_name": "lastname", "phone": "phone"}
INSTANTS = ("lifecycle_stage_since", "next_action_due")


@dataclass(slots=True)
class Lived:
    """A world lived to its end, with the hub beside it."""

    world: World
    rig: Rig
    ledger: TaskLedger
    syncs: list[int] = field(default_factory=list)

    def live(self, hub: Hub, instants: range) -> None:
        """At each instant the story goes on, the ledger takes note and the hub syncs."""
        for at in instants:
            self.rig.advance_to(at)
            assert self.world.now_ms == self.world.story_ms == at, "the hub is behind the story"
            self.ledger.observe(at)
            self.rig.sync(hub)
            self.syncs.append(at)


def lived(seed: int, database: str, folder: Path, clients: int, step_ms: int = HOUR_MS) -> Lived:
    """Grow a world, install the hub late, and let both go on to the end."""
    world = grow(seed, clients, DAYS)
    start, end = (world.start_ms + day * DAY_MS for day in (INSTALLED, DAYS))
    one = rig(world, database, folder, live_from=start, families=ALL)
    one.advance_to(start - HOUR_MS)  # installing properties takes the portal its time
    hub = one.hub()
    found = Lived(world, one, TaskLedger(world, start))
    found.live(hub, range(start, end + 1, step_ms))
    hub.store.close()
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_crm_is_true_of_everybody(seed: int, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    _check(lived(seed, database, tmp_path, CLIENTS), database)


def test_the_crm_is_true_of_everybody_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    _check(lived(5, postgres_url, tmp_path, 80, 3 * HOUR_MS), postgres_url)


def _check(found: Lived, database: str) -> None:
    end = found.syncs[-1]
    truth = {k: profile(found.world, c, end) for k, c in found.world.clients.items()}
    present = {key: one for key, one in truth.items() if one is not None}
    assert len(present) > len(truth) * 0.9
    _check_profiles(found, present, database)
    _check_contacts(found, present, contacts(found.world, end), database)
    _check_tasks(found)


def _check_profiles(found: Lived, present: dict[str, Profile], database: str) -> None:
    """Stage, since and states of each client, primary of a contact or not."""
    hubs = {
        key: (row["stage"], row["stage_since"], json.loads(row["states"]))
        for key, row in profiles(database).items()
    }
    for key in present.keys() & hubs.keys():
        _date(found, present[key], hubs[key])
    expected = {k: (p.stage, p.since, p.states) for k, p in present.items()}
    assert {k: (expected.get(k), hubs.get(k)) for k in expected.keys() | hubs.keys()
            if expected.get(k) != hubs.get(k)} == {}  # fmt: skip


def _date(found: Lived, true: Profile, hubs: tuple[str, int, dict[str, int]]) -> None:
    """No source says when a risk flag was raised: what begins with one, begins for the hub when it
    first reads the flag; at the very first reading, as early as the client may have had it."""
    stage, since, states = hubs
    if "stage" in true.undated and stage == true.stage and _heard(found, true.since, since):
        true.since, true.fields["lifecycle_stage_since"] = since, str(since)
    if "CS14" in true.undated and _heard(found, true.states["CS14"], states.get("CS14", 0)):
        true.states["CS14"] = states["CS14"]


def _heard(found: Lived, true: int, hubs: int) -> bool:
    if true <= found.syncs[0]:
        return 0 < hubs <= true
    heard = next(at for at in found.syncs if at >= true)
    return heard <= hubs < heard + HOUR_MS // 6


def _check_contacts(
    found: Lived, present: dict[str, Profile], groups: list[ContactGroup], database: str
) -> None:
    shown = found.rig.portal.contacts("broker_client_id")
    assert len(shown) == len(found.rig.portal.contacts()), "a contact without the hub's key"
    primaries = {group.primary: group for group in groups}
    assert sorted(k for g in groups for k in (g.primary, *g.others)) == sorted(present)
    # A contact written before its client was merged away is left to the CRM's people.
    assert shown.keys() - primaries.keys() == _merged_later(found) - primaries.keys()
    assert _wanted(database) == primaries.keys()
    wrong = {}
    for key, group in primaries.items():
        due = found.ledger.next_action_due(key)
        expected = _expected(present[key], group, due)
        actual = {name: shown.get(key, {}).get(name, "") for name in expected}
        if actual != expected:
            wrong[key] = {n: (expected[n], actual[n]) for n in expected if expected[n] != actual[n]}
        assert bool(shown[key].get("brokerage_next_action")) == bool(due), key
    assert wrong == {}


def _expected(true: Profile, group: ContactGroup, next_due: str) -> dict[str, str]:
    """A contact's properties as the portal shows them: instants as ISO, blanks as nothing."""
    fields = {**true.fields, "next_action_due": next_due}
    person = {PERSON[name]: value.strip() for name, value in true.person.items()}
    shown = {f"brokerage_{n}": _iso(v) if n in INSTANTS else v for n, v in fields.items()}
    return {
        **shown,
        **person,
        "email": person["email"].lower(),
        "broker_other_ids": ", ".join(group.others),
    }


def _iso(text: str) -> str:
    if not text:
        return ""
    shown = datetime.fromtimestamp(int(text) / 1000, UTC).isoformat(timespec="milliseconds")
    return shown.replace(".000+00:00", "Z").replace("+00:00", "Z")


def _merged_later(found: Lived) -> set[str]:
    """Clients with a contact of their own at some sync, merged into another at a later one."""
    gone = set()
    for key, client in found.world.clients.items():
        merged = [e.visible_at for e in client.events if e.name == "merged"]
        before = [at for at in found.syncs if merged and at < merged[0]]
        if merged and merged[0] <= found.syncs[-1] and before:
            own = [g.primary for g in contacts(found.world, before[-1])]
            gone |= {key} & set(own)
    return gone


def _wanted(database: str) -> set[str]:
    """Keys of the contacts the hub cares for."""
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    desired = schema.desired
    with engine.connect() as connection:
        query = sa.select(desired.c.key).where(desired.c.object == "contact")
        return set(connection.scalars(query))


def _check_tasks(found: Lived) -> None:
    tasks = found.rig.portal.tasks("broker_task_key")
    assert len(tasks) == len(found.rig.portal.tasks()), "a task without the hub's key"
    links = found.rig.portal.associations("broker_task_key", "broker_client_id")
    expected = {
        t.key: {
            "owner": t.owner,
            "due": _iso(str(t.due)),
            "status": "NOT_STARTED" if t.status == "open" else "COMPLETED",
            "contacts": [t.contact],
        }
        for t in found.ledger.tasks.values()
    }
    actual = {
        key: {
            "owner": task.get("hubspot_owner_id"),
            "due": task.get("hs_timestamp"),
            "status": task.get("hs_task_status"),
            "contacts": links.get(key, []),
        }
        for key, task in tasks.items()
    }
    assert {k: (expected.get(k), actual.get(k)) for k in expected.keys() | actual.keys()
            if expected.get(k) != actual.get(k)} == {}  # fmt: skip
    _check_worth(found)


def _check_worth(found: Lived) -> None:
    """The story must have given something to compare."""
    tasks = list(found.ledger.tasks.values())
    assert {t.state for t in tasks} >= {"CS3", "CS5", "CS6"}
    assert {t.status for t in tasks} == {"open", "closed"}
