"""What records say, whatever the vendor: one payload a kind.

Instants are integer milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, dataclass_transform, get_args

from mapping.money import Money
from mapping.words import (
    AccountClass,
    DeclineCategory,
    Direction,
    Disposition,
    Kind,
    KycStatus,
    LedgerKind,
    MovementStatus,
    MovementType,
    PaymentStatus,
    PayoutPlan,
    PayoutStatus,
    ReasonCategory,
    RiskKind,
    TicketCategory,
    TicketPriority,
    TicketStatus,
)

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[_T]) -> type[_T]:
    """A dataclass that is frozen for mypy alone: guarded by each assignment, one costs five times
    as much to make, and a page makes thousands."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@value
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


@value
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


@value
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


@value
class Movement:
    """A refund or a step of a dispute, on the payment with external id ``payment_id``."""

    kind: ClassVar[Kind] = Kind.MOVEMENT
    movement: MovementType
    status: MovementStatus
    payment_id: str
    amount: Money
    at: int
    base: Money | None = None


@value
class Link:
    """Another name of a client: records that carry ``name_kind`` and ``name`` are the client's
    whom the record's own reference means (a helpdesk user -> the client id or e-mail it has)."""

    kind: ClassVar[Kind] = Kind.LINK
    name_kind: str
    name: str


@value
class TradingAccount:
    """One login on one trading server.

    The record's external id is ``server:login``, and links records whose reference is
    (``login``, ``server:login``) to the account's client. ``group`` is the server's own path.
    """

    kind: ClassVar[Kind] = Kind.TRADING_ACCOUNT
    account_class: AccountClass
    currency: str
    group: str = ""
    leverage: int = 0
    registered_at: int | None = None
    enabled: bool = True
    agent: str = ""


@value
class TradingDay:
    """All trades of one account on one day of its server's clock: replaced as a whole.

    External id ``day:server:login`` with the login padded to 12 digits, so that the days of a
    range are a range of ids. ``groups`` lists instrument groups with their number of trades, most
    traded first (``fx:3,metals:1``). ``first_at`` and ``last_at`` are the day's first and last
    trade. ``opened`` and ``closed`` count deals that open and close. ``lots`` is in 1/10000 lot;
    ``profit`` is realised; ``commission`` and ``swap`` have the client's sign (a cost is negative).
    """

    kind: ClassVar[Kind] = Kind.TRADING_DAY
    day: str
    first_at: int
    last_at: int
    opened: int
    closed: int
    lots: int
    profit: Money
    commission: Money
    swap: Money
    groups: str = ""


@value
class LedgerEntry:
    """One booking on a trading account; ``amount`` has the sign the server booked.

    External id ``server:deal``, the deal padded to 20 digits. ``rule`` names what classified it.
    """

    kind: ClassVar[Kind] = Kind.LEDGER_ENTRY
    entry: LedgerKind
    amount: Money
    at: int
    rule: str = ""


@value
class Balance:
    """What an account holds now; external id ``server:login``.

    Equity moves with every price, and is left out: each look would be a version of its own.
    """

    kind: ClassVar[Kind] = Kind.BALANCE
    balance: Money
    credit: Money
    open_positions: int


@value
class Attribution:
    """One affiliate to whom an affiliate system attributes a client.

    External id ``client:affiliate:sub id``: another affiliate is another record, so the one seen
    first stays known. ``at`` is when the client registered, by the affiliate system.
    """

    kind: ClassVar[Kind] = Kind.ATTRIBUTION
    affiliate_id: str
    at: int
    sub_id: str = ""
    campaign: str = ""
    landing_page: str = ""
    country: str = ""
    device: str = ""


@value
class Payout:
    """What a partner is owed or was paid for a client so far, by plan; a later version replaces."""

    kind: ClassVar[Kind] = Kind.PAYOUT
    affiliate_id: str
    plan: PayoutPlan
    status: PayoutStatus
    amount: Money
    at: int


@value
class Partner:
    """An affiliate or introducing broker. It is no client: its reference is (``partner``, id)."""

    kind: ClassVar[Kind] = Kind.PARTNER
    name: str = field(repr=False)
    plan: PayoutPlan = PayoutPlan.NONE
    status: str = ""
    country: str = ""
    registered_at: int | None = None


@value
class RiskFlag:
    """A doubt about a client, raised by a system or a person; ``open`` until it is cleared.

    ``at`` None: the source does not say when; the version time then stands in.
    """

    kind: ClassVar[Kind] = Kind.RISK_FLAG
    risk: RiskKind
    open: bool
    at: int | None = None
    reason: str = ""


@value
class Ticket:
    """One request to the helpdesk. No text of it is kept.

    ``rule`` names the evidence that gave the category. ``solved_at`` None: not solved.
    """

    kind: ClassVar[Kind] = Kind.TICKET
    status: TicketStatus
    category: TicketCategory
    complaint: bool
    opened_at: int
    updated_at: int
    solved_at: int | None = None
    reopens: int = 0
    priority: TicketPriority | None = None
    rule: str = ""


Payload = (
    Profile
    | Link
    | TradingAccount
    | KycCase
    | Payment
    | Movement
    | TradingDay
    | LedgerEntry
    | Balance
    | Attribution
    | Payout
    | Partner
    | RiskFlag
    | Ticket
)
PAYLOADS: tuple[type[Payload], ...] = get_args(Payload)
