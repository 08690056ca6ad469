"""Records: what a connector yields, whatever the vendor.

A record is one *version* of a vendor object. Its key is (source, kind, external id, version time,
content hash); the newest version wins and the earliest time at which each status was reached is
kept beside it, so that the result never depends on the order of arrival.
Instants are integer milliseconds UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import ClassVar

from mapping.errors import RecordError
from mapping.money import Money


class Kind(StrEnum):
    """The kinds of record the connected sources yield."""

    PROFILE = "profile"
    KYC_CASE = "kyc_case"
    PAYMENT = "payment"
    MOVEMENT = "movement"


class Disposition(StrEnum):
    """Whether the broker still deals with the client."""

    OPEN = "open"
    CLOSED = "closed"
    SELF_EXCLUDED = "self_excluded"
    DECEASED = "deceased"
    BANNED = "banned"


class KycStatus(StrEnum):
    """domain §2, kyc_status."""

    NOT_STARTED = "not_started"
    STARTED = "started"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    REJECTED_RETRY = "rejected_retry"
    REJECTED_FINAL = "rejected_final"
    APPROVED = "approved"
    EXPIRED = "expired"
    RESET = "reset"
    WITHDRAWN = "withdrawn"


class ReasonCategory(StrEnum):
    """Why a check was rejected, in one vocabulary for all vendors."""

    NONE = "none"
    DOCUMENT_MISSING = "document_missing"
    DOCUMENT_QUALITY = "document_quality"
    DOCUMENT_EXPIRED = "document_expired"
    DOCUMENT_UNSUPPORTED = "document_unsupported"
    IDENTITY_MISMATCH = "identity_mismatch"
    FACE_MISMATCH = "face_mismatch"
    PROOF_OF_ADDRESS = "proof_of_address"
    FRAUD_SUSPECTED = "fraud_suspected"
    AML_MATCH = "aml_match"
    AGE_OR_POLICY = "age_or_policy"
    DUPLICATE = "duplicate"
    LIMIT_REACHED = "limit_reached"
    TECHNICAL = "technical"
    OTHER = "other"


class Direction(StrEnum):
    """Which way the money goes, seen from the client's account."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


class PaymentStatus(StrEnum):
    """Deposit and withdrawal states. A terminal state is not final: failed may become succeeded."""

    CREATED = "created"
    PENDING_CUSTOMER = "pending_customer"
    PROCESSING = "processing"
    MANUAL_REVIEW = "manual_review"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_RECONCILIATION = "needs_reconciliation"
    REQUESTED = "requested"
    ON_HOLD = "on_hold"
    PAID = "paid"
    REJECTED = "rejected"


class DeclineCategory(StrEnum):
    """Why an attempt failed, in one vocabulary for all PSPs."""

    NONE = "none"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    DO_NOT_HONOR = "do_not_honor"
    CARD_EXPIRED = "card_expired"
    CARD_INVALID = "card_invalid"
    LOST_STOLEN = "lost_stolen"
    AUTHENTICATION_3DS = "authentication_3ds"
    FRAUD_SUSPECTED = "fraud_suspected"
    LIMIT_EXCEEDED = "limit_exceeded"
    KYC_REQUIRED = "kyc_required"
    RESTRICTED_COUNTRY_OR_BIN = "restricted_country_or_bin"
    METHOD_NOT_SUPPORTED = "method_not_supported"
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"
    PSP_UNAVAILABLE = "psp_unavailable"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    MERCHANT_CONFIG = "merchant_config"
    DUPLICATE = "duplicate"
    USER_CANCELLED = "user_cancelled"
    TIMEOUT = "timeout"
    ACCOUNT_BLOCKED = "account_blocked"
    OTHER = "other"


class MovementType(StrEnum):
    """Money facts that hang on a payment."""

    REFUND = "refund"
    CHARGEBACK_OPENED = "chargeback_opened"
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"


class MovementStatus(StrEnum):
    """Only a succeeded movement counts."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A status a record reached: the earliest ``at`` per (record, attempt, status) is kept."""

    attempt: int
    status: str
    at: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The client as the broker's own registry knows it."""

    kind: ClassVar[Kind] = Kind.PROFILE
    client_id: str
    registered_at: int
    entity: str = ""
    email: str = field(default="", repr=False)
    email_verified: bool = False
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    country: str = ""
    language: str = ""
    zone: str = ""
    device: str = ""
    landing_page: str = ""
    source_type: str = ""
    campaign: str = ""
    consents: str = ""
    disposition: Disposition = Disposition.OPEN
    merged_into: str = ""

    def milestones(self, version_at: int) -> tuple[Milestone, ...]:
        """The disposition, as of this version."""
        return (Milestone(0, self.disposition, version_at),)


