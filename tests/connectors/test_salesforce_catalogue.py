"""Each error the org may answer with, from the org over HTTP to what the hub makes of it.

A row is refused with its field and an advice, a lasting trouble of the org stops the run and blames
no row, a passing one is got over; and in no case is a client's value told, though the org's words
quote it. Duplicate rules: fact 8 of test_salesforce_facts.py. Converted leads:
test_salesforce_leads.py. Rows of bulk jobs: test_salesforce_bulk.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.destination import GONE, Applied, CrmObject, CrmProperty, Option, Refused, Write
from connectors.salesforce.errors import BusyError, RefusalError
from mapping.errors import (
    AmbiguousError,
    BrokersyncError,
    ConfigError,
    QuotaError,
    RetryableError,
)
from simulator.salesforce import SALES, Fault, Field, RowFault, ValidationRule
from tests.connectors.salesforce_rig import SalesforceRig

CONTACT = CrmObject.CONTACT
SECRET = "Zoë Private 4711"
TRIGGER = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
LOCKED = f"T: AfterUpdate caused by: System.DmlException: UNABLE_TO_LOCK_ROW, {SECRET}"
NOBODY = "005000000000ZZZ"
BUSY = "ConcurrentPerOrgLongTxn Limit exceeded."


@pytest.fixture
def org() -> Iterator[SalesforceRig]:
    found = SalesforceRig()
    found.install()
    found.crm.describe(CONTACT)  # what changes after this the hub does not know of
    yield found
    found.close()


def bad(crm_id: str = "", **values: str) -> Write:
    return Write("alpha:C1", {"lastname": SECRET, "firstname": SECRET, **values}, crm_id)


def known(org: SalesforceRig) -> str:
    """The id of a contact the hub has made."""
    (made,) = org.crm.upsert(CONTACT, [Write("alpha:C1", {"lastname": "Berg"})])
    assert isinstance(made, Applied)
    return made.crm_id


# --- rows that are refused ---------------------------------------------------------------------


def required(org: SalesforceRig) -> Write:
    org.fake.define("Contact", Field("Branch__c", "string", "Branch", 80, nillable=False))
    org.crm.describe(CONTACT)
    return bad()


def hidden(org: SalesforceRig) -> Write:
    org.fake.hide("Contact", "brokerage_stage__c")
    return bad(brokerage_stage=SECRET)


def frozen(org: SalesforceRig) -> Write:
    org.fake.freeze("Contact", "brokerage_stage__c")
    return bad(brokerage_stage=SECRET)


def unforeseen(org: SalesforceRig) -> Write:
    options = (Option("approved", "Approved"),)
    org.crm.install(CONTACT, [CrmProperty("brokerage_kyc", "KYC", "enumeration", options=options)])
    return bad(brokerage_kyc=SECRET)


def too_long(_: SalesforceRig) -> Write:
    return bad(firstname=SECRET * 10)


def against_a_rule(org: SalesforceRig) -> Write:
    refuses = ValidationRule("Contact", lambda r, _: r.get("FirstName") == SECRET,
                             f"Not {SECRET}!", "FirstName")  # fmt: skip
    org.fake.add_validation(refuses)
    return bad()


def doubled(org: SalesforceRig) -> Write:
    org.fake.define("Contact", Field("Passport__c", "string", "Passport", 80, unique=True))
    org.crm.describe(CONTACT)
    org.fake.people.create("Contact", LastName="Berg", Passport__c=SECRET)
    return bad(Passport__c=SECRET)


def deleted(org: SalesforceRig) -> Write:
    crm_id = known(org)
    org.fake.people.delete("Contact", crm_id)
    return bad(crm_id)


def out_of_the_bin(org: SalesforceRig) -> Write:
    write = deleted(org)
    org.fake.people.empty_bin("Contact")
    return write


def new_of_nobody(_: SalesforceRig) -> Write:
    return bad(hubspot_owner_id=NOBODY)


def known_of_nobody(org: SalesforceRig) -> Write:
    return bad(known(org), hubspot_owner_id=NOBODY)


def deleted_of_nobody(org: SalesforceRig) -> Write:
    return bad(deleted(org).crm_id, hubspot_owner_id=NOBODY)


def merged_of_nobody(org: SalesforceRig) -> Write:
    crm_id = known(org)
    other = org.fake.people.create("Contact", LastName="Other")
    org.fake.people.merge("Contact", other, crm_id)
    return bad(crm_id, hubspot_owner_id=NOBODY)


def of_somebody_unseen(org: SalesforceRig) -> Write:
    owner = org.fake.user_ids[SALES.username]
    org.fake.org.rules.unseen.add(owner)
    return bad(hubspot_owner_id=owner)


def triggered(org: SalesforceRig) -> Write:
    words = f"T: execution of AfterUpdate caused by: {SECRET}"
    refuses = ValidationRule("Contact", lambda r, _: r.get("FirstName") == SECRET, words,
                             code=TRIGGER)  # fmt: skip
    org.fake.add_validation(refuses)
    return bad()


def not_an_id(_: SalesforceRig) -> Write:
    return bad(hubspot_owner_id=SECRET)


def of_another_type(org: SalesforceRig) -> Write:
    org.fake.define("Contact", Field("brokerage_stage__c", "double", "Stage"))
    return bad(brokerage_stage=SECRET)


def ordered(code: str, *fields: str) -> Callable[[SalesforceRig], Write]:
    """What the fake org is never brought to by this connector."""

    def arrange(org: SalesforceRig) -> Write:
        crm_id = known(org)
        org.fake.fail_rows(RowFault(code, SECRET, fields=fields))
        return bad(crm_id)

    return arrange


@dataclass(frozen=True)
class Row:
    """What the org is told to do, what the hub makes of it, and what another row needs."""

    arrange: Callable[[SalesforceRig], Write]
    code: str
    advice: str
    fields: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict)


ROWS = {
    "REQUIRED_FIELD_MISSING": Row(
        required, "REQUIRED_FIELD_MISSING", "map Branch__c", ("Branch__c",), {"Branch__c": "x"}
    ),
    "INVALID_FIELD": Row(hidden, "INVALID_FIELD", "crm install", ("brokerage_stage__c",)),
    "INVALID_FIELD_FOR_INSERT_UPDATE": Row(
        frozen, "INVALID_FIELD_FOR_INSERT_UPDATE", "may not write", ("brokerage_stage__c",)
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Row(
        unforeseen, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "value map", ("brokerage_kyc__c",)
    ),
    "STRING_TOO_LONG": Row(too_long, "STRING_TOO_LONG", "lengthen", ("FirstName",)),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Row(
        against_a_rule, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "validation rule", ("FirstName",)
    ),
    "DUPLICATE_VALUE": Row(doubled, "DUPLICATE_VALUE", "record (003"),
    "ENTITY_IS_DELETED": Row(deleted, GONE, "recycle bin"),
    "INVALID_CROSS_REFERENCE_KEY": Row(out_of_the_bin, GONE, "not there any more"),
    "INVALID_CROSS_REFERENCE_KEY, new": Row(new_of_nobody, "REFERENCE_GONE", "queue or members"),
    "INVALID_CROSS_REFERENCE_KEY, known": Row(
        known_of_nobody, "REFERENCE_GONE", "queue or members"
    ),
    "ENTITY_IS_DELETED, with an owner": Row(deleted_of_nobody, GONE, "recycle bin"),
    "ENTITY_IS_DELETED, merged": Row(merged_of_nobody, "REFERENCE_GONE", "not there any more"),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Row(
        of_somebody_unseen, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "sharing"
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": Row(triggered, TRIGGER, "Apex trigger"),
    "NOT_FOUND, though it is there": Row(
        ordered("NOT_FOUND"), "REFERENCE_GONE", "not there any more"
    ),
    "JSON_PARSER_ERROR": Row(
        ordered("JSON_PARSER_ERROR", "Score__c"), "JSON_PARSER_ERROR", "type", ("Score__c",)
    ),
    "MALFORMED_ID": Row(not_an_id, "MALFORMED_ID", "queue or members", ("OwnerId",)),
    "INVALID_TYPE_ON_FIELD_IN_RECORD": Row(
        of_another_type, "INVALID_TYPE_ON_FIELD_IN_RECORD", "type", ("brokerage_stage__c",)
    ),
    "a code of tomorrow": Row(ordered("NEVER_SEEN", "X__c"), "NEVER_SEEN", "NEVER_SEEN (X__c)",
                              ("X__c",)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_refused_with_its_advice_and_the_others_are_written(
    org: SalesforceRig, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    case = ROWS[name]
    write = case.arrange(org)
    before = dict(org.fake.records("Contact"))
    found, fine = org.crm.upsert(
        CONTACT, [write, Write("alpha:C2", {"lastname": "Ek"} | case.others)]
    )
    assert isinstance(found, Refused)
    assert (found.key, found.code, found.properties) == ("alpha:C1", case.code, case.fields)
    assert case.advice in found.admin
    assert SECRET not in repr(found) + caplog.text
    assert isinstance(fine, Applied)
    after = dict(org.fake.records("Contact"))
    assert after.pop(fine.crm_id)["broker_client_id__c"] == "alpha:C2"
    assert after == before, "nothing of the refused row was written"


def test_a_new_task_whose_client_was_deleted_is_not_taken_for_deleted(org: SalesforceRig) -> None:
    who = known(org)
    org.fake.people.delete("Contact", who)
    key = "alpha:C1:CS5:1"
    (found,) = org.crm.create_tasks([Write(key, {"subject": "Call"})], {key: who})
    assert isinstance(found, Refused)
    assert found.code == "REFERENCE_GONE"
    assert org.fake.records("Task") == {}


# --- troubles that pass ------------------------------------------------------------------------


def rows(code: str, words: str, times: int = 1) -> Callable[[SalesforceRig], None]:
    return lambda org: org.fake.fail_rows(RowFault(code, words, times))


def calls(fault: Fault, times: int = 1) -> Callable[[SalesforceRig], None]:
    return lambda org: org.fake.fail_next([fault] * times)


PASSING: dict[str, tuple[Callable[[SalesforceRig], None], float]] = {
    # what the org is told to do, seconds the hub waits for it
    "UNABLE_TO_LOCK_ROW": (rows("UNABLE_TO_LOCK_ROW", SECRET), 1),
    "UNABLE_TO_LOCK_ROW, thrice": (rows("UNABLE_TO_LOCK_ROW", SECRET, 3), 1 + 2 + 4),
    "a lock within a trigger": (rows(TRIGGER, LOCKED), 1),
    "SERVER_UNAVAILABLE": (calls(Fault.unavailable()), 1),
    "UNKNOWN_EXCEPTION": (calls(Fault(status=500, message=SECRET)), 1),
    "UNKNOWN_EXCEPTION, and yet done": (calls(Fault.half_done()), 1),
    "REQUEST_LIMIT_EXCEEDED, long calls": (calls(Fault(status=403, message=BUSY)), 1),
    "UNABLE_TO_LOCK_ROW, the call": (
        calls(Fault(status=400, code="UNABLE_TO_LOCK_ROW", message=SECRET)), 1,
    ),
    "INVALID_SESSION_ID": (calls(Fault.lost_session()), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_trouble_is_got_over(
    org: SalesforceRig, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    arrange, wait_s = PASSING[name]
    arrange(org)
    began = org.world.now_ms
    (found,) = org.crm.upsert(CONTACT, [bad()])
    assert isinstance(found, Applied)
    assert [*org.fake.records("Contact")] == [found.crm_id]
    assert wait_s <= (org.world.now_ms - began) / 1000 <= 1.5 * wait_s
    assert SECRET not in caplog.text


# --- troubles that last ------------------------------------------------------------------------


def broken_sessions(org: SalesforceRig) -> None:
    org.fake.break_sessions()


def full(org: SalesforceRig) -> None:
    org.fake.fill_storage()


def without_a_key(org: SalesforceRig) -> None:
    org.fake.hide("Contact", "broker_client_id__c")


def used_up(org: SalesforceRig) -> None:
    org.fake.use_up_quota()


def whole(code: str, status: int = 400) -> Callable[[SalesforceRig], None]:
    """The whole call is refused."""
    return calls(Fault(status=status, code=code, message=SECRET))


LASTING: dict[str, tuple[Callable[[SalesforceRig], None], type[BrokersyncError], str]] = {
    "UNABLE_TO_LOCK_ROW": (rows("UNABLE_TO_LOCK_ROW", SECRET, 9), RetryableError, "locked"),
    "a lock within a trigger": (rows(TRIGGER, LOCKED, 9), RetryableError, "locked"),
    "STORAGE_LIMIT_EXCEEDED": (full, ConfigError, "Storage Usage"),
    "STORAGE_LIMIT_EXCEEDED, the call": (
        whole("STORAGE_LIMIT_EXCEEDED"), ConfigError, "Storage Usage",
    ),
    "NOT_FOUND": (without_a_key, ConfigError, "crm install"),
    "JSON_PARSER_ERROR": (whole("JSON_PARSER_ERROR"), RefusalError, "JSON_PARSER_ERROR"),
    "MALFORMED_ID": (whole("MALFORMED_ID"), RefusalError, "update of brokersync"),
    "SERVER_UNAVAILABLE": (calls(Fault.unavailable(), 5), RetryableError, "tries again"),
    "UNKNOWN_EXCEPTION": (
        calls(Fault(status=500, message=SECRET), 5), AmbiguousError, "tries again",
    ),
    "REQUEST_LIMIT_EXCEEDED": (used_up, QuotaError, "last 24 hours"),
    "REQUEST_LIMIT_EXCEEDED, long calls": (
        calls(Fault(status=403, message=BUSY), 5), BusyError, "run long at the same time",
    ),
    "INVALID_SESSION_ID": (broken_sessions, ConfigError, "not even a new one"),
}  # fmt: skip


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_trouble_stops_the_run_and_blames_no_row(
    org: SalesforceRig, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    arrange, kind, advice = LASTING[name]
    arrange(org)
    with pytest.raises(kind) as caught:
        org.crm.upsert(CONTACT, [bad()])
    assert type(caught.value) is kind
    assert advice in caught.value.admin
    told: list[Any] = [caught.value, caught.value.admin, caught.value.log, caplog.text]
    assert SECRET not in repr(told)
    assert org.fake.records("Contact") == {}
