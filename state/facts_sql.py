"""Facts, computed set-based for exactly the clients of a work list.

The catalogue in :mod:`mapping.facts` says which column of which *view*, aggregated how, is a fact;
a view here is what the catalogue's names mean over the rows of one scan. What the words mean is
settled in docs/decisions/0002-meaning.md. An attempt without an outcome counts as failed 30 minutes
after it was opened, as seen by the PSP's horizon (the moment up to which it is complete);
``facts_due_at`` is the next such moment.

A client's payments are read once, into a small table, and what is wanted of them is worked out
there, along its key. The same scan finds the *keys* of the few payments of which more is wanted -
the last that ended, the first counted - and these are looked up again.

Everybody in a range of clients is computed otherwise on PostgreSQL: see :mod:`state.fact_range`.
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
from state.fact_movements import MOVED, moved_rows
from state.fact_payments import BACK, PAID, deposit, key, keyed, paid_rows, withdrawal
from state.fact_range import WORKED_OUT, Part, working_out
from state.fact_sides import BY_VIEW, SIDES
from state.fact_totals import HIGH, SECOND, crossings, seconds
from state.fact_views import (
    BRAND,
    BY_LIST,
    NUMBERED,
    Side,
    View,
    aggregates,
    by_range,
    is_one_of,
    near,
    number,
    numbered,
    of,
    of_mine,
    same,
    span,
    temporary,
    with_records,
    work,
)
from state.linking import CLIENT_ID
from state.rules_elements import Greatest, Least
from state.schema import NEVER
from state.staging import count, fresh

_PAYMENTS = ("deposit", "withdrawal", "fee")  # views over payments
_paid_facts = Table(
    "paid_facts", temporary,
    number(), *[Column(d.name, BigInteger) for v in _PAYMENTS for d in of(v)],
    Column("abandons_at", BigInteger), Column("fees_leave_at", BigInteger),
    *[Column(n, schema.Id) for n in ("last_end", "first_success", "first_request")],
    prefixes=["TEMPORARY"],
)  # fmt: skip
_MOVED = ("taken", "dispute")  # views over movements
_moved_facts = Table(
    "moved_facts", temporary,
    number(), *[Column(d.name, BigInteger) for v in _MOVED for d in CATALOGUE if d.view == v],
    prefixes=["TEMPORARY"],
)  # fmt: skip


def compute(connection: Connection, brand: str, psp_horizon: int, figures: Figures) -> None:
    """Compute the facts of a brand's clients on the work list and store them.

    Args:
        psp_horizon: ms; the brand's payments are known to be complete up to here.
        figures: what of the brand's policy facts depend on.
    """
    found = span(connection, brand)
    if found is not None:
        compute_range(connection, brand, *found, psp_horizon, figures)
        there = and_(work.c.client_id >= found[0], work.c.client_id <= found[1])
        done = sa.update(work).where(work.c.brand == brand, there).values(computed=1)
        connection.execute(done)
    left = select(work.c.client_id).where(work.c.brand == brand, work.c.computed == 0).limit(1)
    if connection.scalar(left) is not None:
        values = _values(brand, psp_horizon, figures) | BY_LIST
        with statistics.planned_anew(connection):
            _compute_listed(connection, _used(connection, brand), values, figures)


def compute_range(
    connection: Connection, brand: str, first: str, last: str, psp_horizon: int, figures: Figures
) -> int:
    """Compute the facts of all clients of a brand from one to another, on PostgreSQL.

    Args:
        psp_horizon: as for :func:`compute`; so is ``figures``.

    Returns:
        How many clients there are.
    """
    values = _values(brand, psp_horizon, figures) | by_range(first, last)
    used = _used(connection, brand)
    with statistics.planned_anew(connection, by_range=True):
        for table in (WORKED_OUT, CALENDAR):
            fresh(connection, table)
        connection.execute(_working_out(used), values)
        fact_calendar.fill(connection, figures, WORKED_OUT)
        return count(connection, _storing_worked_out(), values)


def _values(brand: str, psp_horizon: int, figures: Figures) -> dict[str, Any]:
    return {"psp_horizon": psp_horizon, "high_value": figures.high_value, "work_brand": brand}


def _used(connection: Connection, brand: str) -> Used:
    """The sides of which the brand has records. Others that are read have to be there, if empty."""
    used = with_records(connection, brand, SIDES)
    for one in SIDES:
        if one.read and one not in used:
            fresh(connection, one.table)
    return used


Used = tuple[Side, ...]
Values = Mapping[str, Any]


def _compute_listed(
    connection: Connection, used: Used, values: Values, figures: Figures
) -> None:  # fmt: skip
    """In tables, because an engine that does not know how few these are joins them row by row."""
    for table, filling in _fillings(used):
        fresh(connection, table)
        connection.execute(filling, values)
    fact_calendar.fill(connection, figures, _paid_facts, BY_VIEW["trading_day"].table)
    connection.execute(_storing(connection.dialect.name, used), values)


@lru_cache(maxsize=16)
def _fillings(used: Used) -> tuple[tuple[Table, sa.Insert], ...]:
    mine = numbered(work.c.brand, work.c.client_id)
    mine = mine.where(work.c.brand == BRAND, work.c.computed == 0)
    sides = ((one.table, one.query()) for one in used)
    parts = ((NUMBERED, mine), *_payment_parts(), *sides)
    return tuple((table, _into(table, query)) for table, query in parts)


@lru_cache(maxsize=16)
def _working_out(used: Used) -> sa.Insert:
    c = schema.client.c
    mine = numbered(c.brand, c.external_id).where(near(schema.client, c.external_id))
    sides = ((one.table, one.query()) for one in used)
    facts = _facts(used, NUMBERED.c.nr)
    return working_out([(NUMBERED, mine), *_payment_parts(), *sides], facts)


@lru_cache(maxsize=16)
def _storing(dialect: str, used: Used) -> Any:
    """The statement for a brand that has records of these sides."""
    return _upsert(dialect, _facts(used))


@lru_cache(maxsize=1)
def _storing_worked_out() -> Any:
    calendar = {d.name: CALENDAR.c[d.name] for d in CATALOGUE if d.view == "calendar"}
    columns = [calendar.get(n, WORKED_OUT.c[n]) for n in _STORED[1:]]
    joined = WORKED_OUT.outerjoin(CALENDAR, same(WORKED_OUT, CALENDAR))
    return _upsert("postgresql", select(BRAND, *columns).select_from(joined))


_STORED = ["brand", "client_id", *(d.name for d in CATALOGUE), "facts_due_at"]


def _upsert(dialect: str, rows: sa.Select[Any]) -> Any:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(schema.fact)
    insert = insert.from_select(_STORED, rows)
    values = {n: insert.excluded[n] for n in _STORED[2:]}
    return insert.on_conflict_do_update(index_elements=["brand", "client_id"], set_=values)


def _facts(used: Used, *also: Column[int]) -> sa.Select[Any]:
    """All facts of the numbered clients, one row each.

    They stand to the left of outer joins, and come with the brand: no engine can begin with all
    clients there are of a brand. PostgreSQL did, for each client of the list.
    """
    here, paid, c, k = NUMBERED, _paid_facts, schema.client, schema.kyc_case
    last, first, asked = (PAID.alias(n) for n in ("last", "first", "asked"))
    joined = (
        here.outerjoin(c, of_mine(c, c.c.external_id))
        .outerjoin(k, and_(of_mine(k), k.c.deleted == 0, ~_newer(k)))
        .outerjoin(paid, same(here, paid))
        .outerjoin(last, keyed(paid, paid.c.last_end, last, last.c.ended_at.is_not(None)))
        .outerjoin(first, keyed(paid, paid.c.first_success, first, first.c.counted == 1))
        .outerjoin(asked, keyed(paid, paid.c.first_request, asked, asked.c.deposit == 0))
    )
    for table in (_moved_facts, SECOND, HIGH, CALENDAR, *(one.table for one in used)):
        joined = joined.outerjoin(table, same(here, table))
    picked = {
        "current": _kyc(k),
        "last_ended": deposit(last),
        "counted_first": View({"method": first.c.method}),
        "counted_later": View(
            {"status_at": case((paid.c.deposits == 2, paid.c.last_deposit_at), else_=SECOND.c.at)}
        ),
        "first_requested": withdrawal(asked),
    }
    columns = [_fact(d, c, picked, used) for d in CATALOGUE]
    leaves_at = fact_sides.leaves_at(paid.c.fees_leave_at, used)
    due = Least(func.coalesce(paid.c.abandons_at, NEVER), func.coalesce(leaves_at, NEVER))
    # Said so that it does not turn the outer join into one that may be reordered.
    there = func.coalesce(c.c.external_id, "") != ""
    return (
        select(here.c.brand, here.c.client_id, *columns, due.label("facts_due_at"), *also)
        .select_from(joined)
        .where(there)
    )


def _fact(d: FactDef, client: Table, picked: Mapping[str, View], used: Used) -> Any:
    column: Any
    view = next((picked[w] for w in d.where if w in picked), None)
    aggregated = _aggregated(d, used)
    if d.view == "calendar":
        column = CALENDAR.c[d.name]
    elif d.view == "crossing":
        column = HIGH.c[d.name]
    elif d.view == "meaningful":
        column = _last_meaningful(picked, used)
    elif d.view == "mate":
        column = _mates(client)
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
        none = sa.true() if aggregated is None else aggregated.c.nr.is_(None)
        column = case((none, 0), else_=column)
    elif d.fact.default is not None:
        column = func.coalesce(column, d.fact.default)
    return column.label(d.name)


def _aggregated(d: FactDef, used: Used) -> sa.FromClause | None:
    """Where a fact's aggregate stands; None where the brand has no such records."""
    if d.view in _MOVED:
        return _moved_facts
    if d.view not in BY_VIEW:
        return _paid_facts
    return BY_VIEW[d.view].table if BY_VIEW[d.view] in used else None


