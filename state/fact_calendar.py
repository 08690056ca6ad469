"""Facts that no statement can work out: market hours, and the crossing into high value.

They are worked out in Python for the few clients they concern: funded ones without a trade, and
those whose net deposits are high.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.engine import Connection

from mapping.market import FIRST_TRADE_HOURS, WINDOW_HOURS, Market, crossed
from state import schema
from state.fact_views import PAID, listed, same, work


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
    steps = connection.execute(_steps(), {"b": brand, "threshold": threshold}).all()
    rows = [
        {"b": brand, "c": client_id,
         "high_value_at": crossed(((at, by) for _, at, by in own), threshold)}
        for client_id, own in groupby(steps, key=itemgetter(0))
    ]  # fmt: skip
    _update(connection, rows, "high_value_at")


@cache
def _waiting() -> sa.Select[Any]:
    """Funded clients without a trade."""
    f = schema.fact
    funded = f.c.first_deposit_at.is_not(None)
    return _of_brand(f.c.client_id, f.c.first_deposit_at).where(funded, f.c.trading_days == 0)


def _of_brand(*columns: Any) -> sa.Select[Any]:
    f, here = schema.fact, listed(work.c.brand == bindparam("b"))
    return select(*columns).select_from(here.join(f, same(f, here)))


@cache
def _steps() -> sa.Select[Any]:
    """(client, when, by how much) its net deposits changed: counted deposits, paid withdrawals.

    Of clients whose net deposits are high.
    """
    f, p = schema.fact, PAID
    deposit = and_(
        p.c.direction == "deposit", p.c.status == "succeeded", p.c.back_amount < p.c.amount_minor
    )
    paid = and_(p.c.direction == "withdrawal", p.c.status == "paid")
    by = sa.case((deposit, p.c.base_minor - p.c.back_base), else_=-p.c.base_minor)
    high = f.c.total_deposits - f.c.total_withdrawals >= bindparam("threshold", type_=sa.BigInteger)
    here = listed(work.c.brand == bindparam("b"))
    return (
        select(p.c.client_id, p.c.at, by)
        .select_from(here.join(f, same(f, here)).join(p, same(p, here)))
        .where(high, or_(deposit, paid))
        .order_by(p.c.client_id, p.c.at, p.c.direction, p.c.external_id)
    )


def _update(connection: Connection, rows: Iterable[dict[str, Any]], *names: str) -> None:
    f, found = schema.fact, list(rows)
    if found:
        statement = sa.update(f).where(f.c.brand == bindparam("b"), f.c.client_id == bindparam("c"))
        connection.execute(statement.values({n: bindparam(n) for n in names}), found)
