"""The facts of trading, bookings, affiliates, risk and the helpdesk: see :mod:`mapping.facts`.

Meanings: docs/decisions/0015-meaning-of-all-sources.md.
"""

from __future__ import annotations

from mapping.fact import FactDef, define
from mapping.rules import FactType
from mapping.words import PayoutPlan

_T, _C, _M, _B, _L = (
    FactType.TIME, FactType.COUNT, FactType.MONEY, FactType.BOOL, FactType.LOTS,
)  # fmt: skip
_X, _E = FactType.TEXT, FactType.ENUM
WINDOW_MS = 90 * 86_400_000
"""How far back the figures of "90 days" look (domain §2, bonus-heavy)."""
TICKETS, TICKET_DAYS_MS = 4, 30 * 86_400_000
"""How many tickets, within how long, are a high support load (domain §4, CS16)."""


def trading() -> list[FactDef]:
    """Accounts, trades, balances."""
    day = "trading_day"
    return [
        define(
            "trading_accounts", _C, "trading", ("account", "count", "", ("live",)),
            "real and cent accounts", default=0,
        ),
        define(
            "trading_days", _C, "trading", (day, "distinct", "day"), "days with a trade", default=0
        ),
        define("first_trade_at", _T, "trading", (day, "min", "first_at"), "first trade"),
        define("last_trade_at", _T, "trading", (day, "max", "last_at"), "latest trade"),
        define(
            "last_trade_group", _X, "trading", (day, "latest", "top_group@last_at"),
            "what was traded most on the latest day", default="",
        ),
        define("volume", _L, "trading", (day, "sum", "lots"), "lots traded", default=0),
        define(
            "trading_revenue", _M, "trading", (day, "sum", "revenue_base"),
            "commission and swap that the client paid, base currency",
        ),
        define(
            "open_positions", _C, "trading", ("balance", "sum", "open_positions"),
            "positions open at the latest look", default=0,
        ),
        define(
            "balance", _M, "trading", ("balance", "sum", "balance_base"),
            "what the accounts hold, base currency",
        ),
        define(
            "first_trade_due_at", _T, "trading", ("calendar", "one", "first_trade_due_at"),
            "one market hour after the first deposit, while there is no trade",
        ),
        define(
            "trade_window_ends_at", _T, "trading", ("calendar", "one", "trade_window_ends_at"),
            "end of the trade window, while there is no trade",
        ),
        define(
            "high_value_at", _T, "psp", ("crossing", "one", "high_value_at"),
            "when net deposits last rose to the brand's high value, while they are there",
        ),
    ]  # fmt: skip


def ledger() -> list[FactDef]:
    """What the trading server booked."""
    granted, bonus = ("bonus", "granted"), ("bonus",)
    return [
        define(
            "bonuses", _C, "ledger", ("ledger", "count", "", granted), "bonuses granted", default=0
        ),
        define(
            "bonus_used", _M, "ledger", ("ledger", "sum", "base_minor", bonus),
            "bonuses less what was taken back, base currency",
        ),
        define("last_bonus_at", _T, "ledger", ("ledger", "max", "at", granted), "latest bonus"),
        define(
            "bonuses_90d", _C, "ledger", ("ledger", "count", "", (*granted, "recent")),
            "bonuses of the last 90 days", default=0,
        ),
        define(
            "bonus_cost_90d", _M, "ledger", ("ledger", "sum", "base_minor", (*bonus, "recent")),
            "their cost, base currency",
        ),
        define(
            "trading_revenue_90d", _M, "trading",
            ("trading_day", "sum", "revenue_base", ("recent",)),
            "trading revenue of the last 90 days, base currency",
        ),
        define(
            "payment_fees_90d", _M, "psp", ("fee", "sum", "base_minor", ("recent",)),
            "PSP fees of the last 90 days, base currency",
        ),
        define(
            "uncredited_at", _T, "ledger", ("uncredited", "min", "at"),
            "earliest deposit that was paid and not booked on an account",
        ),
        define(
            "unpaid_credit_at", _T, "psp", ("unpaid", "min", "at"),
            "earliest deposit booked on an account without a payment",
        ),
    ]  # fmt: skip


