"""What people do in Salesforce: tasks, owners, conversions, merges, the recycle bin, persons."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.salesforce import SALES, Choice, FakeUser
from tests.simulator.salesforce.rig import Rig, error_of


def test_a_persons_edit_is_seen_as_hers(rig: Rig) -> None:
    row_id = rig.contact(Title="Dr")
    sales = rig.fake.user_ids[SALES.username]
    rig.world.sleep(60)
    rig.fake.people.edit("Contact", row_id, Title="Prof", Stage__c="Funded")
    row = rig.read(row_id)
    assert (row["Title"], row["Stage__c"], row["LastModifiedById"]) == ("Prof", "Funded", sales)
    assert row["CreatedById"] == rig.fake.hub_id
    assert row["SystemModstamp"] == "2026-03-01T00:01:00.000+0000"
    assert rig.soql(
        "SELECT Title FROM Contact WHERE SystemModstamp > 2026-03-01T00:00:00Z "
        f"AND LastModifiedById != '{rig.fake.hub_id}'"
    ) == [{"Title": "Prof"}]


def test_people_meet_no_security_of_fields(rig: Rig) -> None:
    rig.define("Contact", "Secret__c", "string", length=20, granted=False)
    row_id = rig.contact()
    rig.fake.people.edit("Contact", row_id, Secret__c="x")
    assert rig.fake.records("Contact")[row_id]["Secret__c"] == "x"
    assert "Secret__c" not in rig.read(row_id)


def test_a_task_is_completed(rig: Rig) -> None:
    contact = rig.contact()
    task = rig.create("Task", Subject="Call", WhoId=contact, ActivityDate="2026-03-02")
    row = rig.read(task, "Task")
    assert (row["Status"], row["Priority"], row["IsClosed"]) == ("Not Started", "Normal", False)
    assert row["OwnerId"] == rig.fake.hub_id
    assert row["ActivityDate"] == "2026-03-02"
    rig.world.sleep(3600)
    rig.fake.people.complete(task, Description="Reached him")
    row = rig.read(task, "Task")
    assert (row["Status"], row["IsClosed"]) == ("Completed", True)
    assert row["CompletedDateTime"] == "2026-03-01T01:00:00.000+0000"
    rig.fake.people.edit("Task", task, Status="In Progress")
    row = rig.read(task, "Task")
    assert (row["IsClosed"], "CompletedDateTime" in row) == (False, False)
    rig.fake.set_picklist(
        "Task", "Status", [Choice("Open", default=True), Choice("Done", closed=True)]
    )
    rig.fake.people.complete(task)
    assert rig.read(task, "Task")["Status"] == "Done"
    assert rig.refused("PATCH", f"sobjects/Task/{task}", {"IsClosed": True})[0] == 400


def test_owners_users_and_queues(rigs: Callable[..., Rig]) -> None:
    users = (FakeUser("hub@b.test", "Hub"), FakeUser("sales@b.test", "Sam"),
             FakeUser("gone@b.test", "Gone", active=False))  # fmt: skip
    rig = rigs(users=users)
    groups = {n: r["Id"] for n, r in rig.fake.records("Group", "DeveloperName").items()}
    assert groups["Retention"].startswith("00G")
    task = rig.create("Task", Subject="Call", OwnerId=groups["Retention"])
    rig.fake.people.reassign("Task", task, rig.fake.user_ids["sales@b.test"])
    assert rig.read(task, "Task")["OwnerId"] == rig.fake.user_ids["sales@b.test"]
    for sobject, owner, code in (
        ("Task", groups["Leads_Only"], "INVALID_OPERATION"),
        ("Task", rig.fake.user_ids["gone@b.test"], "INACTIVE_OWNER_OR_USER"),
        ("Contact", groups["Retention"], "FIELD_INTEGRITY_EXCEPTION"),
    ):
        body = {"Subject": "Call"} if sobject == "Task" else {"LastName": "B"}
        status, error = rig.refused("POST", f"sobjects/{sobject}", body | {"OwnerId": owner})
        assert (status, error["errorCode"]) == (400, code)
    error = rig.refused(
        "POST", "sobjects/Contact", {"LastName": "B", "OwnerId": groups["Retention"]}
    )[1]
    assert f"id value of incorrect type: {groups['Retention']}" in error["message"]


def test_a_queue_made_through_the_api(rig: Rig) -> None:
    group = rig.create("Group", Name="Night shift", Type="Queue")
    assert rig.read(group, "Group")["DeveloperName"] == "Night_shift"
    assert rig.refused("POST", "sobjects/Task", {"Subject": "x", "OwnerId": group})[0] == 400
    rig.create("QueueSobject", QueueId=group, SobjectType="Task")
    assert rig.create("Task", Subject="x", OwnerId=group)


# Leads.


def lead(rig: Rig, **values: str) -> str:
    told = {"LastName": "Berg", "Company": "Ana Berg", "FirstName": "Ana", "Hub_Key__c": "L1"}
    return rig.create("Lead", **(told | values))


def test_a_lead_needs_a_company(rig: Rig) -> None:
    error = rig.refused("POST", "sobjects/Lead", {"LastName": "Berg"})[1]
    assert error["message"] == "Required fields are missing: [Company]"
    assert rig.refused("POST", "sobjects/Lead", {})[1]["fields"] == ["LastName", "Company"]


def test_a_converted_lead_is_read_only(rig: Rig) -> None:
    lead_id = lead(rig, Email="a@b.co")
    task = rig.create("Task", Subject="Call", WhoId=lead_id)
    contact, account = rig.fake.people.convert(lead_id, carry=["Hub_Key__c"])
    row = rig.read(lead_id, "Lead")
    assert row["IsConverted"] is True
    assert (row["ConvertedContactId"], row["ConvertedAccountId"]) == (contact, account)
    assert (row["Status"], row["ConvertedDate"]) == ("Closed - Converted", "2026-03-01")
    made = rig.read(contact)
    assert (made["Name"], made["Email"], made["AccountId"]) == ("Ana Berg", "a@b.co", account)
    assert made["Hub_Key__c"] == "L1"
    assert rig.read(account, "Account")["Name"] == "Ana Berg"
    assert rig.read(task, "Task")["WhoId"] == contact
    refused = {
        "message": "cannot reference converted lead",
        "errorCode": "CANNOT_UPDATE_CONVERTED_LEAD", "fields": [],
    }  # fmt: skip
    assert rig.refused("PATCH", f"sobjects/Lead/{lead_id}", {"Title": "Dr"}) == (400, refused)
    assert rig.refused("PATCH", "sobjects/Lead/Hub_Key__c/L1", {"Title": "Dr"})[0] == 400
    assert rig.refused("POST", "sobjects/Task", {"Subject": "x", "WhoId": lead_id})[1] == refused
    body = {"records": [{"attributes": {"type": "Lead"}, "Hub_Key__c": "l1", "Title": "Dr"}]}
    (result,) = rig.call("PATCH", "composite/sobjects/Lead/Hub_Key__c", body).json()
    assert error_of(result)[:2] == (refused["errorCode"], refused["message"])


def test_conversion_into_what_is_there(rig: Rig) -> None:
    account = rig.create("Account", Name="Partner")
    contact = rig.contact("C1", AccountId=account)
    lead_id = lead(rig)
    assert rig.fake.people.convert(lead_id, account_id=account, contact_id=contact) == (
        contact,
        account,
    )
    assert rig.read(contact)["Hub_Key__c"] == "C1"
    assert len(rig.fake.records("Contact")) == 1


# Merges, deletion.


def test_a_merge(rig: Rig) -> None:
    master, loser = rig.contact("C1", Title="Dr"), rig.contact("C2", Email="two@b.co")
    task = rig.create("Task", Subject="Call", WhoId=loser)
    rig.world.sleep(10)
    rig.fake.people.merge("Contact", master, loser, Email="two@b.co")
    row = rig.read(master)
    assert (row["Title"], row["Email"], row["Hub_Key__c"]) == ("Dr", "two@b.co", "C1")
    assert row["SystemModstamp"] == "2026-03-01T00:00:10.000+0000"
    status, error = rig.refused("PATCH", f"sobjects/Contact/{loser}", {"Title": "x"})
    assert (status, error["errorCode"]) == (404, "ENTITY_IS_DELETED")
    text = "SELECT Id, IsDeleted, MasterRecordId FROM Contact WHERE MasterRecordId != null"
    (gone,) = rig.sf.query(text, include_deleted=True)["records"]
    assert (gone["Id"], gone["IsDeleted"], gone["MasterRecordId"]) == (loser, True, master)
    assert rig.read(task, "Task")["WhoId"] == master
    # The loser's key is free: an upsert by it makes a new record.
    assert rig.contact("C2") not in (master, loser)


def test_a_merge_of_accounts_moves_their_contacts(rig: Rig) -> None:
    first, second = (rig.create("Account", Name=name) for name in ("One", "Two"))
    contact = rig.contact(AccountId=second)
    rig.fake.people.merge("Account", first, second)
    assert rig.read(contact)["AccountId"] == first


def test_deleted_and_restored(rig: Rig) -> None:
    row_id = rig.contact("C1")
    rig.fake.people.delete("Contact", row_id)
    assert rig.refused("GET", f"sobjects/Contact/{row_id}")[1]["errorCode"] == "ENTITY_IS_DELETED"
    assert rig.refused("POST", "sobjects/Task", {"Subject": "x", "WhoId": row_id})[1][
        "errorCode"] == "ENTITY_IS_DELETED"  # fmt: skip
    rig.fake.people.undelete("Contact", row_id)
    assert rig.contact("C1", Title="Dr") == row_id
    rig.fake.people.delete("Contact", row_id)
    rig.fake.people.empty_bin("Contact")
    assert rig.refused("GET", f"sobjects/Contact/{row_id}")[1]["errorCode"] == "NOT_FOUND"
    assert rig.sf.query("SELECT COUNT() FROM Contact", include_deleted=True)["totalSize"] == 0


def test_people_are_refused_what_nobody_may(rig: Rig) -> None:
    row_id = rig.contact("C1")
    rig.contact("C2")
    with pytest.raises(Exception, match="duplicate value"):
        rig.fake.people.edit("Contact", row_id, Hub_Key__c="C2")
    rig.fake.people.delete("Contact", row_id)
    rig.contact("C1")
    with pytest.raises(Exception, match="duplicate value"):
        rig.fake.people.undelete("Contact", row_id)


# Person accounts.


def test_a_person_account_has_a_contact_behind_it(rigs: Callable[..., Rig]) -> None:
    rig = rigs(person_accounts=True)
    (kind,) = rig.soql("SELECT Id FROM RecordType WHERE DeveloperName = 'PersonAccount'")
    account = rig.create(
        "Account", FirstName="Ana", LastName="Berg", PersonEmail="a@b.co", RecordTypeId=kind["Id"],
        Hub_Key__pc="C1", PersonBirthdate="1980-02-29",
    )  # fmt: skip
    row = rig.read(account, "Account")
    assert (row["IsPersonAccount"], row["Name"]) == (True, "Ana Berg")
    contact = rig.read(row["PersonContactId"])
    assert (contact["AccountId"], contact["IsPersonAccount"]) == (account, True)
    assert (contact["Name"], contact["Email"], contact["Hub_Key__c"]) == (
        "Ana Berg",
        "a@b.co",
        "C1",
    )
    again = rig.call("PATCH", "sobjects/Account/Hub_Key__pc/c1", {"PersonEmail": "new@b.co"})
    assert (again.status_code, again.json()["id"]) == (200, account)
    assert rig.read(row["PersonContactId"])["Email"] == "new@b.co"
    rig.fake.people.edit("Contact", row["PersonContactId"], FirstName="Eva", Stage__c="Funded")
    row = rig.read(account, "Account")
    assert (row["Name"], row["Stage__pc"]) == ("Eva Berg", "Funded")
    task = rig.create("Task", Subject="Call", WhoId=row["PersonContactId"])
    assert rig.read(task, "Task")["AccountId"] == account
    rig.sf.Account.delete(account)
    assert rig.fake.records("Contact") == {}
    rig.fake.people.undelete("Account", account)
    assert list(rig.fake.records("Contact")) == [row["PersonContactId"]]


def test_a_record_type_that_is_none(rigs: Callable[..., Rig]) -> None:
    rig = rigs(person_accounts=True)
    body = {"Name": "X", "RecordTypeId": "012000000000001"}
    status, error = rig.refused("POST", "sobjects/Account", body)
    assert (status, error["errorCode"]) == (400, "INVALID_CROSS_REFERENCE_KEY")
    assert error["message"] == (
        "Record Type ID: this ID value isn't valid for the user: 012000000000001AAA"
    )


def test_persons_and_companies_keep_apart(rigs: Callable[..., Rig]) -> None:
    rig = rigs(person_accounts=True)
    company = rig.create("Account", Name="Partner")
    assert rig.read(company, "Account")["IsPersonAccount"] is False
    assert rig.fake.records("Contact") == {}
    kinds = {
        r["DeveloperName"]: r["Id"] for r in rig.soql("SELECT Id, DeveloperName FROM RecordType")
    }
    for body, code in (
        ({"Name": "X", "LastName": "Berg"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"Name": "X", "PersonEmail": "a@b.co"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"RecordTypeId": kinds["PersonAccount"], "FirstName": "Ana"}, "REQUIRED_FIELD_MISSING"),
        ({"RecordTypeId": kinds["Business_Account"]}, "REQUIRED_FIELD_MISSING"),
    ):
        assert rig.refused("POST", "sobjects/Account", body)[1]["errorCode"] == code
