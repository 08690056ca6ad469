"""The fake portal's behaviours, seen through HubSpot's own SDK and none of the hub's code.

The numbers are those of the list of behaviours in the HubSpot reference, section 3.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.hubspot import FakeOwner, Fault, HubSpotFake
from simulator.wire import Request, Response
from tests.fakes.hubspot import TOKEN, InProcessPool, TestWorld, sdk_for

MIDNIGHT_MS = "1772323200000"  # 2026-03-01T00:00:00Z


class Rig:
    """A portal with one property of each kind, and the SDK."""

    def __init__(self, **options: Any) -> None:
        self.world = TestWorld()
        owners = [FakeOwner(str(n), f"o{n}@b.test", archived=n > 105) for n in range(101, 108)]
        self.fake = HubSpotFake(self.world, **({"owners": owners} | options))
        self.crm = sdk_for(self.fake).crm
        self.crm.properties.groups_api.create("contacts", {"name": "broker", "label": "Broker"})
        self.define("broker_client_id", "string", "text", hasUniqueValue=True)
        self.define("status", "enumeration", "select", options=options_of("open", "shut"))
        self.define("tags", "enumeration", "checkbox", options=options_of("a", "b", "c"))
        self.define("day", "date", "date")
        self.define("moment", "datetime", "date")
        self.define("amount", "number", "number")
        self.define("flag", "bool", "booleancheckbox", options=options_of("true", "false"))

    def define(self, name: str, kind: str, field: str, **more: Any) -> Any:
        body = {"name": name, "label": name, "type": kind, "fieldType": field}
        return self.crm.properties.core_api.create(
            "contacts", body | {"groupName": "broker"} | more
        )

    def upsert(self, *rows: tuple[str, Mapping[str, Any]], trace: bool = True) -> Any:
        inputs = [
            {"idProperty": "broker_client_id", "id": key, "properties": dict(values)}
            | ({"objectWriteTraceId": f"t-{key}"} if trace else {})
            for key, values in rows
        ]
        return self.crm.contacts.batch_api.upsert({"inputs": inputs})

    def by_keys(self) -> list[tuple[str, dict[str, str]]]:
        return list(self.fake.contacts("broker_client_id").items())

    def by_key(self, key: str) -> dict[str, str]:
        return self.fake.contacts("broker_client_id")[key]


def options_of(*values: str) -> list[dict[str, Any]]:
    return [{"label": v, "value": v, "hidden": False} for v in values]


def refused(call: Any, *args: Any, **kw: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of the SDK's exception."""
    with pytest.raises(Exception, match="Reason") as caught:
        call(*args, **kw)
    body = getattr(caught.value, "body", "")
    status: int = getattr(caught.value, "status", 0)
    return status, json.loads(body) if body.startswith("{") else {"html": body}


@pytest.fixture
def rig() -> Rig:
    return Rig()


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


# 7. Search.


def _search(rig: Rig, name: str, value: str, **more: Any) -> Any:
    row = {"propertyName": name, "operator": "EQ", "value": value}
    return rig.crm.contacts.search_api.do_search({"filterGroups": [{"filters": [row]}]} | more)


def test_the_index_is_behind(rig: Rig) -> None:
    rig.upsert(("C1", {"firstname": "old"}))
    assert _search(rig, "firstname", "old").total == 0
    rig.world.sleep(3)
    assert _search(rig, "firstname", "old").total == 1
    rig.upsert(("C1", {"firstname": "new"}))
    rig.world.sleep(2.9)
    assert _search(rig, "firstname", "new").total == 0
    assert _search(rig, "firstname", "old").total == 1
    rig.world.sleep(0.1)
    assert _search(rig, "firstname", "new").total == 1
    rig.fake.archive("contacts", rig.by_key("C1")["hs_object_id"])
    assert _search(rig, "firstname", "new").total == 0


def test_search_has_limits_of_its_own(rig: Rig) -> None:
    for _ in range(5):
        _, _, headers = rig.crm.contacts.search_api.do_search_with_http_info({"limit": 1})
        assert not [name for name in headers if "RateLimit" in name]
    status, body = refused(rig.crm.contacts.search_api.do_search, {"limit": 1})
    assert (status, body["policyName"]) == (429, "SEARCH_SECONDLY")
    rig.world.sleep(1)
    status, _ = refused(_search, rig, "firstname", "x", limit=200, after="9900")
    assert status == 400
    assert refused(_search, rig, "firstname", "x", limit=201)[0] == 400


# 8. Limits.


