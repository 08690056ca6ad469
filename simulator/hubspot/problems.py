"""What the portal answers when it refuses: HubSpot's error bodies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING_PAGE = (
    b"<html>\n<head>\n"
    b'<meta http-equiv="Content-Type" content="text/html;charset=iso-8859-1"/>\n'
    b"<title>Error 404 Not Found</title>\n</head>\n"
    b"<body><h2>HTTP ERROR 404 Not Found</h2>\n<hr/>\n</body>\n</html>\n\n\n\n\n\n"
)
"""Recorded: a missing record is a 197-byte HTML page, not JSON. (The page's words are assumed.)"""


class PortalError(Exception):
    """A refusal with HubSpot's generic error body (documented, "Error handling")."""

    def __init__(
        self,
        status: int,
        message: str,
        category: str = "VALIDATION_ERROR",
        *,
        sub_category: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, Any] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.category = category
        self.sub_category = sub_category
        self.errors = errors
        self.context = dict(context or {})
        self.links = links

    def body(self, correlation: str) -> dict[str, Any]:
        """The error as the body of an answer."""
        out: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "correlationId": correlation,
        }
        optional = {
            "category": self.category,
            "subCategory": self.sub_category,
            "errors": list(self.errors),
            "context": self.context,
            "links": self.links,
        }
        return out | {name: value for name, value in optional.items() if value}

    def entry(self, trace: str | None) -> dict[str, Any]:
        """The error as one of ``errors`` of a 207 (recorded)."""
        context = self.context | ({"objectWriteTraceId": [trace]} if trace is not None else {})
        out = {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": context,
        }
        return out | ({"subCategory": self.sub_category} if self.sub_category else {})


class HtmlMissingError(Exception):
    """A record that does not exist, as `GET` answers it (recorded): HTML, status 404."""


@dataclass(frozen=True, slots=True)
class BadValue:
    """One property value the portal does not take. ``code`` is HubSpot's (recorded)."""

    name: str
    code: str
    message: str


def bad_values(problems: Iterable[BadValue]) -> PortalError:
    """Recorded: the message carries a JSON array, and ``errors`` says the same once more."""
    rows = list(problems)
    details = [
        {
            "isValid": False,
            "message": row.message,
            "error": row.code,
            "name": row.name,
            "localizedErrorMessage": row.message,
        }
        for row in rows
    ]
    text = json.dumps(details, ensure_ascii=False, separators=(",", ":"))
    return PortalError(
        400,
        f"Property values were not valid: {text}",
        errors=[
            {"message": row.message, "code": row.code, "context": {"propertyName": [row.name]}}
            for row in rows
        ],
    )


def not_found(ids: Sequence[str]) -> PortalError:
    """Recorded: one form of "could not be found" (``context.ids``)."""
    return PortalError(
        404,
        f"Could not get some {len(ids)} objects, they may be deleted or not exist. "
        f"Check that ids are valid.",
        "OBJECT_NOT_FOUND",
        context={"ids": list(ids)},
    )


def malformed(message: str) -> PortalError:
    """A request the portal cannot read. The words are assumed."""
    return PortalError(400, f"Invalid input JSON: {message}")


def missing_scopes(scopes: Sequence[str]) -> PortalError:
    """Recorded: the scopes that would do are in ``errors[0].context``."""
    return PortalError(
        403,
        "This app hasn't been granted all required scopes to make this call. "
        "Read more about required scopes here: https://developers.hubspot.com/scopes.",
        "MISSING_SCOPES",
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": list(scopes)},
            }
        ],
        links={"scopes": "https://developers.hubspot.com/scopes"},
    )


def unauthorized(*, expired: bool) -> PortalError:
    """Documented categories: a wrong token, or (OAuth) one that has run out."""
    if expired:
        return PortalError(
            401, "The OAuth token used to make this call expired.", "EXPIRED_AUTHENTICATION"
        )
    return PortalError(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and "
        "you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        "INVALID_AUTHENTICATION",
    )
