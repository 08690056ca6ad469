"""Reading a request: path parts in one form for both path families, query, JSON body."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

from simulator.hubspot.problems import PortalError, malformed
from simulator.wire import Request

_V3 = re.compile(r"^/crm/v3/(objects|properties|owners|limits)(?=/|$)")
_V4 = re.compile(r"^/crm/v4/(objects|associations)(?=/|$)")
_DATED = re.compile(r"^/crm/(objects|properties|owners|associations|limits)/2026-09(?=/|$)")
_TOKEN = "/oauth/v2/private-apps/get/access-token-info"
_ACCOUNT = re.compile(r"^/account-info/(?:v3|2026-09)(?=/|$)")


def parts(path: str) -> list[str]:
    """Path parts without the version: ``/crm/v3/objects/contacts`` -> ``[objects, contacts]``.

    Documented: v3, v4 and dated paths name the same things; a trailing slash is no difference.
    Empty for a path of no known family.
    """
    for family in (_V3, _V4, _DATED):
        match = family.match(path)
        if match:
            rest = path[match.end() :]
            return [match[1], *(unquote(p) for p in rest.split("/") if p)]
    if path == _TOKEN:
        return ["access-token-info"]
    match = _ACCOUNT.match(path)
    if match:
        return ["account-info", *(p for p in path[match.end() :].split("/") if p)]
    return []


class Query:
    """The query of a request."""

    def __init__(self, request: Request) -> None:
        self._values = parse_qs(request.query, keep_blank_values=True)

    def text(self, name: str, default: str = "") -> str:
        """One value."""
        return self._values.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        """Recorded: read whatever the case (`True` is what the Python client sends)."""
        return self.text(name).lower() == "true"

    def many(self, name: str) -> list[str]:
        """Repeated or comma-separated values (documented)."""
        return [part for value in self._values.get(name, []) for part in value.split(",") if part]

    def number(self, name: str, default: int, most: int) -> int:
        """A page size; beyond ``most`` the request is refused (documented limits)."""
        text = self.text(name, str(default))
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= most:
            raise PortalError(400, f"{name} must be between 1 and {most}")
        return int(text)


def body(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        value = json.loads(request.body)
    except ValueError:
        raise malformed("not JSON") from None
    if not isinstance(value, dict):
        raise malformed("not an object")
    return value


def inputs(request: Request, most: int = 100) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Body and ``inputs`` of a batch (documented: at most ``most``; live: one more is a 400)."""
    whole = body(request)
    rows = whole.get("inputs")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed("inputs is not a list of objects")
    if len(rows) > most:
        raise PortalError(400, f"The maximum batch size is {most}, this one has {len(rows)}")
    return whole, rows
