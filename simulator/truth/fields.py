"""The fields of domain §7 that have a source, as canonical text; blank is unknown or not there."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from simulator.story import Brand, Client, email_of
from simulator.truth.affiliates import SUSPICIOUS
from simulator.truth.money import shown, summed
from simulator.truth.sources import NEEDS
from simulator.truth.view import View

# What could tip off a client is not named where everybody reads (domain §5, the compliance wall).
_HELD = dict.fromkeys(("aml_match", "fraud_suspected", "duplicate"), "compliance_hold")
_REGISTRY = ("source_type", "campaign", "landing_page", "country", "language", "device")


def fields(view: View, client: Client, sources: frozenset[str]) -> dict[str, str]:
    """By name, without prefix. What needs a family that is not connected is blank."""
    found = {name: view.facts.row.get(name) or "" for name in _REGISTRY}
    found |= _payments(view)
    found |= _others(view, client)
    for name, needed in NEEDS.items():
        if name in found and not needed <= sources:
            found[name] = ""
    return found


def _payments(view: View) -> dict[str, str]:
    facts, base = view.facts, view.brand.base_currency
    back = [(p, e.data["amount"]) for p in view.deposits for e in (*p.refunds, *p.unwon())]
    first = view.counted[0] if view.counted else None
    second = view.counted[1] if len(view.counted) > 1 else None
    taken = view.first_withdrawal
    return {
        "registration_date": _day(view, facts.registered),
        "kyc_status": facts.kyc.status,
        "kyc_rejection_reason": _HELD.get(facts.kyc.reason, facts.kyc.reason),
        "first_deposit_date": _day(view, first.status_at if first else None),
        "first_deposit_method": str(first.data.get("method", "")) if first else "",
        "first_withdrawal_date": _day(view, taken.opened if taken else None),
        "second_deposit_date": _day(view, second.status_at if second else None),
        "total_deposit_amount": shown(base, view.deposited),
        "total_withdrawal_amount": shown(base, view.withdrawn),
        "payment_fees": shown(base, _fees(view)),
        "refunds_chargebacks": shown(base, summed(view.base_of(p, a) for p, a in back)),
        "chargeback": _truth(any(True for p in view.deposits for _ in p.unwon())),
    }


def _others(view: View, client: Client) -> dict[str, str]:
    facts, base = view.facts, view.brand.base_currency
    touched, tickets = facts.affiliation, facts.tickets or ()
    partners = view.world.partners.get(client.brand, ())
    plans = {p.id: p.plan for p in partners} if touched and touched.affiliate else {}
    return {
        "affiliate_id": touched.affiliate if touched else "",
        "sub_id": touched.sub_id if touched else "",
        "partner_payout_category": plans.get(touched.affiliate, "") if touched else "",
        "first_trade_date": _day(view, facts.trading.first if facts.trading else None),
        "last_activity_date": _day(view, last_event(view)),
        "bonus_used": shown(base, view.bonuses()),
        "net_revenue": shown(base, _net_revenue(view)),
        "ticket_count": str(len(tickets)),
        "unresolved_ticket": _truth(any(t.unresolved for t in tickets)),
        "suspicious_behavior": _truth(bool(view.flags & SUSPICIOUS)),
        "duplicate_account": _truth("duplicate_account" in view.flags or _shares(view, client)),
    }


def last_event(view: View) -> int | None:
    """The last meaningful event: what the client did or what was done about it (0015)."""
    facts = view.facts
    moments = [at for at, _, _ in view.ended]
    moments += [p.opened for p in facts.payments]
    moments += [p.settled for p in view.withdrawals if p.settled is not None]
    moments += [b.at for b in facts.bookings or () if b.kind == "bonus" and b.amount > 0]
    moments += [t.opened for t in facts.tickets or ()]
    if facts.kyc.status != "not_started":
        moments.append(facts.kyc.step_at)
    if facts.trading and facts.trading.last is not None:
        moments.append(facts.trading.last)
    return max(moments, default=None)


def _net_revenue(view: View) -> Decimal | None:
    disputes = (view.base_of(p, e.data["amount"]) for p in view.deposits for e in p.unwon())
    costs = (_fees(view), view.bonuses(), view.payouts(), summed(disputes))
    earned, spent = view.revenue(), summed(costs)
    return None if earned is None or spent is None else earned - spent


def _fees(view: View) -> Decimal | None:
    return summed(view.base_of(p, p.data["fee"]) for p in view.fees())


def _shares(view: View, client: Client) -> bool:
    """Whether another client of the brand has the same address now, and is not merged."""
    email = str(view.facts.row.get("email") or "").strip().lower()
    others = view.world.addresses.get((client.brand, email), ())
    return any(
        key != client.key and _address(view.world.clients[key], view.at) == email for key in others
    )


def _address(client: Client, at: int) -> str | None:
    """A client's address at an instant; None before it is known and once it is merged."""
    email: str | None = None
    for event in client.events:
        if event.visible_at <= at:
            if event.name == "merged":
                return None
            if "email" in event.data:
                email = email_of(event)
    return email


def _day(view: View, instant: int | None) -> str:
    return "" if instant is None else local_date(view.brand, instant)


@lru_cache(maxsize=65_536)
def local_date(brand: Brand, instant: int) -> str:
    """The date of an instant in the brand's zone."""
    moment = datetime.fromtimestamp(instant / 1000, UTC).astimezone(ZoneInfo(brand.zone))
    return moment.date().isoformat()


def _truth(value: bool) -> str:
    return "true" if value else "false"
