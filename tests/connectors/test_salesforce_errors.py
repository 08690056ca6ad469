"""Salesforce's refusals: what happens next, what the admin reads, and what is never told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.destination import GONE, CallCount, NoRightError
from connectors.salesforce import errors
from connectors.salesforce.errors import BusyError, RefusalError, details, from_answer, refused
from connectors.salesforce.quota import Quota, usage
from mapping.errors import AmbiguousError, ConfigError, QuotaError, RetryableError
from tests.fakes.hubspot import TestWorld

SECRET = "Zoë Private 4711"  # a client's value, as Salesforce's messages quote them


def row(code: str, message: str, *fields: str) -> list[dict[str, Any]]:
    """A row's errors, as collections tell them."""
    return [{"statusCode": code, "message": message, "fields": list(fields)}]


ROWS = [
    # code, message, fields named, fields understood, a word of the advice
    ("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", (), ("LastName",), "map"),
    ("REQUIRED_FIELD_MISSING", "Es fehlt etwas", ("LastName",), ("LastName",), "LastName"),
    ("INVALID_FIELD", "No such column 'Kyc__c' on sobject of type Contact", (), ("Kyc__c",),
     "crm install"),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Kyc__c. Please check",
     ("Kyc__c",), ("Kyc__c",), "may not write"),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
     f"KYC: bad value for restricted picklist field: {SECRET}", ("Kyc__c",), ("Kyc__c",),
     "picklist Kyc__c"),
    ("STRING_TOO_LONG", f"Name: data value too large: {SECRET} (max length=80)", ("LastName",),
     ("LastName",), "longer"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", f"{SECRET} may not be entered", (), (),
     "validation rule"),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
     "insufficient access rights on cross-reference id: 0015e00000AbcDE", (), (), "sharing"),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", (), (), "its contact"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"T: execution of AfterUpdate caused by {SECRET}", (),
     (), "trigger"),
    ("DUPLICATE_EXTERNAL_ID", "Key__c: more than one record found", (), (), "Several"),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", f"Birth: value not of required type: {SECRET}",
     ("Birth__c",), ("Birth__c",), "type"),
    ("JSON_PARSER_ERROR", f"Unexpected {SECRET}", (), (), "type"),
    ("FIELD_INTEGRITY_EXCEPTION", "Owner ID: id value of incorrect type: 00G000000000001",
     ("OwnerId",), ("OwnerId",), "queue"),
    ("SOMETHING_NEW", SECRET, ("Kyc__c",), ("Kyc__c",), "SOMETHING_NEW (Kyc__c)"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message", "named", "fields", "advice"), ROWS)
def test_a_refused_row_is_told_with_its_field_and_never_with_its_value(
    code: str, message: str, named: tuple[str, ...], fields: tuple[str, ...], advice: str
) -> None:
    found = refused("alpha:C1", details(row(code, message, *named)))
    assert (found.key, found.code, found.properties) == ("alpha:C1", code, fields)
    assert advice in found.admin
    assert SECRET not in found.admin


@pytest.mark.parametrize("code", ["ENTITY_IS_DELETED", "NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY"])
def test_a_record_that_is_not_there_is_gone_whatever_it_is_called(code: str) -> None:
    assert refused("k", details(row(code, "entity is deleted"))).code == GONE


def test_the_record_that_holds_a_unique_value_is_named() -> None:
    said = "duplicate value found: Key__c duplicates value on record with id: 003000000000abC"
    found = details(row("DUPLICATE_VALUE", said))
    assert found.existing == ("003000000000abC",)
    assert "003000000000abC" in refused("k", found).admin


def test_a_lock_that_a_trigger_met_is_seen() -> None:
    said = "T: AfterUpdate caused by: System.DmlException: UNABLE_TO_LOCK_ROW, unable to obtain"
    assert details(row("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", said)).locked
    assert details(row("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")).code in (
        errors.LOCKED
    )


@pytest.mark.parametrize(
    "body", [None, "x", 3, [], [3], [{}], {"errors": 1}, [{"errorCode": 7, "fields": "a"}],
             [{"errorCode": "bad code", "fields": [3, "a b", None], "message": []}],
             [{"errorCode": "DUPLICATES_DETECTED", "duplicateResut": {"matchResults": 5}}]]
)  # fmt: skip
def test_no_shape_of_a_body_is_a_crash(body: object) -> None:
    found = details(body)
    assert found.fields == found.existing == ()


def answer(status: int, code: str, message: str = "", *, write: bool = False) -> Any:
    """What becomes of a whole request that was refused."""
    body = json.dumps([{"errorCode": code, "message": message}]).encode()
    return from_answer(status, body, write=write, what="PATCH composite")


@pytest.mark.parametrize(
    ("status", "code", "write", "kind"),
    [
        (400, "MALFORMED_QUERY", False, RefusalError),
        (400, "JSON_PARSER_ERROR", True, RefusalError),
        (404, "NOT_FOUND", False, RefusalError),
        (403, "API_DISABLED_FOR_ORG", False, NoRightError),
        (403, "INSUFFICIENT_ACCESS", True, NoRightError),
        (403, "REQUEST_LIMIT_EXCEEDED", True, QuotaError),
        (400, "STORAGE_LIMIT_EXCEEDED", True, ConfigError),
        (400, "UNABLE_TO_LOCK_ROW", True, RetryableError),
        (400, "QUERY_TIMEOUT", False, RetryableError),
        (410, "GONE", False, ConfigError),
        (501, "NOT_IMPLEMENTED", True, RefusalError),
        (302, "", False, ConfigError),
        (500, "UNKNOWN_EXCEPTION", True, AmbiguousError),
        (500, "UNKNOWN_EXCEPTION", False, RetryableError),
        (503, "SERVER_UNAVAILABLE", True, RetryableError),
    ],
)
def test_a_refused_request_is_what_must_happen_next(
    status: int, code: str, write: bool, kind: type
) -> None:
    error = answer(status, code, SECRET, write=write)
    assert type(error) is kind
    assert SECRET not in error.admin + error.log


def test_a_server_that_is_unavailable_has_applied_nothing() -> None:
    assert not isinstance(answer(503, "SERVER_UNAVAILABLE", write=True), AmbiguousError)


def test_too_many_long_calls_are_no_daily_limit() -> None:
    said = "ConcurrentPerOrgLongTxn Limit exceeded."
    assert type(answer(403, "REQUEST_LIMIT_EXCEEDED", said)) is BusyError


def test_a_page_of_html_is_understood_by_its_status() -> None:
    error = from_answer(502, b"<html>Bad gateway", write=False, what="GET query")
    assert type(error) is RetryableError


# --- the daily limit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("api-usage=10018/100000", (10018, 100000)),
        ("api-bursts=1/750; api-usage=18/5000", (18, 5000)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=x)", (25, 5000)),
        ("per-app-api-usage=17/250(appName=x)", None),
        ("", None),
        (None, None),
        ("api-usage=many/few", None),
    ],
)
def test_the_limit_header(header: str | None, found: tuple[int, int] | None) -> None:
    assert usage(header) == found


def test_the_hub_pauses_at_its_share_and_looks_again() -> None:
    counts = CallCount()
    world = TestWorld()
    quota = Quota(counts, share=0.8, clock=world.clock)
    quota.check()  # nothing is known yet
    quota.observe("api-usage=799/1000")
    quota.check()
    quota.observe("api-usage=800/1000")
    assert (counts.daily_limit, counts.daily_remaining) == (1000, 200)
    with pytest.raises(QuotaError, match="800 of 1,000") as caught:
        quota.check()
    assert caught.value.retry_after_s == 900
    world.sleep(899)
    with pytest.raises(QuotaError):
        quota.check()
    world.sleep(1)
    quota.check()  # one call finds out whether the window has rolled on
    quota.observe("api-usage=790/1000")
    quota.check()
