"""What the fake portal keeps, seen through HubSpot's own SDK and none of the hub's code.

The numbers are those of the list of behaviours in the HubSpot reference, section 3.2.
"""

from __future__ import annotations

import json

import pytest

from tests.simulator.hubspot_rig import MIDNIGHT_MS, Rig, options_of, refused

# 1. Exact status codes: the SDK answers any other success with None.


def test_each_success_has_the_status_the_sdk_expects(rig: Rig) -> None:
    contacts, v4 = rig.crm.contacts, rig.crm.associations.v4
    made = contacts.basic_api.create({"properties": {"email": "A@b.co"}, "associations": []})
    assert made.properties["email"] == "a@b.co"
    assert contacts.basic_api.get_by_id(made.id).id == made.id
    assert contacts.basic_api.update(made.id, {"properties": {"firstname": "Z"}}).id == made.id
    assert len(contacts.basic_api.get_page().results) == 1
    created = contacts.batch_api.create({"inputs": [{"properties": {"email": "b@b.co"}}]})
    other = created.results[0].id
    found = contacts.batch_api.read({"inputs": [{"id": other}], "properties": ["email"]})
    assert found.results[0].properties["email"] == "b@b.co"
    changed = {"inputs": [{"id": other, "properties": {"lastname": "Y"}}]}
    assert contacts.batch_api.update(changed).results[0].id == other
    assert rig.upsert(("C1", {"email": "c@b.co"})).results[0].new is True
    tasks = rig.crm.objects.tasks
    task = tasks.basic_api.create({"properties": {"hs_timestamp": MIDNIGHT_MS}})
    pair = {"inputs": [{"from": {"id": task.id}, "to": {"id": other}}]}
    assert v4.batch_api.create_default("tasks", "contacts", pair).results
    assert v4.basic_api.create_default("tasks", task.id, "contacts", made.id).results
    kind = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204}]
    assert v4.basic_api.create("tasks", task.id, "contacts", made.id, kind) is not None
    linked = v4.basic_api.get_page("tasks", task.id, "contacts").results
    assert {str(row.to_object_id) for row in linked} == {made.id, other}
    ids = {"inputs": [{"id": task.id}]}
    (row,) = v4.batch_api.get_page("tasks", "contacts", ids).results
    assert {str(to.to_object_id) for to in row.to} == {made.id, other}
    assert row.to[0].association_types[0].type_id == 204
    v4.basic_api.archive("tasks", task.id, "contacts", made.id)
    assert rig.fake.associations() == {task.id: [other]}
    merged = {"primaryObjectId": made.id, "objectIdToMerge": other}
    assert contacts.basic_api.merge(merged).id == made.id
    contacts.basic_api.archive(made.id)
    contacts.batch_api.archive({"inputs": [{"id": "1"}]})
    assert rig.crm.properties.core_api.get_by_name("contacts", "day").type == "date"
    assert rig.crm.owners.owners_api.get_page().results[0].id == "101"


# 2. Bad values: without trace ids nothing is written, with them the others are.

BAD = [
    ({"nonsense": "1"}, "nonsense", "PROPERTY_DOESNT_EXIST"),
    ({"status": "ajar"}, "status", "INVALID_OPTION"),
    ({"tags": "a;z"}, "tags", "INVALID_OPTION"),
    ({"flag": "yes"}, "flag", "INVALID_OPTION"),
    ({"day": "01/03/2026"}, "day", "INVALID_DATE"),
    ({"day": "1772323200001"}, "day", "INVALID_DATE"),
    ({"moment": "2026-03-01 10:00"}, "moment", "INVALID_DATE"),
    ({"amount": "1,000.00"}, "amount", "INVALID_LONG"),
    ({"email": "not an address"}, "email", "INVALID_EMAIL"),
    ({"createdate": MIDNIGHT_MS}, "createdate", "READ_ONLY_VALUE"),
    ({"hubspot_owner_id": "999"}, "hubspot_owner_id", "INVALID_OPTION"),
]


