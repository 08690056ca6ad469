"""What of a client's payments is known only once they are added up: the second deposit that
counts, and the crossing of net deposits into high value. One row a client that has it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, and_, bindparam, case, func, or_, select

from state.fact_payments import PAID, name_of
from state.fact_views import number, same, temporary

SECOND = Table(
    "side_second", temporary,
    number(), Column("at", BigInteger),
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""When the earliest of a client's counted deposits but the first succeeded. Of two it is the last,
and known without looking."""

HIGH = Table(
    "side_high", temporary,
    number(), Column("high_value_at", BigInteger),
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""When net deposits last rose from below the brand's threshold to it, of those that are there."""


def seconds(paid: Table) -> sa.Select[Any]:
    """Fill :data:`SECOND`.

    Args:
        paid: what is known of the clients' payments together.
    """
    several, p = _those(paid, paid.c.deposits > 2, "several", paid.c.first_success), PAID
    later = and_(p.c.counted == 1, p.c.name != name_of(several.c.first_success))
    return (
        select(p.c.nr, func.min(p.c.at))
        .select_from(several.join(p, same(p, several)))
        .where(later)
        .group_by(p.c.nr)
    )


def crossings(paid: Table) -> sa.Select[Any]:
    """Fill :data:`HIGH`: counted deposits and paid withdrawals, added up in order."""
    p, threshold = PAID, bindparam("high_value", type_=BigInteger)
    counted, settled = p.c.counted == 1, and_(p.c.deposit == 0, p.c.status == "paid")
    by = case((counted, p.c.net_base), else_=-p.c.base_minor)
    high = paid.c.total_deposits - paid.c.total_withdrawals >= threshold
    rich = _those(paid, high, "rich")
    # Said like this, PostgreSQL does not take it for rare, and compare each with all of the rich.
    matters = case((or_(counted, settled), p.c.at)).is_not(None)
    order = [p.c.at, p.c.deposit.desc(), p.c.name]
    total = func.sum(by).over(partition_by=p.c.nr, order_by=order, rows=(None, 0))
    steps = (
        select(p.c.nr, p.c.at, by.label("by"), total.label("total"))
        .select_from(rich.join(p, same(p, rich)))
        .where(matters)
        .subquery("steps")
    ).c
    rises = and_(steps.total >= threshold, steps.total - steps.by < threshold)
    return select(steps.nr, func.max(steps.at).filter(rises)).group_by(steps.nr)


def _those(paid: Table, are: Any, name: str, *also: Any) -> sa.CTE:
    """Materialized, as :func:`state.fact_views.listed`."""
    return select(paid.c.nr, *also).where(are).cte(name).prefix_with("MATERIALIZED")
