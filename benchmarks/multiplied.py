"""A database of very many clients, made from a real one of few: each client again and again.

The few come from the real intake and a real sync. Their rows are then copied, set-based, with
other names: the copies are in every respect what intake and projection would have stored for such
clients, but for two texts nobody compares: the journal's payloads are left blank, and bodies of
CRM records stay as they were (with their hashes), under the copies' keys.

A copy's clients stand together, clustered by client as intake stores them. What vendors number
(payments, tickets, deals) is spread over the whole range of numbers, as it is where ids follow
time: a client's payments are no neighbours there.

Of records clustered by client, every second comes later, in no order, between those that are there:
rows that come in the order of their key fill SQLite's pages to the last byte, and no page that
records come to over months is ever as full. A record more would divide each page it comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Table, case, func, literal, select

from benchmarks.catalogue import every_source
from benchmarks.crm import portal
from benchmarks.rig import Clock, hub, install
from benchmarks.seed import BRANDS, Broker
from mapping.facts import FAMILIES
from state import schema, statistics
from sync.cycle import sync_once

Sql = sa.ColumnElement[Any]
Rename = Callable[["Copy", Table, str], Sql]

_KEPT_WHOLE = {schema.partner.name}  # affiliates have many clients, and stay as many
_IN_ORDER = (*schema.CURRENT.values(), schema.client, schema.fact, schema.profile)
_RECORDS = frozenset(schema.CURRENT.values())
_APPENDED = (
    schema.identity_link, schema.milestone, schema.contact_member, schema.episode,
    schema.stage_history, schema.desired, schema.crm_shadow, schema.journal,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """The names of one copy: ``before`` comes before ids of clients, ``behind`` after others."""

    before: Sql
    behind: Sql

    def client(self, column: Sql) -> Sql:
        """A client's id or address; blank stays blank."""
        return case((column == "", ""), else_=self.before + column)

    def other(self, column: Sql) -> Sql:
        """Any other id."""
        return case((column == "", ""), else_=column + self.behind)

    def key(self, column: Sql) -> Sql:
        """``brand:client``, and what may follow."""
        for brand in BRANDS:
            column = func.replace(column, f"{brand}:", literal(f"{brand}:") + self.before)
        return column


def _client(copy: Copy, table: Table, name: str) -> Sql:
    return copy.client(table.c[name])


def _other(copy: Copy, table: Table, name: str) -> Sql:
    return copy.other(table.c[name])


def _key(copy: Copy, table: Table, name: str) -> Sql:
    return copy.key(table.c[name])


def _by_ref_kind(copy: Copy, table: Table, name: str) -> Sql:
    value, of = table.c[name], table.c["ref_kind"]
    return _named(copy, value, of)


def _by_kind(copy: Copy, table: Table, name: str) -> Sql:
    return _named(copy, table.c[name], table.c["kind"])


def _named(copy: Copy, value: Sql, kind: Sql) -> Sql:
    of_client = kind.in_(("client_id", "email"))
    return case((of_client, copy.client(value)), else_=copy.other(value))


def _of_kind(profile: Callable[[Copy, Sql], Sql]) -> Rename:
    def rename(copy: Copy, table: Table, name: str) -> Sql:
        value, kind = table.c[name], table.c["kind"]
        return case((kind == "profile", profile(copy, value)), else_=copy.other(value))

    return rename


_RENAMED: Mapping[str, Rename] = {
    "client_id": _client, "email": _client, "email_norm": _client, "merged_into": _client,
    "ref_value": _by_ref_kind, "external_id": _other, "payment_id": _other,
}  # fmt: skip
_OWN: Mapping[tuple[str, str], Rename] = {
    ("client", "external_id"): _client,
    ("identity_link", "value"): _by_kind,
    ("link", "name"): _other,
    ("ledger_entry", "account"): _other,
    ("milestone", "external_id"): _of_kind(lambda copy, value: copy.key(value)),
    ("journal", "external_id"): _of_kind(lambda copy, value: copy.client(value)),
    ("journal", "payload"): lambda *_: literal(""),
    ("contact_member", "contact"): _key,
    ("episode", "key"): _key,
    ("episode", "contact"): _key,
    ("desired", "key"): _key,
    ("crm_shadow", "key"): _key,
    # Not known in the CRM: nobody is there to read them back from.
    ("crm_shadow", "crm_id"): lambda *_: literal(""),
}


