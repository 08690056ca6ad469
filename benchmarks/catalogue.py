"""What a broker's clients do beside verification and payments: trade, call, come from somebody.

For databases that use the whole catalogue of facts. Skewed as in :mod:`benchmarks.seed`: of those
who pay, two in five trade, some on a few days and some on hundreds; a quarter has an affiliate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain

from benchmarks.rig import Batches, Clock, Seeded, paged, sources
from benchmarks.seed import BRANDS, DAY_MS, HOUR_MS, NOW_MS, Broker, client_id, random, registered
from connectors.base import Context
from mapping.money import Money
from mapping.payloads import (
    Attribution,
    Balance,
    LedgerEntry,
    Link,
    Movement,
    Partner,
    Payload,
    Payout,
    RiskFlag,
    Ticket,
    TradingAccount,
    TradingDay,
)
from mapping.records import Record, Ref
from mapping.words import (
    AccountClass,
    LedgerKind,
    MovementStatus,
    MovementType,
    PayoutPlan,
    PayoutStatus,
    RiskKind,
    TicketCategory,
    TicketStatus,
)

FAMILIES = ("registry", "kyc", "psp", "trading", "ledger", "affiliate", "helpdesk")
SERVER, USER = "mt5", "helpdesk_user"
_PARTNERS = 40
_DAYS_A_TRADER = 22
_CLASSES = (*[AccountClass.REAL] * 8, AccountClass.CENT, AccountClass.DEMO)
_GROUPS = ("fx:3,metals:1", "fx:2", "indices:4,fx:1", "crypto:1")
_CATEGORIES = tuple(TicketCategory)
_STATUSES = (*[TicketStatus.SOLVED] * 6, *[TicketStatus.CLOSED] * 6, TicketStatus.OPEN)


class Catalogue:
    """Records of one brand's clients, beside those of the first three families.

    Args:
        at: the version time of what is polled.
    """

    def __init__(self, broker: Broker, brand: str, at: int = NOW_MS) -> None:
        self.broker = broker
        self.brand = brand
        self.base = BRANDS[brand][1]
        self.at = at

    def trading(self, i: int) -> Iterator[Record]:
        """Accounts, then their days, balances and bookings."""
        rng = random(i, 4)
        paid = list(self.broker.payments(i))
        if not paid or rng.random() < 0.6:
            return
        source, began = f"mt5-{self.brand}", registered(i)
        for n in range(1 + (rng.random() < 0.3)):
            login = f"{SERVER}:{i * 10 + n + 1}"
            class_ = rng.choice(_CLASSES) if n else AccountClass.REAL
            yield self._record(
                source, login, Ref(client_id(i)),
                TradingAccount(class_, self.base, "real\\std", 100, began + HOUR_MS),
            )  # fmt: skip
            balance = Money(rng.randrange(900_000), self.base)
            open_ = rng.randrange(3)
            yield self._record(
                source, login, Ref(login, "login"), Balance(balance, Money(0, self.base), open_)
            )
            for day in self._days(i, n):
                text = datetime.fromtimestamp(day // 1000, UTC).strftime("%Y-%m-%d")
                name = f"{text}:{SERVER}:{i * 10 + n + 1:012d}"
                yield self._record(source, name, Ref(login, "login"), self._day(i, text, day))
        yield from self._ledger(i, source, [row for row in paid if row["state"] == "SUCCESSFUL"])

    def _days(self, i: int, n: int) -> list[int]:
        """Days on which an account was traded, as instants of their first trades."""
        rng, began = random(i, 10 + n), registered(i)
        most = max(1, (NOW_MS - began) // DAY_MS)
        wanted = int(rng.expovariate(1 / _DAYS_A_TRADER)) if rng.random() < 0.85 else 0
        chosen = sorted(rng.sample(range(most), min(wanted, most)))
        return [began + day * DAY_MS + 9 * HOUR_MS for day in chosen]

    def _day(self, i: int, text: str, at: int) -> TradingDay:
        rng = random(i, at // DAY_MS % 50_000 + 100)
        return TradingDay(
            day=text,
            first_at=at,
            last_at=at + rng.randrange(1, 10) * HOUR_MS // 2,
            opened=rng.randrange(1, 9),
            closed=rng.randrange(9),
            lots=rng.randrange(100, 90_000),
            profit=Money(rng.randrange(-90_000, 80_000), self.base),
            commission=Money(-rng.randrange(5_000), self.base),
            swap=Money(-rng.randrange(900), self.base),
            groups=rng.choice(_GROUPS),
        )

    def _ledger(self, i: int, source: str, paid: list[dict[str, str]]) -> Iterator[Record]:
        """Bookings: what was paid, nearly always; now and then a bonus."""
        rng, login = random(i, 5), f"{SERVER}:{i * 10 + 1}"
        for n, row in enumerate(paid):
            amount, currency = row["txAmount"].split()
            if currency != self.base or rng.random() < 0.02:
                continue
            out = amount.startswith("-")
            kind = LedgerKind.WITHDRAWAL if out else LedgerKind.DEPOSIT
            at = _instant(row["created"]) + HOUR_MS // 4
            yield self._booking(
                source, login, i * 1000 + n, kind, Money.parse(amount, currency).minor, at
            )
        for n in range(int(rng.expovariate(1.2))):
            at = NOW_MS - rng.randrange(1, 200) * DAY_MS
            yield self._booking(source, login, i * 1000 + 900 + n, LedgerKind.BONUS, 5_000, at)

    def _booking(
        self, source: str, login: str, deal: int, kind: LedgerKind, minor: int, at: int
    ) -> Record:
        payload = LedgerEntry(kind, Money(minor, self.base), at, "by type")
        return self._record(source, f"{SERVER}:{deal:020d}", Ref(login, "login"), payload, at)

    def affiliates(self, i: int) -> Iterator[Record]:
        """An attribution, of a few a second one; a payout; a doubt of the affiliate platform."""
        rng, me, source = random(i, 6), client_id(i), f"cellxpert-{self.brand}"
        if rng.random() < 0.75:
            return
        for _ in range(1 + (rng.random() < 0.05)):
            by = f"A{rng.randrange(_PARTNERS):03d}"
            touch = Attribution(by, registered(i), f"s{rng.randrange(9)}", "c1", "/start", "CY")
            yield self._record(source, f"{me}:{by}:{touch.sub_id}", Ref(me), touch)
        if rng.random() < 0.3:
            amount = Money(rng.randrange(1, 60_000), self.base)
            status = PayoutStatus.DISPUTED if rng.random() < 0.03 else PayoutStatus.ACCRUED
            payout = Payout(by, PayoutPlan.CPA, status, amount, registered(i) + DAY_MS)
            yield self._record(source, f"{me}:cpa", Ref(me), payout)
        if rng.random() < 0.06:
            flag = RiskFlag(RiskKind.SUSPICIOUS_PATTERN, rng.random() < 0.5, self.at - DAY_MS)
            yield self._record(source, f"{me}:fraud", Ref(me), flag)

    def partners(self) -> Iterator[Record]:
        """Every affiliate."""
        for n in range(_PARTNERS):
            by = f"A{n:03d}"
            payload = Partner(f"Partner {n}", PayoutPlan.CPA, "active", "CY", NOW_MS - 500 * DAY_MS)
            yield self._record(
                f"cellxpert-{self.brand}", f"partner:{by}", Ref(by, "partner"), payload
            )

    def helpdesk(self, i: int) -> Iterator[Record]:
        """A helpdesk user, found by client id or by address, and the user's tickets."""
        rng, source = random(i, 7), f"zendesk-{self.brand}"
        if rng.random() < 0.8:
            return
        name = f"{source}:{i + 7_000_000}"
        email = self.broker.profile(i).payload.email  # type: ignore[union-attr]
        ref = Ref(client_id(i)) if rng.random() < 0.8 else Ref(email, "email")
        yield self._record(source, f"user:{i + 7_000_000}", ref, Link(USER, name))
        for n in range(1 + int(rng.expovariate(0.8))):
            at = registered(i) + int((NOW_MS - registered(i)) * rng.random())
            status = rng.choice(_STATUSES)
            over = None if status is TicketStatus.OPEN else at + DAY_MS
            payload = Ticket(status, rng.choice(_CATEGORIES), rng.random() < 0.04, at, at, over)
            yield self._record(source, str(i * 100 + n + 1), Ref(name, USER), payload, at)

    def refunds(self, i: int) -> Iterator[Record]:
        """Now and then a deposit goes back, or is disputed."""
        rng = random(i, 8)
        for row in self.broker.payments(i):
            if row["state"] != "SUCCESSFUL" or rng.random() > 0.02:
                continue
            text, currency = row["txAmount"].lstrip("-").split()
            filed = rng.random() < 0.3
            payload = Movement(
                MovementType.CHARGEBACK_OPENED if filed else MovementType.REFUND,
                MovementStatus.SUCCEEDED, str(row["id"]), Money.parse(text, currency),
                _instant(row["created"]) + 2 * DAY_MS,
            )  # fmt: skip
            name = f"paymentiq-{self.brand}"
            yield self._record(name, f"r{row['id']}", Ref(client_id(i)), payload, payload.at)

    def _record(
        self, source: str, external_id: str, ref: Ref, payload: Payload, at: int | None = None
    ) -> Record:
        polled = at is None
        version = self.at if at is None else at
        return Record(source, self.brand, external_id, version, ref, payload, polled=polled)


