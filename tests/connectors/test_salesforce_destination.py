"""Contacts and tasks in a simulated org: written, read back, accounted for row by row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.destination import (
    GONE,
    Applied,
    CrmObject,
    CrmProperty,
    Destination,
    Option,
    Outcome,
    Refused,
    Write,
)
from mapping.errors import AmbiguousError, ConfigError, RetryableError
from simulator.salesforce import Fault, RowFault, SalesforceFake
from tests.connectors.salesforce_rig import KEY, STAGE, SalesforceRig

CONTACT, TASK = CrmObject.CONTACT, CrmObject.TASK
DUE = "1772447400000"  # 2026-03-02T10:30:00Z; the same day in Nicosia
LATE = "1772490600000"  # 2026-03-02T22:30:00Z: the 3rd in Nicosia, the 2nd in London


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig()
    found.install()
    yield found
    found.close()


def contact(key: str, crm_id: str = "", **values: str) -> Write:
    return Write(key, {"lastname": "Berg", **values}, crm_id)


def task(key: str, **values: str) -> Write:
    usual = {"subject": "Call", "body": "Why", "owner": "", "due": DUE, "priority": "HIGH",
             "status": "open"}  # fmt: skip
    return Write(key, {n: v for n, v in {**usual, **values}.items() if v})


def put(org: SalesforceRig, *writes: Write, obj: CrmObject = CONTACT) -> list[Outcome]:
    return list(org.crm.upsert(obj, writes))


def one(org: SalesforceRig, key: str = "alpha:C1", **values: str) -> str:
    """A contact's id."""
    (made,) = put(org, contact(key, **values))
    assert isinstance(made, Applied)
    return made.crm_id


