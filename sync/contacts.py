"""Contacts: clients of one destination who share an e-mail share one record.

The primary (earliest registration, then smallest key) fills the fields; the others are listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from state import projection
from state.evaluate import Evaluated
from state.outbox import Desired
from state.projection import Key, Member, since
from sync.cards import CardWriter
from sync.hub import Hub
from sync.reasons import Reasons

TASK_WAITS, STAGE_CHANGED, ORDINARY = 0, 2, 3


@dataclass(slots=True)
class Groups:
    """Contact groups of the clients of one projection step."""

    by_client: dict[Key, Member] = field(default_factory=dict)
    others: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)

    def contact(self, client: Key) -> str:
        """The key of the contact a client's tasks are put on."""
        return self.by_client[client].contact

    def dropped(self, destination: str) -> list[str]:
        """Keys that no longer name a contact of their own."""
        return self.lost.get(destination, [])

    def bodies(
        self, hub: Hub, rows: Sequence[Evaluated], reasons: Reasons, cards: CardWriter, now: int
    ) -> dict[str, list[Desired]]:
        """The desired contact of each group whose primary is among ``rows``, by destination."""
        wanted: dict[str, list[Desired]] = defaultdict(list)
        waits = reasons.clients_with_new_tasks
        for row in rows:
            member = self.by_client[row.brand, row.client_id]
            if member.contact != member.key:
                continue
            destination = hub.brands[row.brand].destination
            others = self.others[destination].get(member.contact, [])
            body = contact_body(hub, row, others, reasons, cards, now)
            wanted[destination].append(
                Desired("contact", member.contact, body, _priority(row, waits, others), row.create)
            )
        return wanted


def _priority(row: Evaluated, waits: Set[Key], others: Sequence[str]) -> int:
    """Args: ``waits`` are the clients with a new task, ``others`` keys on the same contact."""
    if (row.brand, row.client_id) in waits or any(tuple(o.split(":", 1)) in waits for o in others):
        return TASK_WAITS
    return STAGE_CHANGED if row.stage != row.was_stage else ORDINARY


def regroup(
    connection: Connection, hub: Hub, rows: Sequence[Evaluated], gone: Sequence[Key]
) -> Groups:
    """Group the clients of this step by e-mail, and store what changed.

    The work list holds every client that shares an address with one on it, so groups are whole.
    """
    groups = Groups()
    for destination in hub.destinations:
        mine = [r for r in rows if hub.brands[r.brand].destination == destination]
        stored = projection.members(connection, destination)
        fresh = _grouped(mine)
        changed = [m for key, m in fresh.items() if stored.get(key) != m]
        projection.save_members(connection, destination, changed)
        left = [k for k in gone if hub.brands[k[0]].destination == destination]
        projection.remove_members(connection, destination, left)
        contacts = {m.contact for m in fresh.values()}
        groups.by_client |= fresh
        groups.others[destination] = _others(fresh.values())
        before = {m.contact for m in stored.values()}
        groups.lost[destination] = sorted(before - contacts)
    return groups


def _grouped(rows: Iterable[Evaluated]) -> dict[Key, Member]:
    by_email: dict[str, list[Member]] = defaultdict(list)
    alone: list[Member] = []
    for r in rows:
        member = Member(r.brand, r.client_id, r.identity["client.email"], r.registered_at, "")
        (by_email[member.email_norm] if member.email_norm else alone).append(member)
    found: dict[Key, Member] = {}
    for members in [*by_email.values(), *[[m] for m in alone]]:
        primary = min(members, key=lambda m: (m.registered_at, m.key)).key
        for m in members:
            found[m.brand, m.client_id] = Member(
                m.brand, m.client_id, m.email_norm, m.registered_at, primary
            )
    return found


def _others(members: Iterable[Member]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for m in members:
        if m.key != m.contact:
            found[m.contact].append(m.key)
    return {contact: sorted(keys) for contact, keys in found.items()}


def contact_body(
    hub: Hub, row: Evaluated, others: Sequence[str], reasons: Reasons, cards: CardWriter, now: int
) -> dict[str, str]:
    """All properties of a contact as canonical texts."""
    kept = _hub_values(hub, row, others, reasons, cards, now)
    body = {
        "broker_client_id": f"{row.brand}:{row.client_id}",
        "broker_other_ids": ", ".join(others),
    }
    zone, digits = hub.brands[row.brand].zone, hub.digits(row.brand)
    for f in hub.rules[row.brand].mapped:
        text = f.written(row.fields, kept, zone, digits)
        if text is not None:  # what stands in no body is left as the CRM has it
            body[hub.property_name(f.property, native=f.native)] = text
    return body


def _named(row: Evaluated, *, last_name: bool) -> dict[str, str]:
    """Name and address; a client without any is named by its key, as no CRM takes a blank one.

    Args:
        last_name: the CRM takes none without a last name either.
    """
    named = ("client.email", "client.first_name", "client.last_name")
    if any(row.identity[n].strip() for n in (named[2:] if last_name else named)):
        return dict(row.identity)
    return {**row.identity, "client.last_name": f"Client {row.brand}:{row.client_id}"}


def _hub_values(
    hub: Hub, row: Evaluated, others: Sequence[str], reasons: Reasons, cards: CardWriter, now: int
) -> Mapping[str, str]:
    brand = hub.brands[row.brand]
    # A playbook in mode observe is computed only: the CRM does not hear of its state.
    states = [s for s in row.states if brand.mode(s) != "observe"]
    shown = sorted(states, key=lambda s: (len(s), s))
    action, due = reasons.next_action((row.brand, row.client_id))
    crm = hub.destinations.get(brand.destination)
    return {
        **_named(row, last_name=crm is not None and crm.last_name_needed),
        "profile.stage": row.stage,
        "profile.stage_since": str(since(row, now)),
        "profile.states": ";".join(shown),
        "tasks.next_action": action,
        "tasks.next_action_due": due,
        **cards.values(row, states, others, reasons, now),
    }
