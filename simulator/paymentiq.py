"""A fake PaymentIQ Admin API over the world: token endpoint and transaction list.

Paths, parameters, limits and field names: documented. The bare array, the error bodies and the
order (by last update, then id): assumed. A row that becomes visible late is found by the time it
was indexed, as in a search index behind the vendor's database, while it shows its own times.
"""

from __future__ import annotations

import base64
import bisect
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from simulator.payment_rows import CHILDREN, DEPOSITS, WITHDRAWALS, child_row, payment_row
from simulator.story import Client, Event, World, ordered
from simulator.vendor import Listing
from simulator.wire import Request, Response

TOKEN = "/paymentiq/oauth/token"
PAYMENTS = "/paymentiq/admin/v1/payments"
_TOKEN_LIVES_S = 7200
_MOST_ROWS = 10_000


@dataclass(slots=True)
class _Entry:
    indexed_s: int
    row: dict[str, Any]


class PaymentIQFake(Listing):
    """One merchant of one brand."""

    def __init__(
        self,
        world: World,
        brand_id: str,
        client_id: str,
        client_secret: str,
        merchant_id: int,
        latency_s: float = 0.05,
    ) -> None:
        super().__init__(world, latency_s)
        self.brand_id = brand_id
        self.client_id = client_id
        self.client_secret = client_secret
        self.merchant_id = merchant_id
        self.edits: dict[str, dict[str, Any]] = {}
        """Row id -> fields laid over it, None takes the field away (tests break rows with it)."""
        self._tokens: dict[str, int] = {}
        self._entries: dict[str, _Entry] = {}
        self._order: list[tuple[int, int, str]] = []
        self._events: dict[tuple[str, str], list[Event]] = {}

    def _answer(self, request: Request) -> Response:
        if request.path == TOKEN:
            return self._token(request)
        if request.path != PAYMENTS or request.method != "GET":
            return _error(404, "not_found")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        ends_ms = self._tokens.get(token, 0) if scheme.lower() == "bearer" else 0
        if self.world.now_ms >= ends_ms:
            return _error(401, "invalid_token")
        return self.faults.padded(self._payments(request))

    def revoke(self) -> None:
        """Forget every token given out."""
        self._tokens.clear()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row shown at the moment, by id."""
        self._fold()
        return {key: self._shown(key) for key in self._entries}

    def _token(self, request: Request) -> Response:
        pair = f"{self.client_id}:{self.client_secret}".encode()
        wanted = "Basic " + base64.b64encode(pair).decode()
        given = request.headers.get("authorization", "")
        if request.method != "POST" or request.query != "grant_type=client_credentials":
            return _error(400, "unsupported_grant_type")
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            return _error(401, "invalid_client")
        token = f"token-{self.brand_id}-{self.calls}"
        self._tokens[token] = self.world.now_ms + _TOKEN_LIVES_S * 1000
        body = {"access_token": token, "expires_in": _TOKEN_LIVES_S, "token_type": "bearer"}
        return Response.json(200, body)

    def _payments(self, request: Request) -> Response:
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        if query.get("merchantId") != str(self.merchant_id):
            return _error(403, "access_denied")
        try:
            since = _seconds(query.get("txLastUpdatedDateFrom"), 0)
            until = _seconds(query.get("txLastUpdatedDateTo"), 2**53)
            limit, offset = int(query.get("limit", "100")), int(query.get("offset", "0"))
        except ValueError:
            return _error(400, "bad_request")
        if not 0 < limit <= _MOST_ROWS or offset < 0:
            return _error(400, "bad_request")
        self._fold()
        lo = bisect.bisect_left(self._order, (since, 0, ""))
        hi = bisect.bisect_left(self._order, (until + 1, 0, ""))
        found = [key for _, _, key in self._order[lo:hi]]
        if query.get("descOrder") == "true":
            found.reverse()
        return Response.json(200, [self._shown(key) for key in found[offset : offset + limit]])

    def _shown(self, key: str) -> dict[str, Any]:
        row = self._entries[key].row
        edits = self.edits.get(key)
        if edits is None:
            return row
        return {k: v for k, v in {**row, **edits}.items() if v is not None}

    def _forget(self) -> None:
        self._entries.clear()
        self._order.clear()
        self._events.clear()

    def _take(self, client: Client, event: Event) -> None:
        if client.brand != self.brand_id or "payment" not in event.data:
            return
        brand = self.world.brands[self.brand_id]
        if event.name not in (*DEPOSITS, *WITHDRAWALS, *CHILDREN):
            return
        events = self._events.setdefault((client.key, str(event.data["payment"])), [])
        events.append(event)
        own = [e for e in ordered(events) if e.name not in CHILDREN]
        parent = payment_row(client, own, brand) if own else {}
        if event.name in CHILDREN:
            number = sum(e.name == event.name for e in events)
            row = child_row(client, event, number, parent, brand)
        else:
            row = parent
        if row:
            self._put(row, event.visible_at // 1000)

    def _put(self, row: dict[str, Any], indexed_s: int) -> None:
        key = str(row["id"])
        old = self._entries.get(key)
        if old is not None:
            if old.row == row:
                return
            place = (old.indexed_s, row["id"], key)
            del self._order[bisect.bisect_left(self._order, place)]
            indexed_s = max(indexed_s, old.indexed_s)
        self._entries[key] = _Entry(indexed_s, row)
        bisect.insort(self._order, (indexed_s, row["id"], key))


def _seconds(text: str | None, default: int) -> int:
    if text is None:
        return default
    at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return round(at.timestamp())


def _error(status: int, text: str) -> Response:
    return Response.json(status, {"error": text, "error_description": "simulated"})
