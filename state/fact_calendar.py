"""Facts that no statement can work out: market hours.

They are worked out in Python for the clients they concern: funded ones without a trade.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, func, select
from sqlalchemy.engine import Connection

from mapping.market import FIRST_TRADE_HOURS, WINDOW_HOURS, Market
from state import staging
from state.fact_views import number, same, temporary

_NAMES = ("first_trade_due_at", "trade_window_ends_at")


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
    number(), *[Column(n, BigInteger) for n in _NAMES],
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""The facts, of clients that have one."""


def fill(
    connection: Connection, figures: Figures, paid: Table, days: Table | None = None
) -> None:  # fmt: skip
    """Work them out for the work list's clients of the brand that is computed.

    Args:
        paid: what is known of the clients' payments together.
        days: what is known of their trading, empty without records of any; None: ``paid`` tells it.
    """
    waiting = connection.execute(_waiting(paid, days)) if figures.trading else ()
    after = figures.market.after
    rows = [(c, after(at, FIRST_TRADE_HOURS), after(at, WINDOW_HOURS)) for c, at in waiting]
    staging.fill(connection, CALENDAR, rows)


@cache
def _waiting(paid: Table, days: Table | None) -> sa.Select[Any]:
    """Funded clients without a trade."""
    traded = func.coalesce((paid if days is None else days).c.trading_days, 0)
    return (
        select(paid.c.nr, paid.c.first_deposit_at)
        .select_from(paid if days is None else paid.outerjoin(days, same(days, paid)))
        .where(paid.c.first_deposit_at.is_not(None), traded == 0)
    )
