"""What each kind of record is in the database: its current table, its row, what it reached.

A kind is added here, in :mod:`mapping.payloads` and in :mod:`state.schema`; intake knows no kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Table, literal

from mapping.money import Money
from mapping.payloads import (
    Attribution,
    Balance,
    KycCase,
    LedgerEntry,
    Link,
    Movement,
    Partner,
    Payment,
    Payout,
    Profile,
    RiskFlag,
    Ticket,
    TradingAccount,
    TradingDay,
)
from mapping.records import Record
from mapping.words import Disposition, Kind, KycStatus
from state import schema

Price = Callable[[str, Money, Money | None, int], int | None]
"""(brand, amount, the vendor's base amount, event ms) -> minor units of the brand's base."""
Row = Callable[[Any, Record, Price], tuple[Any, ...]]
Reached = Callable[[Table], list[tuple[Any, ...]]]


def _nothing(stage: Table) -> list[tuple[Any, ...]]:
    del stage
    return []


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind.

    Args:
        table: its current records; the columns behind the envelope are what ``row`` makes.
        row: (payload, record, price) -> values of the table's own columns, in their order.
        reached: stage -> what a staged row says was reached: (external id, attempt, status, when).
    """

    table: Table
    row: Row
    reached: Reached = _nothing


def _profile(p: Profile, record: Record, price: Price) -> tuple[Any, ...]:
    del price
    email = p.email.strip().lower()
    disposition = Disposition.CLOSED if record.deleted else p.disposition
    return (
        p.registered_at, p.entity, p.email, email, int(p.email_verified), p.first_name,
        p.last_name, p.phone, p.country, p.language, p.zone, p.device, p.landing_page,
        p.source_type, p.campaign, p.consents, disposition.value, p.merged_into,
    )  # fmt: skip


def _kyc(k: KycCase, record: Record, price: Price) -> tuple[Any, ...]:
    del price
    status_at = record.version_at if k.status_at is None else k.status_at
    return (
        k.status.value, k.attempt, k.started_at, k.step_at, status_at, k.level, k.reason.value,
        k.reason_code, k.gap, k.client_text, k.waiting_for,
    )  # fmt: skip


def _payment(p: Payment, record: Record, price: Price) -> tuple[Any, ...]:
    amount, fee, brand = p.amount, p.fee, record.brand
    base = price(brand, amount, p.base, p.opened_at)
    fee_base = price(brand, fee, None, p.opened_at) if fee else 0
    return (
        str(p.direction), str(p.status), p.attempt, amount.minor, amount.currency, str(amount),
        base, fee.minor if fee else None, fee.currency if fee else "", fee_base, p.opened_at,
        p.status_at, p.method, p.psp, p.decline_code, str(p.decline), int(p.kyc_blocked),
        p.vendor_status, p.country,
    )  # fmt: skip


def _movement(m: Movement, record: Record, price: Price) -> tuple[Any, ...]:
    base = price(record.brand, m.amount, m.base, m.at)
    return (
        m.movement.value, m.status.value, m.payment_id, m.amount.minor, m.amount.currency, base,
        m.at,
    )  # fmt: skip


def _link(found: Link, record: Record, price: Price) -> tuple[Any, ...]:
    del record, price
    return (found.name_kind, found.name)


def _account(a: TradingAccount, record: Record, price: Price) -> tuple[Any, ...]:
    del record, price
    return (
        a.account_class.value, a.currency, a.group, a.leverage, a.registered_at, int(a.enabled),
        a.agent,
    )  # fmt: skip


def _day(d: TradingDay, record: Record, price: Price) -> tuple[Any, ...]:
    brand, at = record.brand, d.first_at
    profit = price(brand, d.profit, None, at)
    # What the client paid is what the broker earned.
    cost = Money(-d.commission.minor - d.swap.minor, d.commission.currency)
    return (
        d.day, d.first_at, d.last_at, d.opened, d.closed, d.lots, d.profit.currency,
        d.profit.minor, d.commission.minor, d.swap.minor, profit, price(brand, cost, None, at),
        d.groups, d.groups.partition(":")[0],
    )  # fmt: skip


def _ledger(e: LedgerEntry, record: Record, price: Price) -> tuple[Any, ...]:
    base = price(record.brand, e.amount, None, e.at)
    return (
        e.entry.value, record.ref.value, e.amount.minor, e.amount.currency, base, e.at, e.rule,
    )  # fmt: skip


def _balance(b: Balance, record: Record, price: Price) -> tuple[Any, ...]:
    base = price(record.brand, b.balance, None, record.version_at)
    return (b.balance.currency, b.balance.minor, b.credit.minor, base, b.open_positions)


def _attribution(a: Attribution, record: Record, price: Price) -> tuple[Any, ...]:
    del record, price
    return (
        a.affiliate_id, a.sub_id, a.campaign, a.landing_page, a.country, a.device, a.at,
    )  # fmt: skip


def _payout(p: Payout, record: Record, price: Price) -> tuple[Any, ...]:
    base = price(record.brand, p.amount, None, p.at)
    return (
        p.affiliate_id, p.plan.value, p.status.value, p.amount.minor, p.amount.currency, base, p.at,
    )  # fmt: skip


def _partner(p: Partner, record: Record, price: Price) -> tuple[Any, ...]:
    del record, price
    return (p.name, p.plan.value, p.status, p.country, p.registered_at)


def _flag(f: RiskFlag, record: Record, price: Price) -> tuple[Any, ...]:
    del price
    at = record.version_at if f.at is None else f.at
    return (f.risk.value, int(f.open), at, f.reason)


def _ticket(t: Ticket, record: Record, price: Price) -> tuple[Any, ...]:
    del record, price
    return (
        t.status.value, t.category.value, int(t.complaint), t.opened_at, t.updated_at, t.solved_at,
        t.reopens, "" if t.priority is None else t.priority.value, t.rule,
    )  # fmt: skip


# --- what was reached ----------------------------------------------------------------------------


def _profile_reached(stage: Table) -> list[tuple[Any, ...]]:
    # Client ids repeat across brands of one registry; other vendors' ids do not.
    s = stage.c
    return [(s.brand + ":" + s.external_id, literal(0), s.disposition, s.version_at)]


def _kyc_reached(stage: Table) -> list[tuple[Any, ...]]:
    s = stage.c
    started = literal(KycStatus.STARTED.value)
    return [
        (s.external_id, s.attempt, started, s.step_at),
        (s.external_id, s.attempt, s.status, s.status_at),
    ]


def _payment_reached(stage: Table) -> list[tuple[Any, ...]]:
    s = stage.c
    return [(s.external_id, s.attempt, s.status, s.status_at)]


def _movement_reached(stage: Table) -> list[tuple[Any, ...]]:
    s = stage.c
    return [(s.external_id, literal(0), s.status, s.at)]


def _attribution_reached(stage: Table) -> list[tuple[Any, ...]]:
    """When the affiliate was first seen: the earliest one is the first touch, for ever."""
    s = stage.c
    return [(s.external_id, literal(0), literal("attributed"), s.version_at)]


def _flag_reached(stage: Table) -> list[tuple[Any, ...]]:
    s = stage.c
    return [(s.external_id, literal(0), sa.case((s.open == 1, "open"), else_="cleared"), s.at)]


SPECS: dict[Kind, KindSpec] = {
    Kind.PROFILE: KindSpec(schema.client, _profile, _profile_reached),
    Kind.LINK: KindSpec(schema.link, _link),
    Kind.TRADING_ACCOUNT: KindSpec(schema.trading_account, _account),
    Kind.KYC_CASE: KindSpec(schema.kyc_case, _kyc, _kyc_reached),
    Kind.PAYMENT: KindSpec(schema.payment, _payment, _payment_reached),
    Kind.MOVEMENT: KindSpec(schema.movement, _movement, _movement_reached),
    Kind.TRADING_DAY: KindSpec(schema.trading_day, _day),
    Kind.LEDGER_ENTRY: KindSpec(schema.ledger_entry, _ledger),
    Kind.BALANCE: KindSpec(schema.balance, _balance),
    Kind.ATTRIBUTION: KindSpec(schema.attribution, _attribution, _attribution_reached),
    Kind.PAYOUT: KindSpec(schema.payout, _payout),
    Kind.PARTNER: KindSpec(schema.partner, _partner),
    Kind.RISK_FLAG: KindSpec(schema.risk_flag, _flag, _flag_reached),
    Kind.TICKET: KindSpec(schema.ticket, _ticket),
}
NAMES: dict[Kind, Callable[[Any], tuple[Any, Any]]] = {
    Kind.LINK: lambda c: (c.name_kind, c.name),
    Kind.TRADING_ACCOUNT: lambda c: (literal("login"), c.external_id),
}
"""Kinds whose records name their client for others: columns -> (kind of the name, name)."""
