"""Facts that no statement can work out: market hours, and the crossing into high value.

They are worked out in Python for the few clients they concern: funded ones without a trade, and
those whose net deposits are high.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.engine import Connection

from mapping.market import FIRST_TRADE_HOURS, WINDOW_HOURS, Market, crossed
from state import schema
from state.fact_views import BACK, listed, reached, same, taken_from, work


@dataclass(frozen=True, slots=True)
class Figures:
    """What of a brand's policy facts depend on.

    ``high_value`` is in minor units of its base; without ``trading`` nobody lacks a trade.
    """

    market: Market = field(default_factory=Market)
    high_value: int = 10_000_00
    trading: bool = True


def fill(connection: Connection, brand: str, figures: Figures) -> None:
    """Work them out for the work list's clients of a brand, whose other facts are there."""
    if figures.trading:
        _windows(connection, brand, figures.market)
    _crossings(connection, brand, figures.high_value)


def _windows(connection: Connection, brand: str, market: Market) -> None:
    found = connection.execute(_waiting(), {"b": brand})
    _update(
        connection,
        [
            {
                "b": brand,
                "c": client_id,
                "first_trade_due_at": market.after(funded_at, FIRST_TRADE_HOURS),
                "trade_window_ends_at": market.after(funded_at, WINDOW_HOURS),
            }
            for client_id, funded_at in found
        ],
        "first_trade_due_at",
        "trade_window_ends_at",
    )


def _crossings(connection: Connection, brand: str, threshold: int) -> None:
    ids = list(connection.scalars(_high(), {"b": brand, "threshold": threshold}))
    rows: list[dict[str, Any]] = []
    for n in range(0, len(ids), 500):
        steps = connection.execute(_steps(brand, ids[n : n + 500]))
        for client_id, own in groupby(steps, key=lambda row: row[0]):
            at = crossed(((row[1], row[2]) for row in own), threshold)
            rows.append({"b": brand, "c": client_id, "high_value_at": at})
    _update(connection, rows, "high_value_at")


@cache
def _waiting() -> sa.Select[Any]:
    """Funded clients without a trade."""
    f = schema.fact
    funded = f.c.first_deposit_at.is_not(None)
    return _of_brand(f.c.client_id, f.c.first_deposit_at).where(funded, f.c.trading_days == 0)


@cache
def _high() -> sa.Select[Any]:
    """Clients whose net deposits are high."""
    f = schema.fact
    net = f.c.total_deposits - f.c.total_withdrawals
    return _of_brand(f.c.client_id).where(net >= bindparam("threshold", type_=sa.BigInteger))


def _of_brand(*columns: Any) -> sa.Select[Any]:
    f, here = schema.fact, listed(work.c.brand == bindparam("b"))
    return select(*columns).select_from(here.join(f, same(f, here)))


def _steps(brand: str, ids: list[str]) -> sa.Select[Any]:
    """(client, when, by how much) its net deposits changed: counted deposits, paid withdrawals."""
    p, m, back = schema.payment, schema.milestone, BACK
    at = func.coalesce(m.c.first_at, p.c.status_at)
    deposit = and_(
        p.c.direction == "deposit", p.c.status == "succeeded",
        func.coalesce(back.c.amount, 0) < p.c.amount_minor,
    )  # fmt: skip
    paid = and_(p.c.direction == "withdrawal", p.c.status == "paid")
    by = sa.case((deposit, p.c.base_minor - func.coalesce(back.c.base, 0)), else_=-p.c.base_minor)
    return (
        select(p.c.client_id, at, by)
        .select_from(
            p.outerjoin(m, reached(p)).outerjoin(back, taken_from(p))
        )
        .where(
            p.c.brand == brand, p.c.client_id.in_(ids), p.c.deleted == 0, or_(deposit, paid)
        )
        .order_by(p.c.client_id, at, p.c.direction, p.c.external_id)
    )  # fmt: skip


def _update(connection: Connection, rows: Iterable[dict[str, Any]], *names: str) -> None:
    f, found = schema.fact, list(rows)
    if found:
        statement = sa.update(f).where(f.c.brand == bindparam("b"), f.c.client_id == bindparam("c"))
        connection.execute(statement.values({n: bindparam(n) for n in names}), found)
