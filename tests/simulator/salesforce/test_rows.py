"""One record at a time: create, read, change, delete, upsert by a key, and what refuses one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from simple_salesforce import format_external_id

from simulator.salesforce import RowFault, ValidationRule
from tests.simulator.salesforce.rig import Rig, V, sdk_refused


def test_a_life_of_a_record(rig: Rig) -> None:
    made = rig.sf.Contact.create({"LastName": "Berg", "Birthdate": "1980-02-29"})
    assert (made["success"], made["errors"], len(made["id"])) == (True, [], 18)
    assert "created" not in made
    row = rig.sf.Contact.get(made["id"])
    url = f"{V}/sobjects/Contact/{made['id']}"
    assert row["attributes"] == {"type": "Contact", "url": url}
    assert row["FirstName"] is None
    assert row["CreatedDate"] == "2026-03-01T00:00:00.000+0000"
    rig.world.sleep(1.5)
    assert rig.sf.Contact.update(made["id"], {"FirstName": "Ana"}) == 204
    row = rig.sf.Contact.get(made["id"][:15])  # 15 characters will do
    assert (row["Name"], row["Birthdate"]) == ("Ana Berg", "1980-02-29")
    assert row["CreatedDate"] == "2026-03-01T00:00:00.000+0000"
    assert row["SystemModstamp"] == row["LastModifiedDate"] == "2026-03-01T00:00:01.500+0000"
    assert row["LastModifiedById"] == rig.fake.hub_id
    assert rig.sf.Contact.delete(made["id"]) == 204
    gone = [{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}]
    assert sdk_refused(rig.sf.Contact.get, made["id"]) == (404, gone)
    assert sdk_refused(rig.sf.Contact.update, made["id"], {"FirstName": "B"}) == (404, gone)


def test_only_the_fields_asked_for(rig: Rig) -> None:
    row_id = rig.contact(Email="a@b.co")
    row = rig.call("GET", f"sobjects/Contact/{row_id}", params={"fields": "email,Title"}).json()
    del row["attributes"]
    assert row == {"Email": "a@b.co", "Title": None}
    status, error = rig.refused("GET", f"sobjects/Contact/{row_id}", params={"fields": "Nope"})
    assert (status, error["errorCode"]) == (400, "INVALID_FIELD")


# Upsert by a key: 201, 200 (204 before v46), 300, 404.


def test_upsert(rig: Rig) -> None:
    path = "sobjects/Contact/Hub_Key__c/C1"
    made = rig.call("PATCH", path, {"LastName": "Berg"})
    row_id = made.json()["id"]
    assert (made.status_code, made.headers["location"]) == (201, f"{V}/sobjects/Contact/{row_id}")
    assert made.json() == {"id": row_id, "success": True, "errors": [], "created": True}
    again = rig.call("PATCH", path, {"FirstName": "Ana"})
    assert again.status_code == 200
    assert again.json() == {"id": row_id, "success": True, "errors": [], "created": False}
    old = "/services/data/v45.0/"
    assert rig.call("PATCH", old + path, {"FirstName": "Bo"}).status_code == 204
    made = rig.call("PATCH", old + "sobjects/Contact/Hub_Key__c/C2", {"LastName": "X"})
    assert "created" not in made.json()
    assert rig.call("GET", path).json()["FirstName"] == "Bo"
    assert rig.fake.writes["Contact"] == 4


def test_keys_whatever_the_case_and_with_odd_characters(rig: Rig) -> None:
    row_id = rig.contact("aB1")
    assert rig.contact("AB1") == row_id
    for key in ("a b", "a/b", "50%", "ü+1", "../../User/005", "a?b=c&d"):
        path = format_external_id("Hub_Key__c", key)
        assert rig.sf.Contact.upsert(path, {"LastName": "Berg"}) == 201
        assert rig.sf.Contact.upsert(path, {"LastName": "Berg"}) == 200
        assert rig.fake.records("Contact", "Hub_Key__c")[key]["LastName"] == "Berg"


def test_a_key_two_records_have(rig: Rig) -> None:
    ids = [rig.create("Contact", LastName="Berg", Email="x@y.co") for _ in range(2)]
    answer = rig.call("PATCH", "sobjects/Contact/Email/X@y.co", {"Title": "Dr"})
    assert answer.status_code == 300
    assert answer.json() == [f"{V}/sobjects/Contact/{row_id}" for row_id in ids]
    assert rig.call("GET", "sobjects/Contact/Email/x@y.co/").json() == answer.json()
    status, content = sdk_refused(rig.sf.Contact.upsert, "Email/x@y.co", {"Title": "Dr"})
    assert (status, len(content)) == (300, 2)


def test_upsert_by_email_needs_no_custom_field(rig: Rig) -> None:
    assert rig.sf.Contact.upsert("Email/a@b.co", {"LastName": "Berg"}) == 201
    assert rig.sf.Contact.upsert("Email/A@B.co", {"Title": "Dr"}) == 200
    (row,) = rig.fake.records("Contact").values()
    assert (row["Email"], row["Title"]) == ("a@b.co", "Dr")
    # Documented: this ending is taken for a format.
    assert rig.refused("PATCH", "sobjects/Contact/Email/a@b.inc", {"LastName": "B"})[0] == 404


@pytest.mark.parametrize("name", ["Title", "Nope__c"])
def test_upsert_by_what_is_no_key(rig: Rig, name: str) -> None:
    status, error = rig.refused("PATCH", f"sobjects/Contact/{name}/x", {"LastName": "Berg"})
    assert (status, error) == (404, {
        "message": f"Provided external ID field does not exist or is not accessible: {name}",
        "errorCode": "NOT_FOUND",
    })  # fmt: skip


def test_an_external_id_that_is_not_unique_needs_a_right(rigs: Callable[..., Rig]) -> None:
    rig = rigs(view_all_data=False)
    path = "sobjects/Contact/Loose_Key__c/x"
    assert rig.refused("PATCH", path, {"LastName": "Berg"})[1]["errorCode"] == "NOT_FOUND"
    assert rig.contact()
    assert rigs().call("PATCH", path, {"LastName": "Berg"}).status_code == 201


def test_the_key_is_not_in_the_body(rig: Rig) -> None:
    body = {"LastName": "Berg", "Hub_Key__c": "C1"}
    status, error = rig.refused("PATCH", "sobjects/Contact/Hub_Key__c/C1", body)
    assert (status, error["errorCode"]) == (400, "INVALID_FIELD")
    row_id = rig.contact()
    body = {"Id": row_id, "LastName": "Ek"}
    assert rig.refused("PATCH", f"sobjects/Contact/{row_id}", body)[0] == 400


def test_only_updates(rig: Rig) -> None:
    path = "sobjects/Contact/Hub_Key__c/C1?updateOnly=true"
    assert rig.refused("PATCH", path, {"LastName": "B"})[1]["errorCode"] == "NOT_FOUND"
    rig.contact()
    assert rig.call("PATCH", path, {"LastName": "B"}).status_code == 200


def test_a_deleted_record_has_no_key(rig: Rig) -> None:
    first = rig.contact()
    rig.call("DELETE", f"sobjects/Contact/{first}")
    assert rig.contact() != first


# What refuses a record: code, words and fields as the reference lists them.

READ_ONLY = (
    "Unable to create/update fields: Name. Please check the security settings of this field and "
    "verify that it is read/write for your profile or permission set."
)
REFUSED: list[tuple[str, dict[str, Any], str, str, list[str] | None]] = [
    ("REQUIRED_FIELD_MISSING", {"LastName": None},
     "Required fields are missing: [LastName]", ["LastName"], ),
    ("INVALID_FIELD", {"X__c": 1}, "No such column 'X__c' on sobject of type Contact", None),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", {"Stage__c": "Rich"},
     "Stage: bad value for restricted picklist field: Rich", ["Stage__c"]),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", {"Tags__c": "a;z"},
     "Tags: bad value for restricted picklist field: z", ["Tags__c"]),
    ("STRING_TOO_LONG", {"Code__c": "12345678901"},
     "Code: data value too large: 12345678901 (max length=10)", ["Code__c"]),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", {"Name": "X"},
     READ_ONLY, ["Name"]),
    ("INVALID_CROSS_REFERENCE_KEY", {"AccountId": "001000000000001"},
     "invalid cross reference id", []),
    ("MALFORMED_ID", {"AccountId": "nonsense"}, "Account ID: id value of incorrect type: nonsense",
     ["AccountId"]),
    ("FIELD_INTEGRITY_EXCEPTION", {"OwnerId": "00G000000000001"},
     "Owner ID: id value of incorrect type: 00G000000000001EAA", ["OwnerId"]),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", {"Deposits__c": "many"},
     "Deposits: value not of required type: many", ["Deposits__c"]),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", {"Birthdate": "1980-02-30"},
     "Birthdate: value not of required type: 1980-02-30", ["Birthdate"]),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", {"Birthdate": "1980-02-28T00:00:00Z"},
     "Birthdate: value not of required type: 1980-02-28T00:00:00Z", ["Birthdate"]),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", {"Seen__c": "2026-01-01 10:00"},
     "Seen: value not of required type: 2026-01-01 10:00", ["Seen__c"]),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", {"Vip__c": "yes"},
     "Vip: value not of required type: yes", ["Vip__c"]),
    ("INVALID_EMAIL_ADDRESS", {"Email": "nobody"}, "Email: invalid email address: nobody",
     ["Email"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "values", "words", "fields"), REFUSED)
def test_what_refuses_a_record(
    rig: Rig, code: str, values: dict[str, Any], words: str, fields: list[str] | None
) -> None:
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "Berg"} | values)
    expected: dict[str, Any] = {"message": words, "errorCode": code}
    if fields is not None:
        expected["fields"] = fields
    assert (status, error) == (400, expected)
    assert rig.fake.records("Contact") == {}


def test_what_is_taken(rig: Rig) -> None:
    row = rig.read(rig.contact(
        Code__c="1234567890",
        Source__c="Billboard",  # an open picklist takes all
        Tags__c="b;a",
        Deposits__c=12.345,
        Seen__c="2026-01-02T03:04:05+02:00",
        FirstName=" Ana ",
        Vip__c=True,
    ))  # fmt: skip
    assert row["Code__c"] == "1234567890"  # as long as it may be
    assert row["Source__c"] == "Billboard"
    assert row["Tags__c"] == "b;a"
    assert row["Deposits__c"] in (12.34, 12.35)
    assert row["Seen__c"] == "2026-01-02T01:04:05.000+0000"
    assert (row["FirstName"], row["Vip__c"]) == ("Ana", True)
    row_id = rig.contact(Seen__c=None, Source__c="", Tags__c=None)
    row = rig.call("GET", f"sobjects/Contact/{row_id}").json()
    assert [row[n] for n in ("Seen__c", "Source__c", "Tags__c", "Vip__c")] == [
        None,
        None,
        None,
        True,
    ]
    assert rig.read(rig.contact("C2"))["Vip__c"] is False


def test_a_value_another_record_has(rig: Rig) -> None:
    first, second = rig.contact("C1"), rig.contact("C2")
    status, error = rig.refused("PATCH", f"sobjects/Contact/{second}", {"Hub_Key__c": "c1"})
    assert (status, error["errorCode"]) == (400, "DUPLICATE_VALUE")
    assert error["message"] == (
        f"duplicate value found: Hub_Key__c duplicates value on record with id: {first[:15]}"
    )


def test_a_parent_by_its_key(rig: Rig) -> None:
    rig.define("Account", "Ext__c", "string", length=20, external_id=True, id_lookup=True)
    account = rig.create("Account", Name="Partner", Ext__c="A1")
    row_id = rig.contact(Account={"Ext__c": "a1"})
    assert rig.read(row_id)["AccountId"] == account
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "Account": {"Ext__c": "A2"}})[
        1
    ]
    assert error["errorCode"] == "INVALID_FIELD"
    assert "A2".lower() in error["message"]
    who = {"attributes": {"type": "Contact"}, "Hub_Key__c": "C1"}
    task = rig.read(rig.create("Task", Subject="Call", Who=who), "Task")
    assert (task["WhoId"], task["AccountId"]) == (row_id, account)
    late = {"Hub_Key__c": "C1", "attributes": {"type": "Contact"}}
    error = rig.refused("POST", "sobjects/Task", {"Subject": "Call", "Who": late})[1]
    assert error["errorCode"] == "JSON_PARSER_ERROR"


def test_a_reference_the_user_may_not_make(rig: Rig) -> None:
    account = rig.create("Account", Name="Partner")
    rig.fake.org.rules.unseen.add(account)
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "AccountId": account})
    assert (status, error["errorCode"]) == (400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")
    words = f"insufficient access rights on cross-reference id: {account[:15]}"
    assert error["message"] == words


def test_the_organisations_own_rules(rig: Rig) -> None:
    rig.fake.add_validation(
        ValidationRule("Contact", lambda new, old: new.get("Title") == "Boss", "No bosses", "Title")
    )
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "B", "Title": "Boss"})
    assert (status, error) == (400, {
        "message": "No bosses", "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "fields": ["Title"],
    })  # fmt: skip
    words = "HubTrigger: execution of AfterUpdate caused by: System.DmlException"
    rig.fake.fail_rows(RowFault("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words))
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B"})[1]
    assert (error["errorCode"], error["message"]) == ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words)
    assert rig.contact()


def test_a_locked_row_and_a_full_organisation(rig: Rig) -> None:
    rig.fake.lock_rows(1)
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "B"})
    assert (status, error["errorCode"]) == (400, "UNABLE_TO_LOCK_ROW")
    assert error["message"] == "unable to obtain exclusive access to this record"
    row_id = rig.contact()
    rig.fake.fill_storage()
    error = rig.refused("POST", "sobjects/Contact", {"LastName": "B"})[1]
    assert error["errorCode"] == "STORAGE_LIMIT_EXCEEDED"
    assert rig.call("PATCH", f"sobjects/Contact/{row_id}", {"LastName": "B"}).status_code == 204


def test_bodies_that_cannot_be_read(rig: Rig) -> None:
    for body in (b"", b"[1]", b"{", b"\xff"):
        answer = rig.http.post(f"{V}/sobjects/Contact", content=body)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
    body = gzip.compress(json.dumps({"LastName": "Berg"}).encode())
    zipped = {"content-encoding": "gzip", "content-type": "application/json"}
    assert rig.http.post(f"{V}/sobjects/Contact", content=body, headers=zipped).status_code == 201
    assert rig.http.post(f"{V}/sobjects/Contact", content=b"{}", headers=zipped).status_code == 400


def test_ids_that_lead_nowhere(rig: Rig) -> None:
    status, error = rig.refused("GET", "sobjects/Contact/003000000000001")
    assert (status, error["errorCode"]) == (404, "NOT_FOUND")
    status, error = rig.refused("GET", "sobjects/Contact/nonsense")
    assert (status, error["errorCode"]) == (404, "NOT_FOUND")
    assert rig.call("PUT", "sobjects/Contact/003000000000001", {}).status_code == 404
    assert rig.call("PUT", f"sobjects/Contact/{rig.contact()}", {}).status_code == 405


def test_objects_nobody_creates_or_deletes(rig: Rig) -> None:
    for sobject in ("Organization", "RecordType", "TaskStatus"):
        status, error = rig.refused("POST", f"sobjects/{sobject}", {})
        assert (status, error["errorCode"]) == (400, "INVALID_TYPE_FOR_OPERATION")
    status, error = rig.refused("DELETE", f"sobjects/User/{rig.fake.hub_id}")
    assert (status, error["errorCode"]) == (400, "INVALID_TYPE_FOR_OPERATION")
    assert rig.call("POST", "sobjects/User", {"LastName": "X"}).status_code == 501