def _instant(stamp: str) -> int:
    return int(datetime.fromisoformat(f"{stamp}+00:00").timestamp()) * 1000


def every_source(broker: Broker, clock: Clock) -> list[Seeded]:
    """Sources of all families, with all that is known of a broker's clients."""
    found = sources(broker, clock)
    for brand, (zone, *_) in BRANDS.items():
        one, own = {brand: zone}, Catalogue(broker, brand)

        psp = next(s for s in found if s.name == f"paymentiq-{brand}")
        psp.batches = _both(psp.batches, _of(own, own.refunds))
        found += [
            Seeded(
                Context(f"mt5-{brand}", one, clock), "trading", _of(own, own.trading), ("ledger",)
            ),
            Seeded(Context(f"cellxpert-{brand}", one, clock), "affiliate", _affiliates(own)),
            Seeded(Context(f"zendesk-{brand}", one, clock), "helpdesk", _of(own, own.helpdesk)),
        ]
    return found


def _both(first: Batches, second: Batches) -> Batches:
    return lambda: chain(first(), second())


def _of(own: Catalogue, records: Callable[[int], Iterator[Record]]) -> Batches:
    def batches() -> Iterator[list[Record]]:
        return paged((r for i in own.broker.indexes(own.brand) for r in records(i)), 1000)

    return batches


def _affiliates(own: Catalogue) -> Batches:
    clients = _of(own, own.affiliates)

    def batches() -> Iterator[list[Record]]:
        yield from paged(own.partners(), 1000)
        yield from clients()

    return batches
