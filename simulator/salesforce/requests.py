"""Reading a request: path, query, body, and who asks."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from simulator.salesforce.problems import SalesforceError, unreadable
from simulator.wire import Request

_VERSIONED = re.compile(r"^/services/data/v(\d{1,3})\.0(?=/|$)")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who writes, and how.

    Args:
        user_id: the user of the session.
        allow_save: duplicates are to be saved where the rule lets one (documented header).
        human: works in Salesforce's own pages: sees all fields, meets no ordered row faults.
    """

    user_id: str
    allow_save: bool = False
    human: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a versioned resource."""

    request: Request
    version: int
    parts: list[str]
    caller: Caller
    query: dict[str, list[str]] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Its method."""
        return self.request.method

    @property
    def base(self) -> str:
        """``/services/data/v60.0``"""
        return f"/services/data/v{self.version}.0"

    def text(self, name: str, default: str = "") -> str:
        """One value of the query."""
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        """A value of the query that says true."""
        return self.text(name).lower() == "true"

    def header(self, name: str, option: str) -> str:
        """An option of one of the ``Sforce-`` headers: ``a=1; b=2`` (documented)."""
        return option_of(self.request, name, option)


def option_of(request: Request, header: str, option: str) -> str:
    """See :meth:`Call.header`."""
    for part in request.headers.get(header, "").replace(";", ",").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() == option:
            return value.strip()
    return ""


def versioned(path: str) -> tuple[int, list[str]] | None:
    """Version and path parts behind it; a trailing slash is no difference (recorded)."""
    match = _VERSIONED.match(path)
    if match is None:
        return None
    return int(match[1]), [unquote(part) for part in path[match.end() :].split("/") if part]


def query_of(request: Request) -> dict[str, list[str]]:
    """The query of a request."""
    return parse_qs(request.query, keep_blank_values=True)


def content(request: Request) -> bytes:
    """The body, unpacked (documented: requests may be compressed)."""
    if request.headers.get("content-encoding", "").lower() not in ("gzip", "deflate"):
        return request.body
    try:
        if request.headers["content-encoding"].lower() == "gzip":
            return gzip.decompress(request.body)
        return zlib.decompress(request.body)
    except (OSError, EOFError, zlib.error):
        raise unreadable("the body is not compressed as its header says") from None


def json_object(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        value = json.loads(content(request))
    except (ValueError, RecursionError):
        raise unreadable("Unexpected character at [line:1, column:1]") from None
    if not isinstance(value, dict):
        raise unreadable("The HTTP entity body is required to be an object")
    return value


def needs(value: object, kind: type, what: str) -> None:
    """Refuse a part of a body that has another type."""
    if not isinstance(value, kind):
        raise SalesforceError("JSON_PARSER_ERROR", f"Cannot read {what}: wrong type")
