"""The table from HubSpot's answers to what must happen next."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import urllib3.exceptions as u3

from connectors.destination import NoRightError
from connectors.hubspot.errors import (
    MissingScopeError,
    RateLimitError,
    RefusalError,
    details,
    from_answer,
    from_transport,
    refused,
    retry_after,
)
from mapping.errors import (
    AmbiguousError,
    BrokersyncError,
    ConfigError,
    ProtocolError,
    QuotaError,
    RetryableError,
)

PRIVATE = "jane.doe@example.com"


def _error(status: int, body: Any = None, *, write: bool = True, **headers: str) -> BrokersyncError:
    text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_answer(status, named, text, write=write, what="POST /crm/v3/objects/contacts")


TABLE: list[tuple[int, dict[str, Any], type[BrokersyncError], type[BrokersyncError], float | None]]
TABLE = [
    # status, body, for a write, for a read, seconds to wait
    (400, {"category": "VALIDATION_ERROR"}, RefusalError, RefusalError, None),
    (401, {"category": "INVALID_AUTHENTICATION"}, ConfigError, ConfigError, None),
    (401, {"category": "EXPIRED_AUTHENTICATION"}, ConfigError, ConfigError, None),
    (403, {"category": "MISSING_SCOPES"}, MissingScopeError, MissingScopeError, None),
    (403, {"category": "USER_DOES_NOT_HAVE_PERMISSIONS"}, NoRightError, NoRightError, None),
    (404, {}, RefusalError, RefusalError, None),
    (405, {}, ProtocolError, ProtocolError, None),
    (409, {"category": "CONFLICT"}, RefusalError, RefusalError, None),
    (414, {}, RefusalError, RefusalError, None),
    (302, {}, ProtocolError, ProtocolError, None),
    (423, {}, RetryableError, RetryableError, 2),
    (429, {"policyName": "TEN_SECONDLY_ROLLING"}, RateLimitError, RateLimitError, 10),
    (429, {"policyName": "SECONDLY"}, RateLimitError, RateLimitError, 10),
    (429, {}, RateLimitError, RateLimitError, 10),
    (429, {"policyName": "DAILY"}, QuotaError, QuotaError, None),
    (477, {}, RetryableError, RetryableError, 3600),
    *((s, {}, AmbiguousError, RetryableError, None) for s in (500, 502, 503, 504, 521, 523, 524)),
    *((s, {}, AmbiguousError, RetryableError, 300) for s in (522, 525, 526)),
]


@pytest.mark.parametrize(("status", "body", "write", "read", "wait"), TABLE)
def test_the_table(
    status: int,
    body: dict[str, Any],
    write: type[BrokersyncError],
    read: type[BrokersyncError],
    wait: float | None,
) -> None:
    for writing, expected in ((True, write), (False, read)):
        error = _error(status, body, write=writing)
        assert type(error) is expected
        assert getattr(error, "retry_after_s", None) == wait
        assert error.admin.endswith(".")
        assert str(status) in error.log


def test_retry_after_is_obeyed_wherever_it_comes() -> None:
    for status in (423, 429, 477, 503):
        error = _error(status, Retry_After="17")
        assert isinstance(error, RetryableError)
        assert error.retry_after_s == 17
    assert retry_after({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>\xe9</html>", b"[]", b"null", b'{"errors": 5}', b"\xff"]
)
def test_any_body_will_do(body: bytes) -> None:
    assert isinstance(_error(404, body), RefusalError)
    assert isinstance(_error(503, body), AmbiguousError)
    assert isinstance(_error(403, body), ConfigError)


@pytest.mark.parametrize(
    "odd",
    [
        {"context": "x", "errors": ["y", {"context": 3}], "message": 4, "category": ["z"]},
        {"message": "Property values were not valid: [broken"},
        {"message": 'Property values were not valid: {"a": 1}'},
        {"errors": [{"context": {"propertyName": 7}, "code": None}]},
    ],
)
def test_any_shape_will_do(odd: dict[str, Any]) -> None:
    assert details(odd).problems == ()


def test_scopes_are_named_from_either_form() -> None:
    scopes = {"requiredGranularScopes": ["crm.objects.owners.read"]}
    for body in ({"errors": [{"context": scopes}]}, {"context": scopes}):
        error = _error(403, {"category": "MISSING_SCOPES"} | body)
        assert isinstance(error, MissingScopeError)
        assert error.scopes == ("crm.objects.owners.read",)
        assert "crm.objects.owners.read" in error.admin


def _recorded(name: str, code: str, value: str) -> dict[str, Any]:
    """A 207's entry as recorded from a real portal."""
    row = {"isValid": False, "message": f"{value} was not", "error": code, "name": name}
    return {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": f"Property values were not valid: {json.dumps([row])}",
        "context": {"objectWriteTraceId": ["7"]},
    }