def copied(client_id: str, n: int) -> str:
    """The id of a client's n-th copy; of the client itself for the first of all."""
    return f"{n:03d}.{client_id}" if n else client_id


def build(url: str, clients: int, copies: int) -> None:
    """Fill an empty database: ``clients`` through a first sync, then ``copies`` of each in all."""
    clock, broker = Clock(), Broker(clients)
    with portal() as crm:
        built = hub(url, clock, list(every_source(broker, clock)), crm.url, FAMILIES)
        install(built)
        cycle = sync_once(built)
        if cycle.errors or cycle.status != "ok":
            raise RuntimeError(f"the seed ended {cycle.status}: {cycle.errors}")
        multiply(built.store.engine, copies)
        with built.store.transaction("bench.statistics") as connection:
            statistics.refresh(connection)
        built.store.close()


def multiply(engine: sa.Engine, copies: int) -> None:
    """Have every client ``copies`` times."""
    with engine.connect() as connection:
        _quickly(connection)
        for table in (*_IN_ORDER, *_APPENDED):
            if table.name not in _KEPT_WHOLE:
                with connection.begin():
                    _multiply(connection, table, copies)
        connection.detach()  # goes with what was set on it


def _quickly(connection: sa.Connection) -> None:
    """What is made here can be made again."""
    if connection.dialect.name == "sqlite":
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.execute("PRAGMA cache_size=-1000000")
        cursor.close()


def _multiply(connection: sa.Connection, table: Table, copies: int) -> None:
    few = _few(connection, table)
    clustered = connection.dialect.name == "sqlite" and table in _RECORDS
    for index in sorted(table.indexes, key=lambda i: str(i.name)):
        index.drop(connection)
    in_order = table in _IN_ORDER
    if in_order:  # those of the last brand come behind the copies of the first
        connection.execute(sa.delete(table))
    brands = BRANDS if "brand" in table.c and in_order else [None]
    for later, brand in product((0, 1) if clustered else (None,), brands):
        statement = _copying(table, few, brand, later)
        for n in range(1, copies):
            connection.execute(statement, {"before": copied("", n), "behind": f".{n:03d}"})
        if in_order:
            connection.execute(_restoring(table, few, brand, later))
    for index in sorted(table.indexes, key=lambda i: str(i.name)):
        index.create(connection)
    few.drop(connection)


def _few(connection: sa.Connection, table: Table) -> Table:
    """The table's rows as they are, in a table of its own; ``later`` is 1 in every second."""
    few = Table(
        f"few_{table.name}", sa.MetaData(),
        *[sa.Column(c.name, c.type, primary_key=c.primary_key, autoincrement=False)
          for c in table.columns],
        sa.Column("later", sa.Integer),
        prefixes=["TEMPORARY"], sqlite_with_rowid=not _clustered(table),
    )  # fmt: skip
    few.create(connection)
    names = [c.name for c in table.columns]
    later = func.row_number().over(order_by=list(table.primary_key)) % 2
    rows = select(*[table.c[n] for n in names], later)
    connection.execute(sa.insert(few).from_select([*names, "later"], rows))
    return few


def _clustered(table: Table) -> bool:
    return table.dialect_options["sqlite"]["with_rowid"] is False


def _copying(table: Table, few: Table, brand: str | None, later: int | None) -> sa.Insert:
    copy = Copy(sa.bindparam("before", type_=sa.Text), sa.bindparam("behind", type_=sa.Text))
    numbered = table.autoincrement_column
    names = [c.name for c in table.columns if c is not numbered]
    columns = [_renamed(copy, table, few, n) for n in names]
    return sa.insert(table).from_select(names, _ordered(table, few, columns, brand, later))


def _restoring(table: Table, few: Table, brand: str | None, later: int | None) -> sa.Insert:
    names = [c.name for c in table.columns]
    columns = [few.c[n] for n in names]
    return sa.insert(table).from_select(names, _ordered(table, few, columns, brand, later))


def _ordered(
    table: Table, few: Table, columns: list[Any], brand: str | None, later: int | None
) -> sa.Select[Any]:
    order = [func.random()] if later else [few.c[c.name] for c in table.primary_key]
    query = select(*columns).order_by(*order)
    query = query if brand is None else query.where(few.c.brand == brand)
    return query if later is None else query.where(few.c.later == later)


def _renamed(copy: Copy, table: Table, few: Table, name: str) -> Sql:
    rename = _OWN.get((table.name, name)) or _RENAMED.get(name)
    return few.c[name] if rename is None else rename(copy, few, name)
