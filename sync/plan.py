"""Plan: what the next sync would write, in contacts, fields, tasks, calls and share of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from connectors.destination import CrmObject, Work
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
    the CRM already holds may need fewer writes. ``jobs`` are those of the CRM that work off many
    records; the calls that look whether they are done are not among ``calls``.
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
    jobs: int = 0
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
            "jobs": self.jobs,
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
                once: set[str] = set()
                for obj, needed_by_tasks in ORDER:
                    if obj is not CrmObject.COMPANY or (companies and name not in off):
                        _count(connection, pusher, obj, needed_by_tasks, now, one, once)
                one.unmapped = unmapped(hub, connection, name)
            planned[name] = one
    return planned


def _count(
    connection: Connection, pusher: Pusher, obj: CrmObject, needed_by_tasks: bool, now: int,
    one: Planned, once: set[str],
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
            cost = pusher.destination.cost(obj, _work(obj, part, rules, holds, one), once)
            one.calls += cost.calls
            one.jobs += cost.jobs


def _work(
    obj: CrmObject, claims: Sequence[Claim], rules: Properties, holds: Holds, one: Planned
) -> Work:
    """What a batch has to do; its records are counted."""
    created = updated = linked = 0
    read, look = [], []
    read_names: set[str] = set()
    look_names: set[str] = set()
    for claim in claims:
        body, held = claim.body, claim.acknowledged
        mine = holds.get(claim.key, {})
        changed = [
            n for n, v in body.items()
            if n != CONTACT
            and not rules.same(n, v, held.get(n, ""))
            and rules.may_write(n, mine.get(n), held.get(n, ""))
        ]  # fmt: skip
        if not claim.crm_id:
            if not claim.create:
                continue  # looked for when the sync claims, and left out if it is not there
            read.append(claim.key)
            read_names.update(body.keys() - {CONTACT})
        if changed or not claim.crm_id:
            created += not claim.crm_id
            updated += bool(claim.crm_id)
            _count_write(one, obj, claim.key, bool(claim.crm_id), changed)
        # Known records are read first where a person may have edited what is to be written.
        theirs = rules.policies.keys() & changed
        if claim.crm_id and theirs:
            look.append(claim.crm_id)
            look_names |= theirs
        linked += obj is CrmObject.TASK and held.get(CONTACT) != body.get(CONTACT)
    one.unread += len(read)
    one.associations += linked
    # Records without a CRM id are taken for new: their task links are not read.
    return Work(read, sorted(read_names), look, sorted(look_names), created, updated, linked)


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
