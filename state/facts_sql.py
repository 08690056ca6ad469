"""Facts, computed set-based for exactly the clients of a work list.

The catalogue in :mod:`mapping.facts` says which column of which *view*, aggregated how, is a fact;
a view here is what the catalogue's names mean over the rows of one scan. What the words mean is
settled in docs/decisions/0002-meaning.md. An attempt without an outcome counts as failed 30 minutes
after it was opened, as seen by the PSP's horizon (the moment up to which it is complete);
``facts_due_at`` is the next such moment.

A client's payments are read once, into a small table, and what is wanted of them is worked out
there: the work list stands to the left of outer joins, which no engine reorders, and its key is
what is grouped by, so nothing is sorted. The same scan finds the *keys* of the few payments of
which more is wanted - the last that ended, the first counted - and these are looked up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Table, and_, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from mapping.fact import FactDef
from mapping.facts import CATALOGUE
from mapping.facts_more import WINDOW_MS
from state import fact_calendar, fact_sides, schema, statistics
from state.fact_calendar import CALENDAR, Figures
from state.fact_payments import BACK, PAID, deposit, filling_paid, key, keyed, withdrawal
from state.fact_sides import BY_VIEW, SIDES
from state.fact_views import (
    BRAND,
    Side,
    View,
    aggregates,
    is_one_of,
    mine,
    near,
    of,
    same,
    span,
    temporary,
    work,
)
from state.rules_elements import Greatest, Least
from state.schema import NEVER
from state.staging import fresh

_PAYMENTS = ("deposit", "withdrawal", "fee")  # views over payments
_paid_facts = Table(
    "paid_facts", temporary,
    Column("client_id", schema.Id, primary_key=True),
    *[Column(d.name, BigInteger) for v in _PAYMENTS for d in of(v)],
    Column("abandons_at", BigInteger), Column("fees_leave_at", BigInteger),
    *[Column(n, schema.Id) for n in ("last_end", "first_success", "first_request")],
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip
_MOVED = ("taken", "dispute")  # views over movements
_moved_facts = Table(
    "moved_facts", temporary,
    Column("client_id", schema.Id, primary_key=True),
    *[Column(d.name, BigInteger) for v in _MOVED for d in CATALOGUE if d.view == v],
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip


def compute(connection: Connection, brand: str, psp_horizon: int, figures: Figures) -> None:
    """Compute the facts of a brand's clients on the work list and store them.

    Args:
        psp_horizon: ms; the brand's payments are known to be complete up to here.
        figures: what of the brand's policy facts depend on.
    """
    values = {"psp_horizon": psp_horizon, **span(connection, brand)}
    with statistics.planned_anew(connection, by_range=values["work_dense"]):
        _compute(connection, brand, values, figures)


def _compute(
    connection: Connection, brand: str, values: Mapping[str, Any], figures: Figures
) -> None:
    _fill_payments(connection, values)
    used = tuple(one for one in SIDES if one.used(connection, brand))
    for one in SIDES:
        if one in used:
            one.fill(connection, values)
        elif one.read:
            fresh(connection, one.table)
    fact_calendar.fill(connection, figures, _paid_facts, BY_VIEW["trading_day"].table)
    connection.execute(_statement(connection.dialect.name, used), values)


@lru_cache(maxsize=16)
def _statement(dialect: str, used: tuple[Side, ...]) -> Any:
    """The statement for a brand that has records of these sides."""
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(schema.fact)
    names = ["brand", "client_id", *(d.name for d in CATALOGUE), "facts_due_at"]
    insert = insert.from_select(names, _facts(used))
    values = {n: insert.excluded[n] for n in names[2:]}
    return insert.on_conflict_do_update(index_elements=["brand", "client_id"], set_=values)


def _facts(used: tuple[Side, ...]) -> sa.Select[Any]:
    # Materialized, and with the brand among its columns, so that no engine begins with all clients
    # there are of a brand it was told: PostgreSQL did, for each client of the list.
    paid = select(BRAND.label("brand"), _paid_facts).cte("paid").prefix_with("MATERIALIZED")
    c, k = schema.client, schema.kyc_case
    last, first, asked = (PAID.alias(n) for n in ("last", "first", "asked"))
    joined = (
        paid.outerjoin(
            c,
            and_(
                c.c.brand == paid.c.brand,
                c.c.external_id == paid.c.client_id,
                near(c, c.c.external_id),
            ),
        )
        .outerjoin(k, and_(same(paid, k), near(k), k.c.deleted == 0, ~_newer(k)))
        .outerjoin(last, keyed(paid, paid.c.last_end, last))
        .outerjoin(first, keyed(paid, paid.c.first_success, first))
        .outerjoin(asked, keyed(paid, paid.c.first_request, asked))
        .outerjoin(_moved_facts, same(paid, _moved_facts))
        .outerjoin(CALENDAR, same(paid, CALENDAR))
    )
    for one in used:
        joined = joined.outerjoin(one.table, same(paid, one.table))
    picked = {
        "current": _kyc(k),
        "last_ended": deposit(last),
        "counted_first": View({"method": first.c.method}),
        "counted_later": View({"status_at": _second_success(paid, first)}),
        "first_requested": withdrawal(asked),
    }
    columns = [_fact(d, c, picked, paid, used) for d in CATALOGUE]
    leaves_at = fact_sides.leaves_at(paid.c.fees_leave_at, used)
    due = Least(func.coalesce(paid.c.abandons_at, NEVER), func.coalesce(leaves_at, NEVER))
    # Without a WHERE, SQLite takes the ON of an upsert for one of a join.
    return (
        select(paid.c.brand, paid.c.client_id, *columns, due.label("facts_due_at"))
        .select_from(joined)
        .where(func.coalesce(c.c.external_id, "") != "")
    )


def _fact(
    d: FactDef,
    client: Table,
    picked: Mapping[str, View],
    paid: sa.FromClause,
    used: tuple[Side, ...],
) -> Any:
    column: Any
    view = next((picked[w] for w in d.where if w in picked), None)
    aggregated = _aggregated(d, paid, used)
    if d.view == "calendar":
        column = CALENDAR.c[d.name]
    elif d.view == "meaningful":
        column = _last_meaningful(picked, paid, used)
    elif d.view == "client":
        column = _disposition_at(client) if d.column == "disposition_at" else client.c[d.column]
    elif view is not None:
        only = [view.flags[w] for w in d.where if w in view.flags]
        column = case((and_(*only), view.values[d.column])) if only else view.values[d.column]
    elif aggregated is None:
        column = sa.cast(sa.null(), schema.fact.c[d.name].type)
    else:
        column = aggregated.c[d.name]
    if d.pick == "sum":
        # No rows is 0; a row without a base amount makes the whole total unknown.
        none = sa.true() if aggregated is None else aggregated.c.client_id.is_(None)
        column = case((none, 0), else_=column)
    elif d.fact.default is not None:
        column = func.coalesce(column, d.fact.default)
    return column.label(d.name)


def _aggregated(d: FactDef, paid: sa.FromClause, used: tuple[Side, ...]) -> sa.FromClause | None:
    """Where a fact's aggregate stands; None where the brand has no such records."""
    if d.view in _MOVED:
        return _moved_facts
    if d.view not in BY_VIEW:
        return paid
    return BY_VIEW[d.view].table if BY_VIEW[d.view] in used else None


