"""Partners as accounts of a simulated org: by key, by id, with and without the right to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.destination import (
    GONE,
    Applied,
    CrmObject,
    CrmProperty,
    NoRightError,
    Option,
    Outcome,
    Refused,
    Write,
)
from mapping.errors import ConfigError
from simulator.salesforce import Fault
from tests.connectors.salesforce_rig import SalesforceRig

COMPANY = CrmObject.COMPANY
KEY = CrmProperty("broker_partner_key", "Broker partner key", "string", unique=True)
PLAN = CrmProperty(
    "brokerage_partner_plan", "Partner plan", "enumeration",
    options=(Option("cpa", "CPA"), Option("none", "None")),
)  # fmt: skip
SINCE = CrmProperty("brokerage_partner_registered", "Partner since", "date")
VALUES = {
    "name": "Ångström 李", "brokerage_partner_plan": "cpa",
    "brokerage_partner_registered": "2026-03-29",
}  # fmt: skip


@pytest.fixture(params=[False, True], ids=["business accounts", "person accounts too"])
def org(request: pytest.FixtureRequest) -> Iterator[SalesforceRig]:
    found = SalesforceRig(person_accounts=request.param)
    found.crm.install(COMPANY, [KEY, PLAN, SINCE])
    yield found
    found.close()


def put(org: SalesforceRig, *writes: Write) -> list[Outcome]:
    return list(org.crm.upsert(COMPANY, writes))


def one(org: SalesforceRig, key: str = "alpha:A-17", name: str = "House") -> str:
    (made,) = put(org, Write(key, {"name": name}))
    assert isinstance(made, Applied)
    return made.crm_id


def test_fields_are_made_on_account_and_seen(org: SalesforceRig) -> None:
    assert org.crm.install(COMPANY, [KEY, PLAN, SINCE]) == []
    seen = org.crm.describe(COMPANY)
    assert {KEY.name, PLAN.name, SINCE.name, "name"} <= seen.keys()
    assert seen[KEY.name].unique
    assert org.crm.keyed(COMPANY)
    assert org.fake.org.table("Account").fields["broker_partner_key__c"].case_sensitive


def test_a_partner_is_one_account_by_its_key_and_then_by_its_id(org: SalesforceRig) -> None:
    writes = [Write("alpha:A-17", VALUES), Write("beta:A-17", VALUES | {"name": "Other"})]
    for created in (True, False):
        found = put(org, *writes)
        assert [o.created for o in found if isinstance(o, Applied)] == [created] * 2
    accounts = org.fake.records("Account", by="broker_partner_key__c")
    assert {k: r["Name"] for k, r in accounts.items()} == {
        "alpha:A-17": "Ångström 李", "beta:A-17": "Other",
    }  # fmt: skip
    assert all(row.get("IsPersonAccount", False) is False for row in accounts.values())
    read = org.crm.read(COMPANY, ["alpha:A-17", "alpha:none"], [*VALUES])
    assert {k: dict(r.properties) for k, r in read.items()} == {"alpha:A-17": VALUES}
    crm_id = read["alpha:A-17"].crm_id
    (changed,) = put(org, Write("alpha:A-17", {"brokerage_partner_plan": "none"}, crm_id))
    assert changed == Applied("alpha:A-17", crm_id)
    by_id = org.crm.read_ids(COMPANY, [crm_id, "999999999"], ["brokerage_partner_plan"])
    assert {i: (r.key, dict(r.properties)) for i, r in by_id.items()} == {
        crm_id: ("alpha:A-17", {"brokerage_partner_plan": "none"})
    }


def test_a_partner_without_a_name_and_one_with_a_wrong_plan_are_refused_alone(
    org: SalesforceRig,
) -> None:
    nameless, wrong, fine = put(
        org,
        Write("alpha:A-1", {"brokerage_partner_plan": "cpa"}),
        Write("alpha:A-2", {"name": "Two", "brokerage_partner_plan": "mystery"}),
        Write("alpha:A-3", {"name": "Three"}),
    )
    assert isinstance(nameless, Refused)
    assert (nameless.code, nameless.properties) == ("REQUIRED_FIELD_MISSING", ("Name",))
    assert isinstance(wrong, Refused)
    assert "mystery" not in repr(wrong)
    assert isinstance(fine, Applied)
    assert [r["Name"] for r in org.fake.records("Account").values()] == ["Three"]


def test_deleted_is_gone_and_merged_leads_to_the_survivor(org: SalesforceRig) -> None:
    first, second, third, fourth = (one(org, f"alpha:A-{n}") for n in range(4))
    org.fake.people.delete("Account", first)
    org.fake.people.merge("Account", third, second)
    org.fake.people.merge("Account", fourth, third)
    found = org.crm.read_ids(COMPANY, [first, second, fourth], [])
    assert {i: (r.crm_id, r.key) for i, r in found.items()} == {
        second: (fourth, "alpha:A-3"), fourth: (fourth, "alpha:A-3"),
    }  # fmt: skip
    (gone,) = put(org, Write("alpha:A-0", {"name": "Again"}, first))
    assert isinstance(gone, Refused)
    assert gone.code == GONE
    assert len(org.fake.records("Account")) == 1


def test_what_people_edit_shows_as_changed(org: SalesforceRig) -> None:
    first, _ = one(org, "alpha:A-1"), one(org, "alpha:A-2")
    org.world.sleep(60)
    since = org.world.now_ms
    org.fake.people.edit("Account", first, Name="Their name")
    org.fake.people.create("Account", Name="Stranger")
    (page,) = org.crm.changed(COMPANY, since)
    assert list(page.crm_ids) == [first]


def test_a_lost_answer_doubles_no_account(org: SalesforceRig) -> None:
    org.crm.describe(COMPANY)
    org.fake.fail_next([Fault(drop="after")])
    one(org)
    assert len(org.fake.records("Account")) == 1


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        (("create",), "may not: Create on Account"),
        (("edit",), "may not: Edit on Account"),
        (("create", "edit"), "may not: Create on Account, Edit on Account"),
    ],
)
def test_a_right_that_is_missing_is_named_and_concerns_accounts_only(
    org: SalesforceRig, rights: tuple[str, ...], named: str
) -> None:
    org.install()
    crm_id = one(org)
    assert org.crm.lacks(COMPANY) == ""
    org.fake.deny("Account", *rights)
    assert named in org.crm.lacks(COMPANY)
    org.crm.check()
    (person,) = org.crm.upsert(CrmObject.CONTACT, [Write("alpha:C1", {"lastname": "Berg"})])
    assert isinstance(person, Applied)
    write = Write("alpha:A-2", {"name": "X"}, "" if "create" in rights else crm_id)
    with pytest.raises(NoRightError, match=named):
        put(org, write)
    assert [r["Name"] for r in org.fake.records("Account").values()] == ["House"]


def test_accounts_that_may_not_be_read_are_not_there(org: SalesforceRig) -> None:
    org.fake.deny("Account", "read")
    assert "Read on Account" in org.crm.lacks(COMPANY)
    with pytest.raises(NoRightError):
        org.crm.read(COMPANY, ["alpha:A-1"], [])


def test_the_right_to_contacts_is_the_checks_to_ask(org: SalesforceRig) -> None:
    org.install()
    org.fake.deny("Contact", "edit")
    with pytest.raises(ConfigError, match="Edit on Contact"):
        org.crm.check()


def test_one_row_that_may_not_be_touched_is_its_own_matter(org: SalesforceRig) -> None:
    """A trigger's refusal has the code of a missing right: the describe tells them apart."""
    crm_id = one(org)
    org.fake.deny("Account", "create")
    fine, refused = put(org, Write("alpha:A-17", {"name": "New"}, crm_id),
                        Write("alpha:A-18", {"name": "X"}))  # fmt: skip
    assert isinstance(fine, Applied)
    assert isinstance(refused, Refused)
