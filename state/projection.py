"""A projection step's work list, and what it stores: profiles, history, contact groups."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from state import schema, sweep
from state.evaluate import Evaluated
from state.fact_views import listed, work
from state.staging import count, fresh

Key = tuple[str, str]


def insert(connection: Connection, table: sa.Table) -> Any:
    """The dialect's insert, which knows ON CONFLICT."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def fill_work(
    connection: Connection,
    limit: int,
    due_until: int,
    psp_horizons: Mapping[str, int],
    computed: Collection[str] = (),
) -> int:
    """Put up to ``limit`` touched clients (else who is due, else the next of a sweep) on the list.

    Clients who share an e-mail with one on the list come along: their contact is one. Only brands
    with a horizon count; the others wait, touched.

    Args:
        computed: brands that are swept and whose facts are worked out, but for who is touched.

    Returns:
        How many clients are on the list; 0 when there is nothing to do.
    """
    fresh(connection, work)
    brands = sorted(psp_horizons)
    t = schema.touched
    touched = select(t.c.brand, t.c.client_id).where(t.c.brand.in_(brands))
    size = _add(connection, touched.order_by("brand", "client_id").limit(limit))
    if size == 0:
        for query in _due(due_until, psp_horizons, limit):
            size += _add(connection, query)
    swept = size == 0
    if swept:
        size = _sweep(connection, brands, limit)
    if size:
        _add_mates(connection, brands)
        if swept and computed:
            _leave_out_computed(connection, computed)
        _forget_touched(connection)
    return size


def _add(connection: Connection, query: sa.Select[Any], mate: int = 0) -> int:
    rows = query.subquery()
    columns = [rows.c.brand, rows.c.client_id, sa.literal(mate)]
    statement = insert(connection, work).from_select(
        ["brand", "client_id", "mate"], select(*columns).where(sa.true())
    )
    return count(connection, statement.on_conflict_do_nothing())


def _sweep(connection: Connection, brands: Sequence[str], limit: int) -> int:
    """The next clients of a brand that is swept."""
    c = schema.client.c
    for brand, after in sweep.begun(connection, brands).items():
        some = select(c.brand, c.external_id.label("client_id"))
        some = some.where(c.brand == brand, c.external_id > after)
        size = _add(connection, some.order_by(c.external_id).limit(limit))
        last = connection.scalar(select(func.max(work.c.client_id)))
        sweep.move(connection, brand, last if size == limit else None)
        if size:
            return size
    return 0


def _leave_out_computed(connection: Connection, brands: Collection[str]) -> None:
    """Whoever is touched is computed again. The touched went first, and the threads of a process
    take turns: it would have to be another process, and its news must not be forgotten unread."""
    t = schema.touched
    news = sa.exists().where(t.c.brand == work.c.brand, t.c.client_id == work.c.client_id)
    ready = sa.update(work).where(work.c.brand.in_(sorted(brands)), ~news)
    connection.execute(ready.values(computed=1))


def _due(until: int, psp_horizons: Mapping[str, int], limit: int) -> Iterable[sa.Select[Any]]:
    """Few are due of many: found by their times. By a bare brand, SQLite, which knows no sizes,
    would choose the key instead and read every client of the brand at each tick."""
    p, f = schema.profile, schema.fact
    # Once a run: a client whose source stands still stays due, and must not be asked for ever.
    mine = p.c.brand.concat("").in_(sorted(psp_horizons))
    yield (
        select(p.c.brand, p.c.client_id)
        .where(p.c.due_at <= until, schema.comes(p.c.due_at), p.c.evaluated_at < until, mine)
        .limit(limit)
    )
    for brand, horizon in sorted(psp_horizons.items()):
        yield (
            select(f.c.brand, f.c.client_id)
            .where(
                f.c.brand.concat("") == brand,
                f.c.facts_due_at <= min(until, horizon),
                schema.comes(f.c.facts_due_at),
            )
            .limit(limit)
        )


