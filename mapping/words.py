"""The closed lists that records use: one vocabulary for all vendors."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kinds of record the sources yield, in the order in which a page is taken in: what names
    a client comes before what is found by that name."""

    PROFILE = "profile"
    LINK = "link"
    TRADING_ACCOUNT = "trading_account"
    KYC_CASE = "kyc_case"
    PAYMENT = "payment"
    MOVEMENT = "movement"
    TRADING_DAY = "trading_day"
    LEDGER_ENTRY = "ledger_entry"
    BALANCE = "balance"
    ATTRIBUTION = "attribution"
    PAYOUT = "payout"
    PARTNER = "partner"
    RISK_FLAG = "risk_flag"
    TICKET = "ticket"


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


class AccountClass(StrEnum):
    """What a trading account is. Only real and cent accounts are clients' money."""

    REAL = "real"
    CENT = "cent"
    DEMO = "demo"
    INTERNAL = "internal"
    LEAD = "lead"
    COVERAGE = "coverage"
    UNCLASSIFIED = "unclassified"


class InstrumentGroup(StrEnum):
    """What is traded, in one vocabulary for all platforms."""

    FX = "fx"
    METALS = "metals"
    INDICES = "indices"
    COMMODITIES = "commodities"
    SHARES = "shares"
    CRYPTO = "crypto"
    OTHER = "other"


class LedgerKind(StrEnum):
    """What a booking on a trading account means; the sign of its amount tells the direction."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    WIRE = "wire"
    TRANSFER = "transfer"
    REBATE = "rebate"
    CORRECTION = "correction"
    CREDIT = "credit"
    BONUS = "bonus"
    CHARGE = "charge"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    TAX = "tax"
    COMPENSATION = "compensation"
    UNKNOWN = "unknown"


class PayoutPlan(StrEnum):
    """How a partner is paid."""

    CPA = "cpa"
    CPL = "cpl"
    REVSHARE = "revshare"
    HYBRID = "hybrid"
    OTHER = "other"
    NONE = "none"


class PayoutStatus(StrEnum):
    """Where a partner's payout stands."""

    ACCRUED = "accrued"
    PAID = "paid"
    DISPUTED = "disputed"


class RiskKind(StrEnum):
    """What a risk flag is about."""

    DUPLICATE_ACCOUNT = "duplicate_account"
    SUSPICIOUS_PATTERN = "suspicious_pattern"
    BONUS_ABUSE = "bonus_abuse"
    EXPOSURE = "exposure"


class TicketStatus(StrEnum):
    """Where a ticket stands."""

    NEW = "new"
    OPEN = "open"
    PENDING = "pending"
    ON_HOLD = "on_hold"
    SOLVED = "solved"
    CLOSED = "closed"
    DELETED = "deleted"


class TicketCategory(StrEnum):
    """What a ticket is about; a complaint is a mark beside it, not a category."""

    KYC = "kyc"
    PAYMENT = "payment"
    WITHDRAWAL = "withdrawal"
    PLATFORM = "platform"
    BONUS = "bonus"
    TRADING = "trading"
    OTHER = "other"


class TicketPriority(StrEnum):
    """How urgent a ticket is."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
