"""Facts that no statement can work out: market hours, and the crossing into high value.

They are worked out in Python for the few clients they concern: funded ones without a trade, and
those whose net deposits are high.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, and_, bindparam, func, or_, select
from sqlalchemy.engine import Connection

from mapping.market import FIRST_TRADE_HOURS, WINDOW_HOURS, Market, crossed
from state import schema, staging
from state.fact_payments import PAID
from state.fact_views import same, temporary

_NAMES = ("first_trade_due_at", "trade_window_ends_at", "high_value_at")


@dataclass(frozen=True, slots=True)
class Figures:
    """What of a brand's policy facts depend on.

    ``high_value`` is in minor units of its base; without ``trading`` nobody lacks a trade.
    """

    market: Market = field(default_factory=Market)
    high_value: int = 10_000_00
    trading: bool = True


CALENDAR = Table(
    "side_calendar", temporary,
    Column("client_id", schema.Id, primary_key=True),
    *[Column(n, BigInteger) for n in _NAMES],
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip
"""The facts, of clients that have one."""


def fill(connection: Connection, figures: Figures, paid: Table, days: Table) -> None:
    """Work them out for the work list's clients of the brand that is computed.

    Args:
        paid: what is known of the clients' payments together.
        days: what is known of their trading; empty without records of any.
    """
    found: dict[str, list[int | None]] = {}
    if figures.trading:
        for client_id, funded_at in connection.execute(_waiting(paid, days)):
            after = figures.market.after
            ends = after(funded_at, FIRST_TRADE_HOURS), after(funded_at, WINDOW_HOURS)
            found[client_id] = [*ends, None]
    steps = connection.execute(_steps(paid), {"threshold": figures.high_value}).all()
    for client_id, own in groupby(steps, key=itemgetter(0)):
        at = crossed(((at, by) for _, at, by in own), figures.high_value)
        found.setdefault(client_id, [None, None, None])[2] = at
    staging.fill(connection, CALENDAR, [(c, *own) for c, own in found.items()])


@cache
def _waiting(paid: Table, days: Table) -> sa.Select[Any]:
    """Funded clients without a trade."""
    return (
        select(paid.c.client_id, paid.c.first_deposit_at)
        .select_from(paid.outerjoin(days, same(days, paid)))
        .where(paid.c.first_deposit_at.is_not(None), func.coalesce(days.c.trading_days, 0) == 0)
    )


@cache
def _steps(paid: Table) -> sa.Select[Any]:
    """(client, when, by how much) its net deposits changed: counted deposits, paid withdrawals.

    Of clients whose net deposits are high.
    """
    p, threshold = PAID, bindparam("threshold", type_=sa.BigInteger)
    counted, settled = p.c.counted == 1, and_(p.c.deposit == 0, p.c.status == "paid")
    by = sa.case((counted, p.c.net_base), else_=-p.c.base_minor)
    high = paid.c.total_deposits - paid.c.total_withdrawals >= threshold
    here = select(paid.c.client_id).where(high).cte("high")
    here = here.prefix_with("MATERIALIZED")
    # Said like this, PostgreSQL does not take it for rare, and compare each with all of `here`.
    matters = sa.case((or_(counted, settled), p.c.at)).is_not(None)
    return (
        select(p.c.client_id, p.c.at, by)
        .select_from(here.join(p, same(p, here)))
        .where(matters)
        .order_by(p.c.client_id, p.c.at, p.c.deposit.desc(), p.c.name)
    )
