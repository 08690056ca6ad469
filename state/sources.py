"""What the hub knows of its sources: cursors, completeness, re-read times, set-aside rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.engine import Connection

from state import schema
from state.projection import insert

_src, _rr, _aside = schema.source_state, schema.reread, schema.set_aside
FIRST_RETRY_MS = 3_600_000
LAST_RETRY_MS = 24 * 3_600_000


def register(
    connection: Connection, source: str, families: Sequence[str], brands: Sequence[str]
) -> None:
    """Make a source known, with what it tells of which brands."""
    family = ", ".join(families)
    statement = insert(connection, _src).values(source=source, family=family)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["source"], set_={"family": family})
    )
    rows = [{"source": source, "brand": b, "family": f} for b in brands for f in families]
    connection.execute(insert(connection, schema.source_brand).on_conflict_do_nothing(), rows)
    b = schema.source_brand
    told = sa.tuple_(b.c.brand, b.c.family).in_([(r["brand"], r["family"]) for r in rows])
    connection.execute(sa.delete(b).where(b.c.source == source, ~told))


def cursor(connection: Connection, source: str) -> str | None:
    """Where the last pull ended; None before the first."""
    return connection.scalar(select(_src.c.cursor).where(_src.c.source == source)) or None


def advance(
    connection: Connection,
    source: str,
    cursor: str,
    complete_until: int | None,
    records: int,
    now: int,
) -> None:
    """Store the cursor that belongs to a page, in the page's transaction."""  # fmt: skip
    values: dict[str, Any] = {
        "cursor": cursor, "records": _src.c.records + records, "last_try_at": now,
    }  # fmt: skip
    if complete_until is not None:
        values |= {"complete_until": complete_until, "last_ok_at": now, "last_error": ""}
    connection.execute(sa.update(_src).where(_src.c.source == source).values(values))


def failed(connection: Connection, source: str, error: str, now: int) -> None:
    """Note why a pull ended early."""
    connection.execute(
        sa.update(_src).where(_src.c.source == source).values(last_error=error, last_try_at=now)
    )


def horizons(connection: Connection, connected: Sequence[str]) -> dict[str, dict[str, int]]:
    """brand -> family -> the moment (ms) up to which every source of the family is complete.

    A family of which some connected source was never complete stands at 0.
    """
    return _least(connection, connected, _src.c.complete_until)


def heard(connection: Connection, connected: Sequence[str]) -> dict[str, dict[str, int]]:
    """brand -> family -> when (ms) the source of it that was longest not read to its end was so."""
    return _least(connection, connected, _src.c.last_ok_at)


def _least(
    connection: Connection, connected: Sequence[str], column: sa.Column[int]
) -> dict[str, dict[str, int]]:
    """brand -> family -> the least value of the family's sources."""
    b = schema.source_brand
    query = (
        select(b.c.brand, b.c.family, func.min(func.coalesce(column, 0)))
        .join(_src, _src.c.source == b.c.source)
        .where(b.c.source.in_(list(connected)))
        .group_by(b.c.brand, b.c.family)
    )
    found: dict[str, dict[str, int]] = {}
    for brand, family, least in connection.execute(query):
        found.setdefault(brand, {})[family] = int(least)
    return found


def overview(connection: Connection) -> list[dict[str, Any]]:
    """All sources as `status` shows them."""
    query = select(_src).order_by(_src.c.source)
    return [dict(row) for row in connection.execute(query).mappings()]


# --- re-reading ---------------------------------------------------------------------------------


def newcomers(connection: Connection, source: str, brands: Sequence[str], now: int) -> bool:
    """Whether there are clients the source has not been asked about."""
    return connection.execute(_unasked(source, brands, now).limit(1)).first() is not None


def enrol(connection: Connection, source: str, brands: Sequence[str], now: int) -> None:
    """Put clients the source has not been asked about on its re-read list."""
    statement = insert(connection, _rr).from_select(
        ["source", "brand", "value", "since", "next_at"], _unasked(source, brands, now)
    )
    connection.execute(statement.on_conflict_do_nothing())


def _unasked(source: str, brands: Sequence[str], now: int) -> sa.Select[Any]:
    c = schema.client
    known = and_(_rr.c.source == source, _rr.c.brand == c.c.brand, _rr.c.value == c.c.external_id)
    return (
        select(sa.literal(source), c.c.brand, c.c.external_id, c.c.registered_at, sa.literal(0))
        .select_from(c.outerjoin(_rr, known))
        .where(_rr.c.value.is_(None), c.c.brand.in_(list(brands)), c.c.registered_at <= now)
    )