def affiliates() -> list[FactDef]:
    """Attribution, payouts, the partner."""
    first = ("first",)
    plans = ("unknown", *(member.value for member in PayoutPlan))
    return [
        define(
            "affiliate_id", _X, "affiliate", ("touch", "max", "affiliate_id", first),
            "first-touch affiliate", default="",
        ),
        define(
            "sub_id", _X, "affiliate", ("touch", "max", "sub_id", first), "its sub-id", default=""
        ),
        define("attributed_at", _T, "affiliate", ("touch", "max", "at", first), "when it was"),
        define(
            "attribution_conflict", _B, "affiliate", ("touch", "any", "", ("other",)),
            "another affiliate was named later", default=0,
        ),
        define(
            "partner_plan", _E, "affiliate", ("touch", "max", "plan", first),
            "how the first-touch affiliate is paid", default="unknown", values=plans,
        ),
        define(
            "partner_status", _X, "affiliate", ("touch", "max", "status", first),
            "where the first-touch affiliate stands", default="",
        ),
        define(
            "partner_payouts", _M, "affiliate", ("payout", "sum", "base_minor"),
            "what partners get for the client, base currency",
        ),
        define(
            "payouts_disputed", _C, "affiliate", ("payout", "count", "", ("disputed",)),
            "payouts in dispute", default=0,
        ),
        define(
            "payout_dispute_at", _T, "affiliate", ("payout", "min", "at", ("disputed",)),
            "the earliest of them",
        ),
    ]  # fmt: skip


def risk() -> list[FactDef]:
    """Doubts, whoever raised them: without any source there are none."""
    return [
        define(
            "open_risk_flags", _C, "registry", ("flag", "count", "", ("open",)), "open risk flags",
            default=0,
        ),
        define(
            "risk_flag_at", _T, "registry", ("flag", "min", "open_at", ("open",)),
            "the earliest open one",
        ),
        define(
            "suspicious", _B, "affiliate", ("flag", "any", "", ("open", "behaviour")),
            "an open flag about behaviour, bonuses or exposure", default=0,
        ),
        define(
            "duplicate_flag", _B, "registry", ("flag", "any", "", ("open", "duplicate")),
            "an open flag about a duplicate", default=0,
        ),
        define(
            "possible_duplicates", _C, "registry", ("mate", "count", ""),
            "other clients of the brand with the same e-mail address", default=0,
        ),
    ]  # fmt: skip


def helpdesk() -> list[FactDef]:
    """Tickets."""
    return [
        define("tickets", _C, "helpdesk", ("ticket", "count", ""), "tickets", default=0),
        define(
            "tickets_open", _C, "helpdesk", ("ticket", "count", "", ("unresolved",)),
            "tickets not resolved", default=0,
        ),
        define(
            "complaints_open", _C, "helpdesk", ("ticket", "count", "", ("unresolved", "complaint")),
            "complaints not resolved", default=0,
        ),
        define("last_ticket_at", _T, "helpdesk", ("ticket", "max", "opened_at"), "latest ticket"),
        define(
            "last_ticket_category", _X, "helpdesk", ("ticket", "latest", "category@opened_at"),
            "what it is about", default="",
        ),
        define(
            "fourth_last_ticket_at", _T, "helpdesk",
            ("ticket", "max", "opened_at", ("fourth_last",)),
            "the fourth-latest ticket",
        ),
        define(
            "support_load_at", _T, "helpdesk", ("ticket", "max", "opened_at", ("begins_load",)),
            "when a run of four tickets within 30 days last began",
        ),
    ]  # fmt: skip


def meaningful() -> list[FactDef]:
    """What is taken from several families, whichever are connected."""
    return [
        define(
            "last_meaningful_at", _T, "trading", ("meaningful", "one", "last_meaningful_at"),
            "last meaningful event of the sources that are connected",
        ),
    ]  # fmt: skip
