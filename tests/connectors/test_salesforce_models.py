"""What stands for a client in a simulated org: a contact, a person account, or a lead and then its
contact. What all three must do alike, and what is person accounts' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.destination import (
    GONE,
    Applied,
    CrmObject,
    CrmProperty,
    Refused,
    Write,
)
from mapping.errors import ConfigError
from simulator.salesforce import Fault
from simulator.salesforce.setup import new
from tests.connectors.salesforce_model_rig import (
    CONTACT,
    KYC,
    MODELS,
    TASK,
    TASK_BODY,
    WHO,
    ModelRig,
)
from tests.connectors.salesforce_rig import KEY, STAGE, SalesforceRig


@pytest.fixture(params=MODELS)
def org(request: pytest.FixtureRequest) -> Iterator[ModelRig]:
    found = ModelRig(request.param)
    yield found
    found.close()


@pytest.fixture
def orgs() -> Iterator[Callable[..., ModelRig]]:
    made: list[ModelRig] = []

    def make(model: str, **more: Any) -> ModelRig:
        made.append(ModelRig(model, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def persons(orgs: Callable[..., ModelRig]) -> ModelRig:
    return orgs("person_account")


# --- what all models do ----------------------------------------------------------------------


def test_installing_again_changes_nothing(org: ModelRig) -> None:
    before = org.fake.writes.copy()
    assert org.crm.install(CONTACT, [KEY, STAGE, KYC]) == []
    assert org.fake.writes == before
    seen = org.crm.describe(CONTACT)
    assert seen["broker_client_id"].unique
    assert {"email", "firstname", "lastname", "phone", "brokerage_stage"} <= seen.keys()
    assert [o.value for o in seen["brokerage_kyc"].options] == ["approved", "rejected"]
    assert org.crm.keyed(CONTACT)


def test_a_client_is_one_record_however_often_it_is_written(org: ModelRig) -> None:
    first = org.put(Write("alpha:C1", WHO | {"brokerage_kyc": "approved"}))
    again = org.put(Write("alpha:C1", {"brokerage_kyc": "rejected"}))
    assert [(o.created, o.crm_id) for o in (*first, *again) if isinstance(o, Applied)] == [
        (True, first[0].crm_id), (False, first[0].crm_id),  # type: ignore[union-attr]
    ]  # fmt: skip
    names = [*WHO, "brokerage_kyc"]
    found = org.crm.read(CONTACT, ["alpha:C1", "alpha:C2"], names)
    assert {k: dict(r.properties) for k, r in found.items()} == {
        "alpha:C1": WHO | {"brokerage_kyc": "rejected"}
    }
    assert found["alpha:C1"].emails == {"ana@example.com"}
    assert len(org.fake.records(org.sobject)) == 1


def test_a_client_without_a_last_name_is_named_by_its_key(org: ModelRig) -> None:
    for key, values in (("alpha:C1", {"email": "a@b.co"}), ("alpha:C2", {"firstname": "Cher"}),
                        ("alpha:C3", {"lastname": ""})):  # fmt: skip
        org.one(key, **values)
    assert {k: r["LastName"] for k, r in org.rows().items()} == {
        k: f"Client {k}" for k in ("alpha:C1", "alpha:C2", "alpha:C3")
    }
    org.one("alpha:C1", lastname="Berg")
    org.one("alpha:C1", brokerage_stage="LS2")
    assert org.rows()["alpha:C1"]["LastName"] == "Berg", "a name is not written over"
    org.one("alpha:C1", lastname="")
    assert org.rows()["alpha:C1"]["LastName"] == "Client alpha:C1"


def test_a_lost_answer_doubles_nobody(org: ModelRig) -> None:
    org.crm.keyed(CONTACT)
    org.one("alpha:C9")
    for lost in range(3):
        org.fake.fail_next([*[None] * lost, Fault(drop="after")])
        org.one(f"alpha:C{lost}")
        org.fake.clear_faults()
    assert sorted(org.rows()) == ["alpha:C0", "alpha:C1", "alpha:C2", "alpha:C9"]
    assert len(org.fake.records(org.sobject)) == 4


def test_a_client_by_its_address_whatever_its_case(org: ModelRig) -> None:
    mine = org.one(email="Ana@Example.com", lastname="Berg")
    assert org.crm.by_email(["ana@example.com", "x@y.example"]) == {
        "ana@example.com": frozenset({mine})
    }
    assert {a.crm_id: set(a.emails) for page in org.crm.contacts() for a in page} == {
        mine: {"ana@example.com"}
    }


def test_deleted_is_gone_and_merged_leads_to_the_survivor(org: ModelRig) -> None:
    first, second, third = (org.one(f"alpha:C{n}", lastname=f"B{n}") for n in range(3))
    org.fake.people.delete(org.sobject, first)
    org.fake.people.merge(org.sobject, third, second)
    found = org.crm.read_ids(CONTACT, [first, second, "999999999"], ["lastname"])
    assert {i: (r.crm_id, r.key, r.successor) for i, r in found.items()} == {
        second: (third, "alpha:C2", False)
    }
    (gone,) = org.put(Write("alpha:C0", {"lastname": "Again"}, first))
    assert isinstance(gone, Refused)
    assert gone.code == GONE


def test_what_people_edit_shows_as_changed(org: ModelRig) -> None:
    ids = [org.one(f"alpha:C{n}", lastname="B") for n in range(3)]
    org.world.sleep(60)
    since = org.world.now_ms
    org.fake.people.edit(org.sobject, ids[1], FirstName="Ann")
    (page,) = org.crm.changed(CONTACT, since)
    assert list(page.crm_ids) == [ids[1]]


@pytest.mark.parametrize("unique", [True, False], ids=["unique key", "no unique key"])
@pytest.mark.parametrize("model", MODELS)
def test_a_task_is_put_on_its_client(
    orgs: Callable[..., ModelRig], model: str, unique: bool
) -> None:
    org = orgs(model, activity_external_ids=unique)
    client, other = org.one(), org.one("alpha:C2", lastname="Other")
    if unique:
        (made,) = org.crm.upsert(TASK, [Write("k", TASK_BODY)])
        assert isinstance(made, Applied)
        task = made.crm_id
        assert isinstance(org.crm.associate([(task, client)])[0], Applied)
    else:
        task = org.task("k", client)
    who = client
    if model == "person_account":
        who = org.fake.records("Account")[client]["PersonContactId"]
    assert org.fake.records("Task")[task]["WhoId"] == who
    assert org.crm.read(TASK, ["k"], [])["k"].associated == {client}
    assert isinstance(org.crm.associate([(task, other)])[0], Applied)
    assert org.crm.read(TASK, ["k"], [])["k"].associated == {other}


def test_of_two_links_of_one_task_each_is_accounted_for(org: ModelRig) -> None:
    client = org.one()
    task = org.task("k", client)
    good, bad = org.crm.associate([(task, client), (task, "999999999")])
    assert isinstance(good, Applied)
    assert isinstance(bad, Refused)
    assert org.crm.read(TASK, ["k"], [])["k"].associated == {client}


def test_ids_of_another_model_are_the_admins_to_mend(org: ModelRig) -> None:
    """Else every client would seem to be deleted."""
    strange = {"contact": "00Q000000000001AAA", "person_account": "003000000000001AAA",
               "lead_then_contact": "001000000000001AAA"}[org.model]  # fmt: skip
    with pytest.raises(ConfigError, match="object_model"):
        org.crm.read_ids(CONTACT, [strange], [])


def test_a_right_that_is_missing_is_named(org: ModelRig) -> None:
    assert org.crm.lacks(CONTACT) == ""
    org.fake.deny(org.sobject, "create")
    assert org.crm.lacks(CONTACT) == f"the integration user may not: Create on {org.sobject}"
    with pytest.raises(ConfigError, match=f"Create on {org.sobject}"):
        org.crm.check()


# --- person accounts -------------------------------------------------------------------------


def test_a_person_account_has_its_key_itself_and_the_rest_from_its_contact(
    persons: ModelRig,
) -> None:
    crm_id = persons.one(**WHO, brokerage_kyc="approved")
    row = persons.fake.records("Account")[crm_id]
    assert row["IsPersonAccount"] is True
    assert (row["broker_client_id__c"], row["brokerage_kyc__pc"]) == ("alpha:C1", "approved")
    (contact,) = persons.fake.records("Contact").values()
    assert contact["brokerage_kyc__c"] == "approved"
    fields = persons.fake.org.table("Contact").fields
    assert "broker_client_id__c" not in fields
    assert "brokerage_kyc__c" not in persons.fake.org.table("Account").fields


def test_partners_and_persons_keep_apart(persons: ModelRig) -> None:
    partner = CrmProperty("broker_partner_key", "Partner key", "string", unique=True)
    persons.crm.install(CrmObject.COMPANY, [partner])
    client = persons.one()
    (made,) = persons.crm.upsert(CrmObject.COMPANY, [Write("alpha:A1", {"name": "House"})])
    assert isinstance(made, Applied)
    assert persons.crm.read_ids(CONTACT, [made.crm_id], []) == {}
    assert persons.crm.read_ids(CrmObject.COMPANY, [client], []) == {}
    assert {a.crm_id for page in persons.crm.contacts() for a in page} == {client}


def _second_type(org: ModelRig) -> str:
    told = {"Name": "VIP", "DeveloperName": "VIP", "SobjectType": "Account"}
    return new(org.fake.org, "RecordType", told | {"IsActive": True, "IsPersonType": True})


def test_of_several_record_types_one_has_to_be_chosen(persons: ModelRig) -> None:
    vip = _second_type(persons)
    with pytest.raises(ConfigError, match="PersonAccount, VIP"):
        persons.destination().check()
    with pytest.raises(ConfigError, match="named Nobody"):
        persons.destination(person_record_type="Nobody").check()
    chosen = persons.destination(person_record_type="VIP")
    chosen.check()
    (made,) = chosen.upsert(CONTACT, [Write("alpha:C1", WHO)])
    assert isinstance(made, Applied)
    assert persons.fake.records("Account")[made.crm_id]["RecordTypeId"] == vip


def test_a_record_type_that_people_chose_stays(persons: ModelRig) -> None:
    persons.crm.check()
    crm_id = persons.one()
    vip = _second_type(persons)
    persons.fake.people.edit("Account", crm_id, RecordTypeId=vip)
    persons.one(brokerage_stage="LS2")
    persons.one(crm_id=crm_id, brokerage_stage="LS3")
    row = persons.fake.records("Account")[crm_id]
    assert (row["RecordTypeId"], row["brokerage_stage__pc"]) == (vip, "LS3")


def test_an_org_without_person_accounts_is_refused_by_the_check() -> None:
    org = SalesforceRig()
    with pytest.raises(ConfigError, match="no person accounts"):
        org.destination(object_model="person_account").check()
    org.close()


def test_person_accounts_by_a_bulk_job(persons: ModelRig) -> None:
    persons.crm = persons.destination(bulk_above=200, bulk_rows=1000)
    keys = [f"alpha:C{n}" for n in range(250)]
    values = {"brokerage_kyc": "approved", "email": "x@y.co"}
    made = persons.put(*[Write(k, values | {"lastname": k}) for k in keys])
    assert [(o.key, o.created) for o in made if isinstance(o, Applied)] == [(k, True) for k in keys]
    rows = persons.rows()
    assert all(row["IsPersonAccount"] and row["brokerage_kyc__pc"] == "approved"
               for row in rows.values())  # fmt: skip
    assert len(rows) == len(persons.fake.records("Contact")) == 250
    assert any("jobs/ingest" in name for name in persons.fake.calls)