def due_rereads(
    connection: Connection, source: str, now: int, limit: int
) -> list[tuple[str, str, int]]:
    """(reference, brand, since) of what is to be read again by now, longest waiting first."""
    query = (
        select(_rr.c.value, _rr.c.brand, _rr.c.since)
        .where(_rr.c.source == source, _rr.c.next_at <= now)
        .order_by(_rr.c.next_at, _rr.c.brand, _rr.c.value)
        .limit(limit)
    )
    return [(v, b, s) for v, b, s in connection.execute(query)]


def reschedule(
    connection: Connection, source: str, brand: str, next_reads: Mapping[str, int | None]
) -> None:
    """Store when each reference is next due (None: never)."""
    if next_reads:
        connection.execute(
            sa.update(_rr)
            .where(_rr.c.source == source, _rr.c.brand == brand, _rr.c.value == bindparam("v"))
            .values(next_at=bindparam("at")),
            [{"v": v, "at": at} for v, at in next_reads.items()],
        )


# --- set aside ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Aside:
    """Something set aside: ``area`` is intake or push, ``origin`` a source or destination."""

    area: str
    origin: str
    kind: str
    external_id: str
    brand: str
    reason: str
    raw: str = field(default="", repr=False)
    basis: str = ""


def set_aside(connection: Connection, rows: Sequence[Aside], now: int) -> dict[str, int]:
    """Keep rows that could not be used, with their reason and next try (1 h, backing off to 24 h).

    Returns:
        external id -> ms of the next try.
    """
    if not rows:
        return {}
    statement = insert(connection, _aside)
    next_try = sa.case(
        (_aside.c.attempts >= 5, now + LAST_RETRY_MS),
        *[
            (_aside.c.attempts == n, now + min(FIRST_RETRY_MS * 2**n, LAST_RETRY_MS))
            for n in range(1, 5)
        ],
        else_=now + FIRST_RETRY_MS,
    )
    excluded = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["area", "origin", "kind", "external_id"],
            set_={
                "reason": excluded.reason, "raw": excluded.raw, "basis": excluded.basis,
                "brand": excluded.brand, "last_at": now, "attempts": _aside.c.attempts + 1,
                "next_try_at": next_try,
            },
        ),
        [
            {"area": r.area, "origin": r.origin, "kind": r.kind, "external_id": r.external_id,
             "brand": r.brand, "reason": r.reason, "raw": r.raw, "basis": r.basis,
             "first_at": now, "last_at": now, "attempts": 1,
             "next_try_at": now + FIRST_RETRY_MS}
            for r in rows
        ],
    )  # fmt: skip
    return _next_tries(connection, rows)


def _next_tries(connection: Connection, rows: Sequence[Aside]) -> dict[str, int]:
    found: dict[str, int] = {}
    for area, origin, kind in sorted({(r.area, r.origin, r.kind) for r in rows}):
        ids = [r.external_id for r in rows if (r.area, r.origin, r.kind) == (area, origin, kind)]
        query = select(_aside.c.external_id, _aside.c.next_try_at).where(
            _aside.c.area == area, _aside.c.origin == origin, _aside.c.kind == kind,
            _aside.c.external_id.in_(ids),
        )  # fmt: skip
        found |= {r.external_id: r.next_try_at for r in connection.execute(query)}
    return found


def passed(
    connection: Connection, area: str, origin: str, ids: Sequence[str], kind: str = ""
) -> None:  # fmt: skip
    """These records (of one kind, where ids of several may be alike) are fine now."""
    if ids and connection.scalar(select(_aside.c.id).where(_aside.c.area == area).limit(1)):
        connection.execute(
            sa.delete(_aside).where(
                _aside.c.area == area, _aside.c.origin == origin,
                _aside.c.external_id.in_(list(ids)), _aside.c.kind == kind if kind else sa.true(),
            )
        )  # fmt: skip


def asides(connection: Connection, limit: int = 1000) -> list[dict[str, Any]]:
    """What is set aside, latest first, without the raw rows."""
    columns = [c for c in _aside.columns if c.name != "raw"]
    query = select(*columns).order_by(_aside.c.last_at.desc(), _aside.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def with_asides(connection: Connection) -> set[str]:
    """Sources of which some row is set aside."""
    return set(
        connection.scalars(select(_aside.c.origin).where(_aside.c.area == "intake").distinct())
    )


def retryable(
    connection: Connection, origin: str, basis: str, now: int, limit: int
) -> list[tuple[str, str]]:
    """(external id, raw row) of set-aside rows whose time has come, or whose ground changed.

    Args:
        basis: what rows were judged by (settings, say); a different one is a reason to try again.
    """
    query = (
        select(_aside.c.external_id, _aside.c.raw)
        .where(
            _aside.c.area == "intake", _aside.c.origin == origin, _aside.c.raw != "",
            sa.or_(_aside.c.next_try_at <= now, _aside.c.basis != basis),
        )
        .order_by(_aside.c.id)
        .limit(limit)
    )  # fmt: skip
    return [(i, raw) for i, raw in connection.execute(query)]