def test_the_window_slides() -> None:
    rig = Rig(burst=20)
    rig.world.sleep(10)
    page = rig.crm.contacts.basic_api.get_page_with_http_info
    for left in range(19, 9, -1):
        _, _, headers = page()
        assert headers["X-HubSpot-RateLimit-Remaining"] == str(left)
    rig.world.sleep(6)
    for _ in range(10):
        page()
    status, body = refused(page)
    assert status == 429
    assert body["errorType"] == "RATE_LIMIT"
    assert body["policyName"] == "TEN_SECONDLY_ROLLING"
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert "category" not in body
    rig.world.sleep(4)
    _, _, headers = page()
    assert headers["X-HubSpot-RateLimit-Remaining"] == "9"
    assert headers["X-HubSpot-RateLimit-Max"] == "20"
    assert headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert rig.fake.rate_limited == 1


def test_the_day_ends_at_the_accounts_midnight() -> None:
    rig = Rig(daily_limit=100, time_zone="Europe/Nicosia")  # midnight there is 22:00 UTC
    page = rig.crm.contacts.basic_api.get_page_with_http_info
    rig.fake.limiter.used_today = 99
    _, _, headers = page()
    assert headers["X-HubSpot-RateLimit-Daily-Remaining"] == "0"
    assert refused(page)[1]["policyName"] == "DAILY"
    rig.world.sleep(22 * 3600 - 1)
    assert refused(page)[0] == 429
    rig.world.sleep(1)
    assert page()[2]["X-HubSpot-RateLimit-Daily-Remaining"] == "99"


# 9. Faults to order.


@pytest.mark.parametrize("status", [423, 500, 502, 503, 504])
def test_an_ordered_status_has_no_effect(rig: Rig, status: int) -> None:
    rig.fake.fail_next([None, Fault(status=status)])
    rig.upsert(("C1", {"firstname": "x"}))
    assert refused(rig.upsert, ("C2", {"firstname": "x"}))[0] == status
    assert len(rig.fake.contacts()) == 1


def test_other_faults(rig: Rig) -> None:
    rig.fake.fail_next([Fault(status=404, html=True), Fault(status=477, retry_after=7200)])
    assert refused(rig.upsert, ("C1", {"firstname": "x"}))[1]["html"].startswith("<html>")
    assert refused(rig.upsert, ("C1", {"firstname": "x"}))[0] == 477
    rig.fake.fail_next([Fault(slow_s=4), Fault.lost_answer()])
    before = rig.world.now_ms
    rig.upsert(("C1", {"firstname": "x"}))
    assert rig.world.now_ms == before + 4000
    with pytest.raises(Exception, match="Connection aborted"):
        rig.upsert(("C2", {"firstname": "x"}))
    assert len(rig.fake.contacts()) == 2


# 10. Rights, merges, archives, pages.


def test_tokens_and_scopes(rig: Rig) -> None:
    wrong = sdk_for(rig.fake, "pat-other").crm.contacts.basic_api.get_page
    status, body = refused(wrong)
    assert (status, body["category"]) == (401, "INVALID_AUTHENTICATION")
    rig.fake.remove_scope("crm.objects.contacts.write")
    status, body = refused(rig.upsert, ("C1", {"firstname": "x"}))
    assert (status, body["category"]) == (403, "MISSING_SCOPES")
    needed = body["errors"][0]["context"]["requiredGranularScopes"]
    assert needed == ["crm.objects.contacts.write"]
    rig.fake.rotate_token("pat-new")
    assert refused(rig.crm.contacts.basic_api.get_page)[0] == 401
    assert sdk_for(rig.fake, "pat-new").crm.contacts.basic_api.get_page().results == []


@pytest.mark.parametrize("header", ["", "bearer " + TOKEN, "Bearer  " + TOKEN, TOKEN])
def test_the_bearer_scheme_is_exact(rig: Rig, header: str) -> None:
    request = Request("GET", "/crm/v3/objects/contacts", {"authorization": header})
    assert rig.fake(request).status == 401


def test_archived_records_hide_and_free_their_keys(rig: Rig) -> None:
    old = rig.upsert(("C1", {"email": "a@b.co"})).results[0].id
    rig.crm.contacts.basic_api.archive(old)
    assert refused(rig.crm.contacts.basic_api.get_by_id, old)[0] == 404
    assert rig.crm.contacts.basic_api.get_by_id(old, archived=True).archived
    assert rig.crm.contacts.basic_api.get_page(archived=True).results[0].id == old
    again = rig.upsert(("C1", {"email": "a@b.co"})).results[0]
    assert again.new
    assert again.id != old


