"""Sumsub's webhooks: signature, dedupe key, hostile bodies."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from connectors.sumsub import webhook
from mapping.errors import ConfigError, RecordError
from tests.connectors.sumsub_rig import SumsubRig
from tests.contracts.world import at

NOW = at("2026-03-20 00:00")
BODY: dict[str, Any] = {
    "type": "applicantReviewed",
    "applicantId": "64f0",
    "inspectionId": "64f1",
    "externalUserId": "1001",
    "createdAtMs": "2026-03-19 10:00:00.250",
}


def raw(**changes: Any) -> bytes:
    """The body with fields changed; None takes one away."""
    return json.dumps({k: v for k, v in {**BODY, **changes}.items() if v is not None}).encode()


def signed(body: bytes, key: str = "hook-secret", alg: str = "SHA256") -> dict[str, str]:
    """The headers of a delivery."""
    digest = hmac.new(key.encode(), body, getattr(hashlib, alg.lower())).hexdigest()
    return {"X-Payload-Digest": digest, "X-Payload-Digest-Alg": f"HMAC_{alg}_HEX"}


@pytest.mark.parametrize("alg", ["SHA256", "SHA512"])
def test_current_and_previous_secret_are_taken(alg: str) -> None:
    headers = signed(raw(), alg=alg)
    assert webhook.verify(headers, raw(), ["new-secret", "hook-secret"])
    assert webhook.verify({k.lower(): v for k, v in headers.items()}, raw(), ["hook-secret"])
    assert not webhook.verify(headers, raw(), ["new-secret"])
    assert not webhook.verify(headers, raw(), [])
    assert not webhook.verify(headers, raw(), [""])


def test_sha1_counts_only_where_it_is_allowed() -> None:
    headers = signed(raw(), alg="SHA1")
    assert not webhook.verify(headers, raw(), ["hook-secret"])
    assert webhook.verify(headers, raw(), ["hook-secret"], allow_sha1=True)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Payload-Digest": "00"},
        {**signed(raw()), "X-Payload-Digest-Alg": "HMAC_MD5_HEX"},
        {**signed(raw()), "X-Payload-Digest-Alg": "HMAC_SHA512_HEX"},
        {**signed(raw()), "X-Payload-Digest": "é"},
        {**signed(raw()), "X-Payload-Digest": ""},
    ],
)
def test_a_wrong_signature_is_refused(headers: dict[str, str]) -> None:
    assert not webhook.verify(headers, raw(), ["hook-secret"])


def test_an_event_is_a_hint_with_a_key_of_its_own() -> None:
    found = webhook.parse(raw(), NOW)
    assert (found.type, found.external_id, found.ref) == ("applicantReviewed", "64f0", "1001")
    assert found.at == at("2026-03-19 10:00") + 250
    assert found.key == webhook.parse(raw(), NOW + 60_000).key
    others = [raw(type="applicantPending"), raw(inspectionId="64f2"), raw(applicantId="64f9")]
    others += [raw(createdAtMs="2026-03-19 10:00:00.251"), raw(reviewStatus="completed")]
    assert len({found.key, *(webhook.parse(o, NOW).key for o in others)}) == 6
    assert "1001" not in repr(found)


def test_types_unknown_or_of_deletion() -> None:
    assert webhook.parse(raw(type="applicantTeleported"), NOW).type == "applicantTeleported"
    assert webhook.parse(raw(type="applicantDeleted"), NOW).deleted
    assert not webhook.parse(raw(), NOW).deleted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        raw(type=None),
        raw(applicantId=""),
        raw(createdAtMs=None),
        raw(createdAtMs="soon"),
        raw(applicantId={"$gt": ""}),
        raw(type="a" * 101),
        raw(type="a\x00"),
        b'{"type": "a", "type": "b", "applicantId": "1", "createdAtMs": "2026-03-19 10:00:00"}',
        raw(extra=json.loads("[" * 30 + "]" * 30)),
        b"[" * 400_000,
        raw(extra="x" * 1_000_001),
    ],
)
def test_a_malformed_body_is_set_aside(body: bytes) -> None:
    with pytest.raises(RecordError):
        webhook.parse(body, NOW)


def test_the_source_takes_its_own_secrets() -> None:
    source = SumsubRig().source(webhook_secrets=("hook-secret",))
    found = source.webhook(signed(raw()), raw())
    assert found is not None
    assert found.ref == "1001"
    assert source.webhook(signed(raw(), "other"), raw()) is None
    with pytest.raises(ConfigError, match="webhook_secrets"):
        SumsubRig().source().webhook(signed(raw()), raw())