@dataclass(frozen=True, slots=True)
class KycCase:
    """One client's verification case at one provider.

    ``step_at`` is the first step of the current attempt; ``status_at`` the vendor's time of the
    current status, None where the vendor tells none (the version time then stands in).
    ``waiting_for`` is ``client``, ``us`` or empty.
    """

    kind: ClassVar[Kind] = Kind.KYC_CASE
    status: KycStatus
    attempt: int
    started_at: int
    step_at: int
    status_at: int | None = None
    level: str = ""
    reason: ReasonCategory = ReasonCategory.NONE
    reason_code: str = ""
    gap: str = ""
    client_text: str = ""
    waiting_for: str = ""

    def milestones(self, version_at: int) -> tuple[Milestone, ...]:
        """The attempt's first step, and the current status."""
        at = version_at if self.status_at is None else self.status_at
        return (
            Milestone(self.attempt, KycStatus.STARTED, self.step_at),
            Milestone(self.attempt, self.status, at),
        )


@dataclass(frozen=True, slots=True)
class Payment:
    """One deposit or withdrawal attempt at a PSP.

    ``base`` is the vendor's own amount in some base currency; the hub turns it (or ``amount``)
    into the brand's base. ``fee`` is what the PSP charged. ``kyc_blocked``: the attempt failed
    or waits because the client is not verified.
    """

    kind: ClassVar[Kind] = Kind.PAYMENT
    direction: Direction
    status: PaymentStatus
    amount: Money
    opened_at: int
    status_at: int
    attempt: int = 1
    base: Money | None = None
    fee: Money | None = None
    method: str = ""
    psp: str = ""
    decline_code: str = ""
    decline: DeclineCategory = DeclineCategory.NONE
    kyc_blocked: bool = False
    vendor_status: str = ""
    country: str = ""

    def milestones(self, version_at: int) -> tuple[Milestone, ...]:
        """The status, at the time the vendor gives it."""
        del version_at
        return (Milestone(self.attempt, self.status, self.status_at),)


@dataclass(frozen=True, slots=True)
class Movement:
    """A refund or a step of a dispute, on the payment with external id ``payment_id``."""

    kind: ClassVar[Kind] = Kind.MOVEMENT
    movement: MovementType
    status: MovementStatus
    payment_id: str
    amount: Money
    at: int
    base: Money | None = None

    def milestones(self, version_at: int) -> tuple[Milestone, ...]:
        """The status, at the time of the movement."""
        del version_at
        return (Milestone(0, self.status, self.at),)


Payload = Profile | KycCase | Payment | Movement


@dataclass(frozen=True, slots=True)
class Ref:
    """How a vendor names the client: ``kind`` is ``client_id`` (default) or ``email``."""

    value: str = field(repr=False)
    kind: str = "client_id"


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one vendor object.

    Args:
        source: name of the configured connection.
        version_at: the vendor's update time, else the pull's start (then ``polled`` is true and
            the version is journalled only if it differs from the newest known one).
        rank: decides between versions of one instant (final > review > pending > started).
        raw: the vendor's row as JSON text, kept for a short retention beside the journal.
    """

    source: str
    brand: str
    external_id: str
    version_at: int
    ref: Ref
    payload: Payload
    rank: int = 0
    polled: bool = False
    deleted: bool = False
    raw: str = field(default="", repr=False)

    @property
    def kind(self) -> Kind:
        """The payload's kind."""
        return self.payload.kind

    def content_text(self) -> str:
        """The payload as JSON (names sorted, money as ``[minor, currency]``), for the journal."""
        names, values = _READING[self.kind]
        return _encode(dict(zip(names, values(self.payload), strict=True)))

    def content_hash(self, text: str | None = None) -> str:
        """A digest of payload, reference and deletion; equal content has equal hash.

        Args:
            text: the record's :meth:`content_text`, where it is at hand.
        """
        ref, deleted = self.ref, int(self.deleted)
        head = f"{self.brand} {ref.kind} {deleted} {len(ref.value)} {ref.value} "
        body = head + (self.content_text() if text is None else text)
        return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Money):
        return [value.minor, value.currency]
    raise TypeError(f"no JSON for {type(value).__name__}")


_NAMES = {p.kind: sorted(f.name for f in fields(p)) for p in (Profile, KycCase, Payment, Movement)}
_READING = {kind: (names, attrgetter(*names)) for kind, names in _NAMES.items()}
# Texts of enumerations encode as what they are; only money needs help.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode


def check_text(raw: Mapping[str, object], key: str, *, most: int = 500) -> str:
    """A text value of a vendor row; blank when missing or null.

    Raises:
        RecordError: not a text or number, too long, or holding a NUL.
    """
    value = raw.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecordError(f"field {key!r} should be a text, found {type(value).__name__}")
    text = str(value).strip()
    if "\x00" in text:
        raise RecordError(f"field {key!r} holds a NUL character")
    if len(text) > most:
        raise RecordError(f"field {key!r} is longer than {most} characters ({len(text)})")
    return text
