"""Facts of 10,000 touched clients, in a database of one size and of twice that size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from benchmarks import rig
from benchmarks.report import Measured
from benchmarks.seed import BRANDS, Broker
from state import fact_views, facts_sql, projection, schema
from state.fact_calendar import Figures
from sync.cycle import anyone
from sync.hub import Hub
from sync.pull import pull

TOUCHED = 10_000
REPEATS = 3
A_ROW_S, A_CLIENT_S = 3e-6, 50e-6
_READ = (schema.client, schema.kyc_case, schema.payment, schema.movement)


def run(folder: Path, contacts: int) -> Iterator[Measured]:
    """The same clients, measured before and after as many others arrive."""
    clock = rig.Clock()
    database = f"sqlite:///{folder / 'facts.db'}"
    small, large = Broker(contacts, mates=False), Broker(2 * contacts, mates=False)
    step = max(1, contacts // TOUCHED)
    ids = [i for i in range(contacts) if i % step == 0][:TOUCHED]
    hub = rig.hub(database, clock, list(rig.sources(small, clock)))
    _pull(hub)
    rows, first_s = _measure(hub, small, ids)
    hub.sources = rig.sources(large, clock, first=small.clients)
    _pull(hub)
    same_rows, second_s = _measure(hub, large, ids)
    assert rows == same_rows, (rows, same_rows)
    allowed = rows * A_ROW_S + len(ids) * A_CLIENT_S
    note = f"{len(ids):,} clients, {rows:,} rows of current records"
    yield Measured("facts: cpu", first_s, "s", note, f"<= {allowed:.3f}")
    yield Measured("facts: cpu, twice the clients", second_s, "s", "", f"<= {allowed:.3f}")
    yield Measured("facts: twice the clients to once", second_s / first_s, "ratio")


def _pull(hub: Hub) -> None:
    done = pull(hub, anyone)
    if done.failed or done.rejects:
        raise RuntimeError(f"the seed was not taken in: {done}")


def _measure(hub: Hub, broker: Broker, ids: list[int]) -> tuple[int, float]:
    """Rows read, and processor seconds (median of some repeats) for the facts of ``ids``."""
    now = hub.clock.now_ms()
    spent = []
    with hub.store.transaction("bench.facts") as connection:
        _work(connection, broker, ids[:1])
        facts_sql.compute(
            connection, "alpha", now, Figures(trading=False)
        )  # builds and compiles the statement
        _work(connection, broker, ids)
        rows = _rows(connection)
        for _ in range(REPEATS):
            with rig.spending() as this:
                for brand in BRANDS:
                    facts_sql.compute(connection, brand, now, Figures(trading=False))
            spent.append(this.cpu_s)
    return rows, median(spent)


def _work(connection: Connection, broker: Broker, ids: list[int]) -> None:
    """Touch exactly these clients and put them on the work list."""
    connection.execute(sa.delete(schema.touched))
    keys = [(r.brand, r.external_id) for r in map(broker.profile, ids)]
    values = [{"brand": b, "client_id": c} for b, c in keys]
    connection.execute(sa.insert(schema.touched), values)
    size = projection.fill_work(connection, len(ids), 0, dict.fromkeys(BRANDS, 0))
    assert size == len(ids), (size, len(ids))


def _rows(connection: Connection) -> int:
    work = fact_views.work
    total = 0
    for table in _READ:
        client = table.c.external_id if table is schema.client else table.c.client_id
        same = (table.c.brand == work.c.brand) & (client == work.c.client_id)
        query = sa.select(sa.func.count()).select_from(work.join(table, same))
        total += connection.scalar(query) or 0
    return total