def _last_meaningful(picked: Mapping[str, View], used: Used) -> Any:
    """The latest of what is known of whatever is connected; NULL if nothing is."""
    paid = _paid_facts.c
    times = [
        picked["current"].values["step_at"], paid.last_attempt_opened_at,
        picked["last_ended"].values["ended_at"], paid.last_withdrawal_at,
        paid.last_withdrawal_settled_at,
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


def _mates(c: Table) -> Any:
    """Other clients of the brand with the same address, but for merged and deleted ones."""
    o, link = schema.client.alias("other"), schema.identity_link
    leads_to = select(link.c.client_id).where(
        link.c.brand == o.c.brand, link.c.kind == CLIENT_ID, link.c.value == o.c.external_id
    )
    mates = select(func.count()).select_from(o).where(
        o.c.email_norm == c.c.email_norm, o.c.brand == c.c.brand,
        o.c.external_id != c.c.external_id, o.c.deleted == 0,
        leads_to.scalar_subquery() == o.c.external_id,
    )  # fmt: skip
    return case((c.c.email_norm != "", mates.correlate(c).scalar_subquery()))


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
    """One row for each client with payments: what is aggregated over them, and three keys."""
    p, at = PAID, PAID.c.at
    paid_in, paid_out = deposit(p), withdrawal(p)
    charged = or_(p.c.fee_base_minor.is_(None), p.c.fee_base_minor != 0)
    fee = View({"base_minor": p.c.fee_base_minor}, {"recent": fact_sides.recent(at)})
    fees_leave_at = func.min(at).filter(charged, fact_sides.recent(at))
    return select(
        p.c.nr,
        *aggregates("deposit", paid_in),
        *aggregates("withdrawal", paid_out),
        *aggregates("fee", fee),
        func.min(p.c.abandons_at).label("abandons_at"),
        (fees_leave_at + WINDOW_MS).label("fees_leave_at"),
        func.max(key(p, p.c.ended_at)).label("last_end"),
        func.min(key(p, at)).filter(p.c.counted == 1).label("first_success"),
        func.min(key(p, p.c.opened_at)).filter(paid_out.rows).label("first_request"),
    ).group_by(p.c.nr)


# --- movements ---------------------------------------------------------------------------------


def _payment_parts() -> tuple[Part, ...]:
    """What went back, a payment and a client; then the payments; then what they are together."""
    rows = MOVED
    client, payment = rows.c.nr, (rows.c.source, rows.c.payment_id)
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
        (MOVED, moved_rows()),
        (BACK, select(*back).where(taken).group_by(*payment)),
        (_moved_facts, select(client, *moved).group_by(client)),
        (PAID, paid_rows()),
        (_paid_facts, _paid()),
        (SECOND, seconds(_paid_facts)),
        (HIGH, crossings(_paid_facts)),
    )


def _into(table: Table, query: sa.Select[Any]) -> sa.Insert:
    return sa.insert(table).from_select([c.name for c in table.columns], query)
