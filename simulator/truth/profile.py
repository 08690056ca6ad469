"""Stage, states and fields of a client at an instant (domain §§2-4, decision 0002)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from simulator.story import Brand, Client, World
from simulator.truth.facts import DAY, HOUR, MINUTE, Known, Payment, known
from simulator.truth.money import in_base, total

HIGH_INTENT_SOURCES = frozenset({"call_request", "referral"})


@dataclass(slots=True)
class Profile:
    """What the hub must have worked out; instants in ms, field values canonical text.

    ``until`` is the next instant at which time alone could change the profile (a superset of
    the true ones), so that a ledger need not look at every client at every sync.
    """

    stage: str
    since: int
    states: dict[str, int]
    fields: dict[str, str]
    person: dict[str, str] = field(default_factory=dict)
    until: int | None = None


def profile(world: World, client: Client, at_ms: int) -> Profile | None:
    """The client's profile; None before it is known and once it is merged into another."""
    facts = known(world, client, at_ms)
    if facts is None or facts.merged_into is not None:
        return None
    view = _View(world, world.brands[client.brand], facts, at_ms)
    stage, since = _stage(view)
    states = {} if stage == "LS0" else dict(_states(view))
    fields = _fields(view)
    fields["lifecycle_stage"] = stage
    fields["lifecycle_stage_since"] = str(since)
    fields["client_states"] = ";".join(sorted(states, key=lambda s: int(s[2:])))
    names = ("email", "first_name", "last_name", "phone")
    person = {name: facts.row.get(name) or "" for name in names}
    return Profile(stage, since, states, fields, person, _until(view))


class _View:
    """The terms of domain §2, over what is known of one client."""

    def __init__(self, world: World, brand: Brand, facts: Known, at: int) -> None:
        self.world, self.brand, self.facts, self.at = world, brand, facts, at
        self.deposits = [p for p in facts.payments if not p.withdrawal]
        self.withdrawals = [p for p in facts.payments if p.withdrawal]
        self.counted = sorted(
            (p for p in self.deposits if _is_counted(p)), key=lambda p: (p.status_at, p.id)
        )
        self.funded = bool(self.counted)
        ended = [(*outcome[::-1], p.id) for p in self.deposits if (outcome := p.outcome(at))]
        last = max(ended, key=lambda row: (row[0], row[2]), default=None)
        self.last_failed_at = last[0] if last and last[1] == "failed" else None
        self.first_withdrawal = min(self.withdrawals, key=lambda p: (p.opened, p.id), default=None)
        self.open_disputes = [
            filing.at for p in self.deposits for filing, end in p.disputes() if end is None
        ]

    def passed(self, instant: int) -> bool:
        return self.at >= instant

    @property
    def cs1_instants(self) -> list[int]:
        """Registration + 1 day; high intent (source, or an attempt within the hour) + 10 min."""
        registered = self.facts.registered
        instants = [registered + DAY]
        if self.facts.row.get("source_type") in HIGH_INTENT_SOURCES:
            instants.append(registered + 10 * MINUTE)
        first = min((p.opened for p in self.deposits), default=None)
        if first is not None and first - registered <= HOUR:
            instants.append(first + 10 * MINUTE)
        return instants


def _is_counted(payment: Payment) -> bool:
    if payment.status != "succeeded":
        return False
    back = [Decimal(e.data["amount"]) for e in (*payment.refunds, *payment.unwon())]
    return sum(back, Decimal(0)) < Decimal(payment.data["amount"])


def _stage(view: _View) -> tuple[str, int]:
    facts, kyc, first = view.facts, view.facts.kyc, view.first_withdrawal
    excluded = [] if facts.closed_at is None else [facts.closed_at]
    if kyc.status == "rejected_final":
        excluded.append(kyc.status_at)
    if excluded:
        return "LS0", min(excluded)
    if view.open_disputes:
        return "LS12", min(view.open_disputes)
    if first and (first.settled is None or not view.passed(first.settled + 7 * DAY)):
        return "LS8", first.opened
    if len(view.counted) >= 2:
        return "LS9", view.counted[1].status_at
    if view.funded:
        return "LS5", view.counted[0].status_at
    if view.last_failed_at is not None:
        return "LS4", view.last_failed_at
    if kyc.status == "approved":
        return "LS3", kyc.status_at
    if kyc.status != "not_started":
        return "LS2", kyc.step_at
    return "LS1", facts.registered


