"""Owners and the account's own figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.hubspot.problems import PortalError
from simulator.hubspot.requests import Query, body
from simulator.hubspot.values import iso
from simulator.wire import Request, Response

if TYPE_CHECKING:
    from simulator.hubspot.limits import Limiter
    from simulator.hubspot.portal import Portal


@dataclass(frozen=True, slots=True)
class FakeOwner:
    """An owner: a user of the portal, or a queue."""

    id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    type: str = "PERSON"
    archived: bool = False


def owners(portal: Portal, request: Request, rest: list[str]) -> Response:
    """`GET owners`, one page or one owner (documented)."""
    query = Query(request)
    archived = query.flag("archived")
    rows = sorted(
        (o for o in portal.owners.values() if o.archived == archived), key=lambda o: int(o.id)
    )
    if rest:
        found = [o for o in rows if o.id == rest[0]]
        if not found:
            raise PortalError(404, f"No owner with id {rest[0]}", "OBJECT_NOT_FOUND")
        return Response.json(200, _owner(found[0]))
    email = query.text("email")
    if email:
        rows = [o for o in rows if o.email.lower() == email.lower()]
    limit = query.number("limit", 100, 500)
    after = int(query.text("after", "0"))
    rows = [o for o in rows if int(o.id) > after]
    out: dict[str, Any] = {"results": [_owner(o) for o in rows[:limit]]}
    if len(rows) > limit:
        out["paging"] = {"next": {"after": rows[limit - 1].id}}
    return Response.json(200, out)


def _owner(owner: FakeOwner) -> dict[str, Any]:
    # Recorded: userId is null for a deactivated user, the other field keeps it.
    user = int(owner.id) + 100_000
    return {
        "id": owner.id,
        "email": owner.email,
        "type": owner.type,
        "firstName": owner.first_name,
        "lastName": owner.last_name,
        "userId": None if owner.archived else user,
        "userIdIncludingInactive": user,
        "createdAt": iso(1_700_000_000_000),
        "updatedAt": iso(1_700_000_000_000),
        "archived": owner.archived,
        "teams": [],
    }


def token_info(request: Request, token: str, scopes: Iterable[str]) -> Response:
    """`POST access-token-info` (documented for private apps; needs no scope)."""
    if body(request).get("tokenKey") != token:
        raise PortalError(404, "No such token", "OBJECT_NOT_FOUND")
    told = {"userId": 1, "hubId": 1234567, "appId": 7654, "scopes": sorted(scopes)}
    return Response.json(200, told)


def account(limiter: Limiter, zone: str, rest: list[str], now_ms: int) -> Response:
    """`GET account-info`: details, and API use of the day (documented shapes)."""
    if rest == ["details"]:
        return Response.json(
            200,
            {
                "portalId": 1234567,
                "accountType": "STANDARD",
                "timeZone": zone,
                "companyCurrency": "USD",
                "additionalCurrencies": [],
                "utcOffset": "+00:00",
                "utcOffsetMilliseconds": 0,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            },
        )
    if rest == ["api-usage", "daily", "private-apps"]:
        use = {
            "name": "private-apps-api-calls-daily",
            "usageLimit": limiter.daily,
            "currentUsage": limiter.used_today,
            "collectedAt": iso(now_ms),
            "fetchStatus": "SUCCESS",
            "resetsAt": None,
        }
        return Response.json(200, {"results": [use]})
    raise PortalError(404, "Not found", "OBJECT_NOT_FOUND")
