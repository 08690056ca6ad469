"""How an organisation looks before anybody logs in: its own record, users, queues, statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simulator.salesforce import persons, writing
from simulator.salesforce.fields import Field
from simulator.salesforce.org import FakeQueue, FakeUser, Org
from simulator.salesforce.requests import Caller
from simulator.salesforce.store import Table, Values

NAME = "Broker"


def settle_in(
    org: Org, users: Sequence[FakeUser], queues: Sequence[FakeQueue], *, sandbox: bool
) -> dict[str, str]:
    """Put in what every organisation has; username -> user id."""
    first = org.ids.new("005")
    ids = {user.username: org.ids.new("005") for user in users}
    add(org, org.tables["user"], first, _user(FakeUser("auto@system", "System")))
    for user in users:
        add(org, org.tables["user"], ids[user.username], _user(user))
    kind = {
        "Name": NAME,
        "OrganizationType": "Enterprise Edition",
        "InstanceName": "EU5",
        "TimeZoneSidKey": "Europe/London",
        "DefaultLocaleSidKey": "en_GB",
        "LanguageLocaleKey": "en_US",
        "IsSandbox": sandbox,
    }
    new(org, "Organization", kind)
    if org.choices.person_accounts:
        for name, person in (("Business_Account", False), ("PersonAccount", True)):
            told = {"Name": name.replace("_", " "), "DeveloperName": name}
            more = {"SobjectType": "Account", "IsActive": True, "IsPersonType": person}
            new(org, "RecordType", told | more)
    _statuses(org)
    _profile(org, ids[users[0].username])
    for queue in queues:
        group = {"Name": queue.name or queue.developer_name, "Type": "Queue"}
        row_id = new(org, "Group", group | {"DeveloperName": queue.developer_name})
        for sobject in queue.sobjects:
            new(org, "QueueSobject", {"QueueId": row_id, "SobjectType": sobject})
    return ids


PROFILE = "X00e000000000001"


def _profile(org: Org, hub_id: str) -> None:
    """The permission set behind the profile of the hub's user.

    Documented: every profile has one, its users are assigned to it. Which rights it has is ours:
    those of an integration user who may install.
    """
    told = {"Name": PROFILE, "Label": "Integration", "IsOwnedByProfile": True}
    rights = {"ApiEnabled", "ViewSetup", "ManageProfilesPermissionsets", "AssignPermissionSets"}
    rights |= {"ViewAllData"} if org.choices.view_all_data else set()
    rights |= {"CustomizeApplication"} if org.choices.may_customize else set()
    told |= {f"Permissions{right}": True for right in rights}
    set_id = new(org, "PermissionSet", told)
    new(org, "PermissionSetAssignment", {"PermissionSetId": set_id, "AssigneeId": hub_id})


def entitle(org: Org, right: str, *, given: bool) -> None:
    """Give the hub's user a right by its profile, or take it."""
    sets = org.table("PermissionSet")
    (row,) = [row for row in sets.live() if row["Name"] == PROFILE]
    sets.put(row["Id"], row | {f"Permissions{right}": given})
    org.choices.may_customize = bool(org.row("PermissionSet", row["Id"]).get(
        "PermissionsCustomizeApplication"))  # fmt: skip


def _user(user: FakeUser) -> Values:
    told = {
        "Username": user.username,
        "LastName": user.last_name,
        "FirstName": user.first_name or None,
        "Name": f"{user.first_name} {user.last_name}".strip(),
        "Email": user.email or user.username,
        "Alias": user.last_name[:8].lower(),
        "IsActive": user.active,
        "UserType": "Standard",
        "TimeZoneSidKey": "Europe/London",
    }
    return {name: value for name, value in told.items() if value is not None}


def _statuses(org: Org) -> None:
    """The rows that say which values close a task or convert a lead (documented objects)."""
    for table, sobject, field, flag in (
        ("TaskStatus", "task", "status", "IsClosed"),
        ("TaskPriority", "task", "priority", "IsHighPriority"),
        ("LeadStatus", "lead", "status", "IsConverted"),
    ):
        for row_id in list(org.table(table).rows):
            org.table(table).put(row_id, None)
        for place, choice in enumerate(org.tables[sobject].fields[field].values, start=1):
            row = {"MasterLabel": choice.value, "ApiName": choice.value, "SortOrder": place}
            new(org, table, row | {flag: choice.closed, "IsDefault": choice.default})


def restate(org: Org) -> None:
    """A picklist has changed: say so in the rows about statuses, too."""
    _statuses(org)


def new(org: Org, sobject: str, values: Values) -> str:
    """A row nobody could create through the API; its id."""
    table = org.table(sobject)
    row_id = org.ids.new(table.prefix)
    add(org, table, row_id, values)
    return row_id


def add(org: Org, table: Table, row_id: str, values: Values) -> None:
    """Put a row with its marks."""
    system = next(iter(org.tables["user"].rows), row_id)
    table.put(row_id, org.stamped({"Id": row_id, **org.born(system), **values}, system))


def define(org: Org, sobject: str, definition: Field, granted_to: str = "") -> str:
    """Add a custom field; the id of its definition.

    Documented: those of tasks are defined on Activity; one of Contact is on person accounts, too.
    """
    table = org.table("Task" if sobject.lower() == "activity" else sobject)
    definition = replace(definition, custom=True)
    redefine(org, table, definition)
    row: dict[str, Any] = {
        "DeveloperName": definition.name.removesuffix("__c"),
        "TableEnumOrId": "Activity" if table.name == "Task" else table.name,
    }
    row_id = org.ids.new(org.custom_fields.prefix)
    add(org, org.custom_fields, row_id, row)
    if granted_to and not definition.required:
        _grant(org, f"{table.name}.{definition.name}", granted_to)
    return row_id


def redefine(org: Org, table: Table, definition: Field) -> None:
    """Add a custom field's definition, or change it."""
    table.define(definition)
    if table.name == "Contact" and org.choices.person_accounts:
        org.tables["account"].define(persons.mirrored(definition))
    org.forget_views()


def _grant(org: Org, field: str, user_id: str) -> None:
    admin = Caller(user_id, human=True)
    sets = org.tables["permissionset"]
    found = sets.find(sets.fields["name"], "Fake_Grants")
    if found:
        parent = found[0]
    else:
        told = {"Name": "Fake_Grants", "Label": "Fake grants"}
        parent = writing.create(org, admin, sets, told)
        assigned = {"PermissionSetId": parent, "AssigneeId": user_id}
        writing.create(org, admin, org.table("PermissionSetAssignment"), assigned)
    permissions = {"ParentId": parent, "SobjectType": field.partition(".")[0], "Field": field}
    both = {"PermissionsRead": True, "PermissionsEdit": True}
    writing.create(org, admin, org.table("FieldPermissions"), permissions | both)
