"""Clients as leads of a simulated org, and as their contacts once people converted them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from connectors.destination import (
    Applied,
    Changed,
    CrmObject,
    CrmProperty,
    Option,
    Refused,
    Write,
)
from connectors.salesforce.reader import in_order
from mapping.errors import ConfigError
from simulator.salesforce import DuplicateRule, Fault, Field
from tests.connectors.salesforce_model_rig import (
    CONTACT,
    KYC,
    MARKED,
    WHO,
    ModelRig,
)
from tests.connectors.salesforce_rig import STAGE


@pytest.fixture
def leads() -> Iterator[ModelRig]:
    found = ModelRig("lead_then_contact")
    yield found
    found.close()


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
    assert found == [Applied("alpha:C1", contact, successor=True), Applied("alpha:C2", still)]
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
        Applied("alpha:C1", survivor, successor=True)
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


# --- by bulk jobs ---


def test_a_bulk_job_meets_converted_leads(leads: ModelRig) -> None:
    """Each goes on with its contact; the others are written where they stand."""
    leads.crm = leads.destination(bulk_above=200, bulk_rows=1000)
    keys = [f"alpha:C{n}" for n in range(450)]
    made = leads.put(*[Write(k, {"lastname": k}) for k in keys])
    ids = {o.key: o.crm_id for o in made if isinstance(o, Applied)}
    assert sorted(ids) == sorted(keys)
    assert len(leads.fake.records("Lead")) == 450
    converted = keys[::50]
    contacts = {k: leads.fake.people.convert(ids[k])[0] for k in converted}
    found = leads.put(*[Write(k, {"brokerage_stage": "LS6"}, ids[k]) for k in keys])
    assert found == [Applied(k, contacts.get(k, ids[k]), successor=k in contacts) for k in keys]
    rows = leads.fake.records("Contact", by="broker_client_id__c")
    assert {k: (r["Id"], r["brokerage_stage__c"]) for k, r in rows.items()} == {
        k: (contacts[k], "LS6") for k in converted
    }
    again = leads.put(*[Write(k, {"brokerage_stage": "LS7"}) for k in keys])
    assert again == [Applied(k, contacts.get(k, ids[k])) for k in keys]
    assert len(leads.fake.records("Lead")) == 450
    assert len(leads.fake.records("Contact")) == len(converted)
    jobs = [name for name in leads.fake.calls if "jobs/ingest" in name]
    assert jobs


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