def _add_mates(connection: Connection, brands: Sequence[str]) -> None:
    """Clients of the same e-mail, as it is now and as it was."""
    c, m, near = schema.client, schema.contact_member, listed()
    mine = (
        select(c.c.email_norm)
        .select_from(near.join(c, and_(c.c.brand == near.c.brand,
                                       c.c.external_id == near.c.client_id)))
        .where(c.c.email_norm != "")
        .union(
            select(m.c.email_norm)
            .select_from(near.join(m, and_(m.c.brand == near.c.brand,
                                           m.c.client_id == near.c.client_id)))
            .where(m.c.email_norm != "")
        )
    )  # fmt: skip
    mates = select(c.c.brand, c.c.external_id.label("client_id")).where(
        c.c.email_norm.in_(mine), c.c.brand.in_(brands)
    )
    _add(connection, mates, mate=1)


def _forget_touched(connection: Connection) -> None:
    t = schema.touched
    # IN, not EXISTS: SQLite looks up the list's clients instead of asking of each one touched.
    mine = select(work.c.brand, work.c.client_id)
    connection.execute(sa.delete(t).where(tuple_(t.c.brand, t.c.client_id).in_(mine)))


def work_brands(connection: Connection) -> list[str]:
    """Brands on the work list."""
    return list(connection.scalars(select(work.c.brand).distinct().order_by(work.c.brand)))


def gone(connection: Connection) -> list[Key]:
    """Clients on the work list that are no clients any more: merged into another."""
    c, link = schema.client, schema.identity_link
    query = select(work.c.brand, work.c.client_id).select_from(
        work.outerjoin(c, and_(c.c.brand == work.c.brand, c.c.external_id == work.c.client_id))
        .outerjoin(
            link,
            and_(link.c.brand == work.c.brand, link.c.kind == "client_id",
                 link.c.value == work.c.client_id),
        )
    ).where(or_(c.c.external_id.is_(None), link.c.client_id != work.c.client_id))  # fmt: skip
    return [(b, k) for b, k in connection.execute(query)]


def remove_profiles(connection: Connection, keys: Sequence[Key]) -> None:
    """Forget what was computed of clients that are gone."""
    for table in (schema.profile, schema.fact):
        for brand, client_id in keys:
            connection.execute(
                sa.delete(table).where(table.c.brand == brand, table.c.client_id == client_id)
            )


def save_profiles(
    connection: Connection, rows: Sequence[Evaluated], now: int, rule_version: int, run: int
) -> int:
    """Store profiles, and a line of history for each stage that changed.

    Returns:
        How many clients changed stage (or its begin).
    """
    statement = insert(connection, schema.profile)
    columns = ("stage", "stage_since", "states", "due_at", "rule_version", "evaluated_at")
    values = [
        {
            "brand": r.brand, "client_id": r.client_id, "stage": r.stage,
            "stage_since": since(r, now), "states": json.dumps(r.states, sort_keys=True),
            "due_at": r.due_at, "rule_version": rule_version, "evaluated_at": now,
        }
        for r in rows
    ]  # fmt: skip
    if values:
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["brand", "client_id"],
                set_={n: statement.excluded[n] for n in columns},
            ),
            values,
        )
    changed = [r for r in rows if r.was_stage != r.stage or r.was_since != since(r, now)]
    if changed:
        connection.execute(
            sa.insert(schema.stage_history),
            [
                {
                    "brand": r.brand, "client_id": r.client_id, "stage": r.stage,
                    "effective_at": since(r, now), "observed_at": now,
                    "rule_version": rule_version, "run": run,
                    "evidence": json.dumps({"from": r.was_stage, "states": sorted(r.states)}),
                }
                for r in changed
            ],
        )  # fmt: skip
    return len(changed)