def refusal(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


# --- installing ------------------------------------------------------------------------------


def test_installing_again_changes_nothing(org: SalesforceRig) -> None:
    before = org.fake.writes.copy()
    assert org.install() == []
    assert org.fake.writes == before


def test_what_is_installed_is_said_and_visible() -> None:
    org = SalesforceRig()
    done = org.install()
    assert "created field Contact.broker_client_id__c (string)" in done
    assert "created field Activity.broker_task_key__c (string)" in "\n".join(done)
    assert "created permission set brokersync" in done
    seen = org.crm.describe(CONTACT)
    assert seen["broker_client_id"].unique
    assert seen["broker_client_id"].ours == bool(KEY.description)
    assert org.crm.keyed(CONTACT)
    org.close()


def test_values_are_added_to_a_picklist_and_none_is_lost(org: SalesforceRig) -> None:
    def wish(*values: str) -> CrmProperty:
        options = tuple(Option(v, v.title()) for v in values)
        return CrmProperty("brokerage_kyc", "KYC", "enumeration", options=options,
                           description="Kept by brokersync.")  # fmt: skip

    org.crm.install(CONTACT, [wish("approved", "rejected")])
    assert org.crm.install(CONTACT, [wish("rejected", "started")]) == [
        "added value started to Contact.brokerage_kyc__c"
    ]
    shown = org.crm.describe(CONTACT)["brokerage_kyc"]
    assert [o.value for o in shown.options] == ["approved", "rejected", "started"]
    (bad,) = put(org, contact("alpha:C1", brokerage_kyc="nonsense"))
    assert refusal(bad).code == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert "nonsense" not in refusal(bad).admin


def test_a_field_of_another_type_is_refused_before_anything_is_made(org: SalesforceRig) -> None:
    wrong = CrmProperty("brokerage_stage", "Stage", "number")
    new = CrmProperty("brokerage_new", "New", "string")
    with pytest.raises(ConfigError, match="brokerage_stage is of type string"):
        org.crm.install(CONTACT, [new, wrong])
    assert "brokerage_new" not in org.crm.describe(CONTACT)


def test_without_the_key_a_write_says_what_to_run() -> None:
    org = SalesforceRig()
    with pytest.raises(ConfigError, match="crm install"):
        put(org, contact("alpha:C1"))
    org.close()


# --- contacts --------------------------------------------------------------------------------


def test_a_contact_is_created_once_and_then_updated(org: SalesforceRig) -> None:
    first = put(org, contact("alpha:C1", brokerage_stage="LS1"))
    again = put(org, contact("alpha:C1", brokerage_stage="LS2"))
    assert [(o.key, o.created) for o in (*first, *again) if isinstance(o, Applied)] == [
        ("alpha:C1", True), ("alpha:C1", False),
    ]  # fmt: skip
    found = org.crm.read(CONTACT, ["alpha:C1", "alpha:C9"], ["brokerage_stage", "lastname"])
    assert list(found) == ["alpha:C1"]
    assert found["alpha:C1"].properties == {"brokerage_stage": "LS2", "lastname": "Berg"}
    assert len(org.fake.records("Contact")) == 1


def test_keys_that_differ_in_case_alone_are_two_clients(org: SalesforceRig) -> None:
    put(org, contact("alpha:C1", brokerage_stage="LS1"))
    put(org, contact("alpha:c1", brokerage_stage="LS2"))
    found = org.crm.read(CONTACT, ["alpha:C1", "alpha:c1"], ["brokerage_stage"])
    assert {k: r.properties["brokerage_stage"] for k, r in found.items()} == {
        "alpha:C1": "LS1", "alpha:c1": "LS2",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["alpha:O'Brien", "alpha:a/b?c=d&e%20", "alpha:..", "alpha:Ж \\"])
def test_keys_of_every_kind_of_character(org: SalesforceRig, key: str) -> None:
    assert one(org, key) == one(org, key)
    assert list(org.crm.read(CONTACT, [key], [])) == [key]


def test_a_value_is_cleared_by_a_blank(org: SalesforceRig) -> None:
    one(org, brokerage_stage="LS1")
    one(org, brokerage_stage="")
    assert org.crm.read(CONTACT, ["alpha:C1"], ["brokerage_stage"])["alpha:C1"].properties == {
        "brokerage_stage": ""
    }


def test_too_many_rows_and_doubled_keys_are_the_callers_mistake(org: SalesforceRig) -> None:
    with pytest.raises(ValueError, match="at most 4000"):
        put(org, *[contact(f"alpha:C{n}") for n in range(4001)])
    with pytest.raises(ValueError, match="at most 200"):
        put(org, *[task(f"alpha:C{n}:CS5:1") for n in range(201)], obj=TASK)
    for read in (org.crm.read, org.crm.read_ids):
        with pytest.raises(ValueError, match="at most 200"):
            read(CONTACT, [str(n) for n in range(201)], [])
    with pytest.raises(ValueError, match="twice"):
        put(org, contact("alpha:C1"), contact("alpha:C1"))


def test_a_known_contact_that_was_deleted_is_not_made_again(org: SalesforceRig) -> None:
    crm_id = one(org)
    org.fake.people.delete("Contact", crm_id)
    (found,) = put(org, contact("alpha:C1", crm_id, brokerage_stage="LS2"))
    assert refusal(found).code == GONE
    assert org.fake.records("Contact") == {}
    assert org.crm.read_ids(CONTACT, [crm_id], []) == {}


def test_a_merged_contact_gives_the_survivor(org: SalesforceRig) -> None:
    first, second, third = (one(org, f"alpha:C{n}") for n in (1, 2, 3))
    org.fake.people.merge("Contact", second, first)
    org.fake.people.merge("Contact", third, second)
    found = org.crm.read_ids(CONTACT, [first, third], [])
    assert {asked: record.crm_id for asked, record in found.items()} == {
        first: third, third: third,
    }  # fmt: skip


def test_what_people_edit_shows_as_changed(org: SalesforceRig) -> None:
    ids = [one(org, f"alpha:C{n}") for n in range(3)]
    org.world.sleep(60)
    since = org.world.now_ms
    org.fake.people.edit("Contact", ids[1], FirstName="Ann")
    org.fake.people.create("Contact", LastName="Stranger")
    (page,) = org.crm.changed(CONTACT, since)
    assert (list(page.crm_ids), page.until >= since) == ([ids[1]], True)


def test_contacts_by_address_whatever_its_case(org: SalesforceRig) -> None:
    mine = one(org, email="Ann@Example.com")
    theirs = org.fake.people.create("Contact", LastName="Other", Email="ann@example.COM")
    assert org.crm.by_email(["ann@example.com", "x@y.example"]) == {
        "ann@example.com": frozenset({mine, theirs})
    }
    assert {a.crm_id: set(a.emails) for page in org.crm.contacts() for a in page} == {
        mine: {"ann@example.com"}, theirs: {"ann@example.com"},
    }  # fmt: skip


def test_long_lists_of_keys_are_asked_in_parts(org: SalesforceRig) -> None:
    keys = [f"alpha:{'ж' * 30}{n:03d}" for n in range(200)]
    put(org, *[contact(key) for key in keys])
    assert sorted(org.crm.read(CONTACT, keys, ["brokerage_stage"])) == sorted(keys)


# --- refused and passing ---------------------------------------------------------------------


def test_locked_rows_are_sent_again_alone(org: SalesforceRig) -> None:
    org.fake.lock_rows(2)
    before = org.world.now_ms
    found = put(org, *[contact(f"alpha:C{n}") for n in range(5)])
    assert all(isinstance(o, Applied) for o in found)
    assert org.world.now_ms - before >= 1000
    assert len(org.fake.records("Contact")) == 5


def test_rows_that_stay_locked_are_nobodys_fault(org: SalesforceRig) -> None:
    org.fake.lock_rows(1000)
    with pytest.raises(RetryableError, match="locked"):
        put(org, contact("alpha:C1"))


def test_a_full_org_blames_no_row(org: SalesforceRig) -> None:
    org.fake.fill_storage()
    with pytest.raises(ConfigError, match="storage"):
        put(org, contact("alpha:C1"))


def test_a_field_the_user_may_not_see_says_so(org: SalesforceRig) -> None:
    org.crm.describe(CONTACT)
    org.fake.hide("Contact", "brokerage_stage__c")
    (found,) = put(org, contact("alpha:C1", brokerage_stage="LS1"))
    assert refusal(found).code == "INVALID_FIELD"
    assert "crm install" in refusal(found).admin


def test_a_value_of_the_wrong_type_is_the_rows_own(org: SalesforceRig) -> None:
    org.crm.install(CONTACT, [CrmProperty("brokerage_day", "Day", "date")])
    good, bad = put(
        org, contact("alpha:C1", brokerage_day="2026-03-01"),
        contact("alpha:C2", brokerage_day="soon"),
    )  # fmt: skip
    assert isinstance(good, Applied)
    assert refusal(bad).properties == ("brokerage_day__c",)


def test_an_upsert_whose_answer_was_lost_is_sent_again_and_doubles_nothing(
    org: SalesforceRig,
) -> None:
    org.fake.fail_next([Fault(drop="after")])
    (found,) = put(org, contact("alpha:C1"))
    assert isinstance(found, Applied)
    assert len(org.fake.records("Contact")) == 1


# --- tasks -----------------------------------------------------------------------------------


def created(org: SalesforceRig, write: Write, who: str) -> str:
    """A task's id, by whichever way this org takes."""
    if org.crm.keyed(TASK):
        (made,) = org.crm.upsert(TASK, [write])
        assert isinstance(made, Applied)
        (linked,) = org.crm.associate([(made.crm_id, who)])
        assert isinstance(linked, Applied)
    else:
        (made,) = org.crm.create_tasks([write], {write.key: who})
        assert isinstance(made, Applied)
    return made.crm_id


@pytest.mark.parametrize("unique", [True, False], ids=["unique key", "no unique key"])
def test_a_task_comes_back_as_it_was_written(unique: bool) -> None:
    org = SalesforceRig(activity_external_ids=unique)
    org.install()
    who = one(org)
    queue = next(o.crm_id for o in org.crm.owners() if o.kind == "QUEUE")
    assert org.crm.keyed(TASK) is unique
    made = created(org, task("alpha:C1:CS5:1", owner=queue), who)
    names = ("subject", "body", "owner", "due", "priority", "status")
    found = org.crm.read(TASK, ["alpha:C1:CS5:1"], names)["alpha:C1:CS5:1"]
    assert found.crm_id == made
    assert dict(found.properties) == {
        "subject": "Call", "body": "Why", "owner": queue, "due": DUE, "priority": "HIGH",
        "status": "open",
    }  # fmt: skip
    assert found.associated == {who}
    org.close()


@pytest.mark.parametrize(("brand", "day"), [("alpha", "2026-03-03"), ("beta", "2026-03-02")])
def test_the_due_date_is_the_brands_day(org: SalesforceRig, brand: str, day: str) -> None:
    made = created(org, task(f"{brand}:C1:CS5:1", due=LATE), one(org))
    row = org.fake.records("Task")[made]
    assert row["ActivityDate"] == day
    assert row["IsReminderSet"] is True


def test_what_a_person_closed_is_done_and_what_the_hub_closes_is_closed(org: SalesforceRig) -> None:
    who = one(org)
    theirs, ours = (created(org, task(f"alpha:C1:CS5:{n}"), who) for n in (1, 2))
    org.fake.people.complete(theirs)
    assert isinstance(put(org, Write("alpha:C1:CS5:2", {"status": "done"}, ours), obj=TASK)[0],
                      Applied)  # fmt: skip
    found = org.crm.read_ids(TASK, [theirs, ours], ["status"])
    assert {r.properties["status"] for r in found.values()} == {"done"}


def test_creating_tasks_is_never_sent_twice() -> None:
    org = SalesforceRig(activity_external_ids=False)
    org.install()
    who = one(org)
    org.crm.keyed(TASK)
    created(org, task("alpha:C1:CS8:1"), who)  # what is asked once is known now
    org.fake.fail_next([Fault(drop="after")])
    with pytest.raises(AmbiguousError):
        org.crm.create_tasks([task("alpha:C1:CS5:1")], {"alpha:C1:CS5:1": who})
    found = org.crm.find_tasks({"alpha:C1:CS5:1": who, "alpha:C1:CS3:1": who}, ["status"])
    assert list(found) == ["alpha:C1:CS5:1"], "looked up before anything is sent again"
    org.close()


def test_owners_are_users_and_queues(org: SalesforceRig) -> None:
    found = {o.email: (o.kind, o.active) for o in org.crm.owners()}
    assert found["sales@broker.test"] == ("PERSON", True)
    assert found["retention"] == ("QUEUE", True)


def test_a_row_that_fails_alone_fails_alone_among_links_too(org: SalesforceRig) -> None:
    who = one(org)
    made = created(org, task("alpha:C1:CS5:1"), who)
    gone = one(org, "alpha:C2")
    org.fake.people.delete("Contact", gone)
    fine, bad = org.crm.associate([(made, who)]) + org.crm.associate([(made, gone)])
    assert isinstance(fine, Applied)
    assert refusal(bad).code == GONE


def test_a_custom_trigger_that_fails_is_the_orgs_own(org: SalesforceRig) -> None:
    org.fake.fail_rows(RowFault("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: secret 4711", 1))
    (found,) = put(org, contact("alpha:C1"))
    assert "trigger" in refusal(found).admin
    assert "4711" not in refusal(found).admin


def test_the_check_asks_for_what_a_sync_needs(org: SalesforceRig) -> None:
    whole: Destination = org.crm  # the type checker's to prove
    whole.check()
    assert org.crm.lacks(CONTACT) == ""
    assert org.crm.lacks(CrmObject.COMPANY) == ""
    assert STAGE.name in org.crm.describe(CONTACT)
    assert isinstance(org.fake, SalesforceFake)
