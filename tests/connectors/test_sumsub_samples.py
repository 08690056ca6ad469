"""Sumsub's public samples: the signature vector, two deliveries, what a webhook is registered with,
and the paths of its specification."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from connectors.base import WebhookEvent
from connectors.sumsub import webhook
from connectors.sumsub.source import APPLICANT
from mapping.payloads import KycCase
from mapping.records import Ref
from mapping.words import KycStatus, ReasonCategory
from tests.connectors import samples
from tests.connectors.sumsub_rig import SumsubRig
from tests.contracts.world import at

NOW = at("2026-03-20 00:00")
CREATED, REJECTED = "webhook-applicantCreated.raw.json", "webhook-applicantReviewed-red-final.json"
CONFIGS = (
    "client-webhook-config-basic-http.json",
    "client-webhook-config-with-headers-and-restrictions.json",
)
SPECIFICATION = "sumsub-openapi-konfig-2024-03.yaml"


def test_no_sample_is_left_out() -> None:
    assert samples.names("sumsub") == {CREATED, REJECTED, *CONFIGS, SPECIFICATION}


def test_the_public_vector_verifies() -> None:
    vector = next(v for v in samples.load("signature-vectors.json") if v["vendor"] == "sumsub")
    body = vector["body"].encode()
    headers = {"X-Payload-Digest": vector["signature"], "X-Payload-Digest-Alg": "HMAC_SHA256_HEX"}
    assert webhook.verify(headers, body, [vector["secret"]])
    assert webhook.verify(headers, samples.raw(f"sumsub/{CREATED}"), ["new", vector["secret"]])
    for other in (body + b" ", body.replace(b" : ", b": "), json.dumps(json.loads(body)).encode()):
        assert not webhook.verify(headers, other, [vector["secret"]])
    source = SumsubRig().source(webhook_secrets=(vector["secret"],))
    assert source.webhook(headers, body) == webhook.parse(body, NOW)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            CREATED,
            WebhookEvent(
                # The digest by `sha256sum`.
                key="applicantCreated:64fb2dde8de7445caabadb4a:64fb2dde8de7445caabadb4b"
                ":1697004538546:e275a7d7dd1f8b98",
                type="applicantCreated",
                at=at("2023-10-11 06:08:58") + 546,
                external_id="64fb2dde8de7445caabadb4a",
                ref="level-ee704d24-dd24-45e4-b512-1a72576b1dfd",
            ),
        ),
        (
            REJECTED,
            WebhookEvent(
                key="applicantReviewed:5cb744200a975a67ed1798a4:5cb744200a975a67ed1798a5"
                ":1582291399001:30208eee1986e124",
                type="applicantReviewed",
                at=at("2020-02-21 13:23:19") + 1,
                external_id="5cb744200a975a67ed1798a4",
                ref="externalUserId",
            ),
        ),
    ],
)
def test_a_delivery_is_a_hint(name: str, expected: WebhookEvent) -> None:
    assert webhook.parse(samples.raw(f"sumsub/{name}"), NOW) == expected


def test_the_verdict_of_the_delivery_is_a_final_rejection_for_fraud() -> None:
    sent = samples.load(f"sumsub/{REJECTED}")
    applicant: dict[str, Any] = {
        "id": sent["applicantId"],
        "externalUserId": sent["externalUserId"],
        "createdAt": "2020-02-20 10:00:00+0000",
        "review": {
            "reviewStatus": sent["reviewStatus"],
            "reviewResult": sent["reviewResult"],
            "levelName": sent["levelName"],
            "reviewDate": sent["createdAtMs"],
        },
    }
    raw = {"brand": "alpha", "read_at": NOW, "applicant": applicant}
    record = SumsubRig().source().parse(raw)
    assert (record.external_id, record.ref) == ("5cb744200a975a67ed1798a4", Ref("externalUserId"))
    assert record.payload == KycCase(
        status=KycStatus.REJECTED_FINAL,
        attempt=1,
        started_at=at("2020-02-20 10:00"),
        step_at=at("2020-02-20 10:00"),
        status_at=at("2020-02-21 13:23:19") + 1,
        level="basic-kyc-level",
        # Of three labels the weightiest names the reason: the first is of quality only.
        reason=ReasonCategory.FRAUD_SUSPECTED,
        reason_code="UNSATISFACTORY_PHOTOS, GRAPHIC_EDITOR, FORGERY",
        client_text="example comment",
    )
    assert sent["reviewResult"]["clientComment"] not in repr(record.payload)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_a_webhook_is_registered_for_is_understood(name: str) -> None:
    config = samples.load(f"sumsub/{name}")
    assert len(config["types"]) in (4, 9)
    for kind in config["types"]:
        stamp = "2026-03-19 10:00:00.250"
        body = json.dumps({"type": kind, "applicantId": "64f0", "createdAtMs": stamp}).encode()
        digest = hmac.new(config["secretKey"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "X-Payload-Digest": digest,
            "X-Payload-Digest-Alg": config["signatureAlgorithm"],
        }
        assert webhook.verify(headers, body, [config["secretKey"]])
        event = webhook.parse(body, NOW)
        # A deactivated applicant is not a deleted one: the read that follows says what it is.
        assert (event.type, event.deleted) == (kind, False)


def test_the_path_that_is_read_is_in_the_specification() -> None:
    paths = samples.specification(f"sumsub/{SPECIFICATION}")["paths"]
    asked = paths[APPLICANT.replace("{id}", "{externalUserId}")]["get"]
    assert [(p["name"], p["in"], p["required"]) for p in asked["parameters"]] == [
        ("externalUserId", "path", True)
    ]
