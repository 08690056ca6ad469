"""Sumsub's webhooks: the signature, and what an event says as a hint to read the applicant again.

The signature covers the raw body alone: no header tells when it was made, so an old delivery can be
repeated by whoever recorded it. That does no harm here, because an event is only a hint and its
dedupe key is that of the first delivery.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.base import WebhookEvent
from connectors.instants import instant
from mapping.errors import RecordError
from mapping.records import check_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_ALGORITHMS = {
    "HMAC_SHA1_HEX": "sha1",
    "HMAC_SHA256_HEX": "sha256",
    "HMAC_SHA512_HEX": "sha512",
}
_DELETED = ("applicantDeleted", "applicantPersonalDataDeleted")


def verify(
    headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], *, allow_sha1: bool = False
) -> bool:
    """Whether ``X-Payload-Digest`` is the hex HMAC of the body under one of ``secrets``.

    ``X-Payload-Digest-Alg`` names the hash (READ); SHA-1 counts only where it is allowed. Every
    secret is tried, in constant time.
    """
    given = {name.lower(): value for name, value in headers.items()}
    name = _ALGORITHMS.get(given.get("x-payload-digest-alg", ""))
    if name is None or (name == "sha1" and not allow_sha1) or len(raw) > MAX_BYTES:
        return False
    digest = given.get("x-payload-digest", "").strip().lower().encode()
    matches = [
        hmac.compare_digest(hmac.new(secret.encode(), raw, name).hexdigest().encode(), digest)
        for secret in secrets
        if secret
    ]
    return any(matches)


def parse(raw: bytes, now_ms: int) -> WebhookEvent:
    """The event of a verified body; a type nobody has heard of is an event like any other.

    The payload holds no event id: the key is type, applicant, inspection, time and a body hash.

    Raises:
        RecordError: too large, not strict JSON, or without type, applicant or time.
    """
    body = _decode(raw)
    kind = _needed(body, "type")
    applicant = _needed(body, "applicantId")
    stamp = check_text(body, "createdAtMs") or check_text(body, "createdAt")
    at = instant(stamp, "createdAtMs", now_ms)
    digest = hashlib.sha256(raw).hexdigest()[:16]
    inspection = check_text(body, "inspectionId", most=100)
    return WebhookEvent(
        key=f"{kind}:{applicant}:{inspection}:{at}:{digest}",
        type=kind,
        at=at,
        external_id=applicant,
        ref=check_text(body, "externalUserId"),
        deleted=kind in _DELETED,
    )


def _needed(body: Mapping[str, Any], key: str) -> str:
    text = check_text(body, key, most=100)
    if not text:
        raise RecordError(f"webhook: field {key!r} is missing")
    return text


def _decode(raw: bytes) -> Mapping[str, Any]:
    if len(raw) > MAX_BYTES:
        raise RecordError(f"webhook: the body is larger than {MAX_BYTES} bytes")
    try:
        body = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise RecordError("webhook: the body is not JSON") from None
    if not isinstance(body, dict):
        raise RecordError("webhook: the body should be a JSON object")
    if _depth(body) > MAX_DEPTH:
        raise RecordError(f"webhook: the body is nested deeper than {MAX_DEPTH} levels")
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RecordError("webhook: the body holds a key twice")
    return found


def _depth(value: object) -> int:
    """Nesting depth, level by level (a hostile body must not exhaust the stack)."""
    level, depth = [value], 0
    while level:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        depth += 1
        level = inner
    return depth
