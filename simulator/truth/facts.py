"""What is known of one client at an instant: the visible events, folded.

The registry shows one row a client, the KYC provider one applicant with its newest status, the
PSP one row a payment with its newest status and one row a refund or dispute step. Times are the
true ones, also of rows that became visible late. What the other families tell is in ``trading``,
``affiliates`` and ``tickets``; of a family that is not connected nothing is known (None).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from simulator.story import Client, Event, World, ordered
from simulator.truth.affiliates import Affiliation, affiliation
from simulator.truth.sources import BASE
from simulator.truth.tickets import Ticket, tickets
from simulator.truth.trading import Accounts, Booking, Trading, booked, traded

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_KYC_STATUS = {
    "kyc_started": "started",
    "kyc_awaiting": "started",
    "kyc_reset": "started",
    "kyc_submitted": "submitted",
    "kyc_in_review": "in_review",
    "kyc_approved": "approved",
}
_OUTCOMES = {"succeeded": "succeeded", "failed": "failed", "cancelled": "failed"}
_SETTLED = {"paid", "rejected", "cancelled"}
# The families of events that do not say it by their first word.
_FAMILIES = {
    **dict.fromkeys(
        ("account_opened", "traded", "position_opened", "position_closed"), "trading"
    ),
    **dict.fromkeys(
        ("refunded", "chargeback_opened", "chargeback_won", "chargeback_lost"), "movement"
    ),
    **dict.fromkeys(
        ("attributed", "reattributed", "payout_accrued", "payout_disputed", "fraud_flagged",
         "fraud_cleared"), "affiliate",
    ),
}  # fmt: skip


@cache
def _family(name: str) -> str:
    return _FAMILIES.get(name) or name.partition("_")[0]


@dataclass(slots=True)
class Payment:
    """A deposit or a withdrawal with its newest status, its refunds and its disputes.

    ``wire``: it is a booking of the ledger, which no PSP knows.
    """

    id: str
    withdrawal: bool
    opened: int
    status: str
    status_at: int
    data: dict[str, Any]
    refunds: list[Event] = field(default_factory=list)
    filings: list[Event] = field(default_factory=list)
    resolutions: list[Event] = field(default_factory=list)
    wire: bool = False

    @property
    def currency(self) -> str:
        """Its currency."""
        return str(self.data["currency"])

    def outcome(self, at: int) -> tuple[str, int] | None:
        """How the deposit attempt ended and when; None while it has no outcome."""
        if self.status in _OUTCOMES:
            return _OUTCOMES[self.status], self.status_at
        abandoned = self.opened + 30 * MINUTE
        if self.status in ("attempted", "pending") and at >= abandoned:
            return "failed", abandoned
        return None

    @property
    def settled(self) -> int | None:
        """When the withdrawal was settled; None while it is open."""
        return self.status_at if self.status in _SETTLED else None

    def disputes(self) -> Iterator[tuple[Event, Event | None]]:
        """Each filing with its resolution: the n-th resolution ends the n-th filing."""
        for n, filing in enumerate(self.filings):
            yield filing, self.resolutions[n] if n < len(self.resolutions) else None

    def unwon(self) -> Iterator[Event]:
        """The filings of disputes that are not won: open or lost."""
        for filing, resolution in self.disputes():
            if resolution is None or resolution.name != "chargeback_won":
                yield filing


@dataclass(slots=True)
class Kyc:
    """The applicant: newest status, its time, first step of the current attempt."""

    status: str = "not_started"
    status_at: int = 0
    step_at: int = 0
    reason: str = ""


@dataclass(slots=True)
class Known:
    """Everything known of a client."""

    registered: int
    row: dict[str, Any]
    closed_at: int | None
    merged_into: str | None
    kyc: Kyc
    payments: list[Payment]
    trading: Trading | None = None
    bookings: list[Booking] | None = None
    affiliation: Affiliation | None = None
    tickets: list[Ticket] | None = None


class _Told:
    """The visible events of a client and of those merged into it, by family."""

    def __init__(self) -> None:
        self.payments: list[Event] = []
        self.movements: list[Event] = []
        self.trading: list[Event] = []
        self.ledger: list[Event] = []
        self.affiliate: list[tuple[str, Event]] = []
        self.tickets: list[tuple[str, Event]] = []

    def take(self, key: str, events: list[Event]) -> None:
        """Add a client's events, which are in order of time."""
        for event in events:
            family = _family(event.name)
            if family in ("deposit", "withdrawal"):
                self.payments.append(event)
            elif family == "trading":
                self.trading.append(event)
            elif family == "ledger":
                self.ledger.append(event)
            elif family == "movement":
                self.movements.append(event)
            elif family == "affiliate":
                self.affiliate.append((key, event))
            elif family == "ticket":
                self.tickets.append((key, event))


