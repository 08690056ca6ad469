"""The simulated HubSpot portal, as :class:`tests.crms.Crm`."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.base import Boundary, Context
from connectors.clock import Clock
from connectors.hubspot import HubSpotDestination, HubSpotSettings
from simulator.hubspot import FakeOwner, Fault, HubSpotFake
from simulator.portal import OWNERS, TEAMS
from simulator.story import World
from tests.crms import CLIENT_KEY, TASK_KEY, Rows, Written
from tests.fakes.hubspot import TOKEN
from tests.transport import InProcessPool

_ID = "hs_object_id"
_WORDS = {
    "subject": "hs_task_subject",
    "body": "hs_task_body",
    "owner": "hubspot_owner_id",
    "due": "hs_timestamp",
    "priority": "hs_task_priority",
    "status": "hs_task_status",
}
_DONE = "COMPLETED"


class HubSpotCrm:
    """In this process, below the whole SDK. ``portal`` as of :class:`HubSpotFake`."""

    name = "hubspot"
    teams = TEAMS
    several_addresses = True

    def __init__(self, world: World, **portal: Any) -> None:
        owners = [
            FakeOwner(o.id, o.email, o.first_name, o.last_name, o.kind, o.archived) for o in OWNERS
        ]
        self._world = world
        self.fake = HubSpotFake(world, access_token=TOKEN, owners=owners, **portal)
        self.fake.portal.keep_written = True
        self.people = [m for team in TEAMS.values() for m in team.members]

    def destination(
        self, brands: Mapping[str, str], clock: Clock, boundary: Boundary
    ) -> HubSpotDestination:
        context = Context(self.name, brands, clock, boundary)
        settings = HubSpotSettings(access_token=TOKEN)
        return HubSpotDestination(settings, context, pool=InProcessPool(self.fake.handle))

    def contacts(self, by: str = "id") -> Rows:
        return _by(by, self.fake.contacts().values())

    def companies(self, by: str = "id") -> Rows:
        return _by(by, self.fake.companies().values())

    def tasks(self, by: str = TASK_KEY) -> Rows:
        return _by(by, [_task(row) for row in self.fake.tasks().values()])

    def links(self) -> dict[str, list[str]]:
        return self.fake.associations(TASK_KEY, CLIENT_KEY)

    def add(self, **properties: str) -> str:
        return self.fake.add("contacts", properties)

    def edit(self, crm_id: str, **properties: str) -> None:
        self.fake.edit("contacts", crm_id, properties)

    def archive(self, crm_id: str) -> None:
        self.fake.archive("contacts", crm_id)

    def merge(self, primary: str, loser: str) -> str:
        return self.fake.merge(primary, loser)

    def edit_task(self, crm_id: str, **words: str) -> None:
        change = {_WORDS[name]: value for name, value in words.items()}
        if "status" in words:
            change[_WORDS["status"]] = _DONE if words["status"] == "done" else "IN_PROGRESS"
        self.fake.edit("tasks", crm_id, change)

    def archive_task(self, crm_id: str) -> None:
        self.fake.archive("tasks", crm_id)

    @property
    def writes(self) -> Counter[str]:
        return Counter(self.fake.writes)

    @property
    def written(self) -> Sequence[Written]:
        system = self.fake.portal.contacts.system
        return [
            Written(w.object, w.crm_id, w.created,
                    {n: v for n, v in w.properties.items() if n not in system})
            for w in self.fake.written
        ]  # fmt: skip

    @property
    def calls(self) -> int:
        return self.fake.calls.total()

    def lose_each(self, nth: int, times: int) -> None:
        self.fake.fail_next([*[None] * (nth - 1), Fault.lost_answer()] * times)

    def calm(self) -> None:
        self.fake.clear_faults()

    def snapshot(self) -> dict[str, Any]:
        return self.fake.snapshot()

    def save(self) -> Any:
        return self._copied(self.fake.portal), copy.deepcopy(self.fake.limiter)

    def restore(self, saved: Any) -> None:
        portal, limiter = saved
        self.fake.portal, self.fake.limiter = self._copied(portal), copy.deepcopy(limiter)

    def _copied(self, portal: Any) -> Any:
        """The portal's records; clock and owners are shared."""
        shared = (self._world, portal.owners)
        return copy.deepcopy(portal, {id(one): one for one in shared})


def _by(name: str, rows: Any) -> Rows:
    named = [{**row, "id": row.get("id", row.get(_ID, ""))} for row in rows]
    return {row[name]: row for row in named if row.get(name)}


def _task(row: Mapping[str, str]) -> dict[str, str]:
    words = {ours: row[theirs] for ours, theirs in _WORDS.items() if row.get(theirs)}
    words["status"] = "done" if words["status"] == _DONE else "open"
    return {**words, "id": row[_ID], TASK_KEY: row.get(TASK_KEY, "")}
