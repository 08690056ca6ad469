"""Intake end to end: PaymentIQ rows as texts become journal, current records, touched clients."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import rig
from benchmarks.report import Measured
from benchmarks.seed import Broker
from connectors.http import decoded
from mapping.records import Record
from state import schema
from sync.cycle import anyone
from sync.pull import pull

RECORDS = 60_000
BRAND = "alpha"
SERVER = os.environ.get(
    "BROKERSYNC_BENCH_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)


def run(folder: Path, contacts: int, server: str) -> Iterator[Measured]:
    """Both engines; a PostgreSQL that does not answer is named."""
    yield from _measured("SQLite", f"sqlite:///{folder / 'intake.db'}", contacts)
    try:
        with own_database(server) as url:
            yield from _measured("PostgreSQL", url, contacts)
    except sa.exc.OperationalError as error:
        cause = str(error.orig).splitlines()[0]
        for what in ("", ": cpu a record", ": raw insert"):
            yield Measured(f"intake, PostgreSQL{what}", None, note=f"no server: {cause}")


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """A new database of a server, gone at the end."""
    name = f"brokersync_bench_{os.getpid()}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _measured(engine: str, database: str, contacts: int) -> Iterator[Measured]:
    clock = rig.Clock()
    broker = Broker(contacts)
    pages = _texts(broker, rig.paymentiq(BRAND, clock).settings.page_size)
    registry, _, payments, *_ = rig.sources(broker, clock)
    hub = rig.hub(database, clock, [registry])
    done = pull(hub, anyone)
    connector = rig.paymentiq(BRAND, clock)

    def batches() -> Iterator[list[Record]]:
        for text in pages:
            yield [connector.parse(row) for row in decoded(text)]

    payments.batches = batches
    hub.sources = [payments]
    with rig.spending() as spent:
        done = pull(hub, anyone)
    if done.failed or done.journalled != done.records:
        raise RuntimeError(f"not everything was taken in: {done}")
    name = f"intake, {engine}"
    note = f"{done.records:,} payments in pages of {connector.settings.page_size}"
    yield Measured(name, done.records / spent.wall_s, "records/s", note)
    yield Measured(f"{name}: cpu a record", spent.cpu_s / done.records * 1e6, "us")
    yield Measured(f"{name}: raw insert", _raw_rate(hub.store.engine), "records/s", "journal rows")
    hub.store.close()


def _texts(broker: Broker, size: int) -> list[str]:
    """The vendor's answers, as texts."""
    pages: list[str] = []
    rows: list[dict[str, Any]] = []
    for i in broker.indexes(BRAND):
        rows += broker.payments(i)
        while len(rows) >= size:
            pages.append(json.dumps(rows[:size]))
            del rows[:size]
        if len(pages) * size >= RECORDS:
            break
    return [*pages, json.dumps(rows)]


def _raw_rate(engine: sa.Engine) -> float:
    """The same journal rows put into an empty copy of the table by the driver, in one batch."""
    names = [c.name for c in schema.journal.columns]
    with engine.connect() as connection:
        rows = [tuple(r) for r in connection.execute(sa.select(schema.journal).limit(RECORDS))]
        connection.rollback()
        copy = schema.journal.to_metadata(sa.MetaData(), name="journal_copy")
        for index in list(copy.indexes):
            copy.indexes.discard(index)
        with connection.begin():
            copy.create(connection)
        cursor: Any = connection.connection.cursor()
        with rig.spending() as spent, connection.begin():
            _insert(cursor, engine.dialect.name, names, rows)
    return len(rows) / spent.wall_s


def _insert(cursor: Any, dialect: str, names: Sequence[str], rows: Sequence[Any]) -> None:
    if dialect == "postgresql":
        with cursor.copy(f"COPY journal_copy ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        marks = ", ".join("?" * len(names))
        cursor.executemany(f"INSERT INTO journal_copy VALUES ({marks})", rows)
