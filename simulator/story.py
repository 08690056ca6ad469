"""The broker's story: clients, what happens to them and when it can be seen, and the world's clock.

Fakes show what has become visible up to :attr:`World.story_ms`; limits, token lifetimes and index
lag run on :attr:`World.now_ms`, which sleeping and vendor latency move on. All times are ms UTC.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``at`` and that vendors show from ``visible_at`` on.

    ``name`` and ``data`` use the vocabulary of ``spec/examples.yaml``:

    * registry: registered, profile_updated, disposition, merged, deleted. ``merged`` says
      ``into``: the surviving client's id in the same brand.
    * KYC: kyc_started, kyc_submitted, kyc_in_review, kyc_awaiting, kyc_rejected, kyc_approved,
      kyc_reset.
    * PSP: deposit_attempted, deposit_pending, deposit_review, deposit_authorized, deposit_failed,
      deposit_cancelled, deposit_succeeded, refunded, chargeback_opened, chargeback_won,
      chargeback_lost; withdrawal_requested, withdrawal_approved, withdrawal_rejected,
      withdrawal_paid, withdrawal_cancelled.
    * trading, one server a brand, its clock seven hours before New York's: account_opened (login:
      int, group: path, currency, leverage); traded (login, group of instruments: fx, metals,
      indices, crypto, shares, commodities; lots, profit, commission, swap as decimal texts in the
      account's currency; closed_at: ms, only if it closes later than it opens): one deal opens at
      ``at``, one closes at ``closed_at`` and carries the money; position_opened, position_closed
      (login, position: key). Groups ``real`` and ``cent`` are clients' money, ``demo`` is not; a
      cent account counts in USC, EUC or GBC, a hundredth of the currency.
    * ledger, on a trading account: ledger_deposit, ledger_withdrawal, ledger_wire, ledger_bonus,
      ledger_credit, ledger_transfer, ledger_rebate, ledger_correction (login, amount, currency; a
      credit of a paid deposit also payment). Amounts are positive, a negative one is the reverse.
    * affiliate: attributed (affiliate, sub_id, campaign, landing_page, country, device),
      reattributed (affiliate, sub_id), payout_accrued (affiliate, plan: cpa, cpl, revshare, other;
      amount, currency; each adds up), payout_disputed (affiliate, plan), fraud_flagged (kind:
      duplicate_account, suspicious_pattern, bonus_abuse, exposure; reason), fraud_cleared: one
      flag a client.
    * helpdesk: ticket_opened (ticket, category: kyc, payment, withdrawal, platform, bonus,
      trading, other; complaint, priority), ticket_updated (status, if it changes: open, pending,
      hold), ticket_solved, ticket_reopened, ticket_closed, ticket_deleted (ticket).
    """

    at: int
    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    visible_at: int = 0

    def __post_init__(self) -> None:
        if not self.visible_at:
            object.__setattr__(self, "visible_at", self.at)


@dataclass(slots=True)
class Client:
    """One client of one brand; ``events`` in the order they happened."""

    brand: str
    id: str
    events: list[Event]

    @property
    def key(self) -> str:
        """``brand:client_id``."""
        return f"{self.brand}:{self.id}"

    def visible(self, until_ms: int) -> list[Event]:
        """The events vendors show at ``until_ms``, in the order they happened."""
        return [e for e in self.events if e.visible_at <= until_ms]


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand as the world needs it."""

    id: str
    zone: str
    base_currency: str
    entity: str
    merchant_id: int


@dataclass(frozen=True, slots=True)
class Partner:
    """A brand's affiliate. ``plan``: cpa, revshare, hybrid, none; ``status``: active, review."""

    id: str
    name: str
    plan: str
    status: str = "active"


class World:
    """All clients, and the clock.

    Args:
        clients: the cast, with their events for the whole story.
        brands: the brands by id.
        start_ms: the story's first instant.
        rates: units of a brand's base for one unit of the other currency: (base, currency) -> text.
        partners: each brand's affiliates; they are known from the start and do not change.
    """

    def __init__(
        self,
        clients: Iterable[Client],
        brands: Mapping[str, Brand],
        start_ms: int,
        rates: Mapping[tuple[str, str], str] | None = None,
        partners: Mapping[str, Sequence[Partner]] | None = None,
    ) -> None:
        self.clients: dict[str, Client] = {c.key: c for c in clients}
        self.brands = dict(brands)
        self.rates = dict(rates or {})
        self.partners = {brand: tuple(found) for brand, found in (partners or {}).items()}
        self.start_ms = start_ms
        self.story_ms = start_ms
        self.now_ms = start_ms
        self.merges: dict[str, list[str]] = {}
        self.addresses: dict[tuple[str, str], list[str]] = {}
        self._line: list[tuple[int, int, str, Event]] = []
        self._relined()

    def _relined(self) -> None:
        line = [
            (e.visible_at, i, c.key, e)
            for c in self.clients.values()
            for i, e in enumerate(c.events)
        ]
        self._line = sorted(line, key=lambda row: (row[0], row[2], row[1]))
        # Whoever is merged into a client at any time of the story, by the survivor's key.
        self.merges = {}
        for _, _, key, event in self._line:
            if event.name == "merged":
                survivor = f"{self.clients[key].brand}:{event.data['into']}"
                self.merges.setdefault(survivor, []).append(key)
        # Who has an address at any time of the story, by brand and address as :func:`email_of`.
        self.addresses = {}
        for client in self.clients.values():
            for email in {email_of(e) for e in client.events if "email" in e.data} - {""}:
                self.addresses.setdefault((client.brand, email), []).append(client.key)

    def add(self, client: Client) -> None:
        """Put one more client into the world (tests do)."""
        self.clients[client.key] = client
        self._relined()

    def between(self, after_ms: int, until_ms: int) -> Iterator[tuple[Client, Event]]:
        """(client, event) that became visible in ``(after_ms, until_ms]``, in that order."""
        lo = bisect.bisect_right(self._line, after_ms, key=lambda row: row[0])
        hi = bisect.bisect_right(self._line, until_ms, key=lambda row: row[0])
        for _, _, key, event in self._line[lo:hi]:
            yield self.clients[key], event

    def advance(self, seconds: float) -> None:
        """Let the story go on: vendors show what happens up to the new instant."""
        self.story_ms += round(seconds * 1000)
        self.now_ms = max(self.now_ms, self.story_ms)

    def advance_to(self, instant_ms: int) -> None:
        """Let the story go on to an instant (never back)."""
        self.story_ms = max(self.story_ms, instant_ms)
        self.now_ms = max(self.now_ms, self.story_ms)

    def sleep(self, seconds: float) -> None:
        """Let only the clock go on: somebody waited, or a vendor took its time."""
        self.now_ms += max(0, round(seconds * 1000))


def email_of(event: Event) -> str:
    """The address an event tells, as addresses are compared: trimmed, in lower case."""
    return str(event.data["email"] or "").strip().lower()


def ordered(events: Sequence[Event]) -> list[Event]:
    """Events by time of happening, ties in the order given."""
    return sorted(events, key=lambda e: e.at)
