"""What the hub's user may do with an object, and with the whole organisation."""

from __future__ import annotations

import pytest

from tests.simulator.salesforce.rig import Rig, error_of


def shown(rig: Rig) -> tuple[bool, ...]:
    """What a describe says of the user's rights on accounts."""
    told = rig.call("GET", "sobjects/Account/describe").json()
    return tuple(told[f] for f in ("createable", "updateable", "deletable", "queryable"))


def test_rights_on_an_object_are_told_and_held_to(rig: Rig) -> None:
    account = rig.create("Account", Name="One")
    assert shown(rig) == (True, True, True, True)
    rig.fake.deny("Account", "create", "edit", "delete")
    assert shown(rig) == (False, False, False, True)
    status, error = rig.refused("POST", "sobjects/Account", {"Name": "Two"})
    assert (status, error["errorCode"]) == (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
    for method, body in (("PATCH", {"Name": "Two"}), ("DELETE", None)):
        status, error = rig.refused(method, f"sobjects/Account/{account}", body)
        assert (status, error["errorCode"]) == (400, "INSUFFICIENT_ACCESS_OR_READONLY")
    body = {"records": [{"attributes": {"type": "Account"}, "id": account, "Name": "Two"}]}
    (result,) = rig.call("PATCH", "composite/sobjects", body).json()
    assert error_of(result)[0] == "INSUFFICIENT_ACCESS_OR_READONLY"
    assert rig.read(account, "Account")["Name"] == "One"
    rig.fake.people.edit("Account", account, Name="Hers")
    assert rig.read(account, "Account")["Name"] == "Hers", "people have rights of their own"
    rig.fake.permit("Account")
    assert shown(rig) == (True, True, True, True)


def test_what_one_may_not_read_is_not_there(rig: Rig) -> None:
    rig.fake.deny("Account", "read")
    status, error = rig.refused("GET", "sobjects/Account/describe")
    assert (status, error["errorCode"]) == (404, "NOT_FOUND")
    status, error = rig.refused("GET", "query", params={"q": "SELECT Id FROM Account"})
    assert (status, error["errorCode"]) == (400, "INVALID_TYPE")
    assert rig.soql("SELECT Id FROM Contact") == []


@pytest.mark.parametrize("right", ["ModifyAllData", "CustomizeApplication"])
def test_rights_of_the_whole_organisation_stand_in_the_profiles_set(rig: Rig, right: str) -> None:
    def mine() -> list[object]:
        (row,) = rig.soql(
            "SELECT PermissionSetId FROM PermissionSetAssignment "
            f"WHERE AssigneeId = '{rig.fake.hub_id}' AND PermissionSet.IsOwnedByProfile = true"
        )
        return rig.soql(
            f"SELECT Permissions{right} FROM PermissionSet WHERE Id = '{row['PermissionSetId']}'"
        )

    for given in (True, False):
        rig.fake.entitle(right, given=given)
        assert mine() == [{f"Permissions{right}": given}]


def test_who_may_not_customize_makes_no_fields(rig: Rig) -> None:
    rig.fake.entitle("CustomizeApplication", given=False)
    told = {"type": "Text", "label": "New", "length": 10}
    body = {"FullName": "Contact.New__c", "Metadata": told}
    assert rig.refused("POST", "tooling/sobjects/CustomField", body)[0] == 403
    rig.fake.entitle("CustomizeApplication")
    assert rig.call("POST", "tooling/sobjects/CustomField", body).status_code == 201


def test_a_leads_address_goes_to_the_contact(rig: Rig) -> None:
    lead = rig.create("Lead", LastName="Berg", Company="Berg", City="Oslo", Country="NO")
    contact, _ = rig.fake.people.convert(lead)
    row = rig.read(contact)
    assert (row["MailingCity"], row["MailingCountry"]) == ("Oslo", "NO")