@pytest.mark.parametrize(("values", "name", "code"), BAD)
def test_a_bad_value(rig: Rig, values: dict[str, str], name: str, code: str) -> None:
    good = ("C1", {"firstname": "Ana"})
    bad = ("C2", {"firstname": "Bea"} | values)
    status, body = refused(rig.upsert, good, bad, trace=False)
    assert (status, body["category"]) == (400, "VALIDATION_ERROR")
    assert body["errors"][0]["code"] == code
    assert body["errors"][0]["context"]["propertyName"] == [name]
    assert rig.fake.contacts() == {}

    answer = rig.upsert(good, bad)
    assert [r.object_write_trace_id for r in answer.results] == ["t-C1"]
    (error,) = answer.errors
    assert error.context["objectWriteTraceId"] == ["t-C2"]
    assert error.message.startswith("Property values were not valid: [{")
    (detail,) = json.loads(error.message.partition(": ")[2])
    assert (detail["name"], detail["error"], detail["isValid"]) == (name, code, False)
    assert set(rig.fake.contacts("broker_client_id")) == {"C1"}
    assert rig.fake.writes["contacts"] == 1


def test_a_value_that_is_no_text(rig: Rig) -> None:
    for value in (5, True, None, ["a"]):
        assert refused(rig.upsert, ("C1", {"firstname": value}), trace=False)[0] == 400


# 3. The batch itself.


def test_batches_are_bounded_and_distinct(rig: Rig) -> None:
    rows = [(f"C{n}", {"firstname": "x"}) for n in range(101)]
    assert refused(rig.upsert, *rows)[0] == 400
    status, body = refused(rig.upsert, rows[0], rows[0])
    assert status == 400
    assert body["message"] == "Duplicate IDs found in batch input: [C0]. IDs must be unique"
    assert body["context"]["ids"] == ["C0"]
    assert rig.fake.contacts() == {}
    assert len(rig.upsert(*rows[:100]).results) == 100


def test_the_id_property_must_be_unique(rig: Rig) -> None:
    row = {"id": "Ana", "idProperty": "firstname", "properties": {}}
    status, body = refused(rig.crm.contacts.batch_api.upsert, {"inputs": [row]})
    assert status == 400
    expected = "Unable to perform update/upsert by non-unique 0-1 property firstname"
    assert body["message"] == expected


def test_without_id_property_the_id_is_a_record_id(rig: Rig) -> None:
    record_id = rig.upsert(("C1", {"firstname": "x"})).results[0].id
    row = {"id": record_id, "properties": {"lastname": "y"}, "objectWriteTraceId": "1"}
    unknown = {"id": "99", "properties": {"lastname": "y"}, "objectWriteTraceId": "2"}
    answer = rig.crm.contacts.batch_api.upsert({"inputs": [row, unknown]})
    assert rig.by_key("C1")["lastname"] == "y"
    assert answer.errors[0].category == "OBJECT_NOT_FOUND"


# 4. Upserts.


def test_upsert_says_what_is_new_and_shuffles(rig: Rig) -> None:
    rows = [(f"C{n}", {"email": f"User{n}@B.co", "amount": "1.50"}) for n in range(20)]
    first = rig.upsert(*rows)
    assert all(r.new for r in first.results)
    order = [r.object_write_trace_id for r in first.results]
    assert order != [f"t-{key}" for key, _ in rows]
    assert sorted(order) == sorted(f"t-{key}" for key, _ in rows)
    again = rig.upsert(*rows[:3], ("C99", {"firstname": "n"}))
    assert {r.object_write_trace_id: r.new for r in again.results} == {
        "t-C0": False,
        "t-C1": False,
        "t-C2": False,
        "t-C99": True,
    }
    shown = next(r for r in again.results if r.object_write_trace_id == "t-C2").properties
    system = {"createdate", "lastmodifieddate", "hs_object_id"}
    assert set(shown) == {"email", "amount"} | system
    assert shown["email"] == "user2@b.co"
    assert all(isinstance(value, str) for value in shown.values())


