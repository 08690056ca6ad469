"""The hub's words for a task, and HubSpot's (reference: HubSpot's tasks guide).

Names the hub does not use pass unchanged, so that an admin's own task property can be read too.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES = {
    "subject": "hs_task_subject",
    "body": "hs_task_body",
    "owner": "hubspot_owner_id",
    "due": "hs_timestamp",
    "priority": "hs_task_priority",
    "status": "hs_task_status",
}
_STATUS = {"open": "NOT_STARTED", "done": "COMPLETED"}
_OPEN = {"NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED"}


def outward(properties: Mapping[str, str]) -> dict[str, str]:
    """A write in HubSpot's names and values."""
    return {
        NAMES.get(name, name): _STATUS.get(value, value) if name == "status" else value
        for name, value in properties.items()
    }


def names(properties: list[str]) -> list[str]:
    """Asked names as HubSpot's."""
    return [NAMES.get(name, name) for name in properties]


def inward(asked: list[str], shown: Mapping[str, str]) -> dict[str, str]:
    """Read values under the names that were asked for."""
    found = {name: shown.get(NAMES.get(name, name), "") for name in asked}
    if found.get("status"):
        found["status"] = "open" if found["status"] in _OPEN else "done"
    return found
