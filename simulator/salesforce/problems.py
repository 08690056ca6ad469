"""What Salesforce answers when it refuses: one error, in the two shapes it is shown in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class SalesforceError(Exception):
    """A refusal of one request or of one record.

    Args:
        code: Salesforce's code.
        fields: names of the fields it is about; None where no list is shown (recorded: it is
            often missing).
        status: of the answer, where it is the whole request that is refused.
        extra: what else the error carries.
    """

    def __init__(
        self,
        code: str,
        message: str,
        fields: Sequence[str] | None = None,
        *,
        status: int = 400,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields
        self.status = status
        self.extra = dict(extra or {})

    def whole(self) -> list[dict[str, Any]]:
        """The body of an answer: always a list (recorded), the code in ``errorCode``."""
        out = {**self.extra, "message": self.message, "errorCode": self.code}
        return [out if self.fields is None else out | {"fields": list(self.fields)}]

    def row(self) -> dict[str, Any]:
        """The error of one record among others: the code in ``statusCode`` (recorded)."""
        return {
            **self.extra,
            "statusCode": self.code,
            "message": self.message,
            "fields": list(self.fields or ()),
        }

    def csv(self) -> str:
        """The ``sf__Error`` of a bulk job: ``CODE:message:fields --`` (recorded, suffix unsure)."""
        return f"{self.code}:{self.message}:{','.join(self.fields or ())} --"


class MatchesError(Exception):
    """A key that several records have: 300 with their addresses (recorded)."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(str(ids))
        self.ids = ids


class NotBuiltError(Exception):
    """What Salesforce can do and this fake cannot: 501, which Salesforce itself never answers."""


class TokenError(Exception):
    """A refusal of the token endpoint (documented shape: ``error``, ``error_description``)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


def not_found() -> SalesforceError:
    """Recorded: an unknown sObject, row or resource."""
    return SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)


def no_key(name: str) -> SalesforceError:
    """Recorded: upsert or read by a field that is no key."""
    return SalesforceError(
        "NOT_FOUND",
        f"Provided external ID field does not exist or is not accessible: {name}",
        status=404,
    )


def deleted() -> SalesforceError:
    """Recorded code and words; the status 404 is assumed."""
    return SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [], status=404)


def converted() -> SalesforceError:
    """Recorded: a converted lead, written or referred to."""
    return SalesforceError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", [])


def bad_reference() -> SalesforceError:
    """Recorded: an id that leads nowhere."""
    return SalesforceError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])


def no_such_operation(sobject: str, operation: str) -> SalesforceError:
    """Documented code; the words are assumed."""
    return SalesforceError(
        "INVALID_TYPE_FOR_OPERATION",
        f"entity type {sobject} does not support {operation}",
        [],
    )


def malformed_id(label: str, value: object, name: str) -> SalesforceError:
    """Recorded code; the words are assumed."""
    return SalesforceError("MALFORMED_ID", f"{label}: id value of incorrect type: {value}", [name])


def unknown_column(name: str, sobject: str) -> SalesforceError:
    """Recorded: a field that does not exist, or that the user may not see (assumed)."""
    return SalesforceError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}")


def read_only(names: Sequence[str]) -> SalesforceError:
    """Recorded: fields the user may see and not write."""
    return SalesforceError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings "
        "of this field and verify that it is read/write for your profile or permission set.",
        names,
    )


def unreadable(why: str) -> SalesforceError:
    """Recorded code for JSON that cannot be read; the words differ by cause."""
    return SalesforceError("JSON_PARSER_ERROR", why)


def attributes_late() -> SalesforceError:
    """Recorded (v63): ``attributes`` is missing, or not the first name of its object."""
    return SalesforceError(
        "JSON_PARSER_ERROR",
        "Nested object for polymorphic foreign key must have an attributes field before any "
        "other fields.",
        [],
    )


def no_session() -> SalesforceError:
    """Recorded: an expired or unknown session, on any call."""
    return SalesforceError("INVALID_SESSION_ID", "Session expired or invalid", status=401)