def test_values_read_back_as_hubspot_shows_them(rig: Rig) -> None:
    rig.upsert(
        (
            "C1",
            {
                "firstname": "O'Neil 李 🙂",
                "day": MIDNIGHT_MS,
                "moment": "2026-03-01T12:00:00.250+02:00",
                "tags": "c;a",
                "flag": "true",
                "amount": "-1.50",
            },
        ),
        ("C2", {"firstname": "B", "day": "2026-03-29", "moment": "1772323200000"}),
    )
    one, two = rig.by_key("C1"), rig.by_key("C2")
    assert (one["day"], two["day"]) == ("2026-03-01", "2026-03-29")
    assert one["moment"] == "2026-03-01T10:00:00.250Z"
    assert two["moment"] == "2026-03-01T00:00:00Z"
    assert (one["tags"], one["flag"], one["amount"]) == ("a;c", "true", "-1.50")
    body = {"inputs": [{"id": "C2"}], "idProperty": "broker_client_id"}
    names = ["amount", "no_such_property", "firstname"]
    (read,) = rig.crm.contacts.batch_api.read(body | {"properties": names}).results
    assert read.properties["amount"] is None
    assert "no_such_property" not in read.properties


def test_a_new_contact_needs_a_name_or_an_address(rig: Rig) -> None:
    answer = rig.upsert(("C1", {"amount": "1"}))
    assert answer.errors[0].context["properties"] == ["email", "firstname", "lastname"]


def test_reading_misses(rig: Rig) -> None:
    rig.upsert(("C1", {"firstname": "x"}))
    body = {"inputs": [{"id": "C1"}, {"id": "C2"}], "idProperty": "broker_client_id"}
    answer = rig.crm.contacts.batch_api.read(body)
    assert len(answer.results) == 1
    assert (answer.errors[0].category, answer.errors[0].context) == (
        "OBJECT_NOT_FOUND",
        {"ids": ["C2"]},
    )
    status, page = refused(rig.crm.contacts.basic_api.get_by_id, "4711")
    assert (status, len(page["html"])) == (404, 197)
    status, body = refused(rig.crm.contacts.basic_api.get_by_id, "abc")
    assert (status, body["message"]) == (
        404,
        "Object not found.  objectId are usually numeric.",
    )


# 5. Unique values and definitions.


def test_an_address_belongs_to_one_contact(rig: Rig) -> None:
    owner = rig.upsert(("C1", {"email": "a@b.co"})).results[0].id
    create = rig.crm.contacts.basic_api.create
    status, body = refused(create, {"properties": {"email": "A@B.co"}})
    assert status == 409
    assert body["message"] == f"Contact already exists. Existing ID: {owner}"
    batch = {"inputs": [{"properties": {"email": "a@b.co"}}]}
    status, body = refused(rig.crm.contacts.batch_api.create, batch)
    assert (status, body["message"]) == (409, "Contact already exists")
    for other in ({"email": "a@b.co"}, {"email": "A@b.co", "lastname": "x"}):
        (error,) = rig.upsert(("C2", other)).errors
        assert error.category == "CONFLICT"
        assert error.context == {"existingId": [owner], "objectWriteTraceId": ["t-C2"]}
    twins = rig.upsert(("C3", {"email": "n@b.co"}), ("C4", {"email": "n@b.co"}))
    assert len(twins.results) == len(twins.errors) == 1
    status, _ = refused(
        rig.upsert, ("C5", {"email": "m@b.co"}), ("C6", {"email": "m@b.co"}), trace=False
    )
    assert status == 409


def test_an_updated_address_may_be_ignored_instead() -> None:
    rig = Rig(email_conflict="ignored")
    rig.upsert(("C1", {"email": "a@b.co"}), ("C2", {"email": "c@b.co"}))
    answer = rig.upsert(("C2", {"email": "a@b.co", "lastname": "x"}))
    assert answer.results[0].properties["email"] == "c@b.co"
    assert rig.by_key("C2")["lastname"] == "x"


