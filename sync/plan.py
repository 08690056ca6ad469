"""Plan: what the next sync would write, in contacts, fields, tasks, calls and share of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject
from mapping.texts import same
from state import outbox
from state.outbox import Claim
from sync.cycle import anyone, rehearse
from sync.delivery import CONTACT
from sync.hub import Hub
from sync.push import ORDER, Pusher

_BATCHES = 50


@dataclass(slots=True)
class Planned:
    """One destination's share of a plan. Counts are of writes the CRM would receive.

    ``unread`` counts records the hub has never seen in the CRM: they are read first, and those
    the CRM already holds may need fewer writes.
    """

    contacts_created: int = 0
    contacts_updated: int = 0
    tasks_created: int = 0
    tasks_updated: int = 0
    associations: int = 0
    unread: int = 0
    calls: int = 0
    daily_limit: int | None = None
    fields: Counter[str] = field(default_factory=Counter)
    playbooks: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The plan as one object."""
        share = self.calls / self.daily_limit if self.daily_limit else None
        return {
            "contacts": {
                "create": self.contacts_created, "update": self.contacts_updated,
                "total": self.contacts_created + self.contacts_updated,
            },
            "tasks": {
                "create": self.tasks_created, "update": self.tasks_updated,
                "total": self.tasks_created + self.tasks_updated,
            },
            "associations": self.associations,
            "fields": dict(sorted(self.fields.items())),
            "new_tasks": dict(sorted(self.playbooks.items())),
            "unread": self.unread,
            "calls": self.calls,
            "daily_limit": self.daily_limit,
            "daily_share": share,
        }  # fmt: skip


def plan(hub: Hub) -> dict[str, Planned]:
    """What a sync would write if it ran now, by destination. Nothing is kept or written."""
    planned: dict[str, Planned] = {}
    with hub.store.rehearsal():
        now, _ = rehearse(hub)
        for name, destination in hub.destinations.items():
            with hub.store.transaction("plan.sweep") as connection:
                outbox.sweep(connection, name, now)
                counts = destination.counts
                pusher = Pusher(hub, name, destination, 0, anyone)
                one = Planned(daily_limit=counts.daily_limit or destination.daily_limit)
                if not hub.schema_checked.get(name):
                    one.calls += len(CrmObject)  # the first push of a process reads the schema
                for obj, needed_by_tasks in ORDER:
                    _count(connection, pusher, obj, needed_by_tasks, now, one)
            planned[name] = one
    return planned


def _count(
    connection: Connection, pusher: Pusher, obj: CrmObject, needed_by_tasks: bool, now: int,
    one: Planned,
) -> None:  # fmt: skip
    """Count one drain of the push, in batches of the same size and order."""
    size = pusher.destination.batch
    while claims := outbox.claim(
        connection, pusher.name, obj.value, _BATCHES * size, now, 0,
        needed_by_tasks=needed_by_tasks,
    ):  # fmt: skip
        for start in range(0, len(claims), size):
            _count_batch(obj, claims[start : start + size], pusher.types(obj), one)


def _count_batch(
    obj: CrmObject, claims: Sequence[Claim], types: Mapping[str, str], one: Planned
) -> None:
    writes = reads = links = 0
    for claim in claims:
        reads += not claim.crm_id
        changed = [
            n for n, v in claim.body.items()
            if n != CONTACT
            and not same(types.get(n, "string"), v, claim.acknowledged.get(n, ""))
        ]  # fmt: skip
        if changed or not claim.crm_id:
            writes += 1
            _count_write(one, obj, claim.key, bool(claim.crm_id), changed)
        linked = claim.acknowledged.get(CONTACT) == claim.body.get(CONTACT)
        links += obj is CrmObject.TASK and not linked
    one.unread += reads
    one.associations += links
    # Records without a CRM id are taken for new: their task links are not read.
    one.calls += (writes > 0) + (links > 0) + (reads > 0)


def _count_write(one: Planned, obj: CrmObject, key: str, known: bool, changed: list[str]) -> None:
    if obj is CrmObject.CONTACT:
        one.fields.update(changed)
        if known:
            one.contacts_updated += 1
        else:
            one.contacts_created += 1
        return
    if known:
        one.tasks_updated += 1
    else:
        one.tasks_created += 1
        one.playbooks[key.split(":")[2]] += 1
