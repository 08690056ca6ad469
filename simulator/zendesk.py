"""A fake Zendesk account over the world: the cursor-based incremental exports.

Documented: paths, parameters, auth, the withheld minute, end_of_stream with an after_cursor that is
not null, 10 requests a minute with Retry-After, administrators only, deleted users inactive.
Recalled: deleted tickets have the status ``deleted``; a deleted user's address is taken away;
metric sets hang on the ticket. Assumed: the cursor's inside, the texts of errors, that the limit
slides, that refused requests do not count.
"""

from __future__ import annotations

import base64
import bisect
import hmac
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from simulator import zendesk_rows
from simulator.story import Client, Event, World
from simulator.vendor import Listing
from simulator.wire import Request, Response

_EXPORTS = {
    "/api/v2/incremental/users/cursor.json": "users",
    "/api/v2/incremental/tickets/cursor.json": "tickets",
}
_MINUTE_MS = 60_000
_MOST_ROWS = 1000
_FIRST_BRAND_ID = 360_000_100


@dataclass(slots=True)
class _Export:
    """Rows by id and their order: by when they last changed, then by id."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    changed: dict[int, int] = field(default_factory=dict)
    order: list[tuple[int, int]] = field(default_factory=list)

    def put(self, row: dict[str, Any], at: int) -> None:
        key = row["id"]
        old = self.changed.get(key)
        if old is not None:
            del self.order[bisect.bisect_left(self.order, (old, key))]
            at = max(at, old)
        self.rows[key] = row
        self.changed[key] = at
        bisect.insort(self.order, (at, key))


class ZendeskFake(Listing):
    """One account, of one brand or of several.

    Args:
        brand_ids: the brands that share the account.
        admin: whether the token is an administrator's.
        requests_per_minute: what the incremental exports take.
    """

    def __init__(
        self,
        world: World,
        brand_ids: Sequence[str],
        email: str,
        api_token: str,
        oauth_token: str = "",
        admin: bool = True,
        requests_per_minute: int = 10,
        latency_s: float = 0.2,
    ) -> None:
        super().__init__(world, latency_s)
        self.brands = {b: _FIRST_BRAND_ID + n for n, b in enumerate(brand_ids)}
        self.email, self.api_token, self.oauth_token = email, api_token, oauth_token
        self.admin = admin
        self.requests_per_minute = requests_per_minute
        self.refused = 0
        """Requests answered with 429."""
        self.metrics_apart = False
        """Send metric sets beside the tickets instead of within them."""
        self.edits: dict[int, dict[str, Any]] = {}
        """Row id -> fields laid over it, None takes the field away (tests break rows with it)."""
        self.identities: dict[int, list[dict[str, Any]]] = {}
        """User id -> its identities instead of the usual ones."""
        self.nulls: dict[int, Sequence[str]] = {}
        """Row id -> fields shown as null."""
        self._recent: deque[int] = deque()
        self._exports = {"users": _Export(), "tickets": _Export()}
        self._events: dict[tuple[str, str], list[Event]] = {}

    def _answer(self, request: Request) -> Response:
        if not self._known(request.headers.get("authorization", "")):
            return Response.json(401, {"error": "Couldn't authenticate you"})
        export = _EXPORTS.get(request.path)
        if export is None or request.method != "GET":
            return Response.json(404, {"error": "InvalidEndpoint", "description": "Not found"})
        if not self.admin:
            return _error(403, "Forbidden", "You do not have access to this page.")
        wait_ms = self._wait_ms()
        if wait_ms:
            self.refused += 1
            headers = {"retry-after": str(-(-wait_ms // 1000)), "x-rate-limit-remaining": "0"}
            return Response.json(429, {"error": "APIRateLimitExceeded"}, headers)
        return self.faults.padded(self._page(export, request))

    def rows(self, export: str) -> dict[int, dict[str, Any]]:
        """Every row that an export shows or soon will, by id."""
        self._fold()
        return {
            key: self._shown(export, key, {"metric_sets"}) for key in self._exports[export].rows
        }

    def prefix(self, brand: str) -> str:
        """What stands before a client id in an external id: only a shared account needs it."""
        return f"{brand}-" if len(self.brands) > 1 else ""

    def settings(self) -> dict[str, Any]:
        """What an admin of this account would tell a connection about it."""
        told: dict[str, Any] = {
            "email": self.email,
            "api_token": self.api_token,
            "category_field": zendesk_rows.CATEGORY_FIELD,
            "complaint_field": zendesk_rows.COMPLAINT_FIELD,
            "forms": zendesk_rows.FORMS,
            "groups": zendesk_rows.GROUPS,
            "requests_per_minute": self.requests_per_minute,
        }
        if len(self.brands) > 1:
            told["brands"] = {number: brand for brand, number in self.brands.items()}
            told["client_prefixes"] = {brand: self.prefix(brand) for brand in self.brands}
        return told

    def _known(self, given: str) -> bool:
        pair = base64.b64encode(f"{self.email}/token:{self.api_token}".encode()).decode()
        wanted = [f"Basic {pair}"]
        if self.oauth_token:
            wanted.append(f"Bearer {self.oauth_token}")
        return any(hmac.compare_digest(w.encode(), given.encode()) for w in wanted)

    def _wait_ms(self) -> int:
        now = self.world.now_ms
        while self._recent and now - self._recent[0] >= _MINUTE_MS:
            self._recent.popleft()
        if len(self._recent) >= self.requests_per_minute:
            return self._recent[0] + _MINUTE_MS - now
        self._recent.append(now)
        return 0

    def _page(self, export: str, request: Request) -> Response:
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        place = self._place(query)
        try:
            limit = int(query.get("per_page", str(_MOST_ROWS)))
        except ValueError:
            limit = 0
        if place is None or not 0 < limit <= _MOST_ROWS:
            return _error(400, "InvalidValue", "Bad start_time, cursor or per_page")
        self._fold()
        order = self._exports[export].order
        lo = bisect.bisect_right(order, place)
        hi = bisect.bisect_right(order, (self.world.now_ms - _MINUTE_MS, 2**63))
        taken = order[lo : max(lo, min(hi, lo + limit))]
        include = set(query.get("include", "").split(","))
        shown = [self._shown(export, key, include) for _, key in taken]
        last = taken[-1] if taken else place
        body: dict[str, Any] = {
            export: shown,
            "after_cursor": _encoded(last),
            "after_url": f"https://simulated.zendesk.example{request.path}?cursor={_encoded(last)}",
            "before_cursor": None,
            "before_url": None,
            "end_of_stream": lo + len(taken) >= hi,
        }
        if "identities" in include:
            body["identities"] = [
                one
                for row in shown
                for one in self.identities.get(row["id"], zendesk_rows.identity_rows(row))
            ]
        if self.metrics_apart and "metric_sets" in include:
            body["metric_sets"] = [row.pop("metric_set") for row in shown]
        return Response.json(200, body)

    def _place(self, query: Mapping[str, str]) -> tuple[int, int] | None:
        """Behind which (changed at, id) the page begins; None: refused."""
        try:
            if "cursor" in query:
                at, _, key = base64.urlsafe_b64decode(query["cursor"]).decode().partition("|")
                return int(at), int(key)
            start_ms = int(query["start_time"]) * 1000
        except (ValueError, KeyError):
            return None
        return None if start_ms > self.world.now_ms - _MINUTE_MS else (start_ms, -1)

    def _shown(self, export: str, key: int, include: set[str]) -> dict[str, Any]:
        edits = self.edits.get(key, {})
        row = {**self._exports[export].rows[key], **edits}
        if "metric_sets" not in include:
            row.pop("metric_set", None)
        row = {name: v for name, v in row.items() if v is not None or name not in edits}
        return row | dict.fromkeys(self.nulls.get(key, ()))

    def _forget(self) -> None:
        self._exports = {"users": _Export(), "tickets": _Export()}
        self._events.clear()
        for row in zendesk_rows.staff_rows(self.world.start_ms):
            self._exports["users"].put(row, self.world.start_ms)

    def _take(self, client: Client, event: Event) -> None:
        if client.brand not in self.brands:
            return
        if event.name in zendesk_rows.USERS:
            events = self._events.setdefault((client.key, "user"), [])
            events.append(event)
            row = zendesk_rows.user_row(client, events, self.prefix(client.brand))
            self._exports["users"].put(row, event.visible_at)
        elif event.name in zendesk_rows.TICKETS:
            key = event.data["ticket"]
            events = self._events.setdefault((client.key, f"ticket:{key}"), [])
            events.append(event)
            brand_id = self.brands[client.brand]
            row = zendesk_rows.ticket_row(client, events, key, brand_id, event.visible_at)
            if row:
                self._exports["tickets"].put(row, event.visible_at)


def _encoded(place: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}|{place[1]}".encode()).decode()


def _error(status: int, name: str, text: str) -> Response:
    return Response.json(status, {"error": name, "description": text})