@pytest.mark.parametrize(
    ("name", "code", "advice"),
    [
        ("kyc", "PROPERTY_DOESNT_EXIST", "crm install"),
        ("kyc", "INVALID_OPTION", "value map"),
        ("createdate", "READ_ONLY_VALUE", "read only"),
        ("email", "INVALID_EMAIL", "registry"),
        ("day", "INVALID_DATE", "type and map"),
        ("amount", "INVALID_LONG", "type and map"),
        ("hubspot_owner_id", "INVALID_OPTION", "team's members"),
        ("x", "SOMETHING_NEW", "SOMETHING_NEW"),
    ],
)
def test_a_refused_record_says_what_to_do(name: str, code: str, advice: str) -> None:
    outcome = refused("k", details(_recorded(name, code, PRIVATE)))
    assert (outcome.key, outcome.code, outcome.properties) == ("k", code, (name,))
    assert advice in outcome.admin
    assert PRIVATE not in repr(outcome)


def test_an_address_of_another_contact() -> None:
    entry = {
        "category": "CONFLICT",
        "message": "Contact already exists. Existing ID: 4711",
        "context": {"existingId": ["4711"]},
    }
    outcome = refused("k", details(entry))
    assert (outcome.code, outcome.properties) == ("EMAIL_CONFLICT", ("email",))
    assert "4711" in outcome.admin
    assert "Merge" in outcome.admin


def test_hubspots_words_never_pass() -> None:
    hostile = {
        "category": PRIVATE,
        "subCategory": PRIVATE,
        "policyName": PRIVATE,
        "correlationId": PRIVATE,
        "message": PRIVATE,
        "errors": [{"code": PRIVATE, "context": {"propertyName": [PRIVATE]}}],
        "context": {"existingId": [PRIVATE], "properties": [PRIVATE]},
    }
    for status in (400, 401, 403, 404, 409, 423, 429, 477, 500):
        error = _error(status, hostile)
        assert PRIVATE not in f"{error!r} {error.admin} {error.log}"
    assert PRIVATE not in repr(refused("k", details(hostile)))


NEVER_SENT = [
    u3.NewConnectionError(None, f"refused {PRIVATE}"),  # type: ignore[arg-type]
    u3.ConnectTimeoutError(PRIVATE),
]
MAYBE_SENT = [
    u3.ReadTimeoutError(None, PRIVATE, "timed out"),  # type: ignore[arg-type]
    u3.ProtocolError("Connection aborted.", PRIVATE),
    u3.IncompleteRead(5, 10),
]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_call_without_answer(wrapped: bool) -> None:
    def judged(error: Exception, *, write: bool) -> BrokersyncError:
        if wrapped:
            error = u3.MaxRetryError(None, PRIVATE, error)  # type: ignore[arg-type]
        found = from_transport(error, write=write, what="POST /x")
        assert PRIVATE not in f"{found!r} {found.admin} {found.log}"
        return found

    for error in NEVER_SENT:
        assert type(judged(error, write=True)) is RetryableError
    for error in MAYBE_SENT:
        assert type(judged(error, write=True)) is AmbiguousError
        assert type(judged(error, write=False)) is RetryableError
    certificate = u3.SSLError(ssl.SSLCertVerificationError("expired"))
    assert type(judged(certificate, write=True)) is ConfigError
    assert type(judged(u3.SSLError("eof"), write=True)) is AmbiguousError
