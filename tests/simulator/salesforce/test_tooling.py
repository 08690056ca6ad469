"""Custom fields through the Tooling API, and who is let to see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.salesforce.rig import Rig, sdk_refused

TEXT = {
    "type": "Text", "label": "Hub client id", "length": 64, "externalId": True, "unique": True,
    "caseSensitive": False,
}  # fmt: skip


def create(rig: Rig, full_name: str, metadata: dict[str, Any]) -> str:
    body = {"FullName": full_name, "Metadata": metadata}
    answer = rig.sf.toolingexecute("sobjects/CustomField", "POST", body)
    assert (answer["success"], answer["errors"], answer["id"][:3]) == (True, [], "00N")
    return str(answer["id"])


def grant(rig: Rig, *fields: str, edit: bool = True) -> str:
    told = {"Name": f"Hub_{fields[0].partition('.')[2]}", "Label": "Hub"}
    parent = rig.sf.PermissionSet.create(told)["id"]
    for field in fields:
        rig.sf.FieldPermissions.create({
            "ParentId": parent, "SobjectType": field.partition(".")[0], "Field": field,
            "PermissionsRead": True, "PermissionsEdit": edit,
        })  # fmt: skip
    rig.sf.PermissionSetAssignment.create(
        {"PermissionSetId": parent, "AssigneeId": rig.fake.hub_id}
    )
    return str(parent)


def names(rig: Rig, sobject: str = "Contact") -> dict[str, dict[str, Any]]:
    return {f["name"]: f for f in getattr(rig.sf, sobject).describe()["fields"]}


def test_a_new_field_is_invisible_until_it_is_granted(rig: Rig) -> None:
    create(rig, "Contact.Hub_Client_Id__c", TEXT)
    assert "Hub_Client_Id__c" not in names(rig)
    row = {"LastName": "Berg", "Hub_Client_Id__c": "7"}
    status, content = sdk_refused(rig.sf.Contact.create, row)
    assert (status, content[0]["errorCode"]) == (400, "INVALID_FIELD")
    assert sdk_refused(rig.sf.Contact.upsert, "Hub_Client_Id__c/7", {"LastName": "B"})[0] == 404
    grant(rig, "Contact.Hub_Client_Id__c")
    field = names(rig)["Hub_Client_Id__c"]
    assert (field["externalId"], field["unique"], field["length"]) == (True, True, 64)
    assert (field["label"], field["updateable"]) == ("Hub client id", True)
    assert rig.sf.Contact.upsert("Hub_Client_Id__c/7", {"LastName": "B"}) == 201
    assert rig.sf.Contact.upsert("Hub_Client_Id__c/7", {"LastName": "B"}) == 200


def test_granted_to_read_only(rig: Rig) -> None:
    create(rig, "Contact.Note__c", {"type": "Text", "label": "Note", "length": 20})
    grant(rig, "Contact.Note__c", edit=False)
    assert names(rig)["Note__c"]["updateable"] is False
    _, content = sdk_refused(rig.sf.Contact.create, {"LastName": "B", "Note__c": "x"})
    assert content[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_a_right_taken_away(rig: Rig) -> None:
    create(rig, "Contact.Note__c", {"type": "Text", "label": "Note", "length": 20})
    parent = grant(rig, "Contact.Note__c")
    (row,) = rig.soql(f"SELECT Id FROM FieldPermissions WHERE ParentId = '{parent}'")
    rig.sf.FieldPermissions.delete(row["Id"])
    assert "Note__c" not in names(rig)


TYPES: list[tuple[dict[str, Any], str, Any, Any]] = [
    ({"type": "Number", "precision": 6, "scale": 2}, "double", 12.5, 12.5),
    ({"type": "Currency", "precision": 18, "scale": 2}, "currency", "7", 7.0),
    ({"type": "Date"}, "date", "2026-03-01", "2026-03-01"),
    ({"type": "DateTime"}, "datetime", "2026-03-01T02:00:00+02:00", "2026-03-01T00:00:00.000+0000"),
    ({"type": "Checkbox", "defaultValue": False}, "boolean", True, True),
    ({"type": "Url"}, "url", "https://a.test", "https://a.test"),
    ({"type": "LongTextArea", "length": 1000, "visibleLines": 3}, "textarea", "x" * 999, "x" * 999),
    ({"type": "Picklist", "valueSet": {"restricted": True, "valueSetDefinition": {
        "sorted": False, "value": [{"fullName": "A", "label": "A", "default": False}]}}},
     "picklist", "A", "A"),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "kind", "value", "kept"), TYPES)
def test_types(rig: Rig, metadata: dict[str, Any], kind: str, value: Any, kept: Any) -> None:
    create(rig, "Contact.New__c", {"label": "New"} | metadata)
    grant(rig, "Contact.New__c")
    assert names(rig)["New__c"]["type"] == kind
    assert rig.read(rig.contact(New__c=value))["New__c"] == kept


def test_values_beyond_the_field(rig: Rig) -> None:
    create(rig, "Contact.Num__c", {"type": "Number", "label": "Num", "precision": 6, "scale": 2})
    grant(rig, "Contact.Num__c")
    assert rig.read(rig.contact(Num__c=9999.994))["Num__c"] == 9999.99
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "Num__c": 10000})[1]
    assert error["errorCode"] == "NUMBER_OUTSIDE_VALID_RANGE"


@pytest.mark.parametrize(
    ("full_name", "metadata", "code"),
    [
        ("Contact.Hub_Key__c", TEXT, "DUPLICATE_DEVELOPER_NAME"),
        ("Contact.hub_key__c", TEXT, "DUPLICATE_DEVELOPER_NAME"),
        ("Nope.New__c", TEXT, "INVALID_CROSS_REFERENCE_KEY"),
        ("Task.New__c", TEXT, "INVALID_CROSS_REFERENCE_KEY"),  # it is Activity's
        ("New__c", TEXT, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New", TEXT, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.9New__c", TEXT, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", {"type": "Text", "label": "New"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", {"type": "Text", "length": 5}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", TEXT | {"length": 300}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", {"type": "Magic", "label": "New"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", {"type": "Checkbox", "label": "New"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Contact.New__c", {"type": "Date", "label": "New", "externalId": True},
         "FIELD_INTEGRITY_EXCEPTION"),
        ("Activity.New__c", TEXT, "FIELD_INTEGRITY_EXCEPTION"),  # unless switched on
    ],
)  # fmt: skip
def test_what_is_refused(rig: Rig, full_name: str, metadata: dict[str, Any], code: str) -> None:
    body = {"FullName": full_name, "Metadata": metadata}
    status, error = rig.refused("POST", "tooling/sobjects/CustomField/", body)
    assert (status, error["errorCode"]) == (400, code)


def test_without_the_right(rigs: Callable[..., Rig]) -> None:
    rig = rigs(may_customize=False)
    body = {"FullName": "Contact.New__c", "Metadata": TEXT}
    assert rig.refused("POST", "tooling/sobjects/CustomField", body)[0] == 403


def test_changing_a_field(rig: Rig) -> None:
    query = {
        "q": "SELECT Id FROM CustomField WHERE DeveloperName = 'Code' AND TableEnumOrId = 'Contact'"
    }
    (row,) = rig.call("GET", "tooling/query/", params=query).json()["records"]
    path = f"tooling/sobjects/CustomField/{row['Id']}"
    told = rig.call("GET", path).json()
    assert told["FullName"] == "Contact.Code__c"
    assert (told["Metadata"]["type"], told["Metadata"]["length"]) == ("Text", 10)
    rig.contact("C1", Code__c="a")
    metadata = told["Metadata"] | {"length": 20, "unique": True, "label": "The code"}
    assert rig.call("PATCH", path, {"Metadata": metadata}).status_code == 204
    assert (names(rig)["Code__c"]["length"], names(rig)["Code__c"]["label"]) == (20, "The code")
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "Code__c": "A"})[1]
    assert error["errorCode"] == "DUPLICATE_VALUE"
    assert rig.call("GET", "tooling/sobjects/CustomField/00N000000000001").status_code == 404


def test_new_values_of_a_picklist(rig: Rig) -> None:
    query = {"q": "SELECT Id FROM CustomField WHERE DeveloperName = 'Stage'"}
    (row,) = rig.call("GET", "tooling/query", params=query).json()["records"]
    path = f"tooling/sobjects/CustomField/{row['Id']}"
    metadata = rig.call("GET", path).json()["Metadata"]
    values = metadata["valueSet"]["valueSetDefinition"]["value"]
    values.append({"fullName": "Dormant", "label": "Dormant", "default": False})
    assert rig.call("PATCH", path, {"Metadata": metadata}).status_code == 204
    assert rig.read(rig.contact(Stage__c="Dormant"))["Stage__c"] == "Dormant"


def test_a_field_of_tasks_belongs_to_activity(rigs: Callable[..., Rig]) -> None:
    rig = rigs(activity_external_ids=True)
    create(rig, "Activity.Hub_Task__c", TEXT)
    grant(rig, "Task.Hub_Task__c")
    field = names(rig, "Task")["Hub_Task__c"]
    assert (field["externalId"], field["idLookup"]) == (True, True)
    assert rig.sf.Task.upsert("Hub_Task__c/T1", {"Subject": "Call"}) == 201
    plain = rigs()
    create(plain, "Activity.Hub_Task__c", TEXT | {"externalId": False, "unique": False})
    grant(plain, "Activity.Hub_Task__c")
    assert names(plain, "Task")["Hub_Task__c"]["externalId"] is False
    plain.create("Task", Subject="Call", Hub_Task__c="T1")
    assert len(plain.soql("SELECT Id FROM Task WHERE Hub_Task__c IN ('T1')")) == 1


def test_permissions_that_make_no_sense(rig: Rig) -> None:
    parent = grant(rig, "Contact.Title")
    told = {"ParentId": parent, "SobjectType": "Contact", "PermissionsRead": True}
    for field, code in (
        ("Contact.Nope__c", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("Contact.LastName", "FIELD_INTEGRITY_EXCEPTION"),  # required fields are not listed
        ("Contact.Title", "DUPLICATE_VALUE"),
    ):
        error = rig.refused("POST", "sobjects/FieldPermissions", told | {"Field": field})[1]
        assert error["errorCode"] == code
    again = {"PermissionSetId": parent, "AssigneeId": rig.fake.hub_id}
    error = rig.refused("POST", "sobjects/PermissionSetAssignment", again)[1]
    assert error["errorCode"] == "DUPLICATE_VALUE"


@pytest.mark.parametrize("kind", ["Lookup", "AutoNumber", "Html"])
def test_types_that_are_not_built(rig: Rig, kind: str) -> None:
    body = {"FullName": "Contact.New__c", "Metadata": {"type": kind, "label": "New"}}
    assert rig.call("POST", "tooling/sobjects/CustomField", body).status_code == 501
    assert rig.call("GET", "tooling/sobjects/Profile").status_code == 501
