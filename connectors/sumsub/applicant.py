"""A Sumsub applicant as a KYC case; field names READ in the vendor's pages unless marked."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from connectors.instants import instant
from connectors.sumsub.settings import SumsubSettings
from mapping.errors import RecordError
from mapping.payloads import KycCase
from mapping.records import check_text
from mapping.words import KycStatus, ReasonCategory

DAY_MS = 86_400_000

_STATUS = {
    "init": KycStatus.STARTED,
    "awaitingUser": KycStatus.STARTED,
    "pending": KycStatus.SUBMITTED,
    "prechecked": KycStatus.SUBMITTED,
    "queued": KycStatus.SUBMITTED,
    "awaitingService": KycStatus.SUBMITTED,
    "onHold": KycStatus.IN_REVIEW,
}
# RED is not "rejected": RETRY asks the client again, FINAL is the end.
_VERDICT = {
    ("GREEN", ""): KycStatus.APPROVED,
    ("RED", "RETRY"): KycStatus.REJECTED_RETRY,
    ("RED", "FINAL"): KycStatus.REJECTED_FINAL,
}
_WAITING_FOR = {
    KycStatus.STARTED: "client",
    KycStatus.REJECTED_RETRY: "client",
    KycStatus.EXPIRED: "client",
    KycStatus.SUBMITTED: "us",
    KycStatus.IN_REVIEW: "us",
}
RANK = {KycStatus.STARTED: 1, KycStatus.SUBMITTED: 2, KycStatus.IN_REVIEW: 3}
"""Between versions of one instant: final > review > pending > started; every other status is 4."""
# With several labels the weightiest names the reason; the rest in the vendor's order.
_WEIGHT = (
    ReasonCategory.FRAUD_SUSPECTED,
    ReasonCategory.AML_MATCH,
    ReasonCategory.AGE_OR_POLICY,
    ReasonCategory.DUPLICATE,
)


@dataclass(frozen=True, slots=True)
class Label:
    """What a reject label means: its category, and the document it asks for (or blank)."""

    category: ReasonCategory
    gap: str


@cache
def shipped_labels() -> Mapping[str, Label]:
    """The shipped table; its column ``origin`` says READ or RECALL."""
    text = files(__package__).joinpath("reject_labels.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["label"]: Label(ReasonCategory(row["category"]), row["gap"]) for row in rows}


def kyc_case(applicant: Mapping[str, Any], now_ms: int, settings: SumsubSettings) -> KycCase:
    """The case as of a read at ``now_ms``.

    Raises:
        RecordError: a field is missing, of the wrong type or absurd, or a status is unknown.
    """
    review = _part(applicant, "review")
    attempt = settings.attempt_base + _count(review, "attemptCnt")
    started_at = instant(applicant.get("createdAt"), "createdAt", now_ms)
    status = _status(applicant, review)
    step_at = started_at
    if attempt > 1:
        step_at = instant(review.get("createDate"), "review.createDate", now_ms)
    status_at = _status_at(status, review, step_at, now_ms)
    if status is KycStatus.APPROVED:
        ends_at = documents_end_at(applicant)
        if ends_at is not None and ends_at <= now_ms:
            status, status_at = KycStatus.EXPIRED, ends_at
    why = _Why()
    if status in (KycStatus.REJECTED_RETRY, KycStatus.REJECTED_FINAL):
        why = _why(_part(review, "reviewResult"), settings)
    return KycCase(
        status=status,
        attempt=attempt,
        started_at=started_at,
        step_at=step_at,
        status_at=status_at,
        level=check_text(review, "levelName", most=200),
        reason=why.category,
        reason_code=why.code,
        gap=why.gap,
        client_text=why.client_text,
        waiting_for=_WAITING_FOR.get(status, ""),
    )


def documents_end_at(applicant: Mapping[str, Any]) -> int | None:
    """The instant (UTC midnight) at which the last identity document has expired, if all tell.

    Derived: the vendor's own events for this are RECALL.
    """
    documents = _part(applicant, "info", optional=True).get("idDocs") or []
    if not isinstance(documents, list):
        raise RecordError("field 'info.idDocs' should be a list")
    ends = []
    for document in documents:
        until = check_text(document, "validUntil") if isinstance(document, dict) else ""
        if not until:
            return None
        # A document may be valid far beyond the day that `instant` allows ahead.
        ends.append(instant(until[:10], "info.idDocs.validUntil", 2**53) + DAY_MS)
    return max(ends, default=None)


def _status(applicant: Mapping[str, Any], review: Mapping[str, Any]) -> KycStatus:
    # RECALL: how a read shows an applicant whose deactivation or deletion a webhook told of.
    if applicant.get("deleted") is True or applicant.get("inactive") is True:
        return KycStatus.WITHDRAWN
    name = check_text(review, "reviewStatus")
    if name != "completed":
        try:
            return _STATUS[name]
        except KeyError:
            known = ", ".join((*_STATUS, "completed"))
            raise RecordError(
                f"unknown review.reviewStatus {name[:40]!r}; known are {known}"
            ) from None
    result = _part(review, "reviewResult")
    answer = check_text(result, "reviewAnswer")
    kind = "" if answer == "GREEN" else check_text(result, "reviewRejectType")
    try:
        return _VERDICT[answer, kind]
    except KeyError:
        raise RecordError(
            f"unknown review result {answer[:20]!r} with reject type {kind[:20]!r};"
            " known are GREEN, RED with RETRY, RED with FINAL"
        ) from None


def _status_at(
    status: KycStatus, review: Mapping[str, Any], step_at: int, now_ms: int
) -> int | None:
    if status is KycStatus.STARTED:
        return step_at
    if status is KycStatus.SUBMITTED:
        return instant(review.get("createDate"), "review.createDate", now_ms)
    if status in (KycStatus.IN_REVIEW, KycStatus.WITHDRAWN):
        return None
    return instant(review.get("reviewDate"), "review.reviewDate", now_ms)


@dataclass(frozen=True, slots=True)
class _Why:
    category: ReasonCategory = ReasonCategory.NONE
    code: str = ""
    gap: str = ""
    client_text: str = ""


def _why(result: Mapping[str, Any], settings: SumsubSettings) -> _Why:
    labels = _texts(result, "rejectLabels")
    shipped = shipped_labels()
    categories = []
    for label in labels:
        known = shipped.get(label)
        category = known.category if known else ReasonCategory.OTHER
        categories.append(settings.labels.get(label, category))
    weighty = [c for c in _WEIGHT if c in categories]
    return _Why(
        category=next(iter((*weighty, *categories)), ReasonCategory.OTHER),
        code=", ".join(labels),
        gap=_gap(_texts(result, "buttonIds"), labels, settings),
        # clientComment may hold internal information and is never read.
        client_text=check_text(result, "moderationComment", most=4000),
    )


def _gap(buttons: list[str], labels: list[str], settings: SumsubSettings) -> str:
    """The asked-for documents: of the buttons (``group_button``), else of the labels."""
    found: dict[str, None] = {}
    for button in buttons:
        group = button.partition("_")[0]
        found[settings.gaps.get(group) or _snake(group)] = None
    if not found:
        for label in labels:
            known = shipped_labels().get(label)
            gap = settings.gaps.get(label) or (known.gap if known else "")
            if gap:
                found[gap] = None
    return ", ".join(found)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _part(raw: Mapping[str, Any], key: str, *, optional: bool = False) -> Mapping[str, Any]:
    value = raw.get(key)
    if value is None and optional:
        return {}
    if not isinstance(value, dict):
        raise RecordError(f"field {key!r} should be an object, found {type(value).__name__}")
    return value


def _count(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise RecordError(f"field 'review.{key}' should be a count from 0 to 1000")
    return value


def _texts(raw: Mapping[str, Any], key: str) -> list[str]:
    value = raw.get(key) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise RecordError(f"field 'reviewResult.{key}' should be a list of texts")
    return [check_text({key: v}, key, most=100) for v in value[:50]]