def known(world: World, client: Client, at: int, sources: frozenset[str] = BASE) -> Known | None:
    """The client as known at ``at``; None before its registration is visible."""
    events = ordered(client.visible(at))
    first = next((e for e in events if e.name == "registered"), None)
    if first is None:
        return None
    row: dict[str, Any] = {}
    closed: list[int] = []
    merged_into = None
    for event in events:
        if event.name in ("registered", "profile_updated"):
            row.update(event.data)
        elif event.name == "deleted" or (
            event.name == "disposition" and event.data["value"] != "open"
        ):
            closed.append(event.at)
        elif event.name == "merged":
            merged_into = f"{client.brand}:{event.data['into']}"
    told = _Told()
    told.take(client.key, events)
    for other in _merged_into(world, client, at):
        told.take(other.key, ordered(other.visible(at)))
    closed_at = min(closed) if closed else None
    found = Known(first.at, row, closed_at, merged_into, _kyc(events), _payments(told))
    _add_families(found, told, world.brands[client.brand].base_currency, at, sources)
    return found


def _add_families(found: Known, told: _Told, base: str, at: int, sources: frozenset[str]) -> None:
    accounts = Accounts(told.trading, base)
    if "trading" in sources:
        found.trading = traded(told.trading, accounts, at)
    if "ledger" in sources:
        found.bookings = booked(told.ledger, accounts)
        found.payments += [_wire(b) for b in found.bookings if b.kind == "wire"]
    if "affiliate" in sources:
        found.affiliation = affiliation(told.affiliate)
    if "helpdesk" in sources:
        found.tickets = tickets(told.tickets)


def _wire(booking: Booking) -> Payment:
    """A wire is a payment by itself: a succeeded deposit, or a paid withdrawal."""
    withdrawal = booking.amount < 0
    data = {"amount": abs(booking.amount), "currency": booking.currency, "method": "wire"}
    status, number = "paid" if withdrawal else "succeeded", f"ledger:{booking.at:020}"
    return Payment(number, withdrawal, booking.at, status, booking.at, data, wire=True)


def _merged_into(world: World, client: Client, at: int) -> list[Client]:
    """The clients whose records are this client's now."""
    found = []
    for key in world.merges.get(client.key, ()):
        other = world.clients[key]
        if any(e.name == "merged" for e in other.visible(at)):
            found += [other, *_merged_into(world, other, at)]
    return found


def _kyc(events: list[Event]) -> Kyc:
    steps = [e for e in events if e.name.startswith("kyc_")]
    if not steps:
        return Kyc()
    last = steps[-1]
    attempt = last.data.get("attempt", 1)
    # Attempt 1 begins with the case itself, whatever its first visible step is.
    step_at = steps[0].at
    if attempt > 1:
        step_at = next(e.at for e in steps if e.data.get("attempt", 1) == attempt)
    if last.name == "kyc_rejected":
        status = "rejected_final" if last.data["final"] else "rejected_retry"
        return Kyc(status, last.at, step_at, str(last.data["reason"]))
    return Kyc(_KYC_STATUS[last.name], last.at, step_at)


def _payments(told: _Told) -> list[Payment]:
    found: dict[str, Payment] = {}
    for event in told.payments:
        kind, _, status = event.name.partition("_")
        key = event.data["payment"]
        payment = found.get(key)
        if payment is None:
            withdrawal = kind == "withdrawal"
            found[key] = Payment(key, withdrawal, event.at, status, event.at, dict(event.data))
            continue
        payment.data.update(event.data)
        if status != payment.status:
            payment.status, payment.status_at = status, event.at
    for event in told.movements:
        payment = found.get(event.data["payment"])
        if payment is None:
            continue
        if event.name == "refunded":
            payment.refunds.append(event)
        elif event.name == "chargeback_opened":
            payment.filings.append(event)
        else:
            payment.resolutions.append(event)
    return list(found.values())