def _last_meaningful(
    picked: Mapping[str, View], paid: sa.FromClause, used: tuple[Side, ...]
) -> Any:
    """The latest of what is known of whatever is connected; NULL if nothing is."""
    times = [
        picked["current"].values["step_at"], paid.c.last_attempt_opened_at,
        picked["last_ended"].values["ended_at"], paid.c.last_withdrawal_at,
        paid.c.last_withdrawal_settled_at,
    ]  # fmt: skip
    of_sides = {
        "trading_day": "last_trade_at", "ledger": "last_bonus_at", "ticket": "last_ticket_at",
    }  # fmt: skip
    times += [BY_VIEW[v].table.c[n] for v, n in of_sides.items() if BY_VIEW[v] in used]
    return func.nullif(Greatest(*[func.coalesce(at, 0) for at in times]), 0)


# --- client and KYC ----------------------------------------------------------------------------


def _disposition_at(c: Table) -> Any:
    m = schema.milestone
    at = select(m.c.first_at).where(
        m.c.source == c.c.source, m.c.kind == "profile",
        m.c.external_id == c.c.brand + ":" + c.c.external_id, m.c.attempt == 0,
        m.c.status == c.c.disposition,
    )  # fmt: skip
    return case((c.c.disposition != "open", at.scalar_subquery()))


def _newer(k: Table) -> Any:
    """Whether a client has a case read after this one."""
    n = schema.kyc_case.alias("newer")
    read = sa.tuple_(n.c.version_at, n.c.source, n.c.external_id)
    return sa.exists().where(
        same(n, k), near(n), n.c.deleted == 0,
        read > sa.tuple_(k.c.version_at, k.c.source, k.c.external_id),
    )  # fmt: skip


def _kyc(k: Table) -> View:
    flags = {
        "approved": k.c.status == "approved",
        "rejected": is_one_of(k.c.status, ("rejected_retry", "rejected_final")),
    }
    return View(dict(k.c), flags)


# --- payments ----------------------------------------------------------------------------------


