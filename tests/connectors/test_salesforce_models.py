"""What stands for a client in a simulated org: a contact, a person account, or a lead and then its
contact. What all three must do alike, and what is each one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from connectors.destination import (
    GONE,
    Applied,
    Changed,
    CrmObject,
    CrmProperty,
    CrmRecord,
    Option,
    Outcome,
    Refused,
    Write,
)
from connectors.salesforce.reader import in_order
from mapping.errors import ConfigError
from simulator.salesforce import DuplicateRule, Fault, Field
from simulator.salesforce.setup import new
from tests.connectors.salesforce_rig import KEY, STAGE, TASK_KEY, SalesforceRig

CONTACT, TASK = CrmObject.CONTACT, CrmObject.TASK
MARKED = "Kept by brokersync."
KYC = CrmProperty(
    "brokerage_kyc", "KYC", "enumeration", description=MARKED,
    options=(Option("approved", "Approved"), Option("rejected", "Rejected")),
)  # fmt: skip
WHO = {"firstname": "Ana", "lastname": "Berg", "email": "ana@example.com", "phone": "+357 1"}
TASK_BODY = {"subject": "Call", "due": "1772447400000", "priority": "HIGH", "status": "open"}
MODELS = ("contact", "person_account", "lead_then_contact")
SOBJECTS = {"contact": "Contact", "person_account": "Account", "lead_then_contact": "Lead"}


class ModelRig(SalesforceRig):
    """An org whose clients stand as ``model`` says."""

    def __init__(self, model: str, **org: Any) -> None:
        self.model = model
        super().__init__(**({"person_accounts": model == "person_account"} | org))
        self.crm.install(CONTACT, [KEY, STAGE, KYC])
        self.crm.install(TASK, [TASK_KEY])

    def settings(self, **changed: Any) -> Any:
        return super().settings(**({"object_model": self.model} | changed))

    @property
    def sobject(self) -> str:
        """Where new clients are made."""
        return SOBJECTS[self.model]

    def put(self, *writes: Write) -> list[Outcome]:
        return list(self.crm.upsert(CONTACT, writes))

    def one(self, key: str = "alpha:C1", crm_id: str = "", **values: str) -> str:
        """A client's record's id."""
        (made,) = self.put(Write(key, values or WHO, crm_id))
        assert isinstance(made, Applied), made
        return made.crm_id

    def rows(self) -> dict[str, dict[str, Any]]:
        """Records of the model's sObject by the hub's key."""
        return self.fake.records(self.sobject, by="broker_client_id__c")

    def task(self, key: str, client: str) -> str:
        """A task on a client."""
        (made,) = self.crm.create_tasks([Write(key, TASK_BODY)], {key: client})
        assert isinstance(made, Applied)
        return made.crm_id

    def got(self, crm_id: str, *names: str) -> CrmRecord:
        return self.crm.read_ids(CONTACT, [crm_id], names)[crm_id]


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
def leads(orgs: Callable[..., ModelRig]) -> ModelRig:
    return orgs("lead_then_contact")


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


# --- leads -----------------------------------------------------------------------------------


def test_a_new_client_is_a_lead_whose_company_is_the_person(leads: ModelRig) -> None:
    leads.one()
    leads.one("alpha:C2", email="x@y.co")
    rows = leads.rows()
    assert {k: r["Company"] for k, r in rows.items()} == {
        "alpha:C1": "Ana Berg", "alpha:C2": "Client alpha:C2",
    }  # fmt: skip
    leads.fake.people.edit("Lead", rows["alpha:C1"]["Id"], Company="Berg & Co")
    leads.one(**WHO, brokerage_stage="LS2")
    assert leads.rows()["alpha:C1"]["Company"] == "Berg & Co", "a company is people's to correct"
    assert leads.fake.records("Contact") == {}


@pytest.mark.parametrize("carry", [(), ("broker_client_id__c", "brokerage_stage__c")],
                         ids=["nothing mapped", "key and stage mapped"])  # fmt: skip
def test_a_converted_lead_leads_to_its_contact(leads: ModelRig, carry: tuple[str, ...]) -> None:
    lead = leads.one(**WHO, brokerage_stage="LS1", brokerage_kyc="approved")
    contact, _ = leads.fake.people.convert(lead, carry=carry)
    names = ["brokerage_stage", "brokerage_kyc", "lastname", "broker_client_id"]
    stage, key = ("LS1", "alpha:C1") if carry else ("", "")
    held = {"brokerage_stage": stage, "brokerage_kyc": "", "lastname": "Berg",
            "broker_client_id": key}  # fmt: skip
    for record in (
        leads.got(lead, *names),
        leads.crm.read(CONTACT, ["alpha:C1"], names)["alpha:C1"],
    ):
        assert (record.crm_id, record.key) == (contact, "alpha:C1")
        assert dict(record.properties) == held
    assert leads.got(lead).successor
    assert not leads.got(contact).successor


def test_what_was_meant_for_a_converted_lead_is_written_to_its_contact(leads: ModelRig) -> None:
    lead, still = leads.one(), leads.one("alpha:C2", lastname="Still")
    contact, _ = leads.fake.people.convert(lead)
    found = leads.put(
        Write("alpha:C1", {"brokerage_stage": "LS6"}, lead),
        Write("alpha:C2", {"brokerage_stage": "LS2"}, still),
    )
    assert found == [Applied("alpha:C1", contact), Applied("alpha:C2", still)]
    row = leads.fake.records("Contact")[contact]
    assert (row["broker_client_id__c"], row["brokerage_stage__c"]) == ("alpha:C1", "LS6")
    assert "brokerage_stage__c" not in leads.rows()["alpha:C1"]


def test_a_key_that_is_a_converted_leads_makes_no_second_record(leads: ModelRig) -> None:
    contact, _ = leads.fake.people.convert(leads.one())
    assert leads.one(brokerage_stage="LS6") == contact, "found by the lead's key"
    assert leads.one(brokerage_stage="LS7") == contact, "found by its own"
    assert len(leads.fake.records("Lead")) == len(leads.fake.records("Contact")) == 1


def test_a_lead_that_is_converted_while_the_answer_gets_lost(leads: ModelRig) -> None:
    """The upsert is sent again, meets a converted lead, and goes on with its contact."""
    leads.crm.keyed(CONTACT)
    leads.one("alpha:C9")
    real = leads.fake._answer

    def converting(request: Any) -> Any:
        answer = real(request)
        if "composite/sobjects/Lead" in request.path:
            leads.fake._answer = real  # type: ignore[method-assign]
            leads.fake.people.convert(leads.rows()["alpha:C1"]["Id"])
        return answer

    leads.fake._answer = converting  # type: ignore[method-assign]
    leads.fake.fail_next([None, None, Fault(drop="after")])
    crm_id = leads.one()
    (contact,) = leads.fake.records("Contact").values()
    assert (crm_id, contact["broker_client_id__c"]) == (contact["Id"], "alpha:C1")
    assert len(leads.fake.records("Lead")) == 2


def test_a_lead_that_became_another_clients_contact_is_not_written(leads: ModelRig) -> None:
    other, _ = leads.fake.people.convert(leads.one("alpha:C2", lastname="Other"))
    leads.one("alpha:C2", brokerage_stage="LS7")
    lead = leads.one()
    leads.fake.people.convert(lead, contact_id=other)
    assert leads.got(lead).key == "alpha:C2"
    assert leads.crm.read(CONTACT, ["alpha:C1"], []) == {}
    for crm_id in (lead, ""):
        (refused,) = leads.put(Write("alpha:C1", {"brokerage_stage": "LS1"}, crm_id))
        assert isinstance(refused, Refused)
        assert refused.code == "CONVERTED_INTO_ANOTHER"
        assert other in refused.admin
    assert leads.fake.records("Contact")[other]["brokerage_stage__c"] == "LS7"


def test_the_contact_of_a_lead_that_was_merged_in_turn(leads: ModelRig) -> None:
    lead = leads.one()
    contact, _ = leads.fake.people.convert(lead, carry=["broker_client_id__c"])
    survivor = leads.fake.people.create("Contact", LastName="Berg")
    leads.fake.people.merge("Contact", survivor, contact, broker_client_id__c="alpha:C1")
    assert leads.got(lead).crm_id == survivor
    assert leads.put(Write("alpha:C1", {"brokerage_stage": "LS2"}, lead)) == [
        Applied("alpha:C1", survivor)
    ]


def test_a_task_follows_its_client_to_the_contact(leads: ModelRig) -> None:
    lead = leads.one()
    before = leads.task("before", lead)
    contact, _ = leads.fake.people.convert(lead)
    late = leads.task("late", lead)
    moved = leads.task("moved", "")
    assert isinstance(leads.crm.associate([(moved, lead)])[0], Applied)
    rows = leads.fake.records("Task")
    assert {rows[task]["WhoId"] for task in (before, late, moved)} == {contact}
    assert len(rows) == 3


def test_addresses_of_leads_and_contacts_are_looked_at_once(leads: ModelRig) -> None:
    lead = leads.one()
    contact = leads.fake.people.create("Contact", LastName="B", Email="ANA@example.com")
    both = {"ana@example.com": frozenset({lead, contact})}
    assert leads.crm.by_email(["ana@example.com"]) == both
    became, _ = leads.fake.people.convert(lead, contact_id=contact)
    assert leads.crm.by_email(["ana@example.com"]) == {"ana@example.com": frozenset({became})}
    assert [a.crm_id for page in leads.crm.contacts() for a in page] == [became]


def test_a_conversion_and_an_edit_both_show_as_changed(leads: ModelRig) -> None:
    lead, other = leads.one(), leads.one("alpha:C2", lastname="B")
    contact, _ = leads.fake.people.convert(other, carry=["broker_client_id__c"])
    leads.world.sleep(60)
    since = leads.world.now_ms
    leads.fake.people.convert(lead)
    leads.world.sleep(60)
    leads.fake.people.edit("Contact", contact, FirstName="Ann")
    pages = list(leads.crm.changed(CONTACT, since))
    assert [list(page.crm_ids) for page in pages] == [[lead], [contact]]


def test_a_duplicate_rule_across_leads_and_contacts_names_the_contact(leads: ModelRig) -> None:
    other = leads.fake.people.create("Contact", LastName="Berg", Email="ana@example.com")
    leads.fake.add_duplicate_rule(DuplicateRule("Lead", ("Email",), against=("Lead", "Contact")))
    (refused,) = leads.put(Write("alpha:C1", WHO))
    assert isinstance(refused, Refused)
    assert refused.code == "DUPLICATES_DETECTED"
    assert other in refused.admin
    assert "ana@" not in refused.admin


def test_the_hub_needs_no_right_to_create_contacts(leads: ModelRig) -> None:
    leads.fake.deny("Contact", "create")
    leads.crm.check()
    leads.fake.deny("Contact", "edit")
    assert leads.crm.lacks(CONTACT) == "the integration user may not: Edit on Contact"


def test_a_field_is_needed_on_both_objects(leads: ModelRig) -> None:
    """The hub's own is made where it is missing; somebody else's must be there already."""
    leads.crm.install(CrmObject.CONTACT, [STAGE])
    ours = CrmProperty("brokerage_new", "New", "string", description=MARKED)
    told = {"label": "New", "length": 255, "help": MARKED}
    leads.fake.define("Contact", Field("brokerage_new__c", "string", **told))
    assert "brokerage_new" not in leads.crm.describe(CONTACT)
    done = leads.crm.install(CONTACT, [ours])
    assert [line for line in done if "created" in line] == [
        "created field Lead.brokerage_new__c (string)"
    ]
    assert leads.crm.describe(CONTACT)["brokerage_new"].ours
    leads.fake.define("Contact", Field("Branch__c", "string", label="Branch", length=80))
    assert leads.crm.describe(CONTACT)["branch"].type == "string, on Contact only"
    leads.fake.define("Lead", Field("Branch__c", "double", label="Branch"))
    assert leads.crm.describe(CONTACT)["branch"].type == "string on Contact, number on Lead"
    with pytest.raises(ConfigError, match="Lead has fields the hub cannot use: branch"):
        leads.crm.install(CONTACT, [CrmProperty("branch", "Branch", "string"), ours])


def test_options_are_those_both_objects_take(leads: ModelRig) -> None:
    more = (*KYC.options, Option("started", "Started"))
    wanted = CrmProperty(KYC.name, KYC.label, KYC.type, options=more, description=MARKED)
    leads.crm.install(CONTACT, [wanted])
    for sobject in ("Contact", "Lead"):
        row = {"LastName": "B", "brokerage_kyc__c": "started"}
        leads.fake.people.create(sobject, **row, **({"Company": "B"} if sobject == "Lead" else {}))
    assert [o.value for o in leads.crm.describe(CONTACT)[KYC.name].options] == [
        "approved", "rejected", "started",
    ]  # fmt: skip


# --- pages of several streams ----------------------------------------------------------------


def test_a_reader_of_several_streams_may_stop_after_any_page() -> None:
    streams: Mapping[str, list[list[tuple[int, str]]]] = {
        "contacts": [[(1, "a"), (9, "b")], [(9, "c"), (20, "d")]],
        "leads": [[(3, "l"), (4, "m")], [(6, "n"), (30, "o")], [(31, "p")]],
    }
    pages: list[Changed] = list(in_order([iter(pages) for pages in streams.values()]))
    everything = [moment for some in streams.values() for page in some for moment in page]
    seen: set[str] = set()
    for page in pages:
        seen.update(page.crm_ids)
        assert {i for at, i in everything if at < page.until} <= seen
    assert seen == {i for _, i in everything}
    assert [page.until for page in pages] == [1, 6, 6, 30, 31]