def test_a_merged_address_still_blocks(rig: Rig) -> None:
    ids = [rig.upsert((f"C{n}", {"email": f"{n}@b.co"})).results[0].id for n in (1, 2)]
    rig.fake.merge(*ids)
    (contact,) = rig.fake.contacts().values()
    assert contact["hs_additional_emails"] == "2@b.co"
    assert contact["hs_merged_object_ids"] == ids[1]
    assert contact["broker_client_id"] == "C1"
    (error,) = rig.upsert(("C2", {"email": "2@b.co"})).errors
    assert error.context["existingId"] == [ids[0]]
    assert rig.crm.contacts.basic_api.get_by_id(ids[1]).id == ids[0]


def test_a_custom_key_is_unique(rig: Rig) -> None:
    first, second = rig.upsert(("C1", {"firstname": "x"}), ("C2", {"firstname": "y"})).results
    update = rig.crm.contacts.basic_api.update
    taken = {"properties": {"broker_client_id": first.properties.get("broker_client_id") or "C1"}}
    holder = {c["hs_object_id"] for c in [rig.by_key("C1")]}
    other = next(r for r in (first, second) if r.id not in holder)
    assert refused(update, other.id, taken)[0] == 400
    assert update(other.id, {"properties": {"broker_client_id": "C3"}}).id == other.id
    assert set(rig.fake.contacts("broker_client_id")) == {"C1", "C3"}


def test_definitions(rig: Rig) -> None:
    for n in range(9):
        rig.define(f"key{n}", "string", "text", hasUniqueValue=True)
    assert refused(rig.define, "key9", "string", "text", hasUniqueValue=True)[0] == 400
    status, body = refused(rig.define, "day", "date", "date")
    assert (status, body["message"]) == (409, "Property named 'day' already exists.")
    assert refused(rig.define, "x1", "string", "text", groupName="nowhere")[0] == 400
    assert refused(rig.define, "x2", "datetime", "datetime")[0] == 400
    assert refused(rig.define, "X3", "string", "text")[0] == 400
    assert refused(rig.define, "x4", "bool", "booleancheckbox")[0] == 400
    unlabelled = [{"value": "a", "label": "a"}]
    assert refused(rig.define, "x5", "enumeration", "select", options=unlabelled)[0] == 400
    core = rig.crm.properties.core_api
    assert refused(core.update, "contacts", "key0", {"hasUniqueValue": False})[0] == 400
    core.update("contacts", "status", {"options": options_of("other")})
    assert rig.upsert(("C1", {"firstname": "x", "status": "open"})).errors
    assert not getattr(rig.upsert(("C1", {"firstname": "x", "status": "other"})), "errors", None)
    core.archive("contacts", "status")
    assert refused(core.get_by_name, "contacts", "status")[0] == 404


def test_unique_task_keys_are_a_switch() -> None:
    body = {
        "name": "broker_task_key",
        "label": "k",
        "type": "string",
        "fieldType": "text",
        "groupName": "task",
        "hasUniqueValue": True,
    }
    Rig().crm.properties.core_api.create("tasks", body)
    closed = Rig(task_unique_keys=False).crm.properties.core_api.create
    assert refused(closed, "tasks", body)[0] == 400


# 6. Lifecycle stage.


def test_lifecycle_never_goes_back_silently(rig: Rig) -> None:
    rig.upsert(("C1", {"firstname": "x", "lifecyclestage": "customer"}))
    back = rig.upsert(("C1", {"lifecyclestage": "lead"}))
    assert back.results[0].properties["lifecyclestage"] == "customer"
    assert rig.by_key("C1")["lifecyclestage"] == "customer"
    rig.upsert(("C1", {"lifecyclestage": ""}))
    assert "lifecyclestage" not in rig.by_key("C1")
    rig.upsert(("C1", {"lifecyclestage": "lead"}))
    assert rig.by_key("C1")["lifecyclestage"] == "lead"