def test_a_merge_may_give_a_new_id() -> None:
    rig = Rig(merge_new_id=True)
    ids = [rig.upsert((f"C{n}", {"email": f"{n}@b.co"})).results[0].id for n in (1, 2)]
    task = rig.fake.add("tasks", {"hs_timestamp": MIDNIGHT_MS})
    rig.crm.associations.v4.basic_api.create_default("tasks", task, "contacts", ids[1])
    new = rig.fake.merge(*ids)
    assert new not in ids
    assert {rig.crm.contacts.basic_api.get_by_id(i).id for i in ids} == {new}
    assert rig.fake.associations() == {task: [new]}
    assert rig.by_key("C1")["email"] == "1@b.co"


def test_pages_end_without_paging(rig: Rig) -> None:
    rig.upsert(*[(f"C{n}", {"firstname": str(n)}) for n in range(25)])
    rig.upsert(*[(f"D{n}", {"firstname": str(n)}) for n in range(90)])
    assert len(rig.crm.contacts.get_all()) == 115  # the SDK takes pages of 100
    rig.crm.contacts.batch_api.archive(
        {"inputs": [{"id": c["hs_object_id"]} for k, c in rig.by_keys() if k.startswith("D")]}
    )
    page = rig.crm.contacts.basic_api.get_page(limit=10)
    second = rig.crm.contacts.basic_api.get_page(limit=10, after=page.paging.next.after)
    last = rig.crm.contacts.basic_api.get_page(limit=10, after=second.paging.next.after)
    assert len(last.results) == 5
    assert last.paging is None
    owners = rig.crm.owners.owners_api
    assert [o.id for o in owners.get_page(archived=True).results] == ["106", "107"]
    first = owners.get_page(limit=3)
    assert [o.id for o in owners.get_page(after=first.paging.next.after).results] == ["104", "105"]
    assert owners.get_by_id(101).email == "o101@b.test"


def test_dated_paths_and_trailing_slashes_are_the_same_portal(rig: Rig) -> None:
    pool = InProcessPool(rig.fake)

    def get(path: str) -> Response | Any:
        headers = {"authorization": f"Bearer {TOKEN}"}
        return pool.request("GET", f"https://x{path}", headers=headers).json()

    rig.upsert(("C1", {"firstname": "x"}))
    for old, new in (
        ("/crm/v3/objects/contacts", "/crm/objects/2026-09/contacts/"),
        ("/crm/v3/properties/contacts", "/crm/properties/2026-09/contacts"),
        ("/crm/v3/owners/", "/crm/owners/2026-09"),
        ("/crm/v4/associations/tasks/contacts/labels", "/crm/associations/2026-09/0-27/0-1/labels"),
        ("/account-info/v3/details", "/account-info/2026-09/details"),
    ):
        assert get(old) == get(new)
    assert get("/account-info/v3/details")["timeZone"] == "UTC"
    used = get("/account-info/v3/api-usage/daily/private-apps")["results"][0]
    assert used["usageLimit"] == 650_000


def test_unknown_paths_and_shapes_break_nothing(rig: Rig) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    for method, path, body in (
        ("GET", "/nowhere", b""),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b"no json"),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b"[]"),
        ("POST", "/crm/v3/objects/contacts/batch/upsert", b'{"inputs":[{"id":"1"}]}'),
        ("POST", "/crm/v3/objects/unicorns/batch/read", b'{"inputs":[]}'),
        ("POST", "/crm/v4/associations/tasks/contacts/batch/read", b'{"inputs":[{}]}'),
        ("POST", "/crm/v3/objects/contacts/search", b'{"filterGroups":[{"filters":[{}]}]}'),
        ("PUT", "/crm/v3/objects/contacts", b"{}"),
        ("GET", "/crm/v3/objects/contacts?limit=x", b""),
    ):
        assert 400 <= rig.fake(Request(method, path, headers, body)).status < 500
    status, body = refused(rig.crm.objects.basic_api.get_page, "unicorns")
    assert (status, body["message"]) == (400, "Unable to infer object type from: unicorns")


def test_writes_can_be_kept() -> None:
    rig = Rig(keep_writes=True)
    rig.upsert(("C1", {"firstname": "x"}))
    rig.upsert(("C1", {"lastname": "y"}))
    rig.fake.edit("contacts", rig.by_key("C1")["hs_object_id"], {"lastname": "by hand"})
    assert [(w.object, w.created, w.properties.get("lastname")) for w in rig.fake.written] == [
        ("contacts", True, None),
        ("contacts", False, "y"),
    ]
    assert rig.fake.stats()["writes"] == {"contacts": 2, "tasks": 0, "associations": 0}
