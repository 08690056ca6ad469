"""Plan: what the next sync would write, in contacts, fields, tasks, calls and share of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject
from mapping.digest import playbook_of
from state import outbox, partners, readback
from state.outbox import Claim
from state.readback import Holds
from sync.cycle import anyone, rehearse
from sync.delivery import in_parts
from sync.hub import Hub
from sync.partners import wanted
from sync.properties import CONTACT, Properties, properties
from sync.push import ORDER, Pusher
from sync.unmapped import Left, unmapped

_PROBES = 2
"""Calls by which a push finds out whether the CRM lets the token write companies."""


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
    companies_created: int = 0
    companies_updated: int = 0
    associations: int = 0
    unread: int = 0
    calls: int = 0
    daily_limit: int | None = None
    fields: Counter[str] = field(default_factory=Counter)
    playbooks: Counter[str] = field(default_factory=Counter)
    unmapped: dict[str, Left] = field(default_factory=dict)

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
            "companies": {
                "create": self.companies_created, "update": self.companies_updated,
                "total": self.companies_created + self.companies_updated,
            },
            "associations": self.associations,
            "fields": dict(sorted(self.fields.items())),
            "unmapped": {name: left.as_json() for name, left in self.unmapped.items()},
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
                companies = wanted(hub, name)
                off = partners.off(connection, CrmObject.COMPANY.value, [name])
                if not hub.schema_checked.get(name):
                    # The first push of a process reads the schema.
                    one.calls += destination.schema_calls
                    one.calls += companies * (_PROBES + (name not in off))
                for obj, needed_by_tasks in ORDER:
                    if obj is not CrmObject.COMPANY or (companies and name not in off):
                        _count(connection, pusher, obj, needed_by_tasks, now, one)
                one.unmapped = unmapped(hub, connection, name)
            planned[name] = one
    return planned


def _count(
    connection: Connection, pusher: Pusher, obj: CrmObject, needed_by_tasks: bool, now: int,
    one: Planned,
) -> None:  # fmt: skip
    """Count one drain of the push, in batches of the same size and order."""
    rules = properties(pusher.hub, obj)
    while claims := outbox.claim(
        connection, pusher.name, obj.value, pusher.at_once(obj), now, 0,
        needed_by_tasks=needed_by_tasks,
    ):  # fmt: skip
        keys = [c.key for c in claims]
        holds = readback.holds(connection, pusher.name, obj.value, keys)
        for part in in_parts(claims, pusher.destination.batch_of(obj, len(claims))):
            _count_batch(obj, part, rules, holds, one)


def _count_batch(
    obj: CrmObject, claims: Sequence[Claim], rules: Properties, holds: Holds, one: Planned
) -> None:
    creates = updates = reads = looks = links = 0
    for claim in claims:
        reads += not claim.crm_id
        body, held = claim.body, claim.acknowledged
        mine = holds.get(claim.key, {})
        changed = [
            n for n, v in body.items()
            if n != CONTACT
            and not rules.same(n, v, held.get(n, ""))
            and rules.may_write(n, mine.get(n), held.get(n, ""))
        ]  # fmt: skip
        if not claim.crm_id and not claim.create:
            reads -= 1  # looked for when the sync claims, and left out if it is not there
            continue
        if changed or not claim.crm_id:
            creates += not claim.crm_id
            updates += bool(claim.crm_id)
            _count_write(one, obj, claim.key, bool(claim.crm_id), changed)
        # Known records are read first where a person may have edited what is to be written.
        looks += bool(claim.crm_id) and not rules.policies.keys().isdisjoint(changed)
        linked = held.get(CONTACT) == body.get(CONTACT)
        links += obj is CrmObject.TASK and not linked
    one.unread += reads
    one.associations += links
    # Records without a CRM id are taken for new: their task links are not read.
    one.calls += sum(n > 0 for n in (creates, updates, links, reads, looks))


def _count_write(one: Planned, obj: CrmObject, key: str, known: bool, changed: list[str]) -> None:
    match obj, known:
        case CrmObject.CONTACT, _:
            one.fields.update(changed)
            one.contacts_updated += known
            one.contacts_created += not known
        case CrmObject.TASK, True:
            one.tasks_updated += 1
        case CrmObject.TASK, False:
            one.tasks_created += 1
            one.playbooks[playbook_of(key)] += 1
        case CrmObject.COMPANY, _:
            one.companies_updated += known
            one.companies_created += not known