def since(row: Evaluated, now: int) -> int:
    """The stage's begin; where its expression is blank, the moment the stage was first seen."""
    if row.stage_since is not None:
        return row.stage_since
    return row.was_since if row.was_stage == row.stage and row.was_since is not None else now


def set_due(connection: Connection, dues: Mapping[Key, int]) -> None:
    """Wake clients earlier than their rules ask for (a cool-down that ends, say)."""
    p = schema.profile
    for (brand, client_id), at in dues.items():
        connection.execute(
            sa.update(p)
            .where(p.c.brand == brand, p.c.client_id == client_id, p.c.due_at > at)
            .values(due_at=at)
        )


def facts_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """All facts of a few clients."""
    f = schema.fact
    found: dict[Key, dict[str, Any]] = {}
    for brand in sorted({b for b, _ in keys}):
        ids = [c for b, c in keys if b == brand]
        query = select(f).where(f.c.brand == brand, f.c.client_id.in_(ids))
        for row in connection.execute(query).mappings():
            found[row["brand"], row["client_id"]] = dict(row)
    return found


def facts_of_work(
    connection: Connection, names: tuple[str, ...]
) -> dict[Key, dict[str, Any]]:  # fmt: skip
    """Some facts of every client on the work list."""
    columns = ("brand", "client_id", *names)
    # Rows as mappings are slow to look into, and each is looked into dozens of times.
    return {
        (row[0], row[1]): dict(zip(columns, row, strict=True))
        for row in connection.execute(_of_work(columns))
    }


@lru_cache(maxsize=16)
def _of_work(columns: tuple[str, ...]) -> sa.Select[Any]:
    f, mine = schema.fact, listed()
    here = mine.join(f, and_(f.c.brand == mine.c.brand, f.c.client_id == mine.c.client_id))
    return select(*[f.c[n] for n in columns]).select_from(here)


# --- contact groups ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """A client of a contact group."""

    brand: str
    client_id: str
    email_norm: str
    registered_at: int
    contact: str

    @property
    def key(self) -> str:
        """``brand:client_id``."""
        return f"{self.brand}:{self.client_id}"


def members(connection: Connection, destination: str) -> dict[Key, Member]:
    """The stored contact groups of the clients on the work list."""
    m, mine = schema.contact_member, listed()
    query = select(m.c.brand, m.c.client_id, m.c.email_norm, m.c.registered_at, m.c.contact)
    query = query.select_from(
        mine.join(m, and_(m.c.brand == mine.c.brand, m.c.client_id == mine.c.client_id))
    ).where(m.c.destination == destination)
    return {(b, c): Member(b, c, e, r, k) for b, c, e, r, k in connection.execute(query)}


def save_members(connection: Connection, destination: str, rows: Iterable[Member]) -> None:
    """Store contact groups."""
    values = [
        {
            "destination": destination, "brand": m.brand, "client_id": m.client_id,
            "email_norm": m.email_norm, "registered_at": m.registered_at, "contact": m.contact,
        }
        for m in rows
    ]  # fmt: skip
    if not values:
        return
    statement = insert(connection, schema.contact_member)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "brand", "client_id"],
            set_={n: statement.excluded[n] for n in ("email_norm", "registered_at", "contact")},
        ),
        values,
    )


def remove_members(connection: Connection, destination: str, keys: Iterable[Key]) -> None:
    """Forget clients that are gone."""
    m = schema.contact_member
    for brand, client_id in keys:
        connection.execute(
            sa.delete(m).where(
                m.c.destination == destination, m.c.brand == brand, m.c.client_id == client_id
            )
        )


def count_by_stage(connection: Connection) -> dict[str, int]:
    """Clients a stage."""
    p = schema.profile
    rows = connection.execute(select(p.c.stage, func.count()).group_by(p.c.stage))
    return {row.stage: row[1] for row in rows}


def total(connection: Connection, table: sa.Table) -> int:
    """Rows of a table."""
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)