def _paid() -> sa.Select[Any]:
    """One row for each client on the list: what is aggregated over payments, and three keys."""
    p, at = PAID, PAID.c.at
    there = p.c.client_id.is_not(None)
    paid_in, paid_out = deposit(p), withdrawal(p)
    charged = and_(there, or_(p.c.fee_base_minor.is_(None), p.c.fee_base_minor != 0))
    fee = View(
        {"base_minor": p.c.fee_base_minor},
        {"recent": fact_sides.recent(at)},
        there,
    )
    fees_leave_at = func.min(at).filter(charged, fact_sides.recent(at))
    return (
        select(
            work.c.client_id,
            *aggregates("deposit", paid_in),
            *aggregates("withdrawal", paid_out),
            *aggregates("fee", fee),
            func.min(p.c.abandons_at).label("abandons_at"),
            (fees_leave_at + WINDOW_MS).label("fees_leave_at"),
            func.max(key(p, p.c.ended_at)).label("last_end"),
            func.min(key(p, at)).filter(p.c.counted == 1).label("first_success"),
            func.min(key(p, p.c.opened_at)).filter(paid_out.rows).label("first_request"),
        )
        .select_from(work.outerjoin(p, same(p, work)))
        .where(work.c.brand == BRAND)
        .group_by(work.c.client_id)
    )  # fmt: skip


def _second_success(paid: sa.FromClause, first: Any) -> Any:
    """When the earliest of a client's counted deposits but the first succeeded."""
    p = PAID.alias("later")
    at = select(func.min(p.c.at)).where(same(p, paid), p.c.counted == 1, p.c.name != first.c.name)
    return case((paid.c.deposits > 1, at.correlate(paid, first).scalar_subquery()))


# --- movements ---------------------------------------------------------------------------------


def _fill_payments(connection: Connection, values: Mapping[str, Any]) -> None:
    """What went back, a payment and a client; then the payments; then what they are together.

    In tables, because an engine that does not know how few these are joins them row by row.
    """
    for table, insert in _payment_inserts():
        fresh(connection, table)
        connection.execute(insert, values)


@lru_cache(maxsize=1)
def _payment_inserts() -> tuple[tuple[Table, sa.Insert], ...]:
    rows = _moved()
    client, payment = rows.c.client_id, (rows.c.source, rows.c.payment_id)
    # A refund has no resolution.
    taken = or_(rows.c.resolution.is_(None), rows.c.resolution == "chargeback_lost")
    values = {"base_minor": rows.c.base_minor, "opened_at": rows.c.at}
    flags = {"open": rows.c.resolution.is_(None), "standing": taken}
    dispute = View(values, flags, rows.c.movement == "chargeback_opened")
    back = (
        *payment,
        sa.cast(func.sum(rows.c.amount_minor), BigInteger),
        sa.cast(func.sum(rows.c.base_minor), BigInteger),
        func.count().filter(rows.c.base_minor.is_(None)),
    )
    moved = (*aggregates("taken", View(values, rows=taken)), *aggregates("dispute", dispute))
    return (
        (BACK, _into(BACK, select(*back).where(taken).group_by(*payment))),
        (_moved_facts, _into(_moved_facts, select(client, *moved).group_by(client))),
        (PAID, filling_paid()),
        (_paid_facts, _into(_paid_facts, _paid())),
    )


def _into(table: Table, query: sa.Select[Any]) -> sa.Insert:
    return sa.insert(table).from_select([c.name for c in table.columns], query)


def _moved() -> sa.CTE:
    """Succeeded refunds; and disputes: a payment's n-th filing, with the n-th resolution if any."""
    v = schema.movement
    here = mine()
    refund, filed = v.c.movement == "refund", v.c.movement == "chargeback_opened"
    kind = case((refund, 2), (filed, 1), else_=0)
    place = func.row_number().over(
        partition_by=[v.c.source, v.c.payment_id, kind], order_by=[v.c.at, v.c.external_id]
    )
    n = (
        select(v, kind.label("kind"), place.label("place"))
        .select_from(here.join(v, and_(same(v, here), near(v))))
        .where(v.c.deleted == 0, or_(~refund, v.c.status == "succeeded"))
        .subquery("numbered")
    )
    names = ("client_id", "amount_minor", "base_minor", "movement", "at")
    own = [func.max(n.c[c]).filter(n.c.kind > 0).label(c) for c in names]
    resolution = func.max(n.c.movement).filter(n.c.kind == 0).label("resolution")
    key = (n.c.source, n.c.payment_id)
    return (
        select(*key, *own, resolution)
        .group_by(*key, n.c.place, n.c.kind == 2)
        .having(func.count().filter(n.c.kind > 0) > 0)
        .cte("moved")
    )
