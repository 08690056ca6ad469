"""Zendesk's webhooks: signature, time window, rotation, hostile bodies.

The expected signatures were made with ``openssl dgst -sha256 -hmac SECRET -binary | base64`` over
the timestamp and the body, not with the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from connectors.zendesk import webhook
from mapping.errors import ConfigError, RecordError
from tests.connectors.zendesk_rig import ZendeskRig
from tests.contracts.world import at

NOW = at("2026-03-20 00:00")
STAMP = "2026-03-20T00:00:00Z"
BODY = '{"ticket_id": "35", "updated_at": "2026-03-19T23:59:30Z", "note": "é — ü"}'.encode()
ONE = ("hook-secret-one", "od5LnXxYmHRJQ0AK5+/cjFgILEPxzZYW7gjOqoidbFA=")
TWO = ("hook-secret-two", "jQ4Oez6A0LKoiCm6OrmnnghnnwN0+HHCEZmofwv4Ybs=")
OF_NOTHING = "vUThLm3F8Vdn+YerQZU9NLGmZVytrySrnV+NHu2M0Zo="
EVENT: dict[str, Any] = {
    "type": "zen:event-type:ticket.status_changed",
    "id": "01HN-EVENT",
    "account_id": 88,
    "time": "2026-03-19T23:59:30.250Z",
    "subject": "zen:ticket:35",
    "detail": {"id": "35", "requester_id": "99", "subject": "My money"},
    "event": {"current": "OPEN", "previous": "NEW"},
}


def headers(signature: str = ONE[1], stamp: str = STAMP) -> dict[str, str]:
    """The headers of a delivery."""
    return {
        "X-Zendesk-Webhook-Signature": signature,
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
    }


def signed(stamp: str, body: bytes = BODY, secret: str = ONE[0]) -> dict[str, str]:
    """Headers signed with the standard library, for many timestamps."""
    digest = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
    return headers(base64.b64encode(digest).decode(), stamp)


def raw(**changes: Any) -> bytes:
    """The event with fields changed; None takes one away."""
    return json.dumps({k: v for k, v in {**EVENT, **changes}.items() if v is not None}).encode()


def test_the_vectors_made_with_openssl_verify() -> None:
    for secret, signature in (ONE, TWO):
        assert webhook.verify(headers(signature), BODY, [secret], NOW)
    assert webhook.verify(headers(OF_NOTHING), b"", [ONE[0]], NOW)


def test_both_secrets_of_a_rotation_are_taken() -> None:
    both = [TWO[0], ONE[0]]
    assert webhook.verify(headers(ONE[1]), BODY, both, NOW)
    assert webhook.verify(headers(TWO[1]), BODY, both, NOW)
    assert not webhook.verify(headers(ONE[1]), BODY, [TWO[0]], NOW)
    assert not webhook.verify(headers(), BODY, [], NOW)
    assert not webhook.verify(headers(), BODY, [""], NOW)


def test_names_of_headers_have_no_case() -> None:
    lower = {name.lower(): value for name, value in headers().items()}
    assert webhook.verify(lower, BODY, [ONE[0]], NOW)


def test_every_flipped_bit_of_the_body_is_noticed() -> None:
    for place in range(len(BODY) * 8):
        flipped = bytearray(BODY)
        flipped[place // 8] ^= 1 << place % 8
        assert not webhook.verify(headers(), bytes(flipped), [ONE[0]], NOW), place


def test_every_flipped_bit_of_the_signature_is_noticed() -> None:
    digest = base64.b64decode(ONE[1])
    for place in range(len(digest) * 8):
        flipped = bytearray(digest)
        flipped[place // 8] ^= 1 << place % 8
        wrong = base64.b64encode(flipped).decode()
        assert not webhook.verify(headers(wrong), BODY, [ONE[0]], NOW), place


@pytest.mark.parametrize(
    "signature",
    [
        "",
        ONE[1][:-1],
        ONE[1][:20],
        ONE[1] + "=",
        " " + ONE[1],
        ONE[1].lower(),
        ONE[1].replace("+", "-").replace("/", "_"),
        ONE[1].replace("=", ""),
        base64.b64decode(ONE[1]).hex(),
        "é" * 44,
        "\ud83d",
        OF_NOTHING,
    ],
)
def test_a_cut_or_respelled_signature_is_refused(signature: str) -> None:
    assert not webhook.verify(headers(signature), BODY, [ONE[0]], NOW)


def test_truncated_and_re_serialised_bodies_are_refused() -> None:
    # Trap 26: the same JSON, written anew.
    anew = json.dumps(json.loads(BODY)).encode()
    assert json.loads(anew) == json.loads(BODY)
    for body in (anew, BODY[:-1], BODY + b" ", b"", BODY.decode().encode("utf-16")):
        assert not webhook.verify(headers(), body, [ONE[0]], NOW)


@pytest.mark.parametrize(
    ("stamp", "fresh"),
    [
        ("2026-03-19T23:55:00Z", True),
        ("2026-03-19T23:54:59Z", False),
        ("2026-03-20T00:05:00Z", True),
        ("2026-03-20T00:05:01Z", False),
        ("2026-03-20T00:00:00.123Z", True),
        ("2025-03-20T00:00:00Z", False),
    ],
)
def test_late_and_future_deliveries_are_refused(stamp: str, fresh: bool) -> None:
    assert webhook.verify(signed(stamp), BODY, [ONE[0]], NOW) is fresh


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "1773964800",
        "2026-03-20",
        "2026-03-20T00:00:00",
        "2026-03-20T00:00:00+00:00",
        "2026-03-20 00:00:00Z",
        "20260320T000000Z",
        "２０２６-03-20T00:00:00Z",
        "٢٠٢٦-03-20T00:00:00Z",
        "2026-03-20T00:00:00Z\n",
        " 2026-03-20T00:00:00Z",
        "2026-13-20T00:00:00Z",
        "2026-03-20T25:00:00Z",
        "2026-03-20T00:00:00.Z",
        "0000-03-20T00:00:00Z",
    ],
)
def test_a_timestamp_of_another_form_is_refused_though_it_was_signed(stamp: str) -> None:
    assert not webhook.verify(signed(stamp), BODY, [ONE[0]], NOW)


def test_the_timestamp_is_part_of_what_is_signed() -> None:
    assert not webhook.verify(headers(stamp="2026-03-20T00:00:01Z"), BODY, [ONE[0]], NOW)
    alone = {"X-Zendesk-Webhook-Signature": ONE[1]}
    assert not webhook.verify(alone, BODY, [ONE[0]], NOW)
    assert not webhook.verify({}, BODY, [ONE[0]], NOW)


def test_a_huge_body_is_not_even_hashed() -> None:
    huge = b" " * 1_000_001
    assert not webhook.verify(signed(STAMP, huge), huge, [ONE[0]], NOW)


def test_an_event_of_the_vendor_is_a_hint_with_its_own_id() -> None:
    found = webhook.parse(raw(), NOW)
    assert (found.key, found.external_id, found.ref) == ("01HN-EVENT", "35", "")
    assert found.type == "zen:event-type:ticket.status_changed"
    assert found.at == at("2026-03-19 23:59:30") + 250
    assert not found.deleted
    gone = webhook.parse(raw(type="zen:event-type:ticket.soft_deleted"), NOW)
    assert gone.deleted
    assert webhook.parse(raw(type="zen:event-type:ticket.brand_new"), NOW).external_id == "35"


def test_an_event_of_a_user_names_the_link() -> None:
    detail = {"id": "99", "external_id": "C-1001", "email": "jane@example.com"}
    found = webhook.parse(raw(type="zen:event-type:user.created", detail=detail), NOW)
    assert (found.external_id, found.ref, found.deleted) == ("user:99", "C-1001", False)
    assert "C-1001" not in repr(found)
    assert webhook.parse(raw(type="zen:event-type:user.deleted", detail=detail), NOW).deleted


def test_a_triggers_body_is_keyed_by_what_it_says() -> None:
    found = webhook.parse(BODY, NOW)
    assert (found.type, found.external_id) == ("trigger", "35")
    assert found.at == at("2026-03-19 23:59:30")
    assert found.key == webhook.parse(BODY, NOW + 60_000).key
    later = BODY.replace(b"59:30", b"59:31")
    assert webhook.parse(later, NOW).key != found.key


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"{}",
        raw(id=None),
        raw(id={"$gt": ""}),
        raw(detail=None),
        raw(detail=[]),
        raw(detail={}),
        raw(time=None),
        raw(time="soon"),
        raw(type="zen:event-type:" + "a" * 200),
        raw(id="a\x00"),
        raw(detail={"id": "\ud83d"}),
        b'{"ticket_id": "1"}',
        b'{"ticket_id": "1", "updated_at": "1970-01-01T00:00:00Z"}',
        b'{"ticket_id": "1", "ticket_id": "2", "updated_at": "2026-03-19T23:59:30Z"}',
        raw(event=json.loads("[" * 30 + "]" * 30)),
        b"[" * 400_000,
        raw(event="x" * 1_000_001),
    ],
)
def test_a_malformed_body_is_set_aside(body: bytes) -> None:
    with pytest.raises(RecordError) as caught:
        webhook.parse(body, NOW)
    assert "My money" not in caught.value.admin


def test_the_source_takes_its_own_secrets() -> None:
    rig = ZendeskRig()
    source = rig.source(webhook_secrets=(TWO[0], ONE[0]))
    found = source.webhook(headers(), BODY)
    assert found is not None
    assert found.external_id == "35"
    assert source.webhook(headers(OF_NOTHING), BODY) is None
    rig.world.advance(301)
    assert source.webhook(headers(), BODY) is None
    with pytest.raises(ConfigError, match="webhook_secrets"):
        rig.source().webhook(headers(), BODY)
    rig.close()
