"""1,000,000 clients of the full catalogue: facts, rebuild, rules, tick, intake, a whole sync.

Each step is a process of its own on one database, so that its memory is its own. The database is
made by :mod:`benchmarks.multiplied`, which is not measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from benchmarks import rig
from benchmarks.catalogue import FAMILIES, every_source
from benchmarks.crm import portal
from benchmarks.intake import BRAND, RECORDS
from benchmarks.multiplied import copied
from benchmarks.report import Measured
from benchmarks.seed import BRANDS, MATES_EVERY, Broker, client_id
from connectors.http import decoded
from mapping.records import Record
from state import fact_views, facts_sql, intake, projection, schema, statistics
from state.evaluate import fact_compiler, parameters
from state.linking import touch
from state.rules_due import first_match
from state.staging import fresh
from sync.cycle import anyone, sync_once
from sync.hub import Hub
from sync.project import STEP, Projector, figures
from sync.pull import pull
from sync.rebuild import RANGE, rebuild

COPIES = 100
TOUCHED, REPEATS, TICKS = 10_000, 3, 60
A_ROW_S, A_CLIENT_S = 3e-6, 50e-6
_CLIENT = ("brand", "external_id")


def contacts(clients: int) -> int:
    """How many contacts the seed needs so that there are so many clients, copies included."""
    return clients // COPIES * MATES_EVERY // (MATES_EVERY + 1)


class Million:
    """One engine's database of that size."""

    def __init__(self, engine: str, url: str, clients: int) -> None:
        self.name = f"million, {engine}"
        self.url = url
        self.postgres = engine == "PostgreSQL"
        self.broker = Broker(contacts(clients))
        self.clock = rig.Clock()

    def hub(self, crm_url: str = rig.NOBODY) -> Hub:
        """A hub with all families connected, and nothing new in any."""
        found = every_source(self.broker, self.clock)
        for source in found:
            source.batches = list
        return rig.hub(self.url, self.clock, list(found), crm_url, FAMILIES)

    def measured(self, what: str, *rest: Any) -> Measured:
        """A figure of this database."""
        return Measured(f"{self.name}: {what}", *rest)

    # -- facts ------------------------------------------------------------------------------------

    def facts(self) -> Iterator[Measured]:
        """Facts of clients touched all over the database."""
        hub, now = self.hub(), self.clock.now_ms()
        with hub.store.transaction("bench.facts") as connection:
            statistics.refresh(connection)
            _list(connection, 1)
            _compute(hub, connection, now)  # builds and compiles the statements
            clients, spent = _list(connection, TOUCHED), []
            rows = _rows(connection)
            for _ in range(REPEATS):
                with rig.spending() as this:
                    _compute(hub, connection, now)
                spent.append(this)
        allowed = rows * A_ROW_S + clients * A_CLIENT_S
        note = f"{clients:,} clients, {rows:,} rows of current records; the hub's process"
        # The server's share is not the hub's: there the hold says little.
        hold = f"<= {allowed:.3f}"
        yield self.measured("facts: cpu", median(s.cpu_s for s in spent), "s", note, hold)
        yield self.measured("facts: time", median(s.wall_s for s in spent), "s")

    def rebuild(self) -> Iterator[Measured]:
        """Facts of everybody, as after a new fact: range by range on a server, else in steps."""
        hub, now, clients = self.hub(), self.clock.now_ms(), 0
        psp, every = dict.fromkeys(BRANDS, now), {b: figures(hub, b) for b in BRANDS}
        done: list[int] = [0]
        hub.progress = lambda *told: done.append(told[2])
        with rig.spending() as spent:
            with hub.store.transaction("bench.touch") as connection:
                intake.touch_all(connection)
            size = not rebuild(hub, anyone, psp, every)
            while size:
                with hub.store.transaction("bench.step") as connection:
                    size = bool(projection.fill_work(connection, STEP, 0, psp))
                    _compute(hub, connection, now)
                    clients += projection.total(connection, fact_views.work)
        with hub.store.transaction("bench.swept") as connection:
            connection.execute(sa.delete(schema.sweep))
        if clients:
            note = f"{clients:,} clients in steps of {STEP:,}"
        else:
            note = f"{done[-1]:,} clients in ranges of {RANGE:,}, two at a time"
        yield self.measured("rebuild: time", spent.wall_s, "s", note)
        yield self.measured("rebuild: cpu", spent.cpu_s, "s")

    def check(self) -> Iterator[Measured]:
        """Nothing measured: are the copies what intake would have made of such clients?"""
        differ = _differing(self.hub())
        if differ:
            raise RuntimeError(f"facts of copies differ from their originals': {differ}")
        yield from ()

    # -- rules ------------------------------------------------------------------------------------

    def rules(self) -> Iterator[Measured]:
        """Every stage and state of everybody, counted; and what another rule set would move."""
        hub = self.hub()
        with hub.store.reading() as connection:
            with rig.spending() as spent:
                counted = sum(self._count(connection, hub, b, _held) for b in BRANDS)
            note = f"{counted:,} clients: all stages and states, counted in the database"
            yield self.measured("rules: time", spent.wall_s, "s", note)
            yield self.measured("rules: cpu", spent.cpu_s, "s")
            with rig.spending() as spent:
                counted = sum(self._count(connection, hub, b, _moved) for b in BRANDS)
            note = f"{counted:,} clients: the stage by two rule sets, those that differ counted"
            yield self.measured("rules: what one edit moves", spent.wall_s, "s", note)
            yield self.measured("rules: what one edit moves, cpu", spent.cpu_s, "s")

    def _count(
        self, connection: Connection, hub: Hub, brand: str, query: Callable[[Any], Any]
    ) -> int:
        now, rules = self.clock.now_ms(), hub.rules[brand]
        values = parameters(now, dict.fromkeys(FAMILIES, now), list(FAMILIES))
        rows = connection.execute(query(rules).where(schema.fact.c.brand == brand), values).all()
        return sum(row[-1] for row in rows)

    def tick(self) -> Iterator[Measured]:
        """A minute passes, and another."""
        hub = self.hub()
        projector, spent = Projector(hub, 0, 1, anyone), []
        with hub.store.transaction("bench.touch") as connection:  # so that all is built once
            some = select(schema.client.c.brand, schema.client.c.external_id).limit(10)
            touch(connection, [(brand, client) for brand, client in connection.execute(some)])
        projector.project(self.clock.now_ms())  # and whatever was due
        for _ in range(TICKS):
            self.clock.ahead_ms += 60_000
            pull(hub, anyone)  # nothing new, but it is known up to now
            before = projector.done.clients
            with rig.spending() as this:
                projector.project(self.clock.now_ms())
            spent.append((this.wall_s * 1000, projector.done.clients - before))
        usual, (longest, due) = median(ms for ms, _ in spent), max(spent)
        note = f"a minute each, median of {TICKS}; {sum(n for _, n in spent)} clients were due"
        yield self.measured("due tick", usual, "ms", note)
        note = f"{due} clients were due in it (copies fall due together)"
        yield self.measured("due tick, the longest", longest, "ms", note)

    # -- intake and a whole sync ------------------------------------------------------------------

    def intake(self) -> Iterator[Measured]:
        """New payments of clients all over the database."""
        hub = self.hub()
        hub.sources = [s for s in hub.sources if s.name == f"paymentiq-{BRAND}"]
        hub.sources[0].batches = self._payments(list(self._pages(5_000_000_000)))
        with rig.spending() as spent:
            done = pull(hub, anyone)
        if done.failed or done.rejects or done.journalled != done.records:
            raise RuntimeError(f"not everything was taken in: {done}")
        note = f"{done.records:,} payments"
        yield self.measured("intake", done.records / spent.wall_s, "records/s", note)
        yield self.measured("intake: cpu a record", spent.cpu_s / done.records * 1e6, "us")

    def _pages(self, first: int) -> Iterator[str]:
        """New payments of clients all over, as texts; numbered on from ``first``, as a PSP numbers
        them: behind all it has had."""
        ids = count(first)
        rows = (
            row | {"id": next(ids), "merchantUserId": copied(client_id(i), n % COPIES)}
            for further in range(0, COPIES, COPIES // 4)
            for i in self.broker.indexes(BRAND)
            for n, row in enumerate(self.broker.payments(i), i + further)
        )
        size = rig.paymentiq(BRAND, self.clock).settings.page_size
        yield from (json.dumps(page) for page in rig.paged(_most(rows, RECORDS), size))

    def _payments(self, texts: Iterable[str]) -> rig.Batches:
        """The pages, decoded as they come."""
        connector = rig.paymentiq(BRAND, self.clock)

        def batches() -> Iterator[list[Record]]:
            for text in texts:
                yield [connector.parse(row) for row in decoded(text)]

        return batches

    def sync(self) -> Iterator[Measured]:
        """A whole sync with new payments: pull, projection of their clients, read-back, push."""
        with portal() as crm:
            hub = self.hub(crm.url)
            rig.install(hub)
            psp = next(s for s in hub.sources if s.name == f"paymentiq-{BRAND}")
            psp.batches = self._payments(self._pages(7_000_000_000))
            with rig.spending() as spent:
                cycle = sync_once(hub)
        if cycle.errors:
            raise RuntimeError(f"the sync ended {cycle.status}: {cycle.errors}")
        pushed = cycle.pushed["hubspot"]
        note = (
            f"{cycle.pulled.records:,} records, {cycle.projected.clients:,} clients computed, "
            f"{pushed.contacts_written:,} contacts written"
        )
        yield self.measured("memory: peak of a sync", rig.peak_mb(), "MB resident", note)
        yield self.measured("sync: time", spent.wall_s, "s")
        yield self.measured("sync: cpu", spent.cpu_s, "s")


STEPS = ("facts", "rules", "tick", "rebuild", "check", "intake", "sync")


def run(step: str, engine: str, url: str, clients: int) -> Iterator[Measured]:
    """One step, in this process."""
    found = Million(engine, url, clients)
    steps: Mapping[str, Callable[[], Iterator[Measured]]] = {n: getattr(found, n) for n in STEPS}
    yield from steps[step]()


def _most(rows: Iterator[dict[str, Any]], most: int) -> Iterator[dict[str, Any]]:
    for _, row in zip(range(most), rows, strict=False):
        yield row


def _list(connection: Connection, clients: int) -> int:
    """Put clients spread evenly over the database on the work list; says how many."""
    c, work = schema.client, fact_views.work
    total = projection.total(connection, c)
    place = func.row_number().over(order_by=[c.c[n] for n in _CLIENT]).label("place")
    rows = select(c.c.brand, c.c.external_id, place).subquery()
    some = select(rows.c.brand, rows.c.external_id).where(rows.c.place % (total // clients) == 0)
    fresh(connection, work)
    connection.execute(sa.insert(work).from_select(["brand", "client_id"], some.limit(clients)))
    return projection.total(connection, work)


def _rows(connection: Connection) -> int:
    """Current records of the clients on the work list, themselves included."""
    work, total = fact_views.work, 0
    for table in (schema.client, *schema.OF_CLIENTS.values()):
        client = table.c.external_id if table is schema.client else table.c.client_id
        same = (table.c.brand == work.c.brand) & (client == work.c.client_id)
        query = select(func.count()).select_from(work.join(table, same))
        total += connection.scalar(query) or 0
    return total


def _compute(hub: Hub, connection: Connection, now: int) -> None:
    for brand in projection.work_brands(connection):
        facts_sql.compute(connection, brand, now, figures(hub, brand))


def _held(rules: Any) -> Any:
    """How many clients are in each stage, and in each state."""
    compiler = fact_compiler()
    stage, _ = first_match(compiler, [(s.id, s.when) for s in rules.stages])
    states = [func.sum(compiler.condition(s.when)) for s in rules.states]
    return select(stage, *states, func.count()).select_from(schema.fact).group_by(stage)


def _moved(rules: Any) -> Any:
    """How many clients' stage another rule set (without its third stage) would change."""
    compiler = fact_compiler()
    every = [(s.id, s.when) for s in rules.stages]
    now, _ = first_match(compiler, every)
    then, _ = first_match(compiler, [*every[:2], *every[3:]])
    moved = func.count().filter(now.is_distinct_from(then))
    return select(now, moved, func.count()).select_from(schema.fact).group_by(now)


def _differing(hub: Hub) -> dict[str, int]:
    """Facts in which copies differ from each other -> of how many originals.

    A copy's id ends like its original's; ids of affiliates and the like are alike.
    """
    f = schema.fact
    original = func.substr(f.c.client_id, func.length(f.c.client_id) - 7)
    found: dict[str, int] = {}
    with hub.store.reading() as connection:
        for names in _in_groups(
            [c.name for c in f.columns if c.name not in ("brand", "client_id")]
        ):
            several = [
                (func.count(f.c[n].distinct()) > 1) | (~func.count(f.c[n]).in_((0, COPIES)))
                for n in names
            ]
            each = select(*[sa.case((s, 1), else_=0).label(n)
                            for n, s in zip(names, several, strict=True)])  # fmt: skip
            each = each.group_by(f.c.brand, original)
            rows = each.subquery()
            counts = connection.execute(select(*[func.sum(rows.c[n]).label(n) for n in names]))
            found |= {n: v for n, v in counts.mappings().one().items() if v}
    return found


def _in_groups(names: list[str], size: int = 60) -> list[list[str]]:
    return [names[n : n + size] for n in range(0, len(names), size)]
