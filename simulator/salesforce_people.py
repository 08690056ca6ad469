"""The world's people in a Salesforce organisation: users and queues instead of owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulator.portal import OWNERS, TEAMS, Team
from simulator.salesforce import INTEGRATION, FakeApp, FakeQueue, FakeUser, SalesforceFake
from simulator.salesforce.org import Time

APP = FakeApp("3MVG9simulated", "salesforce-secret", run_as=INTEGRATION.username)
API_VERSION = "62.0"


def organisation(world: Time, **options: Any) -> SalesforceFake:
    """An organisation in which the world's teams work, and the hub may do no more than it needs.

    Args:
        options: see `SalesforceFake`.
    """
    users = [
        FakeUser(o.email, o.last_name, o.first_name, o.email, active=not o.archived)
        for o in OWNERS
        if o.kind == "PERSON"
    ]
    queues = [FakeQueue(_name(o.first_name), o.first_name) for o in OWNERS if o.kind == "QUEUE"]
    usual: dict[str, Any] = {"view_all_data": False, "apps": (APP,), "users": (INTEGRATION, *users)}
    fake = SalesforceFake(world, queues=tuple(queues), **(usual | options))
    for sobject in ("Account", "Contact", "Lead", "Task"):
        fake.deny(sobject, "delete")
    return fake


def owner_ids(fake: SalesforceFake) -> dict[str, str]:
    """An owner's id in HubSpot -> that of the same user or queue here."""
    groups = fake.records("Group", by="DeveloperName")
    return {
        o.id: fake.user_ids[o.email] if o.kind == "PERSON" else groups[_name(o.first_name)]["Id"]
        for o in OWNERS
    }


def teams(fake: SalesforceFake) -> Mapping[str, Team]:
    """The teams, by ids of this organisation."""
    ids = owner_ids(fake)
    return {
        name: replace(
            team,
            members=tuple(ids[m] for m in team.members),
            queue=None if team.queue is None else ids[team.queue],
        )
        for name, team in TEAMS.items()
    }


def _name(first_name: str) -> str:
    return f"{first_name}_Queue"
