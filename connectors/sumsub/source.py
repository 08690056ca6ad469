"""Sumsub: applicants, read by the client's id because the vendor lists neither them nor changes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from connectors.base import (
    Context,
    Page,
    Reject,
    Reread,
    RereadSource,
    WebhookEvent,
    as_json,
)
from connectors.clock import Clock
from connectors.http import Api, Auth, Blame, HttpSource, RateLimit
from connectors.sumsub import webhook
from connectors.sumsub.applicant import RANK, documents_end_at, kyc_case
from connectors.sumsub.manifest import MANIFEST
from connectors.sumsub.settings import SumsubSettings
from connectors.webhook import secrets_of
from mapping.errors import ProtocolError, RecordError
from mapping.payloads import KycCase
from mapping.records import Record, Ref, check_text
from mapping.words import Kind, KycStatus

APPLICANT = "/resources/applicants/-;externalUserId={id}/one"
# READ: GET 300 per 5 s; a little is left for whatever else uses the token.
LIMIT = RateLimit(requests=290, window_s=5)
HOUR_MS = 3_600_000
# A schedule that runs every hour must not miss a read due in an hour by its own latency.
SLACK_MS = 60_000
_DECIDED = (KycStatus.APPROVED, KycStatus.REJECTED_FINAL, KycStatus.WITHDRAWN)
_NOBODY = "brokersync-check"


class SignedAuth(Auth):
    """HMAC-SHA256 over timestamp (seconds), method, encoded path with query, and raw body."""

    def __init__(self, settings: SumsubSettings, clock: Clock) -> None:
        self._token = settings.app_token.get_secret_value()
        self._key = settings.secret_key.get_secret_value().encode()
        self._clock = clock

    def sign(self, request: httpx.Request, target: bytes, body: bytes) -> None:
        """See :class:`connectors.http.Auth`."""
        stamp = str(self._clock.now_ms() // 1000)
        signed = b"".join((stamp.encode(), request.method.encode(), target, body))
        headers = request.headers
        headers["x-app-token"] = self._token
        headers["x-app-access-ts"] = stamp
        headers["x-app-access-sig"] = hmac.new(self._key, signed, hashlib.sha256).hexdigest()


class SumsubSource(HttpSource[SumsubSettings], RereadSource[SumsubSettings]):
    """One read a client; reads are trusted, so a version's time is the start of its batch."""

    manifest = MANIFEST
    settings_type = SumsubSettings

    def __init__(
        self,
        settings: SumsubSettings,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(settings, context)
        blame = Blame(
            credentials="app_token and secret_key, and that this machine's clock is right (60 s)",
            rights="that the app token may read applicants",
        )
        auth = SignedAuth(settings, context.clock)
        self.api = Api(settings, context, auth=auth, limit=LIMIT, blame=blame, transport=transport)

    def check(self) -> None:
        """See :class:`connectors.base.Source`; asks for an applicant that nobody is."""
        self._read(_NOBODY)

    def reread(self, due: Sequence[Reread]) -> Page:
        """See :class:`connectors.base.RereadSource`."""
        start = self.clock.now_ms()
        records: list[Record] = []
        rejects: list[Reject] = []
        rereads: dict[str, int | None] = {}
        for one in due:
            applicant = self._read(one.value)
            if applicant is None:
                rereads[one.value] = self._next(start, one.since, decided=False)
                continue
            raw = {"brand": one.brand, "read_at": start, "applicant": applicant}
            try:
                record = self._record(raw, asked_for=one.value)
            except RecordError as error:
                rejects.append(self._reject(raw, error.admin))
                rereads[one.value] = self._next(start, one.since, decided=False)
                continue
            records.append(record)
            rereads[one.value] = self._after(record, applicant, start)
        return Page(records, rejects, complete_until=start, rereads=rereads)

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`.

        ``raw``: ``{"brand": ..., "read_at": ms, "applicant": the vendor's object}``.
        """
        return self._record(raw, asked_for="")

    def webhook(self, headers: Mapping[str, str], raw: bytes) -> WebhookEvent | None:
        """The event of a webhook; None where the signature is wrong (answer 401).

        Raises:
            ConfigError: no webhook secret is set.
            RecordError: well signed but malformed.
        """
        secrets = secrets_of(self.settings.webhook_secrets, self.name, "Sumsub")
        if not webhook.verify(headers, raw, secrets, allow_sha1=self.settings.allow_sha1):
            return None
        return webhook.parse(raw, self.clock.now_ms())

    def _read(self, client_id: str) -> dict[str, Any] | None:
        body = self.api.get(APPLICANT, {"id": client_id}, missing_ok=True)
        if body is None:
            return None
        if not isinstance(body, dict) or not isinstance(body.get("id"), str):
            raise ProtocolError(
                f"{self.name}: GET {APPLICANT} answered without an applicant (an object with 'id')"
            )
        return body

    def _record(self, raw: Mapping[str, Any], asked_for: str) -> Record:
        applicant, read_at, brand = raw.get("applicant"), raw.get("read_at"), raw.get("brand")
        if not isinstance(applicant, dict) or not isinstance(read_at, int):
            raise RecordError("a set-aside Sumsub row needs 'brand', 'read_at' and 'applicant'")
        if brand not in self.context.brands:
            known = ", ".join(self.context.brands)
            raise RecordError(f"unknown brand {str(brand)[:40]!r}; this connection serves {known}")
        client_id = check_text(applicant, "externalUserId")
        if not client_id:
            raise RecordError("field 'externalUserId' (the client id) is missing")
        if asked_for and client_id != asked_for:
            raise RecordError("field 'externalUserId' is not the client that was asked for")
        external_id = check_text(applicant, "id", most=100)
        if not external_id:
            raise RecordError("field 'id' is missing")
        case = kyc_case(applicant, read_at, self.settings)
        return Record(
            source=self.name,
            brand=str(brand),
            external_id=external_id,
            version_at=read_at,
            ref=Ref(client_id),
            payload=case,
            rank=RANK.get(case.status, 4),
            polled=True,
            raw=as_json(raw),
        )

    def _reject(self, raw: Mapping[str, Any], reason: str) -> Reject:
        external_id = str(raw["applicant"]["id"])[:100]
        return Reject(external_id, reason, str(raw["brand"]), Kind.KYC_CASE, as_json(raw))

    def _after(self, record: Record, applicant: Mapping[str, Any], start: int) -> int | None:
        case = record.payload
        assert isinstance(case, KycCase)  # noqa: S101 - says to mypy what _record built
        since = case.step_at if case.status_at is None else case.status_at
        due = self._next(start, since, decided=case.status in _DECIDED)
        if due is None and case.status is KycStatus.APPROVED:
            return documents_end_at(applicant)
        return due

    def _next(self, start: int, since: int, *, decided: bool) -> int | None:
        """When to read again: by the age of the last known step, counted from ``since``."""
        schedule = self.settings.decided_schedule if decided else self.settings.open_schedule
        for below_h, every_h in schedule:
            if start - since < below_h * HOUR_MS:
                # At every pull, but never twice in one.
                return start + max(1, round(every_h * HOUR_MS) - SLACK_MS)
        return None