def _states(view: _View) -> Iterator[tuple[str, int]]:
    kyc, first = view.facts.kyc, view.first_withdrawal
    if not view.funded and kyc.status == "not_started":
        begun = [instant for instant in view.cs1_instants if view.passed(instant)]
        if begun:
            yield "CS1", min(begun)
    if kyc.status == "started" and view.passed(kyc.step_at + DAY):
        yield "CS2", kyc.step_at + DAY
    if kyc.status == "rejected_retry":
        yield "CS3", kyc.status_at
    if kyc.status == "approved" and not view.deposits and view.passed(kyc.status_at + 4 * HOUR):
        yield "CS4", kyc.status_at + 4 * HOUR
    if view.last_failed_at is not None and not view.passed(view.last_failed_at + 14 * DAY):
        yield "CS5", view.last_failed_at
    if first and first.settled is None:
        yield "CS8", first.opened
    paid = max((p.status_at for p in view.withdrawals if p.status == "paid"), default=None)
    again = paid is not None and any(p.status_at > paid for p in view.counted)
    if paid is not None and not again and view.passed(paid + 7 * DAY):
        yield "CS9", paid + 7 * DAY
    if view.open_disputes:
        yield "CS14", min(view.open_disputes)


def _fields(view: _View) -> dict[str, str]:
    facts, kyc, base = view.facts, view.facts.kyc, view.brand.base_currency
    texts = ("source_type", "campaign", "landing_page", "country", "language", "device")
    fields = {name: facts.row.get(name) or "" for name in texts}

    def base_of(payment: Payment, amount: str) -> Decimal | None:
        return in_base(view.world, base, amount, payment.currency)

    def day(instant: int | None) -> str:
        return "" if instant is None else local_date(view.brand, instant)

    back = [(p, e.data["amount"]) for p in view.deposits for e in (*p.refunds, *p.unwon())]
    net: list[Decimal | None] = []
    for payment in view.counted:
        net.append(base_of(payment, payment.data["amount"]))
        for event in (*payment.refunds, *payment.unwon()):
            amount = base_of(payment, event.data["amount"])
            net.append(None if amount is None else -amount)
    first = view.counted[0] if view.counted else None
    second = view.counted[1] if len(view.counted) > 1 else None
    taken = view.first_withdrawal
    paid = [p for p in view.withdrawals if p.status == "paid"]
    fees = [(p, p.data["fee"]) for p in facts.payments if p.data.get("fee")]
    return fields | {
        "registration_date": day(facts.registered),
        "kyc_status": kyc.status,
        "kyc_rejection_reason": kyc.reason,
        "first_deposit_date": day(first.status_at if first else None),
        "first_deposit_method": str(first.data.get("method", "")) if first else "",
        "first_withdrawal_date": day(taken.opened if taken else None),
        "second_deposit_date": day(second.status_at if second else None),
        "total_deposit_amount": total(base, net),
        "total_withdrawal_amount": total(base, (base_of(p, p.data["amount"]) for p in paid)),
        "payment_fees": total(base, (base_of(p, fee) for p, fee in fees)),
        "refunds_chargebacks": total(base, (base_of(p, amount) for p, amount in back)),
        "chargeback": "true" if any(True for p in view.deposits for _ in p.unwon()) else "false",
    }


def local_date(brand: Brand, instant: int) -> str:
    """The date of an instant in the brand's zone."""
    moment = datetime.fromtimestamp(instant / 1000, UTC).astimezone(ZoneInfo(brand.zone))
    return moment.date().isoformat()


def _until(view: _View) -> int | None:
    """The next of all instants at which some rule above looks at the clock."""
    kyc = view.facts.kyc
    instants = [*view.cs1_instants, kyc.step_at + DAY, kyc.status_at + 4 * HOUR]
    instants += [p.opened + 30 * MINUTE for p in view.deposits]
    instants += [p.status_at + 7 * DAY for p in view.withdrawals]
    if view.last_failed_at is not None:
        instants.append(view.last_failed_at + 14 * DAY)
    return min((i for i in instants if i > view.at), default=None)
