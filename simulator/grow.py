"""Grows a brokerage from a seed: two brands in one CRM, every client with a story.

What keeps the world observable by polling, and so comparable with its truth:

* payments, registry and KYC happen at whole seconds, which is all that vendors show;
* KYC steps keep to the rhythm at which the hub re-reads applicants (see ``verification``);
* a payment whose status is final gets no further update unless its status changes;
* no profile changes after a closure, a merge or a deletion; two changes of one registry row
  are at least fifteen minutes apart;
* a row becomes visible at most 4 minutes after it happened (other rows overtake it), and of one
  row the creation never becomes visible after a later step;
* nobody joins an address within an hour of its first owner, and shared addresses never change;
* a merged client never had a KYC case, nor an affiliate; it registered after the client it is
  merged into;
* trades and bookings happen at whole seconds, on accounts seen before them; no trade opens or
  closes while the market is closed (crypto does on the server's Saturday), nor within ten minutes
  of the server's midnight, so no deal's day is in doubt, nor is anything booked at a time that the
  server's clock shows twice; a position opens and closes with a trade at the same second, and both
  are seen at once;
* a swap is charged only on accounts in the brand's base, so it does not matter whether commission
  and swap are turned into the base together or apart;
* a client has one attribution, at registration; what the affiliate reports show of it changes
  between minute 50 and minute 55 of an hour and is seen before the next, within 30 days of the
  registration; a doubt is raised once; the affiliate changes only in the last fifth of the story,
  and no payout comes within two days before it, nor any after it;
* a step of a ticket is seen one to four minutes after it and never in the last five minutes of an
  hour, since the export withholds its last minute; who writes tickets can be found by the client
  id, or by an address that is verified, the client's alone and never changes;
* partners do not change.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from random import Random
from typing import Any

from simulator.affiliates import PARTNERS, Referral
from simulator.cashier import Cashier
from simulator.helpdesk_story import Helpdesk
from simulator.people import Plan, describe, registry_events, respelled
from simulator.server_clock import when_open
from simulator.story import DAY_MS, HOUR_MS, Brand, Client, Event, World, ordered
from simulator.trader import Trader
from simulator.verification import Case, reversal, spread

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z, a Monday
BRANDS = {
    "alpha": Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980),
    "beta": Brand("beta", "Europe/London", "EUR", "cy", 1990),
}
# KWD has a rate in neither base.
RATES = {
    ("USD", "EUR"): "1.10",
    ("USD", "GBP"): "1.27",
    ("USD", "JPY"): "0.0067",
    ("EUR", "USD"): "0.91",
    ("EUR", "GBP"): "1.155",
    ("EUR", "JPY"): "0.00609",
}
# Numbers grow from five to six digits: as texts, "100000" comes before "99999".
_FIRST_PAYMENT = {"alpha": 99_400, "beta": 99_700}
_LEAVING = ("self_excluded", "self_excluded", "closed", "closed", "banned", "deleted")
_MINUTE = 60_000
_MAX_DELAY_S = 240
# What nobody sees late: an account, before anything happens on it; positions, with their trade.
_PROMPT = ("account_opened", "position_opened", "position_closed")


def grow(seed: int, clients: int = 1000, days: int = 60, start_ms: int = START_MS) -> World:
    """A world of ``clients`` clients over ``days`` days; equal arguments give equal worlds."""
    collecting = gc.isenabled()
    gc.disable()  # nothing grown here is garbage, and looking for it takes half the time
    try:
        return _grown(seed, clients, days, start_ms)
    finally:
        if collecting:
            gc.enable()


def _grown(seed: int, clients: int, days: int, start_ms: int) -> World:
    rng = Random(f"world {seed}")
    end = start_ms + days * DAY_MS
    plans = _plans(rng, seed, clients, start_ms, end)
    for plan in plans:
        describe(plan)
    _shared_addresses(rng, plans)
    _duplicates(rng, plans, end)
    _leavers(rng, plans, end)
    lives = [(plan, _life(plan, end)) for plan in plans]
    turns = end - (end - start_ms) // 5
    more = [_afterlife(plan, events, end, turns) for plan, events in lives]
    for brand in BRANDS:
        told = zip(lives, more, strict=True)
        _number((e for (p, a), b in told if p.brand == brand for e in (*a, *b)), brand)
    cast = [
        Client(plan.brand, plan.id, ordered([*_seen(plan.rng, events), *_seen_more(plan, others)]))
        for (plan, events), others in zip(lives, more, strict=True)
    ]
    return World(cast, BRANDS, start_ms, RATES, PARTNERS)


def _plans(rng: Random, seed: int, clients: int, start: int, end: int) -> list[Plan]:
    """When who registers where: a few before the story, the rest evenly over all days."""
    moments = sorted(
        rng.randrange(start - 20 * DAY_MS, start, 1000)
        if rng.random() < 0.04
        else rng.randrange(start, end, 1000)
        for _ in range(clients)
    )
    counts = dict.fromkeys(BRANDS, 10_000)
    plans = []
    for number, at in enumerate(moments):
        brand = "alpha" if rng.random() < 0.6 else "beta"
        counts[brand] += 1  # the same ids occur in both brands
        own = Random(f"client {seed} {number}")
        plan = Plan(brand, str(counts[brand]), number, at, own, seed=seed)
        if plan.stream("wealth").random() < 0.06:
            plan.wealth = 4
        plans.append(plan)
    return plans


def _shared_addresses(rng: Random, plans: list[Plan]) -> None:
    """Some register again under an address somebody has, in this brand or the other."""
    for plan in plans:
        if not plan.normal or rng.random() > 0.04:
            continue
        owner = plans[rng.randrange(plan.number)] if plan.number else plan
        usable = owner.normal or owner.shared_email
        if not usable or not owner.data["email"] or owner.registered > plan.registered - HOUR_MS:
            continue
        owner.shared_email = plan.shared_email = True
        plan.data["email"] = respelled(rng, owner.data["email"])


def _duplicates(rng: Random, plans: list[Plan], end: int) -> None:
    """A few turn out to be somebody the brand knows already and are merged into that client."""
    wanted = max(1, len(plans) // 120)
    for plan in rng.sample(plans, len(plans)):
        if wanted == 0:
            return
        at = plan.registered + rng.randrange(2 * DAY_MS, 10 * DAY_MS, 1000)
        other = plans[rng.randrange(plan.number)] if plan.number else plan
        known = other.brand == plan.brand and other.registered < plan.registered - DAY_MS
        if not (known and plan.normal and other.normal) or at > end - HOUR_MS:
            continue
        wanted -= 1
        other.survives, plan.duplicate_of, plan.leaves = True, other, (at, "merged")
        if wanted % 2 and other.data["email"]:
            other.shared_email = plan.shared_email = True
            plan.data["email"] = respelled(rng, other.data["email"])


def _leavers(rng: Random, plans: list[Plan], end: int) -> None:
    for plan in plans:
        if plan.duplicate_of or plan.survives or rng.random() > 0.06:
            continue
        at = plan.registered + spread(rng, 2 * HOUR_MS, 40 * DAY_MS)
        if at < end:
            plan.leaves = at, rng.choice(_LEAVING)


def _life(plan: Plan, end: int) -> list[Event]:
    """Everything that happens to one client, in order."""
    rng = plan.rng
    registry = registry_events(plan, end)
    cashier = Cashier(rng, f"{plan.brand}:{plan.id}", plan.currency, end, plan.wealth)
    case = Case(rng, plan.registered, end)
    if plan.duplicate_of:
        cashier.deposits(plan.registered + spread(rng, 5 * _MINUTE, DAY_MS), plan.registered)
        return _until_left(plan, registry, [], cashier.events)
    if rng.random() < 0.24:  # never begins KYC; some try to pay at once
        if rng.random() < 0.25:
            cashier.deposits(plan.registered + spread(rng, _MINUTE, 2 * DAY_MS), None)
    else:
        case.tell()
        _pay(plan, case, cashier)
    cashier.afterwards()
    cashier.withdrawals()
    kyc = case.events
    approval = case.approval()
    if approval and rng.random() < 0.03:
        case.second_thought()
    elif approval and rng.random() < 0.08 and not plan.survives and not plan.leaves:
        change = reversal(rng, approval, _busy(cashier.events), end)
        if change:
            kyc.append(change)
            plan.leaves = change.at, "finally rejected"
    return _until_left(plan, registry, kyc, cashier.events)


def _busy(payments: list[Event]) -> list[int]:
    """When something happens at the cashier, or a first trade is due, which begins a task."""
    paid_in = [e.at for e in payments if e.name == "deposit_succeeded"]
    return [*(e.at for e in payments), *(when_open(at + HOUR_MS) for at in paid_in)]


def _afterlife(plan: Plan, events: list[Event], end: int, turns: int) -> list[Event]:
    """What the other systems know of a client: trading server, affiliates, helpdesk."""
    left = min(end, plan.leaves[0]) if plan.leaves else end
    payments = [e for e in events if "payment" in e.data]
    approved = (e.at for e in events if e.name == "kyc_approved")
    trader = Trader(plan.stream("trading"), plan, BRANDS[plan.brand].base_currency, left)
    trader.tell(payments, next(approved, None), end)
    helpdesk = Helpdesk(plan.stream("helpdesk"), plan, left)
    helpdesk.tell(events)
    if helpdesk.events and not _one_address(plan, events):
        plan.data["helpdesk_id"] = True  # the helpdesk knows the client id
    referral = Referral(plan.stream("affiliate"), plan, left, turns)
    if plan.data["source_type"] == "affiliate" and not plan.duplicate_of:
        funded = (e.at for e in payments if e.name == "deposit_succeeded")
        referral.tell(next(funded, None))
    return [*trader.events, *helpdesk.events, *referral.events]


def _one_address(plan: Plan, events: list[Event]) -> bool:
    """Whether an address alone leads to the client, all the time."""
    mine = bool(plan.data["email"]) and plan.data["verified"] and not plan.shared_email
    return mine and not any("email" in e.data for e in events if e.name == "profile_updated")


def _pay(plan: Plan, case: Case, cashier: Cashier) -> None:
    """Most who are approved try to deposit; some try before, and are sometimes turned away."""
    rng = plan.rng
    approval = case.approval()
    approved_at = approval.at if approval else None
    if rng.random() < 0.15:
        at = plan.registered + spread(rng, 3 * _MINUTE, 2 * DAY_MS)
        cashier.deposits(at, approved_at)
    elif approved_at is not None and rng.random() < 0.75:
        cashier.deposits(approved_at + spread(rng, 4 * _MINUTE, 6 * DAY_MS), approved_at)


def _until_left(
    plan: Plan, registry: list[Event], kyc: list[Event], payments: list[Event]
) -> list[Event]:
    """Who has left begins nothing more; payments opened before still end."""
    left = plan.leaves[0] if plan.leaves else None
    if left is not None:
        kyc = [e for e in kyc if e.at <= left]
        opened: dict[str, int] = {}
        for event in ordered(payments):
            opened.setdefault(event.data["payment"], event.at)
        payments = [e for e in payments if opened[e.data["payment"]] < left]
    return ordered([*registry, *kyc, *payments])


def _number(events: Iterable[Event], brand: str) -> None:
    """Give payments, refunds and disputes their numbers in the order of their creation."""
    found = [(e.data, e.data.get("id", e.data["payment"])) for e in _by_time(events)]
    numbers: dict[str, str] = {}
    for _, ref in found:
        if ref not in numbers:
            numbers[ref] = str(_FIRST_PAYMENT[brand] + len(numbers))
    for data, _ in found:
        _renumber(data, numbers)


def _by_time(events: Iterable[Event]) -> list[Event]:
    return ordered([e for e in events if "payment" in e.data])


def _renumber(data: Any, numbers: dict[str, str]) -> None:
    for name in ("payment", "id", "filing"):
        if name in data:
            data[name] = numbers[data[name]]


def _seen_more(plan: Plan, events: list[Event]) -> list[Event]:
    """When each event of the other systems can be seen; steps of a ticket keep their order."""
    rng = plan.stream("delays")
    prompt = {e.at for e in events if e.name in _PROMPT}
    shown: dict[str, int] = {}
    result = []
    for event in ordered(events):
        visible, name = event.at, event.name
        if name.startswith("ticket_"):
            visible += rng.randrange(60, _MAX_DELAY_S + 1) * 1000
            visible = max(visible, shown.get(event.data["ticket"], 0))
            shown[event.data["ticket"]] = visible
        elif name != "attributed" and event.at not in prompt and rng.random() < 0.12:
            visible += rng.randrange(5, _MAX_DELAY_S + 1) * 1000
        result.append(Event(event.at, name, event.data, visible))
    return result


def _seen(rng: Random, events: list[Event]) -> list[Event]:
    """Let some rows become visible late.

    A row's creation is never overtaken by its later steps; a step in between may be.
    """
    shown: dict[str, int] = {}
    result = []
    for event in events:
        family = event.name.partition("_")[0]
        row = event.data.get("id") or event.data.get("payment")
        key = row or ("kyc" if family == "kyc" else "row")
        begins = key not in shown
        visible = event.at
        if rng.random() < 0.12 and not (begins and family == "kyc"):
            visible += rng.randrange(5, _MAX_DELAY_S + 1) * 1000
        if begins or key in ("kyc", "row"):
            visible = shown[key] = max(visible, shown.get(key, 0))
        else:
            visible = max(visible, shown[key])
        result.append(Event(event.at, event.name, event.data, visible))
    return result
