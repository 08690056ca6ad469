"""Fields the system works out, and checks that belong to one object only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.salesforce.fields import Choice
from simulator.salesforce.problems import SalesforceError, bad_reference
from simulator.salesforce.store import Table, Values
from simulator.salesforce.values import shown

if TYPE_CHECKING:
    from simulator.salesforce.org import Org


def derive(org: Org, table: Table, new: Values, old: Values) -> None:
    """Set the fields of ``new`` that follow from others."""
    rule = _DERIVED.get(table.name)
    if rule is not None:
        rule(org, new, old)


def full_name(row: Values) -> str:
    """First and last name in one."""
    return " ".join(part for part in (row.get("FirstName"), row.get("LastName")) if part)


def _named(_org: Org, new: Values, _old: Values) -> None:
    new["Name"] = full_name(new)


def _choice(org: Org, table: str, name: str, value: object) -> Choice:
    values = org.tables[table].fields[name].values
    # Assumed: a value the picklist does not have is an open one.
    return next((c for c in values if c.value == value), Choice(str(value)))


def _task(org: Org, new: Values, old: Values) -> None:
    new["IsClosed"] = _choice(org, "task", "status", new.get("Status")).closed
    new["IsHighPriority"] = _choice(org, "task", "priority", new.get("Priority")).closed
    if new["IsClosed"] and not old.get("IsClosed"):
        new["CompletedDateTime"] = shown(org.now_ms)
    elif not new["IsClosed"]:
        new.pop("CompletedDateTime", None)
    # Documented: worked out from what the task is about. Assumed: What goes before Who.
    what, who = new.get("WhatId", ""), new.get("WhoId", "")
    account = what if what.startswith("001") else None
    if account is None and who.startswith("003"):
        account = org.row("Contact", who).get("AccountId")
    new.pop("AccountId", None)
    if account is not None:
        new["AccountId"] = account


def _group(_org: Org, new: Values, _old: Values) -> None:
    new.setdefault("DeveloperName", "_".join(new["Name"].split()))


def _user(org: Org, new: Values, old: Values) -> None:
    _named(org, new, old)
    new.setdefault("Alias", new["LastName"][:8].lower())


def _field_permissions(org: Org, new: Values, _old: Values) -> None:
    """Documented: the field must exist, must not be required, and edit brings read.

    Codes and words are assumed.
    """
    sobject, _, name = new["Field"].partition(".")
    sobject = "task" if sobject.lower() == "activity" else sobject.lower()
    table = org.tables.get(sobject)
    definition = table.fields.get(name.lower()) if table is not None else None
    if definition is None:
        raise SalesforceError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"Field Name: bad value for restricted picklist field: {new['Field']}",
            ["Field"],
        )
    if definition.required:
        raise SalesforceError(
            "FIELD_INTEGRITY_EXCEPTION",
            f"You cannot deploy to a required field: {new['Field']}",
            ["Field"],
        )
    if new.get("PermissionsEdit"):
        new["PermissionsRead"] = True
    _once(org, "FieldPermissions", new, ("ParentId", "Field"))


def _assignment(org: Org, new: Values, _old: Values) -> None:
    _once(org, "PermissionSetAssignment", new, ("PermissionSetId", "AssigneeId"))


def _once(org: Org, sobject: str, new: Values, names: tuple[str, ...]) -> None:
    """Assumed: the second row of a pair is refused, in words that name neither."""
    for row in org.table(sobject).live():
        if row["Id"] != new["Id"] and all(row.get(n) == new.get(n) for n in names):
            raise SalesforceError(
                "DUPLICATE_VALUE",
                "duplicate value found: <unknown> duplicates value on record with id: <unknown>",
                [],
            )


def _queue_sobject(org: Org, new: Values, _old: Values) -> None:
    if org.row("Group", new["QueueId"]).get("Type") != "Queue":
        raise bad_reference()


_DERIVED: dict[str, Callable[[Org, Values, Values], None]] = {
    "Contact": _named,
    "Lead": _named,
    "User": _user,
    "Task": _task,
    "Group": _group,
    "FieldPermissions": _field_permissions,
    "PermissionSetAssignment": _assignment,
    "QueueSobject": _queue_sobject,
}
