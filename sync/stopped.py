"""Why a record is not written any more, in an admin's words."""

from __future__ import annotations

_DECIDE = "decide with `brokersync crm decide`"


def deleted(crm_id: str) -> str:
    """Somebody deleted the record in the CRM."""
    return (
        f"record {crm_id} was deleted in the CRM; the hub does not create it again. Restore it "
        f"there, or {_DECIDE}"
    )


def merged(crm_id: str, into: str, key: str) -> str:
    """The record's id leads to a record with another key (blank: none)."""
    return (
        f"record {crm_id} now carries the key {key or '(none)'} as record {into}: records were "
        f"merged or the key was edited. The hub writes none of them until you {_DECIDE}"
    )


def edited(name: str, times: int) -> str:
    """A property that something keeps editing is left as it is."""
    return (
        f"{name} keeps being edited in the CRM and was restored {times} times; the hub leaves it "
        f"as it is. Find what edits it (a workflow, an import, another program), then {_DECIDE}"
    )
