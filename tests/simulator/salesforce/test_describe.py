"""What there is: versions, sObjects, fields and who sees them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.salesforce import Choice
from tests.simulator.salesforce.rig import KEY, Rig, sdk_refused

GONE = {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}


def _fields(rig: Rig, sobject: str) -> dict[str, dict[str, object]]:
    return {f["name"]: f for f in getattr(rig.sf, sobject).describe()["fields"]}


def test_the_versions_need_no_session_and_do_not_count(rig: Rig) -> None:
    before = rig.fake.stats()["used_today"]
    for path in ("/services/data", "/services/data/"):
        answer = rig.http.get(path, headers={"authorization": ""})
        assert "sforce-limit-info" not in answer.headers
        versions = {row["version"]: row for row in answer.json()}
    assert answer.json()[0]["version"] == "31.0"
    # Recorded: 59.0 is Winter '24; the documentation's menus: 66.0 and 67.0.
    url = "/services/data/v59.0"
    assert versions["59.0"] == {"label": "Winter '24", "url": url, "version": "59.0"}
    assert versions["66.0"]["label"] == "Spring '26"
    assert versions["67.0"]["label"] == "Summer '26"
    assert rig.fake.stats()["used_today"] == before


@pytest.mark.parametrize(
    ("version", "status"),
    [("20.0", 410), ("30.0", 410), ("31.0", 200), ("67.0", 200), ("99.0", 404)],
)
def test_versions_that_are_gone(rig: Rig, version: str, status: int) -> None:
    answer = rig.call("GET", f"/services/data/v{version}/limits/")
    assert answer.status_code == status
    if status == 410:
        assert answer.json()[0]["errorCode"] == "UNSUPPORTED_API_VERSION"


def test_describe_says_what_a_key_is(rig: Rig) -> None:
    fields = _fields(rig, "Contact")
    key = fields["Hub_Key__c"]
    told = ("externalId", "idLookup", "unique", "custom", "nillable", "createable", "updateable")
    assert [key[name] for name in told] == [True] * 7
    assert (key["length"], key["type"], key["label"]) == (64, "string", "Hub Key")
    email = fields["Email"]
    assert (email["idLookup"], email["externalId"], email["unique"]) == (True, False, False)
    assert (email["type"], email["length"]) == ("email", 80)
    required = [
        f["name"]
        for f in fields.values()
        if f["createable"] and not f["nillable"] and not f["defaultedOnCreate"]
    ]
    assert required == ["LastName"]
    assert fields["Name"]["updateable"] is False
    assert fields["OwnerId"]["referenceTo"] == ["User"]
    assert fields["Description"]["filterable"] is False
    assert fields["Stage__c"]["restrictedPicklist"] is True
    assert fields["Source__c"]["restrictedPicklist"] is False


def test_what_each_object_needs(rig: Rig) -> None:
    for sobject, needed in (
        ("Lead", ["LastName", "Company"]),
        ("Account", ["Name"]),
        ("Contact", ["LastName"]),
        ("Task", []),
    ):
        assert [
            f["name"]
            for f in _fields(rig, sobject).values()
            if f["createable"] and not f["nillable"] and not f["defaultedOnCreate"]
        ] == needed


def test_the_picklists_of_tasks(rig: Rig) -> None:
    fields = _fields(rig, "Task")
    values = [v["value"] for v in fields["Status"]["picklistValues"]]
    assert values == [
        "Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred",
    ]  # fmt: skip
    assert [v["value"] for v in fields["Priority"]["picklistValues"]] == ["High", "Normal", "Low"]
    assert fields["OwnerId"]["referenceTo"] == ["Group", "User"]
    assert fields["WhoId"]["polymorphicForeignKey"] is True
    assert fields["IsClosed"]["updateable"] is False
    assert fields["ActivityDate"]["type"] == "date"
    assert rig.soql("SELECT MasterLabel FROM TaskStatus WHERE IsClosed = true") == [
        {"MasterLabel": "Completed"}
    ]


def test_an_administrators_picklist(rig: Rig) -> None:
    values = [
        Choice("Todo", default=True),
        Choice("Finished", closed=True),
        Choice("Old", active=False),
    ]
    rig.fake.set_picklist("Task", "Status", values, restricted=True)
    assert [v["value"] for v in _fields(rig, "Task")["Status"]["picklistValues"]] == [
        "Todo", "Finished", "Old",
    ]  # fmt: skip
    row = rig.read(rig.create("Task", Subject="Call"), "Task")
    assert (row["Status"], row["IsClosed"]) == ("Todo", False)
    assert rig.read(rig.create("Task", Status="Finished"), "Task")["IsClosed"] is True
    assert rig.refused("POST", "sobjects/Task", {"Status": "Old"})[0] == 400


@pytest.mark.parametrize(
    "path", ["sobjects/Nothing__c", "sobjects/Nothing__c/describe", "nonsense"]
)
def test_what_is_not_there(rig: Rig, path: str) -> None:
    assert rig.refused("GET", path) == (404, GONE)


def test_what_is_not_there_through_the_client(rig: Rig) -> None:
    assert sdk_refused(rig.sf.Nothing__c.describe) == (404, [GONE])


def test_what_is_not_built_says_so(rig: Rig) -> None:
    for method, path in (
        ("POST", "composite"),
        ("POST", "composite/batch"),
        ("POST", "composite/graph"),
        ("POST", "/services/Soap/u/59.0"),
        ("POST", "/services/async/59.0/job"),
        ("POST", "jobs/query"),
    ):
        answer = rig.call(method, path, {})
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (501, "NOT_BUILT")


def test_names_in_any_case_and_slashes(rig: Rig) -> None:
    for path in ("sobjects/contact/describe", "sobjects/CONTACT/describe/"):
        assert rig.call("GET", path, headers={"x-prettyprint": "1"}).json()["name"] == "Contact"
    made = rig.call(
        "PATCH", "sobjects/contact/HUB_KEY__C/a1", {"lastname": "Ek", "STAGE__C": "Funded"}
    )
    assert made.status_code == 201
    row = rig.read(made.json()["id"])
    assert (row["LastName"], row["Stage__c"], row["Hub_Key__c"]) == ("Ek", "Funded", "a1")


# Field-level security: documented symptom INVALID_FIELD, or read-only.


def test_a_field_nobody_was_granted_is_not_there(rig: Rig) -> None:
    rig.define("Contact", "Secret__c", "string", length=20, granted=False)
    assert "Secret__c" not in _fields(rig, "Contact")
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "Berg", "Secret__c": "x"})
    assert (status, error["errorCode"]) == (400, "INVALID_FIELD")
    assert error["message"] == "No such column 'Secret__c' on sobject of type Contact"
    for text in ("SELECT Secret__c FROM Contact", "SELECT Id FROM Contact WHERE Secret__c = 'x'"):
        assert rig.refused("GET", "query", params={"q": text})[1]["errorCode"] == "INVALID_FIELD"


def test_a_required_field_is_seen_by_all(rig: Rig) -> None:
    rig.define("Contact", "Must__c", "string", length=20, nillable=False, granted=False)
    assert "Must__c" in _fields(rig, "Contact")
    status, error = rig.refused("POST", "sobjects/Contact", {"LastName": "Berg"})
    assert error["message"] == "Required fields are missing: [Must__c]"
    assert status == 400


def test_a_field_taken_from_sight_and_one_that_is_read_only(rig: Rig) -> None:
    row_id = rig.contact(Phone="1")
    rig.fake.hide("Contact", "Phone")
    assert "Phone" not in _fields(rig, "Contact")
    assert "Phone" not in rig.read(row_id)
    rig.fake.freeze("Contact", "Title")
    assert _fields(rig, "Contact")["Title"]["updateable"] is False
    status, error = rig.refused("PATCH", f"sobjects/Contact/{row_id}", {"Title": "Dr"})
    assert (status, error["errorCode"]) == (400, "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert error["fields"] == ["Title"]
    assert error["message"] == (
        "Unable to create/update fields: Title. Please check the security settings of this field "
        "and verify that it is read/write for your profile or permission set."
    )


def test_at_most_25_external_ids(rig: Rig) -> None:
    for n in range(23):  # two are there
        rig.define("Contact", f"Key{n}__c", "string", **KEY)
    with pytest.raises(Exception, match="external ids"):
        rig.define("Contact", "One_Too_Many__c", "string", **KEY)


def test_person_accounts_are_off_and_on(rigs: Callable[..., Rig], rig: Rig) -> None:
    assert "IsPersonAccount" not in _fields(rig, "Account")
    person = rigs(person_accounts=True)
    fields = _fields(person, "Account")
    assert {"IsPersonAccount", "PersonContactId", "PersonEmail", "LastName"} <= set(fields)
    assert (fields["Hub_Key__pc"]["custom"], fields["Hub_Key__pc"]["externalId"]) == (True, True)
    (kind,) = person.soql("SELECT Id FROM RecordType WHERE IsPersonType = true")
    infos = person.sf.Account.describe()["recordTypeInfos"]
    assert kind["Id"] in [info["recordTypeId"] for info in infos]
