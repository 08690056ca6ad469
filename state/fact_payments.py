"""The payments of the work list's clients: read once, and worked out once a payment.

What the words mean is settled in docs/decisions/0002-meaning.md. An attempt without an outcome
counts as failed 30 minutes after it was opened, as seen by the PSP's horizon (the moment up to
which it is complete).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, and_, bindparam, case, func, or_, select

from mapping.facts import ABANDONED_AFTER_MS
from state import schema
from state.fact_views import (
    AFTER_ANY,
    DIGITS,
    NUMBERED,
    View,
    is_one_of,
    number,
    of_mine,
    same,
    temporary,
)
from state.rules_elements import Hint

_ABANDONABLE = ("created", "pending_customer", "processing")
_SETTLED = ("paid", "rejected", "cancelled", "failed")
_THEN = "\x01"  # parts the id from the source in a name; sorts before what ids are made of

BACK = Table(
    "taken_back", temporary,
    Column("source", schema.Id, primary_key=True),
    Column("payment_id", schema.Id, primary_key=True),
    Column("amount", BigInteger), Column("base", BigInteger), Column("unknown", BigInteger),
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip
"""What went back of a payment: refunds, and disputes that are not won."""

_WORKED_OUT = (
    "deposit", "counted", "failed", "abandoned", "at", "ended_at", "settled_at", "abandons_at",
    "net_base",
)  # fmt: skip
_AS_STORED = (
    "opened_at", "base_minor", "fee_base_minor", "amount_minor", "status", "currency",
    "amount_text", "method", "psp", "decline", "kyc_blocked",
)  # fmt: skip
PAID = Table(
    "paid_row", temporary,
    number(), Column("name", schema.Id, primary_key=True),
    *[Column(n, BigInteger) for n in _WORKED_OUT],
    *[Column(n, schema.payment.c[n].type) for n in _AS_STORED],
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip
"""The payments of the work list's clients of one brand.

``name`` is the id and the source, and sorts like the pair; ``at`` is when the payment first reached
the status it is in; yes and no are 1 and 0. What several facts ask of a payment is worked out when
it is read: in each of dozens of aggregates, an engine would work it out anew.
"""


def paid_rows() -> sa.Select[Any]:
    """Fill :data:`PAID`."""
    here, p, back = NUMBERED, schema.payment, BACK
    taken = and_(back.c.source == p.c.source, back.c.payment_id == p.c.external_id)
    values: dict[str, Any] = {n: p.c[n] for n in _AS_STORED}
    values |= {"nr": here.c.nr, "name": p.c.external_id + _THEN + p.c.source}
    values |= _worked_out(p.c, back.c)
    return (
        select(*[values[c.name] for c in PAID.columns])
        .select_from(here.join(p, of_mine(p)).outerjoin(back, taken))
        .where(p.c.deleted == 0)
    )


def _worked_out(p: Any, back: Any) -> dict[str, Any]:
    """Conditions begin with what most payments do not meet: engines ask them in order."""
    horizon = bindparam("psp_horizon", type_=BigInteger)
    deposit, opens = p.direction == "deposit", is_one_of(p.status, _ABANDONABLE)
    abandons_at = p.opened_at + ABANDONED_AFTER_MS
    unsuccessful = p.status != "succeeded"
    abandoned = and_(unsuccessful, deposit, opens, abandons_at <= horizon)
    fails = is_one_of(p.status, ("failed", "cancelled"))
    ended = and_(deposit, is_one_of(p.status, ("succeeded", "failed", "cancelled")))
    left = func.coalesce(back.amount, 0) < p.amount_minor
    taken_base = case((back.unknown > 0, None), else_=func.coalesce(back.base, 0))
    return {
        "deposit": _yes(deposit),
        "counted": _yes(and_(deposit, p.status == "succeeded", left)),
        "failed": _yes(and_(unsuccessful, deposit, or_(fails, abandoned))),
        "abandoned": _yes(abandoned),
        "at": p.reached_at,
        "ended_at": case((ended, p.reached_at), (abandoned, abandons_at)),
        "settled_at": case((and_(~deposit, is_one_of(p.status, _SETTLED)), p.reached_at)),
        "abandons_at": case((and_(abandons_at > horizon, deposit, opens), abandons_at)),
        "net_base": p.base_minor - taken_base,
    }


def _yes(condition: Any) -> Any:
    return case((condition, 1), else_=0)


def deposit(p: Any) -> View:
    """Deposits."""
    counted, failed = p.c.counted == 1, p.c.failed == 1
    outcome = case((p.c.status == "succeeded", "succeeded"), (failed, "failed"))
    values = {**dict(p.c), "status_at": p.c.at, "outcome": outcome}
    return View(values, {"failed": failed, "counted": counted}, p.c.deposit == 1)


def withdrawal(p: Any) -> View:
    """Withdrawals."""
    flags = {"open": p.c.settled_at.is_(None), "paid": p.c.status == "paid"}
    return View({**dict(p.c), "status_at": p.c.at}, flags, p.c.deposit == 0)


def key(p: Any, at: Any) -> Any:
    """An instant and, at a tie, the name, as one text that sorts like the pair; blank without."""
    return sa.cast(at + AFTER_ANY, sa.Text) + p.c.name


def name_of(key_: Any) -> Any:
    """The name of the payment of a key."""
    return func.substr(key_, DIGITS + 1)


def keyed(paid: sa.FromClause, key_: Any, p: Any, among: Any) -> Any:
    """The payment of a key, which is one of some: PostgreSQL need not hash the others."""
    return and_(same(p, paid), p.c.name == name_of(key_), Hint(among))
