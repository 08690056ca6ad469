"""Facts, computed set-based for exactly the clients of a work list.

Each *view* below is a row source over the clients of ``work``; the catalogue in
:mod:`mapping.facts` says which column of which view, aggregated how, is a fact. What the words
mean is settled in docs/decisions/0002-meaning.md. An attempt without an outcome counts as failed
30 minutes after it was opened, as seen by the PSP's horizon (the moment up to which it is
complete); ``facts_due_at`` is the next such moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from mapping.facts import ABANDONED_AFTER_MS, CATALOGUE, FactDef
from state import schema

NEVER = 2**53
"""A due time that never comes; a number on both engines, so that an index can hold it."""

_ABANDONABLE = ("created", "pending_customer", "processing")
_OUTCOMES = ("succeeded", "failed", "cancelled")
# Only what facts need: the rows of a work list are sorted, and narrow rows sort faster.
_PAYMENT_COLUMNS = (
    "brand", "client_id", "source", "external_id", "direction", "status", "opened_at", "method",
    "psp", "amount_minor", "amount_text", "base_minor", "fee_base_minor", "decline", "kyc_blocked",
)  # fmt: skip
_SETTLED = ("paid", "rejected", "cancelled", "failed")

_temporary = MetaData()
work = Table(
    "work", _temporary,
    Column("brand", schema.Id, primary_key=True), Column("client_id", schema.Id, primary_key=True),
    prefixes=["TEMPORARY"],
)  # fmt: skip


_mine = select(work).where(work.c.brand == bindparam("work_brand")).subquery("mine")


def compute(connection: Connection, brand: str, psp_horizon: int) -> None:
    """Compute the facts of a brand's clients on the work list and store them.

    Args:
        psp_horizon: ms; the brand's payments are known to be complete up to here.
    """
    values = {"psp_horizon": psp_horizon, "work_brand": brand}
    connection.execute(_statement(connection.dialect.name), values)


@lru_cache(maxsize=2)
def _statement(dialect: str) -> Any:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(schema.fact)
    names = ["brand", "client_id", *(d.name for d in CATALOGUE), "facts_due_at"]
    insert = insert.from_select(names, _facts())
    values = {n: insert.excluded[n] for n in names[2:]}
    return insert.on_conflict_do_update(index_elements=["brand", "client_id"], set_=values)


def _facts() -> sa.Select[Any]:
    views = {
        "kyc": _kyc(), "deposit": _deposit(), "withdrawal": _withdrawal(), "fee": _fees(),
        "taken": _taken(), "dispute": _disputes(),
    }  # fmt: skip
    by_view: dict[str, list[FactDef]] = defaultdict(list)
    for definition in CATALOGUE:
        by_view[definition.view].append(definition)
    client = _client()
    joined: Any = _mine.join(client, _same(_mine, client))
    columns: dict[str, Any] = {
        d.name: func.coalesce(client.c[d.column], d.fact.default)
        if d.fact.default is not None
        else client.c[d.column]
        for d in by_view["client"]
    }
    due: Any = literal(NEVER)
    for name, view in views.items():
        grouped = _grouped(view, by_view[name], name)
        joined = joined.outerjoin(grouped, _same(_mine, grouped))
        columns |= {d.name: _defaulted(d, grouped) for d in by_view[name]}
        if name == "deposit":
            due = func.coalesce(grouped.c.facts_due_at, NEVER)
    ordered = [columns[d.name].label(d.name) for d in CATALOGUE]
    return (
        select(_mine.c.brand, _mine.c.client_id, *ordered, due.label("facts_due_at"))
        .select_from(joined)
        .where(sa.true())
    )


def _defaulted(definition: FactDef, grouped: sa.Subquery) -> Any:
    column = grouped.c[definition.name]
    if definition.pick == "sum":
        # No rows is 0; a row without a base amount makes the whole total unknown.
        return case((grouped.c.client_id.is_(None), 0), else_=column)
    if definition.fact.default is None:
        return column
    return func.coalesce(column, definition.fact.default)


def _grouped(view: sa.Subquery | sa.CTE, definitions: Iterable[FactDef], name: str) -> sa.Subquery:
    columns = [_aggregate(view, d).label(d.name) for d in definitions]
    if name == "deposit":
        columns.append(func.min(view.c.abandons_at).label("facts_due_at"))
    return (
        select(view.c.brand, view.c.client_id, *columns)
        .group_by(view.c.brand, view.c.client_id)
        .subquery(f"{name}_facts")
    )


def _aggregate(view: sa.Subquery | sa.CTE, d: FactDef) -> Any:
    holds = and_(sa.true(), *[view.c[w] == 1 for w in d.where])
    if d.pick == "count":
        return func.sum(case((holds, 1), else_=0)) if d.where else func.count()
    value = case((holds, view.c[d.column])) if d.where else view.c[d.column]
    if d.pick == "sum":
        unknown = func.sum(case((and_(holds, view.c[d.column].is_(None)), 1), else_=0))
        total = sa.cast(func.coalesce(func.sum(value), 0), BigInteger)
        return case((unknown > 0, None), else_=total)
    return func.min(value) if d.pick == "min" else func.max(value)


def _same(left: Any, right: Any) -> Any:
    return and_(left.c.brand == right.c.brand, left.c.client_id == right.c.client_id)


def _yes(condition: Any) -> Any:
    return case((condition, 1), else_=0)


# --- views -------------------------------------------------------------------------------------


def _client() -> sa.Subquery:
    c, m = schema.client, schema.milestone
    reached = and_(
        m.c.source == c.c.source, m.c.kind == "profile",
        m.c.external_id == c.c.brand + ":" + c.c.external_id, m.c.attempt == 0,
        m.c.status == c.c.disposition,
    )  # fmt: skip
    mine = and_(c.c.brand == _mine.c.brand, c.c.external_id == _mine.c.client_id)
    return (
        select(
            c.c.brand, c.c.external_id.label("client_id"), c.c.registered_at, c.c.disposition,
            case((c.c.disposition != "open", m.c.first_at)).label("disposition_at"),
            c.c.email_verified, c.c.entity, c.c.country, c.c.language, c.c.zone, c.c.device,
            c.c.landing_page, c.c.source_type, c.c.campaign,
        )
        .select_from(_mine.join(c, mine).outerjoin(m, reached))
        .subquery("clients")
    )  # fmt: skip


def _kyc() -> sa.Subquery:
    k = schema.kyc_case
    place = func.row_number().over(
        partition_by=[k.c.brand, k.c.client_id],
        order_by=[k.c.version_at.desc(), k.c.source.desc(), k.c.external_id.desc()],
    )
    cases = (
        select(k, place.label("place"))
        .select_from(_mine.join(k, _same(_mine, k)))
        .where(k.c.deleted == 0)
        .subquery("cases")
    )
    return select(
        cases,
        _yes(cases.c.place == 1).label("current"),
        _yes(cases.c.status == "approved").label("approved"),
        _yes(cases.c.status.in_(("rejected_retry", "rejected_final"))).label("rejected"),
    ).subquery("kyc")


def _payments(direction: str) -> sa.Subquery:
    """Payments of one direction, with the first time each reached the status it is in."""
    p, m = schema.payment, schema.milestone
    reached = and_(
        m.c.source == p.c.source, m.c.kind == "payment", m.c.external_id == p.c.external_id,
        m.c.attempt == p.c.attempt, m.c.status == p.c.status,
    )  # fmt: skip
    return (
        select(
            *[p.c[n] for n in _PAYMENT_COLUMNS],
            func.coalesce(m.c.first_at, p.c.status_at).label("status_at"),
        )
        .select_from(_mine.join(p, _same(_mine, p)).outerjoin(m, reached))
        .where(p.c.deleted == 0, p.c.direction == direction)
        .subquery("payments")
    )


def _movements() -> sa.Subquery:
    v = schema.movement
    return (
        select(v)
        .select_from(_mine.join(v, _same(_mine, v)))
        .where(v.c.deleted == 0)
        .subquery("movements")
    )


def _disputes() -> sa.Subquery:
    """The n-th filing of a payment with the n-th resolution, if there is one."""

    def numbered(kinds: tuple[str, ...], name: str) -> sa.Subquery:
        v = _movements()
        place = func.row_number().over(
            partition_by=[v.c.source, v.c.payment_id], order_by=[v.c.at, v.c.external_id]
        )
        query = select(v, place.label("place")).where(v.c.movement.in_(kinds))
        return query.subquery(name)

    filed = numbered(("chargeback_opened",), "filed")
    ended = numbered(("chargeback_won", "chargeback_lost"), "ended")
    pair = and_(
        ended.c.source == filed.c.source,
        ended.c.payment_id == filed.c.payment_id,
        ended.c.place == filed.c.place,
    )
    standing = or_(ended.c.movement.is_(None), ended.c.movement == "chargeback_lost")
    return (
        select(
            filed.c.brand, filed.c.client_id, filed.c.source, filed.c.payment_id,
            filed.c.amount_minor, filed.c.base_minor, filed.c.at.label("opened_at"),
            _yes(ended.c.movement.is_(None)).label("open"), _yes(standing).label("standing"),
        )
        .select_from(filed.outerjoin(ended, pair))
        .subquery("disputes")
    )  # fmt: skip


def _taken() -> sa.Subquery:
    """What went back: succeeded refunds, and disputes not won."""
    v, d = _movements(), _disputes()
    columns = ("brand", "client_id", "source", "payment_id", "amount_minor", "base_minor")
    refunds = select(*[v.c[n] for n in columns]).where(
        v.c.movement == "refund", v.c.status == "succeeded"
    )
    disputes = select(*[d.c[n] for n in columns]).where(d.c.standing == 1)
    return sa.union_all(refunds, disputes).subquery("taken")


def _taken_per_payment() -> sa.Subquery:
    t = _taken()
    return (
        select(
            t.c.source, t.c.payment_id,
            sa.cast(func.sum(t.c.amount_minor), BigInteger).label("amount"),
            sa.cast(func.sum(t.c.base_minor), BigInteger).label("base"),
            func.sum(_yes(t.c.base_minor.is_(None))).label("unknown"),
        )
        .group_by(t.c.source, t.c.payment_id)
        .subquery("taken_back")
    )  # fmt: skip


def _deposit() -> sa.Subquery:
    p, back = _payments("deposit"), _taken_per_payment()
    opens = p.c.status.in_(_ABANDONABLE)
    abandons_at = p.c.opened_at + ABANDONED_AFTER_MS
    horizon = bindparam("psp_horizon", type_=BigInteger)
    abandoned = and_(opens, abandons_at <= horizon)
    counted = and_(p.c.status == "succeeded", func.coalesce(back.c.amount, 0) < p.c.amount_minor)
    net = p.c.base_minor - case((func.coalesce(back.c.unknown, 0) > 0, None),
                                else_=func.coalesce(back.c.base, 0))  # fmt: skip
    rows = (
        select(
            p,
            _yes(counted).label("counted"),
            net.label("net_base"),
            _yes(abandoned).label("abandoned"),
            case((and_(opens, abandons_at > horizon), abandons_at)).label("abandons_at"),
            case(
                (p.c.status == "succeeded", "succeeded"),
                (or_(p.c.status.in_(("failed", "cancelled")), abandoned), "failed"),
            ).label("outcome"),
            case((p.c.status.in_(_OUTCOMES), p.c.status_at), (abandoned, abandons_at))
            .label("ended_at"),
        )
        .select_from(
            p.outerjoin(back, and_(back.c.source == p.c.source,
                                   back.c.payment_id == p.c.external_id))
        )
        .subquery("deposits")
    )  # fmt: skip
    return _ranked_deposits(rows)


def _ranked_deposits(rows: sa.Subquery) -> sa.Subquery:
    """Which deposits are a client's first counted one, another counted one, the last that ended.

    Both orders share one window, so that the rows are sorted once.
    """
    client = [rows.c.brand, rows.c.client_id]
    succeeded = case((rows.c.counted == 1, _place(rows.c.status_at, rows.c.external_id)))
    ended = _place(rows.c.ended_at, rows.c.external_id)
    placed = select(
        rows,
        succeeded.label("success"),
        func.min(succeeded).over(partition_by=client).label("first_success"),
        ended.label("end"),
        func.max(ended).over(partition_by=client).label("last_end"),
    ).subquery("placed")  # fmt: skip
    return select(
        placed,
        _yes(placed.c.success == placed.c.first_success).label("counted_first"),
        _yes(placed.c.success > placed.c.first_success).label("counted_later"),
        _yes(placed.c.end == placed.c.last_end).label("last_ended"),
        _yes(placed.c.outcome == "failed").label("failed"),
    ).subquery("deposit")


def _place(at: Any, external_id: Any) -> Any:
    """An instant and, at a tie, the id, as one text that sorts like the pair; blank without."""
    return sa.cast(at + 10**15, sa.Text) + external_id


def _withdrawal() -> sa.Subquery:
    p = _payments("withdrawal")
    place = func.row_number().over(
        partition_by=[p.c.brand, p.c.client_id], order_by=[p.c.opened_at, p.c.external_id]
    )
    rows = select(p, place.label("place")).subquery("requests")
    settled = rows.c.status.in_(_SETTLED)
    return select(
        rows,
        _yes(~settled).label("open"),
        _yes(rows.c.status == "paid").label("paid"),
        _yes(rows.c.place == 1).label("first_requested"),
        case((settled, rows.c.status_at)).label("settled_at"),
    ).subquery("withdrawal")


def _fees() -> sa.Subquery:
    p = schema.payment
    return (
        select(p.c.brand, p.c.client_id, p.c.fee_base_minor.label("base_minor"))
        .select_from(_mine.join(p, _same(_mine, p)))
        .where(p.c.deleted == 0)
        .subquery("fee")
    )
