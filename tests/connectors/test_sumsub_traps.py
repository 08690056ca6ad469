"""Sumsub's traps (reference kyc_psp §1 and §2.1), one test each."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from connectors.base import Reread
from mapping.errors import ConfigError, RecordError
from mapping.payloads import KycCase
from mapping.words import KycStatus, ReasonCategory
from simulator.story import Event
from tests.connectors.sumsub_rig import SumsubRig
from tests.contracts.source import SECRETS
from tests.contracts.world import at, client, event

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
READ_AT = at("2026-03-20 00:00")


def applicant(status: str = "completed", result: Any = None, **review: Any) -> dict[str, Any]:
    """An applicant created on the 2nd, asked on the 3rd, decided on the 4th of March."""
    return {
        "id": "64f0",
        "externalUserId": "1001",
        "createdAt": "2026-03-02 06:08:58+0000",
        "review": {
            "reviewStatus": status,
            "attemptCnt": 0,
            "levelName": "basic",
            "createDate": "2026-03-03 10:00:00+0000",
            "reviewDate": "2026-03-04 11:00:00+0000",
            "reviewResult": result or {},
            **review,
        },
    }


def red(kind: str, *labels: str, **more: Any) -> dict[str, Any]:
    """A rejection."""
    return {"reviewAnswer": "RED", "reviewRejectType": kind, "rejectLabels": list(labels), **more}


def case(raw: dict[str, Any], **settings: Any) -> KycCase:
    """The case of an applicant."""
    source = SumsubRig().source(**settings)
    record = source.parse({"brand": "alpha", "read_at": READ_AT, "applicant": raw})
    assert isinstance(record.payload, KycCase)
    return record.payload


STARTED, SUBMITTED = KycStatus.STARTED, KycStatus.SUBMITTED


@pytest.mark.parametrize(
    ("vendor", "status", "waits_for", "status_at"),
    [
        ("init", STARTED, "client", "2026-03-02 06:08:58"),
        ("awaitingUser", STARTED, "client", "2026-03-02 06:08:58"),
        ("pending", SUBMITTED, "us", "2026-03-03 10:00"),
        ("queued", SUBMITTED, "us", "2026-03-03 10:00"),
        ("prechecked", SUBMITTED, "us", "2026-03-03 10:00"),
        ("awaitingService", SUBMITTED, "us", "2026-03-03 10:00"),
        ("onHold", KycStatus.IN_REVIEW, "us", None),
    ],
)
def test_every_open_status(vendor: str, status: str, waits_for: str, status_at: str | None) -> None:
    # An answer of the attempt before may still be there: only "completed" reads it.
    found = case(applicant(vendor, red("FINAL", "FORGERY")))
    assert (found.status, found.waiting_for) == (status, waits_for)
    assert found.status_at == (at(status_at) if status_at else None)
    assert (found.reason, found.reason_code) == (ReasonCategory.NONE, "")


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"reviewAnswer": "GREEN"}, KycStatus.APPROVED),
        (red("RETRY", "FORGERY"), KycStatus.REJECTED_RETRY),
        (red("FINAL", "FORGERY"), KycStatus.REJECTED_FINAL),
    ],
)
def test_red_is_not_rejected_and_a_label_comes_with_either_type(
    result: dict[str, Any], status: KycStatus
) -> None:
    found = case(applicant("completed", result))
    assert found.status is status
    assert found.status_at == at("2026-03-04 11:00")


@pytest.mark.parametrize(
    "broken",
    [
        applicant("paused"),
        applicant("completed", {"reviewAnswer": "YELLOW"}),
        applicant("completed", red("MAYBE")),
        applicant("completed", {"reviewAnswer": "RED"}),
        applicant("pending", createDate=""),
        applicant("pending", createDate="1970-01-01 00:00:00"),
        applicant("completed", {"reviewAnswer": "GREEN"}, reviewDate="2031-01-01 00:00:00"),
        applicant("init", attemptCnt="two"),
        {**applicant("init"), "review": None},
        {**applicant("init"), "externalUserId": None},
        {**applicant("init"), "createdAt": "a\x00b"},
    ],
)
def test_what_is_unknown_or_absurd_is_set_aside(broken: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        case(broken)


def test_an_answer_for_somebody_else_is_set_aside() -> None:
    rig = SumsubRig()
    rig.fake.edits["1001"] = {"externalUserId": "1002"}
    page = rig.source().reread([Reread("1001", "alpha", rig.world.start_ms)])
    assert not page.records
    assert "externalUserId" in page.rejects[0].reason


@pytest.mark.parametrize(
    "text",
    ["2023-10-11 06:08:58+0000", "2023-10-11 06:08:58.000", "2023-10-11T08:08:58+02:00"],
)
def test_times_with_and_without_an_offset_are_utc(text: str) -> None:
    found = case({**applicant("init"), "createdAt": text})
    assert found.started_at == at("2023-10-11 06:08:58")


def test_the_first_attempt_begins_with_the_applicant_later_ones_with_their_check() -> None:
    first = case(applicant("pending"))
    second = case(applicant("pending", attemptCnt=1))
    assert (first.attempt, first.step_at) == (1, at("2026-03-02 06:08:58"))
    assert (second.attempt, second.step_at) == (2, at("2026-03-03 10:00"))
    assert second.started_at == first.started_at
    assert case(applicant("pending", attemptCnt=1), attempt_base=0).attempt == 1


def test_reasons_come_from_labels_and_unknown_ones_keep_their_code() -> None:
    heavy = case(applicant("completed", red("FINAL", "UNSATISFACTORY_PHOTOS", "FORGERY")))
    assert heavy.reason is ReasonCategory.FRAUD_SUSPECTED
    assert heavy.reason_code == "UNSATISFACTORY_PHOTOS, FORGERY"
    unknown = case(applicant("completed", red("RETRY", "BRAND_NEW")))
    assert (unknown.reason, unknown.reason_code) == (ReasonCategory.OTHER, "BRAND_NEW")
    own = case(applicant("completed", red("RETRY", "BRAND_NEW")), labels={"BRAND_NEW": "duplicate"})
    assert own.reason is ReasonCategory.DUPLICATE


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("DOCUMENT_PAGE_MISSING", "document_missing"),
        ("BACK_SIDE_MISSING", "document_missing"),
        ("ADDITIONAL_DOCUMENT_REQUIRED", "document_missing"),
        ("UNSATISFACTORY_PHOTOS", "document_quality"),
        ("SCREENSHOTS", "document_quality"),
        ("BAD_AVATAR", "document_quality"),
        ("BAD_PROOF_OF_ADDRESS", "proof_of_address"),
        ("BAD_PROOF_OF_IDENTITY", "identity_mismatch"),
        ("INCORRECT_SOCIAL_NUMBER", "identity_mismatch"),
        ("BAD_FACE_MATCHING", "face_mismatch"),
        ("BAD_SELFIE", "face_mismatch"),
        ("FORGERY", "fraud_suspected"),
        ("GRAPHIC_EDITOR", "fraud_suspected"),
        ("AGE_REQUIREMENT_MISMATCH", "age_or_policy"),
        ("RESTRICTED_PERSON", "age_or_policy"),
        ("ADVERSE_MEDIA", "aml_match"),
        ("CHECK_UNAVAILABLE", "technical"),
    ],
)
def test_the_documented_labels(label: str, category: str) -> None:
    assert case(applicant("completed", red("RETRY", label))).reason == category


def test_the_gap_is_the_buttons_group_else_the_labels_document() -> None:
    buttons = ["proofOfAddress_issueDate", "additionalPages_anotherSide", "proofOfAddress_name"]
    both = red("RETRY", "BACK_SIDE_MISSING", buttonIds=buttons)
    assert case(applicant("completed", both)).gap == "proof_of_address, additional_pages"
    assert case(applicant("completed", red("RETRY", "BACK_SIDE_MISSING"))).gap == "back_side"


def test_the_internal_comment_never_reaches_the_case() -> None:
    secret = "seen before as somebody else"
    result = red("RETRY", "FORGERY", clientComment=secret, moderationComment="Please try again.")
    found = case(applicant("completed", result))
    assert found.client_text == "Please try again."
    assert secret not in repr(found)


def test_an_approval_whose_documents_have_all_expired_is_expired() -> None:
    raw = applicant("completed", {"reviewAnswer": "GREEN"})
    raw["info"] = {"idDocs": [{"validUntil": "2026-03-10"}, {"validUntil": "2026-03-15"}]}
    found = case(raw)
    assert (found.status, found.status_at) == (KycStatus.EXPIRED, at("2026-03-16 00:00"))
    raw["info"]["idDocs"].append({"validUntil": "2036-01-01"})
    assert case(raw).status is KycStatus.APPROVED


def test_a_deleted_applicant_has_withdrawn() -> None:
    assert case({**applicant("init"), "deleted": True}).status is KycStatus.WITHDRAWN


def test_a_later_red_overrules_a_green_and_both_decisions_stay_known() -> None:
    rig = SumsubRig(
        client(
            "1001",
            event("2026-03-02 08:10", "kyc_started", attempt=1),
            event("2026-03-03 09:00", "kyc_approved", attempt=1),
            event("2026-03-25 09:00", "kyc_rejected", attempt=1, final=True, reason="aml_match"),
        )
    )
    source = rig.source()
    (before,) = source.reread(rig.due()).records
    rig.world.advance(7 * 86_400)
    (after,) = source.reread(rig.due()).records
    assert isinstance(before.payload, KycCase)
    assert isinstance(after.payload, KycCase)
    assert (before.payload.status, after.payload.status) == ("approved", "rejected_final")
    assert before.payload.status_at == at("2026-03-03 09:00")
    assert after.payload.status_at == at("2026-03-25 09:00")
    assert after.version_at > before.version_at


def test_a_reset_is_a_new_attempt() -> None:
    rig = SumsubRig(
        client(
            "1001",
            event("2026-03-02 08:10", "kyc_started"),
            event("2026-03-03 09:00", "kyc_approved"),
            event("2026-03-05 09:00", "kyc_reset"),
        )
    )
    (record,) = rig.source().reread(rig.due()).records
    found = record.payload
    assert isinstance(found, KycCase)
    assert (found.status, found.attempt) == (KycStatus.STARTED, 2)
    assert (found.started_at, found.step_at) == (at("2026-03-02 08:10"), at("2026-03-05 09:00"))


def test_a_client_without_applicant_is_no_record_but_a_wrong_address_is_an_error() -> None:
    rig = SumsubRig()
    page = rig.source().reread([Reread("1005", "alpha", rig.world.start_ms)])
    assert (page.records, page.rejects) == ([], [])
    rig.source(base_url="https://api.sumsub.example/wrong").check()  # the fake answers in JSON
    rig.fake.faults.fail_next = []
    rig.transport.fake = lambda request: _html_404()
    with pytest.raises(ConfigError, match="base_url"):
        rig.source().check()


def _html_404() -> Any:
    from simulator.wire import Response

    return Response(404, b"<html>nothing here</html>")


def test_the_signature_covers_the_encoded_path_that_is_sent() -> None:
    rig = SumsubRig()
    rig.source().reread([Reread("10 02/ä;x=1?%", "alpha", rig.world.start_ms)])
    sent = rig.transport.requests[-1]
    path = "/resources/applicants/-;externalUserId=10%2002%2F%C3%A4%3Bx%3D1%3F%25/one"
    assert sent.target == path
    stamp = str(rig.world.start_ms // 1000 + 19 * 86_400)
    assert sent.headers["x-app-access-ts"] == stamp  # seconds
    text = f"{stamp}GET{path}".encode()
    digest = hmac.new(SECRETS[1].encode(), text, hashlib.sha256).hexdigest()
    assert sent.headers["x-app-access-sig"] == digest


def test_a_wrong_clock_is_refused_with_a_hint() -> None:
    rig = SumsubRig()
    source = rig.source()
    rig.clock.now_ms = lambda: rig.world.now_ms - 120_000  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="clock"):
        source.check()


@pytest.mark.parametrize(
    ("name", "age", "due_in"),
    [
        ("kyc_started", 47 * HOUR_MS, 1),
        ("kyc_started", 49 * HOUR_MS, 6 * HOUR_MS - 60_000),
        ("kyc_started", 8 * DAY_MS, DAY_MS - 60_000),
        ("kyc_started", 181 * DAY_MS, None),
        ("kyc_rejected", 3 * DAY_MS, 6 * HOUR_MS - 60_000),
        ("kyc_approved", HOUR_MS, DAY_MS - 60_000),
        ("kyc_approved", 89 * DAY_MS, DAY_MS - 60_000),
        ("kyc_approved", 91 * DAY_MS, None),
        ("registered", 47 * HOUR_MS, 1),
        ("registered", 3 * DAY_MS, 6 * HOUR_MS - 60_000),
        ("registered", 200 * DAY_MS, None),
    ],
)
def test_open_cases_are_read_often_and_decided_ones_daily(
    name: str, age: int, due_in: int | None
) -> None:
    began = at("2026-03-20 00:00") - age
    rig = SumsubRig(client("1001", Event(began, name)))
    rig.world.start_ms = began
    start = rig.world.now_ms
    page = rig.source().reread([Reread("1001", "alpha", began)])
    assert page.rereads == {"1001": None if due_in is None else start + due_in}


def test_the_vendors_rate_limit_is_never_reached() -> None:
    rig = SumsubRig()
    rig.fake.latency_s = 0.001
    due = [Reread(f"nobody-{n}", "alpha", rig.world.start_ms) for n in range(1500)]
    page = rig.source(max_attempts=1).reread(due)
    assert len(page.rereads) == 1500


def test_a_page_is_written_as_json_that_parses_to_the_same_record() -> None:
    rig = SumsubRig()
    for record in rig.source().reread(rig.due()).records:
        assert json.loads(record.raw)["applicant"]["id"] == record.external_id
