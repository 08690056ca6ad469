"""A fake Sumsub over the world: signed reads of one applicant by external user id.

Paths, headers, limits and field names: documented. Error numbers and their texts: assumed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from simulator.story import Client, Event, World, ordered
from simulator.vendor import Vendor
from simulator.wire import Request, Response

_PREFIX = "/resources/applicants/-;externalUserId="
_SUFFIX = "/one"
_WINDOW_MS = 5_000
_WINDOW_GETS = 300
_TS_SLACK_S = 60
# A label of each category; the gap of an event becomes a button of that group.
_LABELS = {
    "document_missing": "DOCUMENT_PAGE_MISSING",
    "document_quality": "UNSATISFACTORY_PHOTOS",
    "document_expired": "EXPIRATION_DATE",
    "document_unsupported": "NOT_DOCUMENT",
    "identity_mismatch": "BAD_PROOF_OF_IDENTITY",
    "face_mismatch": "BAD_FACE_MATCHING",
    "proof_of_address": "BAD_PROOF_OF_ADDRESS",
    "fraud_suspected": "FORGERY",
    "aml_match": "ADVERSE_MEDIA",
    "age_or_policy": "AGE_REQUIREMENT_MISMATCH",
    "duplicate": "DUPLICATE",
    "technical": "CHECK_UNAVAILABLE",
}
_STATUS = {
    "kyc_started": "init",
    "kyc_reset": "init",
    "kyc_awaiting": "awaitingUser",
    "kyc_submitted": "pending",
    "kyc_in_review": "onHold",
    "kyc_approved": "completed",
    "kyc_rejected": "completed",
}


class SumsubFake(Vendor):
    """One Sumsub account of one brand."""

    def __init__(
        self,
        world: World,
        brand_id: str,
        app_token: str,
        secret_key: str,
        latency_s: float = 0.02,
    ) -> None:
        super().__init__(world, latency_s)
        self.brand_id = brand_id
        self.app_token = app_token
        self.secret_key = secret_key
        self.edits: dict[str, Mapping[str, Any]] = {}
        """Client id -> top-level fields laid over its applicant (tests break rows with it)."""
        self._recent: deque[int] = deque(maxlen=_WINDOW_GETS)

    def _answer(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        if self._too_many():
            return _error(429, "Too many requests")
        path = request.path
        if request.method != "GET" or not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
            return _error(404, "Not found")
        client_id = unquote(path[len(_PREFIX) : -len(_SUFFIX)])
        client = self.world.clients.get(f"{self.brand_id}:{client_id}")
        applicant = None if client is None else self.applicant(client)
        if applicant is None:
            return _error(404, "Applicant not found")
        return self.faults.padded(Response.json(200, applicant))

    def applicant(self, client: Client) -> dict[str, Any] | None:
        """The applicant as of now; None before the client's first step."""
        events = [
            e for e in client.events if e.name in _STATUS and e.visible_at <= self.world.story_ms
        ]
        if not events:
            return None
        return {**_applicant(client, ordered(events)), **self.edits.get(client.id, {})}

    def _refused(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.get("x-app-token") != self.app_token:
            return _error(401, "Unknown app token")
        stamp = headers.get("x-app-access-ts", "")
        if not stamp.isdigit():
            return _error(401, "Missing timestamp")
        if abs(int(stamp) - self.world.now_ms / 1000) > _TS_SLACK_S:
            return _error(401, "Timestamp too far from the server's time")
        signed = f"{stamp}{request.method}{request.target}".encode() + request.body
        wanted = hmac.new(self.secret_key.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, headers.get("x-app-access-sig", "")):
            return _error(401, "Signature mismatch")
        return None

    def _too_many(self) -> bool:
        full = len(self._recent) == _WINDOW_GETS
        if full and self.world.now_ms - self._recent[0] < _WINDOW_MS:
            return True
        self._recent.append(self.world.now_ms)
        return False


def _applicant(client: Client, events: list[Event]) -> dict[str, Any]:
    attempt = 1
    firsts: dict[int, int] = {}
    submitted: int | None = None
    for event in events:
        following = attempt + 1 if event.name == "kyc_reset" else attempt
        attempt = int(event.data.get("attempt", following))
        firsts.setdefault(attempt, event.at)
        if event.name == "kyc_submitted" and attempt == 1 and submitted is None:
            submitted = event.at
    last = events[-1]
    # Of attempt 1 the documents' arrival is told; of later ones, when they began.
    asked_at = firsts[attempt] if attempt > 1 or submitted is None else submitted
    review: dict[str, Any] = {
        "reviewId": _hex(client, "review"),
        "attemptId": _hex(client, f"attempt{attempt}"),
        "attemptCnt": attempt - 1,
        "levelName": str(last.data.get("level", "basic-kyc-level")),
        "createDate": _stamp(asked_at),
        "reviewStatus": _STATUS[last.name],
    }
    if _STATUS[last.name] == "completed":
        review["reviewDate"] = _stamp(last.at)
        review["reviewResult"] = _result(last)
    return {
        "id": _hex(client, "applicant"),
        "inspectionId": _hex(client, "inspection"),
        "externalUserId": client.id,
        "createdAt": _stamp(events[0].at),
        "type": "individual",
        "review": review,
    }


def _result(event: Event) -> dict[str, Any]:
    if event.name == "kyc_approved":
        return {"reviewAnswer": "GREEN"}
    data = event.data
    result: dict[str, Any] = {
        "reviewAnswer": "RED",
        "reviewRejectType": "FINAL" if data.get("final") else "RETRY",
        "rejectLabels": [_LABELS.get(str(data.get("reason", "other")), "OTHER_REASON")],
        "clientComment": "Internal: seen before under another name.",
    }
    if data.get("gap"):
        words = str(data["gap"]).split("_")
        group = words[0] + "".join(w.capitalize() for w in words[1:])
        result["buttonIds"] = [f"{group}_other"]
    if data.get("client_text"):
        result["moderationComment"] = str(data["client_text"])
    return result


def _hex(client: Client, part: str) -> str:
    return hashlib.blake2b(f"{client.key}:{part}".encode(), digest_size=12).hexdigest()


def _stamp(ms: int) -> str:
    """``2026-03-02 08:10:00+0000``, as the vendor writes times (whole seconds)."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S%z")


def _error(status: int, text: str) -> Response:
    body = {"description": text, "code": status, "correlationId": "req-simulated"}
    return Response.json(status, body)
