"""Intake: a page of records becomes journal, current records, milestones and touched clients.

All set-based: the page is staged in temporary tables (executemany on SQLite, COPY on PostgreSQL),
then a handful of statements do the rest. Nothing depends on the order of arrival: the newest
version wins, the earliest milestone wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from mapping.money import Money
from mapping.records import Disposition, Kind, KycCase, Movement, Payment, Profile, Record
from state import identity, schema
from state.staging import append, count, fill

Price = Callable[[str, Money, Money | None, int], int | None]
"""(brand, amount, the vendor's base amount, event ms) -> minor units of the brand's base."""

_ENVELOPE = (
    "source", "external_id", "version_at", "hash", "rank", "polled", "deleted", "brand",
    "ref_kind", "ref_value",
)  # fmt: skip
_KEY = 4  # a version's key, beside its kind: the envelope's first columns


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page did: versions journalled, and clients whose facts must be computed again."""

    journalled: int
    touched: int


def take(
    connection: Connection, records: Sequence[Record], received_at: int, price: Price
) -> Taken:
    """Take in a page of records, in the caller's transaction.

    Args:
        received_at: ms, when the hub received the page.
        price: turns money into the brand's base currency; frozen on the record.
    """
    batch = _next_batch(connection)
    journalled = 0
    touched = 0
    for kind in Kind:
        rows = [r for r in records if r.kind is kind]
        if not rows:
            continue
        stage = _STAGES[kind]
        staged = [_row(r, price) for r in rows]
        fill(connection, stage, staged)
        raws = {row[:_KEY]: r.raw for row, r in zip(staged, rows, strict=True) if r.raw}
        journalled += _journal(connection, kind, raws, batch, received_at)
        connection.execute(_current(kind, connection.dialect.name))
        _milestones(connection, rows)
        if kind is Kind.PROFILE:
            identity.relink(connection, batch, received_at)
        touched += _touch(connection, kind, batch)
    return Taken(journalled, touched)


def _next_batch(connection: Connection) -> int:
    number = connection.scalar(select(func.coalesce(func.max(schema.batch.c.id), 0))) or 0
    connection.execute(sa.delete(schema.batch))
    connection.execute(sa.insert(schema.batch).values(id=number + 1))
    return int(number) + 1


# --- staging -----------------------------------------------------------------------------------

_staging = MetaData()


def _stage(kind: Kind, target: Table, skip: Iterable[str]) -> Table:
    own = [c for c in target.columns if c.name not in {*_ENVELOPE, "client_id", *skip}]
    return Table(
        f"stage_{kind.value}", _staging,
        *[Column(n, schema.Id if _is_text(n) else sa.BigInteger) for n in _ENVELOPE],
        *[Column(c.name, c.type) for c in own],
        Column("payload", sa.Text),
        prefixes=["TEMPORARY"],
    )  # fmt: skip


def _is_text(name: str) -> bool:
    return name not in {"version_at", "rank", "polled", "deleted"}


_STAGES = {
    Kind.PROFILE: _stage(Kind.PROFILE, schema.client, ()),
    Kind.KYC_CASE: _stage(Kind.KYC_CASE, schema.kyc_case, ()),
    Kind.PAYMENT: _stage(Kind.PAYMENT, schema.payment, ()),
    Kind.MOVEMENT: _stage(Kind.MOVEMENT, schema.movement, ()),
}


def _row(record: Record, price: Price) -> tuple[Any, ...]:
    text = record.content_text()
    head = (
        record.source, record.external_id, record.version_at, record.content_hash(text),
        record.rank, int(record.polled), int(record.deleted), record.brand, record.ref.kind,
        record.ref.value,
    )  # fmt: skip
    payload = record.payload
    if isinstance(payload, Profile):
        own = _profile_row(payload, record)
    elif isinstance(payload, KycCase):
        own = _kyc_row(payload, record)
    elif isinstance(payload, Payment):
        own = _payment_row(payload, record.brand, price)
    else:
        own = _movement_row(payload, record.brand, price)
    return (*head, *own, text)


def _profile_row(p: Profile, record: Record) -> tuple[Any, ...]:
    email = p.email.strip().lower()
    disposition = Disposition.CLOSED if record.deleted else p.disposition
    return (
        p.registered_at, p.entity, p.email, email, int(p.email_verified), p.first_name,
        p.last_name, p.phone, p.country, p.language, p.zone, p.device, p.landing_page,
        p.source_type, p.campaign, p.consents, disposition.value, p.merged_into,
    )  # fmt: skip


def _kyc_row(k: KycCase, record: Record) -> tuple[Any, ...]:
    status_at = record.version_at if k.status_at is None else k.status_at
    return (
        k.status.value, k.attempt, k.started_at, k.step_at, status_at, k.level, k.reason.value,
        k.reason_code, k.gap, k.client_text, k.waiting_for,
    )  # fmt: skip


def _payment_row(p: Payment, brand: str, price: Price) -> tuple[Any, ...]:
    base = price(brand, p.amount, p.base, p.opened_at)
    fee_base = price(brand, p.fee, None, p.opened_at) if p.fee else 0
    return (
        p.direction.value, p.status.value, p.attempt, p.amount.minor, p.amount.currency,
        str(p.amount), base, p.fee.minor if p.fee else None, p.fee.currency if p.fee else "",
        fee_base, p.opened_at, p.status_at, p.method, p.psp, p.decline_code, p.decline.value,
        int(p.kyc_blocked), p.vendor_status, p.country,
    )  # fmt: skip


def _movement_row(m: Movement, brand: str, price: Price) -> tuple[Any, ...]:
    base = price(brand, m.amount, m.base, m.at)
    return (
        m.movement.value, m.status.value, m.payment_id, m.amount.minor, m.amount.currency, base,
        m.at,
    )  # fmt: skip


# --- journal -----------------------------------------------------------------------------------


def _journal(
    connection: Connection, kind: Kind, raws: Mapping[tuple[Any, ...], str], batch: int,
    received_at: int,
) -> int:  # fmt: skip
    values = {"at": received_at, "in_batch": batch}
    insert = _versions(kind, connection.dialect.name, bool(raws))
    if not raws:
        return count(connection, insert, values)
    new = connection.execute(insert, values)
    found = [(seq, raws.get(tuple(key), "")) for seq, *key in new]
    append(connection, schema.journal_raw, [(seq, raw, received_at) for seq, raw in found if raw])
    return len(found)


@cache
def _versions(kind: Kind, dialect: str, returning: bool) -> Any:
    """Journal what the stage holds and the journal does not; gives back key and number if asked."""
    stage, current = _STAGES[kind], _target(kind)
    seen = and_(current.c.source == stage.c.source, current.c.external_id == stage.c.external_id)
    if kind is Kind.PROFILE:
        seen = and_(seen, current.c.brand == stage.c.brand)
    # A polled row that says nothing new is no version; one older than the newest always is.
    unchanged = and_(
        stage.c.polled == 1,
        current.c.hash == stage.c.hash,
        current.c.version_at <= stage.c.version_at,
    )
    source = (
        select(
            stage.c.source, literal(kind.value), stage.c.external_id, stage.c.version_at,
            stage.c.hash, stage.c.brand, stage.c.ref_kind, stage.c.ref_value, stage.c.deleted,
            stage.c.payload, bindparam("at", type_=BigInteger),
            bindparam("in_batch", type_=BigInteger),
        )
        .select_from(stage.outerjoin(current, seen))
        .where(or_(current.c.hash.is_(None), ~unchanged))
    )  # fmt: skip
    names = ["source", "kind", "external_id", "version_at", "hash", "brand", "ref_kind",
             "ref_value", "deleted", "payload", "received_at", "batch"]  # fmt: skip
    insert = _insert(dialect, schema.journal).from_select(names, source).on_conflict_do_nothing()
    j = schema.journal.c
    key = (j.seq, j.source, j.external_id, j.version_at, j.hash)
    return insert.returning(*key) if returning else insert


# --- current records ---------------------------------------------------------------------------


def _target(kind: Kind) -> Table:
    return schema.client if kind is Kind.PROFILE else schema.CURRENT[kind.value]


def _newest(stage: Table, *more: Column[Any]) -> sa.Subquery:
    rank = func.row_number().over(
        partition_by=[stage.c.source, stage.c.external_id, *more],
        order_by=[stage.c.version_at.desc(), stage.c.rank.desc(), stage.c.hash.desc()],
    )
    return select(stage, rank.label("place")).subquery("newest")


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def _upsert(
    dialect: str, table: Table, key: list[str], names: list[str], source: sa.Select[Any]
) -> Any:
    insert = _insert(dialect, table).from_select(names, source)
    excluded = insert.excluded
    new = tuple_(excluded.version_at, excluded.rank, excluded.hash)
    old = tuple_(table.c.version_at, table.c.rank, table.c.hash)
    # Equal content seen again later: only the version time moves on.
    return insert.on_conflict_do_update(
        index_elements=key, set_={n: excluded[n] for n in names if n not in key}, where=new > old
    )


@cache
def _current(kind: Kind, dialect: str) -> Any:
    """Bring the current records of a kind in line with the stage."""
    if kind is Kind.PROFILE:
        return _current_profiles(dialect)
    table, link = schema.CURRENT[kind.value], schema.identity_link
    names = [c.name for c in table.columns if c.name != "client_id"]
    newest = _newest(_STAGES[kind])
    named = and_(
        link.c.brand == newest.c.brand,
        link.c.kind == newest.c.ref_kind,
        link.c.value == newest.c.ref_value,
    )
    source = (
        select(*[newest.c[n] for n in names], func.coalesce(link.c.client_id, ""))
        .select_from(newest.outerjoin(link, named))
        .where(newest.c.place == 1)
    )
    return _upsert(dialect, table, ["source", "external_id"], [*names, "client_id"], source)


def _current_profiles(dialect: str) -> Any:
    stage = _STAGES[Kind.PROFILE]
    newest = _newest(stage, stage.c.brand)
    names = [c.name for c in schema.client.columns if c.name != "client_id"]
    columns = [newest.c[n] for n in names]
    source = select(*columns, newest.c.external_id).where(newest.c.place == 1)
    return _upsert(dialect, schema.client, ["brand", "external_id"], [*names, "client_id"], source)


# --- milestones and touched clients -------------------------------------------------------------

_stage_milestone = Table(
    "stage_milestone", _staging,
    *[Column(c.name, c.type) for c in schema.milestone.columns],
    prefixes=["TEMPORARY"],
)  # fmt: skip


def _milestones(connection: Connection, records: Sequence[Record]) -> None:
    def rows() -> Iterable[tuple[Any, ...]]:
        for r in records:
            for m in r.payload.milestones(r.version_at):
                disposition = r.deleted and isinstance(r.payload, Profile)
                status = Disposition.CLOSED.value if disposition else str(m.status)
                yield (r.source, r.kind.value, _milestone_id(r), m.attempt, status, m.at)

    fill(connection, _stage_milestone, rows())
    connection.execute(_earliest(connection.dialect.name))


@cache
def _earliest(dialect: str) -> Any:
    stage, table = _stage_milestone, schema.milestone
    key = ["source", "kind", "external_id", "attempt", "status"]
    columns = [stage.c[n] for n in key]
    source = select(*columns, func.min(stage.c.first_at)).group_by(*columns)
    insert = _insert(dialect, table).from_select([*key, "first_at"], source.where(sa.true()))
    return insert.on_conflict_do_update(
        index_elements=key,
        set_={"first_at": insert.excluded.first_at},
        where=insert.excluded.first_at < table.c.first_at,
    )


def _milestone_id(record: Record) -> str:
    # Client ids repeat across brands of one registry; other vendors' ids do not.
    if record.kind is Kind.PROFILE:
        return f"{record.brand}:{record.external_id}"
    return record.external_id


def _touch(connection: Connection, kind: Kind, batch: int) -> int:
    return count(connection, _clients(kind, connection.dialect.name), {"in_batch": batch})


@cache
def _clients(kind: Kind, dialect: str) -> Any:
    """Touch the clients of what a batch journalled."""
    journal, link = schema.journal, schema.identity_link
    linked = case((journal.c.ref_kind == "client_id", journal.c.ref_value), else_="")
    client_id = func.coalesce(link.c.client_id, linked if kind is Kind.PROFILE else "")
    source = (
        select(journal.c.brand, client_id)
        .select_from(
            journal.outerjoin(
                link,
                and_(
                    link.c.brand == journal.c.brand,
                    link.c.kind == journal.c.ref_kind,
                    link.c.value == journal.c.ref_value,
                ),
            )
        )
        .where(journal.c.batch == bindparam("in_batch"), journal.c.kind == kind.value,
               client_id != "")
        .distinct()
    )  # fmt: skip
    insert = _insert(dialect, schema.touched).from_select(["brand", "client_id"], source)
    return insert.on_conflict_do_nothing()


def touch_all(connection: Connection) -> None:
    """Every client is to be computed again (the rule set changed, say)."""
    rows = select(schema.client.c.brand, schema.client.c.external_id).where(sa.true())
    dialect = connection.dialect.name
    insert = _insert(dialect, schema.touched).from_select(["brand", "client_id"], rows)
    connection.execute(insert.on_conflict_do_nothing())
