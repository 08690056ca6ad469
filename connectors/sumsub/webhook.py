"""Sumsub's webhooks: the signature, and what an event says as a hint to read the applicant again.

The signature covers the raw body alone: no header tells when it was made, so an old delivery can be
repeated by whoever recorded it. That does no harm here, because an event is only a hint and its
dedupe key is that of the first delivery.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Mapping, Sequence

from connectors.base import WebhookEvent
from connectors.instants import instant
from connectors.webhook import MAX_BYTES, decoded, digest, lower, needed, signed_by
from mapping.records import check_text

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

    ``X-Payload-Digest-Alg`` names the hash (READ); SHA-1 counts only where it is allowed.
    """
    given = lower(headers)
    name = _ALGORITHMS.get(given.get("x-payload-digest-alg", ""))
    if name is None or (name == "sha1" and not allow_sha1) or len(raw) > MAX_BYTES:
        return False
    signature = given.get("x-payload-digest", "").strip().lower()
    return signed_by(secrets, raw, signature, hexlify, name)


def parse(raw: bytes, now_ms: int) -> WebhookEvent:
    """The event of a verified body; a type nobody has heard of is an event like any other.

    The payload holds no event id: the key is type, applicant, inspection, time and a body hash.

    Raises:
        RecordError: too large, not strict JSON, or without type, applicant or time.
    """
    body = decoded(raw)
    kind = needed(body, "type")
    applicant = needed(body, "applicantId")
    stamp = check_text(body, "createdAtMs") or check_text(body, "createdAt")
    at = instant(stamp, "createdAtMs", now_ms)
    inspection = check_text(body, "inspectionId", most=100)
    return WebhookEvent(
        key=f"{kind}:{applicant}:{inspection}:{at}:{digest(raw)}",
        type=kind,
        at=at,
        external_id=applicant,
        ref=check_text(body, "externalUserId"),
        deleted=kind in _DELETED,
    )
