"""Intake: a page of records becomes journal, current records, milestones and touched clients.

All set-based: the page is staged in temporary tables (executemany on SQLite, COPY on PostgreSQL),
then a handful of statements do the rest. Nothing depends on the order of arrival: the newest
version wins, the earliest milestone wins.
"""

from __future__ import annotations

from collections.abc import Sequence
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

from mapping.records import Record
from mapping.words import Kind
from state import gone, identity, names, partners, schema, sweep
from state.gone import Range
from state.identity import Versions
from state.kinds import NAMES, SPECS, Price
from state.staging import Rows, block, count, fill

_REACHED_AT = "reached_at"  # of a current record: when it first reached the status it is in
_ENVELOPE = (
    "source", "external_id", "version_at", "hash", "rank", "polled", "deleted", "brand",
    "ref_kind", "ref_value",
)  # fmt: skip
_VERSION = ["source", "kind", "external_id", "version_at", "hash"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page did: versions journalled, and clients whose facts must be computed again."""

    journalled: int
    touched: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """The records of one kind in a page, as rows of the stage.

    Args:
        repeated: a record may be in the page more than once.
        polled: a record without a version time of its own is in the page.
        by_email: a record that names its client by an address is in the page.
        lacking: a record of which a vendor without deletions says that it is not there.
        span: source, first and last id of the records, if they are of one source.
    """

    kind: Kind
    rows: Rows
    size: int
    span: tuple[str, str, str] | None
    repeated: bool
    polled: bool
    by_email: bool
    lacking: bool


def prepare(records: Sequence[Record], price: Price, *, copied: bool = False) -> list[Sheet]:
    """Write out a page of records for :func:`take`; needs no database.

    Args:
        price: turns money into the brand's base currency; frozen on the record.
        copied: for an engine that takes rows as a block of text (:func:`state.staging.block`).
    """
    by_kind: dict[Kind, list[Record]] = {}
    for record in records:
        by_kind.setdefault(record.kind, []).append(record)
    return [
        Sheet(
            kind,
            block(rows) if copied else rows,
            size=len(rows),
            span=_span(found),
            repeated=len({r.external_id for r in found}) < len(found),
            polled=any(r.polled for r in found),
            by_email=any(r.ref.kind == names.EMAIL for r in found),
            lacking=any(r.polled and r.deleted for r in found),
        )
        for kind in Kind  # in this order: what names a client comes first
        if (found := by_kind.get(kind)) and (rows := [_row(r, price) for r in found])
    ]


def _span(records: Sequence[Record]) -> tuple[str, str, str] | None:
    ids = [r.external_id for r in records]
    source = records[0].source
    return (source, min(ids), max(ids)) if all(r.source == source for r in records) else None


def _row(record: Record, price: Price) -> tuple[Any, ...]:
    text, ref = record.content_text(), record.ref
    own = SPECS[record.kind].row(record.payload, record, price)
    return (
        record.source, record.external_id, record.version_at, record.content_hash(text),
        record.rank, int(record.polled), int(record.deleted), record.brand, ref.kind,
        ref.value.strip().lower() if ref.kind == names.EMAIL else ref.value,
        *own, text, record.raw,
    )  # fmt: skip


def take(
    connection: Connection,
    sheets: Sequence[Sheet],
    received_at: int,
    whole: Sequence[Range] = (),
) -> Taken:
    """Take in a page of records, in the caller's transaction.

    Args:
        received_at: ms, when the hub received the page.
        whole: ranges that the page tells completely; what the hub has beside it there is gone.
    """
    if not sheets and not whole:
        return Taken(0, 0)
    before = _alone(connection)
    journalled = 0
    touched = 0
    for kind in {told.kind for told in whole} - {sheet.kind for sheet in sheets}:
        touched += gone.remove(connection, kind, whole, None, received_at)
    for sheet in sheets:
        kind = sheet.kind
        fill(connection, STAGES[kind], sheet.rows)
        if sheet.lacking:
            connection.execute(_never_there(kind))
        news = not sheet.repeated and _unheard_of(connection, kind, sheet.span)
        page = _Page(kind, connection.dialect.name, sheet.repeated, sheet.polled, news)
        new = count(connection, _versions(page), {"at": received_at})
        versions = Versions(before, before := _last(connection) if new else before)
        if new:
            connection.execute(_raws(page), {"at": received_at, **versions.bounds})
        if sheet.by_email:
            names.wanted_emails(connection, STAGES[kind], received_at)
        reached, current = sheet.size, count(connection, _current(page))
        if SPECS[kind].reached(STAGES[kind]):
            reached = count(connection, _earliest(page))
        if _REACHED_AT in SPECS[kind].table.c and min(reached, current) < sheet.size:
            connection.execute(_reached_before(kind))
        if kind is Kind.PROFILE:
            identity.relink(connection, versions, received_at)
        elif kind in NAMES:
            names.given(connection, kind, STAGES[kind], received_at)
        if new:
            touched += _touch(connection, page, versions, sheet.span)
            if kind is Kind.PARTNER:
                partners.touch(connection, versions)
        touched += gone.remove(connection, kind, whole, STAGES[kind], received_at)
        journalled += new
    return Taken(journalled, touched)


def _alone(connection: Connection) -> int:
    """Let nobody else take records in until the transaction ends; the last version so far.

    What is new lies behind it. Both ends of a range of versions are always given: with one end
    alone PostgreSQL, which plans for any value, would read the whole journal.
    """
    table = schema.batch
    if not connection.execute(sa.update(table).values(id=table.c.id + 1)).rowcount:
        connection.execute(sa.insert(table).values(id=1))
    return _last(connection)


def _last(connection: Connection) -> int:
    return connection.scalar(select(func.max(schema.journal.c.seq))) or 0


@dataclass(frozen=True, slots=True)
class _Page:
    """What the statements of a sheet depend on: most need no care for repeated or polled rows.

    ``news``: nothing is known of any record between the page's first and last. Vendors who count
    send such pages: nothing in them can clash, and it is not looked up row by row whether it does.
    """

    kind: Kind
    dialect: str
    repeated: bool
    polled: bool
    news: bool


def _unheard_of(connection: Connection, kind: Kind, span: tuple[str, str, str] | None) -> bool:
    """Whether nothing is stored of any record of a source between two ids."""
    if span is None or kind is Kind.PROFILE:  # clients are told apart by their brand too
        return False
    source, first, last = span
    values = {"source": source, "first": first}
    found = (connection.scalar(query, values) for query in _next_known(kind))
    return all(known is None or known > last for known in found)


@cache
def _next_known(kind: Kind) -> list[sa.Select[Any]]:
    """The first id from a given one on, wherever records of a kind leave something."""
    queries = []
    for table in (SPECS[kind].table, schema.journal, schema.milestone):
        ours = [table.c.source == bindparam("source"), table.c.external_id >= bindparam("first")]
        if "kind" in table.c:
            ours.append(table.c.kind == kind.value)
        # In order, so that an engine which takes many for likely does not look for one unordered.
        query = select(table.c.external_id).where(*ours)
        queries.append(query.order_by(table.c.external_id).limit(1))
    return queries


# --- staging -----------------------------------------------------------------------------------

_staging = MetaData()


def _stage(kind: Kind, target: Table) -> Table:
    derived = {"client_id", _REACHED_AT}
    own = [c for c in target.columns if c.name not in {*_ENVELOPE, *derived}]
    return Table(
        f"stage_{kind.value}", _staging,
        *[Column(n, schema.Id if _is_text(n) else sa.BigInteger) for n in _ENVELOPE],
        *[Column(c.name, c.type) for c in own],
        Column("payload", sa.Text),
        Column("raw", sa.Text),
        prefixes=["TEMPORARY"],
    )  # fmt: skip


def _is_text(name: str) -> bool:
    return name not in {"version_at", "rank", "polled", "deleted"}


STAGES = {kind: _stage(kind, spec.table) for kind, spec in SPECS.items()}


# --- journal -----------------------------------------------------------------------------------


@cache
def _versions(page: _Page) -> Any:
    """Journal what the stage holds and the journal does not."""
    kind = page.kind
    stage, current = STAGES[kind], SPECS[kind].table
    source = (
        select(
            stage.c.source, literal(kind.value), stage.c.external_id, stage.c.version_at,
            stage.c.hash, stage.c.brand, stage.c.ref_kind, stage.c.ref_value, stage.c.deleted,
            stage.c.payload, bindparam("at", type_=BigInteger),
        )
        .where(sa.true())
    )  # fmt: skip
    if page.polled and not page.news:
        # A polled row that says nothing new is no version; one older than the newest always is.
        seen = and_(
            current.c.source == stage.c.source, current.c.external_id == stage.c.external_id
        )
        if kind is Kind.PROFILE:
            seen = and_(seen, current.c.brand == stage.c.brand)
        unchanged = and_(
            stage.c.polled == 1,
            current.c.hash == stage.c.hash,
            current.c.version_at <= stage.c.version_at,
        )
        source = source.select_from(stage.outerjoin(current, seen)).where(
            or_(current.c.hash.is_(None), ~unchanged)
        )
    names = ["source", "kind", "external_id", "version_at", "hash", "brand", "ref_kind",
             "ref_value", "deleted", "payload", "received_at"]  # fmt: skip
    insert = _insert(page.dialect, schema.journal).from_select(names, source)
    return insert if page.news else insert.on_conflict_do_nothing(index_elements=_VERSION)


@cache
def _never_there(kind: Kind) -> sa.Delete:
    """Forget staged rows that say a vendor lacks what the hub never had: nothing is gone."""
    stage, current = STAGES[kind], SPECS[kind].table
    known = sa.exists().where(
        current.c.source == stage.c.source, current.c.external_id == stage.c.external_id
    )
    return sa.delete(stage).where(stage.c.polled == 1, stage.c.deleted == 1, ~known)


@cache
def _raws(page: _Page) -> Any:
    """Keep the vendor's row beside each new version."""
    stage, journal = STAGES[page.kind], schema.journal
    same = and_(
        journal.c.kind == page.kind.value,
        *[journal.c[n] == stage.c[n] for n in _VERSION if n != "kind"],
    )
    source = (
        select(journal.c.seq, stage.c.raw, bindparam("at", type_=BigInteger))
        .select_from(stage.join(journal, same))
        .where(identity.among(journal), stage.c.raw != "")
    )
    insert = _insert(page.dialect, schema.journal_raw)
    insert = insert.from_select(["seq", "raw", "received_at"], source)
    # One version twice in a page: either row will do.
    return insert.on_conflict_do_nothing() if page.repeated else insert


# --- current records ---------------------------------------------------------------------------


def _newest(page: _Page) -> sa.FromClause:
    """The stage, or the newest version of each record in it."""
    stage = STAGES[page.kind]
    if not page.repeated:
        return stage
    apart = [stage.c.source, stage.c.external_id]
    rank = func.row_number().over(
        partition_by=[*apart, stage.c.brand] if page.kind is Kind.PROFILE else apart,
        order_by=[stage.c.version_at.desc(), stage.c.rank.desc(), stage.c.hash.desc()],
    )
    ranked = select(stage, rank.label("place")).subquery("ranked")
    return select(ranked).where(ranked.c.place == 1).subquery("newest")


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def _upsert(
    page: _Page, table: Table, key: list[str], names: list[str], source: sa.Select[Any]
) -> Any:
    insert = _insert(page.dialect, table).from_select(names, source)
    if page.news:
        return insert
    excluded = insert.excluded
    new = tuple_(excluded.version_at, excluded.rank, excluded.hash)
    old = tuple_(table.c.version_at, table.c.rank, table.c.hash)
    # Equal content seen again later: only the version time moves on.
    return insert.on_conflict_do_update(
        index_elements=key, set_={n: excluded[n] for n in names if n not in key}, where=new > old
    )


@cache
def _current(page: _Page) -> Any:
    """Bring the current records of a kind in line with the stage."""
    newest = _newest(page)
    if page.kind is Kind.PROFILE:
        return _current_profiles(page, newest)
    table, link = schema.CURRENT[page.kind.value], schema.identity_link
    names = [c.name for c in table.columns if c.name in newest.c]
    # A scalar subquery: with a join, PostgreSQL reads all links for want of figures of the stage.
    client_id = (
        select(link.c.client_id)
        .where(
            link.c.brand == newest.c.brand,
            link.c.kind == newest.c.ref_kind,
            link.c.value == newest.c.ref_value,
        )
        .scalar_subquery()
    )
    columns = [*(newest.c[n] for n in names), func.coalesce(client_id, "")]
    names.append("client_id")
    if _REACHED_AT in table.c:
        columns.append(newest.c.status_at)  # see _reached_before
        names.append(_REACHED_AT)
    source = select(*columns).where(sa.true())
    return _upsert(page, table, ["source", "external_id"], names, source)


def _current_profiles(page: _Page, newest: sa.FromClause) -> Any:
    names = [c.name for c in schema.client.columns if c.name != "client_id"]
    columns = [newest.c[n] for n in names]
    source = select(*columns, newest.c.external_id).where(sa.true())
    return _upsert(page, schema.client, ["brand", "external_id"], [*names, "client_id"], source)


# --- milestones and touched clients -------------------------------------------------------------


@cache
def _reached_before(kind: Kind) -> sa.Update:
    """Have staged records know when they first reached the status they are in.

    For pages with more than news: a version may not be the first of its status, and one that is
    not the newest may be.
    """
    stage, table, m = STAGES[kind], SPECS[kind].table, schema.milestone
    staged = tuple_(table.c.source, table.c.external_id).in_(
        select(stage.c.source, stage.c.external_id)
    )
    first_at = (
        select(m.c.first_at)
        .where(
            m.c.kind == kind.value,
            *[m.c[n] == table.c[n] for n in ("source", "external_id", "attempt", "status")],
        )
        .scalar_subquery()
    )
    earlier = table.c[_REACHED_AT] > first_at
    return sa.update(table).where(staged, earlier).values({_REACHED_AT: first_at})


@cache
def _earliest(page: _Page) -> Any:
    """Keep the earliest time of each status a record reached."""
    stage, table = STAGES[page.kind], schema.milestone
    key = ["source", "kind", "external_id", "attempt", "status"]
    reached = [
        select(stage.c.source, literal(page.kind.value), *what)
        for what in SPECS[page.kind].reached(stage)
    ]
    if page.repeated or len(reached) > 1:
        every = sa.union_all(*reached).subquery("every")
        *columns, at = every.columns
        source = select(*columns, func.min(at)).group_by(*columns)
    else:
        (source,) = reached
    insert = _insert(page.dialect, table).from_select([*key, "first_at"], source.where(sa.true()))
    if page.news:
        return insert
    return insert.on_conflict_do_update(
        index_elements=key,
        set_={"first_at": insert.excluded.first_at},
        where=insert.excluded.first_at < table.c.first_at,
    )


def _touch(
    connection: Connection, page: _Page, versions: Versions, span: tuple[str, str, str] | None
) -> int:
    if page.news and span is not None and page.kind not in NAMES:
        source, first, last = span
        values = {"source": source, "first": first, "last": last}
        return count(connection, _clients_of_news(page), values)
    return count(connection, _clients(page), versions.bounds)


@cache
def _clients_of_news(page: _Page) -> Any:
    """Touch the clients of a page before which there was nothing between its first and last id."""
    t = SPECS[page.kind].table.c
    between = and_(t.external_id >= bindparam("first"), t.external_id <= bindparam("last"))
    here = and_(t.source == bindparam("source"), between)
    source = select(t.brand, t.client_id).where(here, t.client_id != "").distinct()
    insert = _insert(page.dialect, schema.touched).from_select(["brand", "client_id"], source)
    return insert.on_conflict_do_nothing()


@cache
def _clients(page: _Page) -> Any:
    """Touch the clients of what was journalled."""
    j, link = schema.journal.c, schema.identity_link
    refs = (
        select(j.brand, j.ref_kind, j.ref_value)
        .where(identity.among(schema.journal), j.kind == page.kind.value)
        .distinct()
        .subquery("refs")
    )
    linked = case((refs.c.ref_kind == "client_id", refs.c.ref_value), else_="")
    client_id = func.coalesce(link.c.client_id, linked if page.kind is Kind.PROFILE else "")
    named = and_(
        link.c.brand == refs.c.brand,
        link.c.kind == refs.c.ref_kind,
        link.c.value == refs.c.ref_value,
    )
    source = (
        select(refs.c.brand, client_id)
        .select_from(refs.outerjoin(link, named))
        .where(client_id != "")
        .distinct()
    )
    insert = _insert(page.dialect, schema.touched).from_select(["brand", "client_id"], source)
    return insert.on_conflict_do_nothing()


def touch_all(connection: Connection) -> None:
    """Every client and partner is to be computed again (the rule set changed, say)."""
    sweep.begin(connection)
    partners.touch_all(connection)
