"""Zendesk's webhooks: the signature, and what an event says as a hint to pull.

READ: ``X-Zendesk-Webhook-Signature`` is base64 of HMAC-SHA256 over the timestamp header and the raw
body. Two shapes of body are taken: the vendor's own events (``zen:event-type:...``), and a
trigger's, whose JSON the admin writes (see README).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.base import WebhookEvent
from connectors.instants import instant
from connectors.webhook import MAX_BYTES, decoded, digest, lower, needed, signed_by
from mapping.errors import RecordError
from mapping.records import check_text

SIGNATURE = "x-zendesk-webhook-signature"
TIMESTAMP = "x-zendesk-webhook-signature-timestamp"
WINDOW_S = 300
_EVENT = "zen:event-type:"
# [0-9] and not \d: other scripts' digits are digits to Python, too.
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
# RECALL: the names of these types.
_DELETED = ("ticket.soft_deleted", "ticket.permanently_deleted", "user.deleted")


def verify(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now_ms: int) -> bool:
    """Whether the body was signed with one of ``secrets`` at most 300 s before or after now."""
    given = lower(headers)
    stamp = given.get(TIMESTAMP, "")
    at_ms = _stamp_ms(stamp)
    if at_ms is None or abs(now_ms - at_ms) > WINDOW_S * 1000 or len(raw) > MAX_BYTES:
        return False
    return signed_by(secrets, stamp.encode() + raw, given.get(SIGNATURE, ""), b64encode)


def parse(raw: bytes, now_ms: int) -> WebhookEvent:
    """The event of a verified body; a type nobody has heard of is an event like any other.

    Raises:
        RecordError: too large, not strict JSON, or without what names and dates the event.
    """
    body = decoded(raw)
    kind = check_text(body, "type", most=200)
    return _event(body, kind, now_ms) if kind.startswith(_EVENT) else _trigger(body, raw, now_ms)


def _event(body: Mapping[str, Any], kind: str, now_ms: int) -> WebhookEvent:
    detail = body.get("detail")
    if not isinstance(detail, dict):
        raise RecordError("webhook: field 'detail' should be an object")
    object_id = needed(detail, "id")
    name = kind.removeprefix(_EVENT)
    of_user = name.startswith("user.")
    return WebhookEvent(
        key=needed(body, "id"),
        type=kind,
        at=instant(body.get("time"), "time", now_ms),
        external_id=f"user:{object_id}" if of_user else object_id,
        ref=check_text(detail, "external_id", most=255) if of_user else "",
        deleted=name in _DELETED,
    )


def _trigger(body: Mapping[str, Any], raw: bytes, now_ms: int) -> WebhookEvent:
    """A trigger's or automation's body has no event id: equal bodies are one event."""
    ticket_id = needed(body, "ticket_id")
    return WebhookEvent(
        key=f"trigger:{ticket_id}:{digest(raw)}",
        type="trigger",
        at=instant(body.get("updated_at"), "updated_at", now_ms),
        external_id=ticket_id,
    )


def _stamp_ms(text: str) -> int | None:
    if not _STAMP.fullmatch(text):
        return None
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None
