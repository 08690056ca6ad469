"""sObject Collections: up to 200 records in a call, each with a result of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from simulator.salesforce import RowFault
from tests.simulator.salesforce.rig import Rig, error_of, sdk_refused

T = {"attributes": {"type": "Contact"}}


def test_upsert_in_the_order_of_the_records(rig: Rig) -> None:
    first = rig.upsert({"Hub_Key__c": "C2", "LastName": "Two"})
    results = rig.upsert(
        {"Hub_Key__c": "C1", "LastName": "One"},
        {"Hub_Key__c": "C2", "LastName": "Zwei"},
        {"Hub_Key__c": "C3"},
    )
    assert [r["success"] for r in results] == [True, True, False]
    assert [r["created"] for r in results] == [True, False, False]
    assert results[1] == {"id": first[0]["id"], "success": True, "errors": [], "created": False}
    assert error_of(results[2]) == (
        "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"],
    )  # fmt: skip
    names = {k: r["LastName"] for k, r in rig.fake.records("Contact", "Hub_Key__c").items()}
    assert names == {"C1": "One", "C2": "Zwei"}
    assert rig.fake.stats()["calls_by_route"]["PATCH composite/sobjects/Contact/Hub_Key__c"] == 2


def test_200_even_if_every_record_failed(rig: Rig) -> None:
    answer = rig.call(
        "PATCH",
        "composite/sobjects/Contact/Hub_Key__c",
        {"records": [T | {"Hub_Key__c": "C1"}] * 2},
    )
    assert answer.status_code == 200
    assert [error_of(r)[0] for r in answer.json()] == ["DUPLICATE_VALUE"] * 2


def test_200_records_and_one_more(rig: Rig) -> None:
    rows = [{"Hub_Key__c": f"C{n}", "LastName": "Berg"} for n in range(201)]
    status, content = sdk_refused(rig.upsert, *rows)
    assert (status, len(content)) == (400, 1)
    assert rig.fake.records("Contact") == {}
    assert all(r["success"] for r in rig.upsert(*rows[:200]))
    ids = ",".join(rig.fake.records("Contact"))
    assert rig.call("DELETE", f"composite/sobjects?ids={ids}").status_code == 200
    assert rig.call("DELETE", f"composite/sobjects?ids={ids},{ids[:18]}").status_code == 400


def test_a_key_twice_in_one_call(rig: Rig) -> None:
    results = rig.upsert(
        {"Hub_Key__c": "c1", "LastName": "A"},
        {"Hub_Key__c": "C2", "LastName": "B"},
        {"Hub_Key__c": "C1", "LastName": "C"},
    )
    assert error_of(results[0])[:2] == ("DUPLICATE_VALUE", "Duplicate external id specified: c1")
    assert error_of(results[2])[:2] == ("DUPLICATE_VALUE", "Duplicate external id specified: C1")
    assert results[1]["success"]
    assert set(rig.fake.records("Contact", "Hub_Key__c")) == {"C2"}


def test_a_key_two_records_have(rig: Rig) -> None:
    for _ in range(2):
        rig.create("Contact", LastName="Berg", Email="x@y.co")
    (result,) = rig.upsert({"Email": "X@Y.co", "Title": "Dr"}, key="Email")
    assert error_of(result)[0] == "DUPLICATE_EXTERNAL_ID"
    (result,) = rig.upsert({"Email": "new@y.co", "LastName": "Ek"}, key="Email")
    assert result["created"] is True


def test_by_id_null_creates(rig: Rig) -> None:
    (made,) = rig.upsert({"Id": None, "LastName": "Berg"}, key="Id")
    assert made["created"] is True
    (changed,) = rig.upsert({"Id": made["id"], "LastName": "Ek"}, key="Id")
    assert changed == {"id": made["id"], "success": True, "errors": [], "created": False}
    (missing,) = rig.upsert({"LastName": "Berg"})
    assert error_of(missing)[0] == "MISSING_ARGUMENT"


LATE = (
    "Nested object for polymorphic foreign key must have an attributes field before any other "
    "fields."
)


@pytest.mark.parametrize(
    "record",
    [{"Hub_Key__c": "C1", "LastName": "B", **T}, {"Hub_Key__c": "C1", "LastName": "B"}],
)
def test_attributes_come_first(rig: Rig, record: dict[str, Any]) -> None:
    good = T | {"Hub_Key__c": "C2", "LastName": "B"}
    for method, path in (
        ("PATCH", "composite/sobjects/Contact/Hub_Key__c"),
        ("POST", "composite/sobjects"),
    ):
        body = {"records": [record, good | {"Hub_Key__c": f"C{method}"}]}
        results = rig.call(method, path, body).json()
        assert error_of(results[0])[:2] == ("JSON_PARSER_ERROR", LATE)
        assert results[1]["success"]


def test_all_or_none(rig: Rig) -> None:
    rig.contact("C1")
    before = rig.fake.records("Contact")
    results = rig.upsert(
        {"Hub_Key__c": "C1", "LastName": "Changed"},
        {"Hub_Key__c": "C2", "LastName": "New", "Stage__c": "Rich"},
        {"Hub_Key__c": "C3", "LastName": "New"},
        allOrNone=True,
    )
    assert [error_of(r)[0] for r in results] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    ]
    assert rig.fake.records("Contact") == before
    assert rig.fake.writes["Contact"] == 1
    # What was taken back has left no key behind.
    assert rig.upsert({"Hub_Key__c": "C3", "LastName": "New"}, allOrNone=True)[0]["created"]


def test_create_update_delete_and_read(rig: Rig) -> None:
    lead = {"attributes": {"type": "Lead"}, "LastName": "L", "Company": "L"}
    body = {"records": [T | {"LastName": "A"}, lead, {"attributes": {"type": "Nope"}}]}
    made = rig.call("POST", "composite/sobjects", body).json()
    assert [r["success"] for r in made] == [True, True, False]
    assert "created" not in made[0]
    contact_id = made[0]["id"]
    body = {
        "records": [
            T | {"id": contact_id, "LastName": "B"},
            T | {"Id": "003000000000001", "LastName": "B"},
            T | {"LastName": "B"},
            T | {"id": "nonsense", "LastName": "B"},
        ]
    }
    results = rig.call("PATCH", "composite/sobjects", body).json()
    assert results[0] == {"id": contact_id, "success": True, "errors": []}
    words = ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])
    assert error_of(results[1]) == words
    assert [error_of(r)[0] for r in results[2:]] == ["MISSING_ARGUMENT", "MALFORMED_ID"]
    answer = rig.call(
        "GET", f"composite/sobjects/Contact?ids={contact_id},003000000000001&fields=LastName"
    ).json()
    assert (answer[0]["LastName"], answer[1]) == ("B", None)
    body = {"ids": [contact_id[:15]], "fields": ["LastName", "Id"]}
    assert rig.call("POST", "composite/sobjects/Contact", body).json()[0]["Id"] == contact_id
    path = f"composite/sobjects?ids={contact_id},{contact_id}&allOrNone=false"
    results = rig.call("DELETE", path).json()
    assert results[0] == {"id": contact_id, "success": True, "errors": []}
    assert error_of(results[1]) == ("ENTITY_IS_DELETED", "entity is deleted", [])


def test_a_call_of_too_many_kinds(rig: Rig) -> None:
    lead = {"attributes": {"type": "Lead"}, "LastName": "L", "Company": "L"}
    records = [T | {"LastName": "A"}, lead] * 5
    assert rig.call("POST", "composite/sobjects", {"records": records}).status_code == 200
    records.append(T | {"LastName": "A"})
    assert rig.call("POST", "composite/sobjects", {"records": records}).status_code == 400


def test_some_records_fail_and_others_do_not(rig: Rig) -> None:
    rig.fake.lock_rows(3, "Contact")
    rig.fake.fail_rows(RowFault("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"))
    results = rig.upsert(*({"Hub_Key__c": f"C{n}", "LastName": "B"} for n in range(6)))
    codes = [error_of(r)[0] if not r["success"] else "" for r in results]
    assert codes == ["UNABLE_TO_LOCK_ROW"] * 3 + ["STORAGE_LIMIT_EXCEEDED"] + [""] * 2


@pytest.mark.parametrize("body", [{}, {"records": 5}, {"records": [5]}, {"records": None}])
def test_calls_that_cannot_be_read(rig: Rig, body: dict[str, Any]) -> None:
    assert rig.call("PATCH", "composite/sobjects/Contact/Hub_Key__c", body).status_code == 400
    assert rig.call("PATCH", "composite/sobjects/Contact/Title", {"records": []}).status_code == 404
    assert rig.call("PATCH", "composite/sobjects/Nope/Title", {"records": []}).status_code == 404


def test_records_that_are_no_records(rig: Rig) -> None:
    body = {"records": [T | {"Hub_Key__c": {"a": 1}, "LastName": ["x"]}]}
    (result,) = rig.call("PATCH", "composite/sobjects/Contact/Hub_Key__c", body).json()
    assert error_of(result)[0] == "JSON_PARSER_ERROR"


def test_two_thousand_records_by_key(rigs: Callable[..., Rig]) -> None:
    rig = rigs(keep_writes=True)
    for start in range(0, 2000, 200):
        rows = ({"Hub_Key__c": f"C{n}", "LastName": "B"} for n in range(start, start + 200))
        assert all(r["created"] for r in rig.upsert(*rows))
    assert [w.action for w in rig.fake.written if w.sobject == "Contact"] == ["create"] * 2000
    assert rig.fake.stats()["used_today"] == 10


def test_what_is_taken_back_leaves_no_trace(rigs: Callable[..., Rig]) -> None:
    """Random calls that fail as a whole: rows, keys and the log of writes are as before."""
    rig = rigs(person_accounts=True, keep_writes=True)
    rng = random.Random(7)
    rig.fake.people.load("Contact", ({"LastName": "B", "Hub_Key__c": f"K{n}"} for n in range(10)))
    for _ in range(60):
        before = {s: rig.fake.records(s) for s in ("Contact", "Account")}
        written = len(rig.fake.written)
        records = [
            rng.choice(
                [
                    T | {"Hub_Key__c": f"K{rng.randrange(20)}", "LastName": str(rng.random())},
                    {"attributes": {"type": "Account"}, "LastName": "P", "Hub_Key__pc": "P1"},
                    {"attributes": {"type": "Account"}, "Name": "Company"},
                ]
            )
            for _ in range(rng.randrange(1, 8))
        ]
        records.sort(key=lambda r: str(r["attributes"]))
        records.append(T | {"LastName": "B", "Stage__c": "Rich"})
        body = {"allOrNone": True, "records": records}
        results = rig.call("POST", "composite/sobjects", body).json()
        assert not any(r["success"] for r in results)
        assert {s: rig.fake.records(s) for s in ("Contact", "Account")} == before
        assert len(rig.fake.written) == written
    keys = {f"K{n}" for n in range(20)}
    found = {k for k in keys if rig.call("GET", f"sobjects/Contact/Hub_Key__c/{k}").is_success}
    assert found == {f"K{n}" for n in range(10)}
    assert rig.call("GET", "sobjects/Account/Hub_Key__pc/P1").status_code == 404
