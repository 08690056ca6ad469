"""Who shares a CRM contact (domain, opening; decision 0002, Contacts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.story import Client, World
from simulator.truth.facts import Known, known


@dataclass(frozen=True, slots=True)
class ContactGroup:
    """One contact: the primary's key, the other keys sorted, the shared address ("" if none)."""

    primary: str
    others: tuple[str, ...]
    email: str


@dataclass(frozen=True, slots=True)
class Address:
    """What decides the contact of a client."""

    email: str
    registered: int


def address(facts: Known | None) -> Address | None:
    """The client's address as known; None before it is known and once it is merged."""
    if facts is None or facts.merged_into is not None:
        return None
    return Address(str(facts.row.get("email") or "").strip().lower(), facts.registered)


def contacts(world: World, at_ms: int) -> list[ContactGroup]:
    """All contacts of the one destination both brands sit in, sorted by primary."""
    found = {c.key: address(known(world, c, at_ms)) for c in world.clients.values()}
    return grouped({key: where for key, where in found.items() if where})


def grouped(addresses: Mapping[str, Address]) -> list[ContactGroup]:
    """Clients by address; the primary is the earliest registration, then the smallest key."""
    groups: dict[str, list[str]] = {}
    for key, where in addresses.items():
        groups.setdefault(where.email or f"no e-mail: {key}", []).append(key)
    result = []
    for keys in groups.values():
        primary = min(keys, key=lambda key: (addresses[key].registered, key))
        others = tuple(sorted(key for key in keys if key != primary))
        result.append(ContactGroup(primary, others, addresses[primary].email))
    return sorted(result, key=lambda group: group.primary)


def survivor(client: Client) -> str | None:
    """Whom the client is merged into at some time of the story."""
    for event in client.events:
        if event.name == "merged":
            return f"{client.brand}:{event.data['into']}"
    return None
