"""What the integration user may do short of and beyond need, as `doctor` is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.destination import CrmObject, CrmProperty, Scopes
from simulator.salesforce import SALES
from tests.connectors.salesforce_rig import KEY, TASK_KEY, SalesforceRig

STAGE = CrmProperty("brokerage_stage", "Stage", "string", description="Kept by brokersync.")
OBJECTS = ("Account", "Contact", "Lead", "Task")
INSTALL = ("CustomizeApplication", "ManageProfilesPermissionsets", "AssignPermissionSets")


@pytest.fixture
def orgs() -> Iterator[Callable[..., SalesforceRig]]:
    made: list[SalesforceRig] = []

    def make(model: str = "contact", *, installed: bool = True, **org: Any) -> SalesforceRig:
        """An org whose hub may do what it needs, and nothing more."""
        one = SalesforceRig(**({"view_all_data": False} | org))
        one.crm = one.destination(object_model=model)
        for sobject in OBJECTS:
            one.fake.deny(sobject, "delete")
        if installed:
            one.crm.install(CrmObject.CONTACT, [KEY, STAGE])
            one.crm.install(CrmObject.TASK, [TASK_KEY])
            for right in INSTALL:
                one.fake.entitle(right, given=False)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def scopes(one: SalesforceRig) -> Scopes:
    found = one.crm.scopes()
    assert found is not None
    return found


def short_of_installing() -> tuple[str, ...]:
    return (
        "Customize Application", "Manage Profiles and Permission Sets", "Assign Permission Sets",
    )  # fmt: skip


@pytest.mark.parametrize("model", ["contact", "person_account", "lead_then_contact"])
def test_a_user_with_just_enough_is_just_right(
    orgs: Callable[..., SalesforceRig], model: str
) -> None:
    one = orgs(model, person_accounts=model == "person_account")
    before = one.fake.writes.copy()
    assert scopes(one) == Scopes(to_install=short_of_installing())
    assert one.fake.writes == before


def test_rights_to_install_are_too_much_once_all_is_there(
    orgs: Callable[..., SalesforceRig],
) -> None:
    one = orgs(installed=False)
    assert scopes(one) == Scopes()
    one.crm.install(CrmObject.CONTACT, [KEY, STAGE])
    one.crm.install(CrmObject.TASK, [TASK_KEY])
    assert scopes(one).excess == tuple(
        f"{name} (only `crm install` needs it)" for name in short_of_installing()
    )


@pytest.mark.parametrize(
    ("right", "named"),
    [
        ("ModifyAllData", "Modify All Data"),
        ("ViewAllData", "View All Data"),
        ("ManageUsers", "Manage Users"),
        ("AuthorApex", "Author Apex"),
        ("BulkApiHardDelete", "Bulk API Hard Delete"),
        ("DataExport", "Weekly Data Export"),
    ],
)
def test_what_nobody_needs_is_named(
    orgs: Callable[..., SalesforceRig], right: str, named: str
) -> None:
    one = orgs()
    one.fake.entitle(right)
    assert scopes(one).excess == (named,)


def test_a_right_of_any_permission_set_of_the_user_counts_and_nobody_elses(
    orgs: Callable[..., SalesforceRig],
) -> None:
    one = orgs()
    admins = one.fake.people.create(
        "PermissionSet", Name="Admins", Label="Admins", PermissionsManageUsers=True
    )
    others = one.fake.user_ids[SALES.username]
    one.fake.people.create("PermissionSetAssignment", PermissionSetId=admins, AssigneeId=others)
    assert scopes(one).excess == ()
    hub = one.fake.hub_id
    one.fake.people.create("PermissionSetAssignment", PermissionSetId=admins, AssigneeId=hub)
    assert scopes(one).excess == ("Manage Users",)


def test_the_hub_deletes_nothing(orgs: Callable[..., SalesforceRig]) -> None:
    one = orgs("lead_then_contact")
    one.fake.permit("Lead")
    one.fake.permit("Account")
    assert scopes(one).excess == ("Delete on Lead", "Delete on Account")


def test_what_is_missing_on_objects_and_fields_is_named(
    orgs: Callable[..., SalesforceRig],
) -> None:
    one = orgs("lead_then_contact")
    one.fake.deny("Task", "create", "edit")
    one.fake.deny("Account", "edit")
    one.fake.freeze("Lead", "brokerage_stage__c")
    found = scopes(one)
    assert found.missing == (
        "Edit on the field Lead.brokerage_stage__c", "Create on Task", "Edit on Task",
    )  # fmt: skip
    assert found.companies == ("Edit on Account",)


def test_an_object_that_may_not_be_read_is_named_once(orgs: Callable[..., SalesforceRig]) -> None:
    one = orgs()
    one.fake.deny("Account", "read")
    one.fake.entitle("ApiEnabled", given=False)
    found = scopes(one)
    assert (found.missing, found.companies) == (("API Enabled",), ("Read on Account",))


def test_a_user_who_may_not_know_her_rights_is_told_what_else_is_wrong(
    orgs: Callable[..., SalesforceRig],
) -> None:
    one = orgs()
    one.fake.deny("PermissionSet", "read")
    assert one.crm.scopes() is None
    one.fake.deny("Contact", "edit")
    assert scopes(one) == Scopes(missing=("Edit on Contact",))
