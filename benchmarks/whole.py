"""Whole syncs through the product: the first, nothing changed, 1 % changed, all changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import rig
from benchmarks.crm import Crm, portal
from benchmarks.report import Measured
from benchmarks.seed import MATES_EVERY, Broker
from mapping.records import Record
from state import engine, intake, outbox, schema
from state.evaluate import evaluator
from state.fact_views import work
from state.staging import fresh
from sync.cycle import Cycle, anyone, sync_once
from sync.hub import Hub
from sync.project import Projector
from sync.push import Pushed, Pusher

LIMIT, LATENCY_S, WINDOW_S = 190, 0.120, 10
BATCH = 100
_TEXTS = ("campaign", "landing_page", "device", "first_deposit_method", "source_type", "language")
_DATES = ("registration_date", "first_deposit_date")
_NUMBERS = ("total_deposit_amount", "payment_fees")


class Whole:
    """One hub, one portal, and the steps in their order."""

    def __init__(self, folder: Path, contacts: int, crm: Crm) -> None:
        self.broker = Broker(contacts)
        self.crm = crm
        self.clock = rig.Clock()
        self.sources = rig.sources(self.broker, self.clock)
        self.database = f"sqlite:///{folder / 'hub.db'}"
        self.hub = self._hub()
        rig.install(self.hub)

    def _hub(self, **crm: Any) -> Hub:
        return rig.hub(self.database, self.clock, list(self.sources), self.crm.url, **crm)

    def first(self) -> list[Measured]:
        """The first sync: intake of everything, projection, and a push without limits."""
        with rig.spending() as spent:
            cycle = ended(sync_once(self.hub))
        pushed = cycle.pushed["hubspot"]
        assert pushed.contacts_created == self.broker.contacts, pushed
        note = (
            f"{cycle.pulled.records:,} records, {cycle.projected.clients:,} clients, "
            f"{pushed.contacts_written:,} contacts, {pushed.tasks_written:,} tasks"
        )
        return [
            Measured("first sync", spent.wall_s, "s", note),
            Measured("first sync: cpu", spent.cpu_s, "s"),
            Measured("memory: peak of a whole sync", rig.peak_mb(), "MB resident"),
        ]

    def nothing(self) -> list[Measured]:
        """Everything is pulled and computed again, and is as it was."""
        with self.hub.store.transaction("bench.touch") as connection:
            intake.touch_all(connection)
        before = self.crm.stats()
        with rig.spending() as spent:
            cycle = ended(sync_once(self.hub))
        after = self.crm.stats()
        note = f"{cycle.pulled.records:,} rows pulled again, {cycle.projected.clients:,} computed"
        return [
            Measured("nothing changed: writes", _writes(after) - _writes(before), "records", note),
            Measured(
                "nothing changed: read-back calls",
                after["calls"] - before["calls"],
                "calls",
                f"its budget is {self.hub.read_back_calls}",
                f"<= {self.hub.read_back_calls}",
            ),
            Measured("nothing changed: time", spent.wall_s, "s"),
        ]

    def changed(self) -> list[Measured]:
        """A telephone number of one contact in a hundred changes in the registry."""
        ids = [i for i in range(self.broker.contacts) if i % MATES_EVERY == 1]
        registry = self.hub.sources[0]
        everything, registry.batches = registry.batches, self._news(ids)
        for source in self.hub.sources[1:]:
            source.batches = list
        before = self.crm.stats()
        self.crm.keep()
        with rig.spending() as spent:
            cycle = ended(sync_once(self.hub))
        registry.batches = everything
        looked = cycle.read_back["hubspot"].calls
        took = Measured("1 % changed: time", spent.wall_s, "s")
        return [*self._of_changed(ids, before, looked), took]

    def _news(self, ids: Sequence[int]) -> rig.Batches:
        def batches() -> Iterator[list[Record]]:
            return rig.paged((self.broker.profile(i, version=1) for i in ids), 1000)

        return batches

    def _of_changed(
        self, ids: Sequence[int], before: dict[str, Any], looked: int
    ) -> list[Measured]:
        """Telephone numbers are a person's once edited: each batch is read before it is written."""
        calls = routes(self.crm.stats(), before)
        writes = sum(n for route, n in calls.items() if route.endswith(("update", "upsert")))
        reads = sum(calls.values()) - writes - looked
        written = self.crm.written()
        right = sum(names == ("phone",) for _, _, names in written)
        exact = f"== {-(-len(ids) // BATCH)}"
        return [
            Measured("1 % changed: write calls", writes, "calls", f"{len(ids)} changed", exact),
            Measured(
                "1 % changed: reads of person-wins fields", reads, "calls",
                f"beside {looked} of read-back", exact,
            ),
            Measured("1 % changed: records written", len(written), "records", "", f"== {len(ids)}"),
            Measured(
                "1 % changed: of them with changed fields only", right, "records", "",
                f"== {len(ids)}",
            ),
        ]  # fmt: skip

    def push(self) -> list[Measured]:
        """Every contact differs in ten fields; the portal is limited and slow."""
        changed = change_all(self.hub, "hubspot", self.clock.now_ms())
        time.sleep(WINDOW_S)  # the calls of the set-up leave the portal's window
        self.crm.limit(LIMIT, LATENCY_S)
        self.hub = hub = self._hub(requests_per_10s=LIMIT)
        hub.schema_checked["hubspot"] = True
        before = self.crm.stats()
        pusher = self._pusher(hub)
        with rig.spending() as spent:
            done = pusher.push()
        after = self.crm.stats()
        self.crm.limit()
        return _pushed(done, changed, spent, before, after)

    def _pusher(self, hub: Hub) -> Pusher:
        with hub.store.transaction("bench.role") as connection:
            fence = engine.take_role(connection, self.clock.now_ms())
        return Pusher(
            hub, "hubspot", hub.destinations["hubspot"], fence, lambda c: engine.hold(c, fence)
        )

    def rules(self) -> list[Measured]:
        """All rules for all clients, and a tick of the clock with nothing touched."""
        with self.hub.store.transaction("bench.rules") as connection:
            now, c = self.clock.now_ms(), schema.client.c
            fresh(connection, work)
            everybody = sa.select(c.brand, c.external_id)
            connection.execute(sa.insert(work).from_select(["brand", "client_id"], everybody))
            evaluate = {n: evaluator(r) for n, r in self.hub.rules.items()}
            with rig.spending() as spent:
                for brand, rules in evaluate.items():
                    for _ in rules.rows(connection, brand, now, dict.fromkeys(rules.families, now)):
                        pass
        return [Measured("rules for all clients", spent.cpu_s, "cpu s"), *self._tick()]

    def _tick(self) -> list[Measured]:
        projector = Projector(self.hub, 0, 1, anyone)
        projector.project(self.clock.now_ms())
        self.clock.ahead_ms += 60_000
        before = projector.done.clients
        with rig.spending() as spent:
            projector.project(self.clock.now_ms())
        note = f"{projector.done.clients - before} clients were due"
        return [Measured("due tick, a minute later", spent.wall_s * 1000, "ms", note)]


def change_all(hub: Hub, name: str, now: int) -> int:
    """Let every contact's desired state differ in ten fields; how many there are."""
    table = schema.desired
    keys = sa.select(table.c.key, table.c.body, table.c.priority).where(table.c.object == "contact")
    with hub.store.transaction("bench.change") as connection:
        rows = [
            outbox.Desired("contact", key, _other(hub, json.loads(body)), priority)
            for key, body, priority in connection.execute(keys)
        ]
        return outbox.want(connection, name, rows, now)


def ended(cycle: Cycle) -> Cycle:
    """A cycle that ended well."""
    if cycle.errors or cycle.status != "ok":
        errors = [(name, error.log) for name, error in cycle.errors]
        raise RuntimeError(f"the sync ended {cycle.status}: {errors}")
    return cycle


def _writes(stats: dict[str, Any]) -> int:
    return sum(stats["writes"].values())


def routes(after: dict[str, Any], before: dict[str, Any]) -> dict[str, int]:
    """Calls between two looks at a fake's counters, by route."""
    was = before["calls_by_route"]
    return {r: n - was.get(r, 0) for r, n in after["calls_by_route"].items() if n != was.get(r, 0)}


def _other(hub: Hub, body: dict[str, str]) -> dict[str, str]:
    for name in _TEXTS:
        body[hub.property_name(name)] += " changed"
    for name in _DATES:
        body[hub.property_name(name)] = "2026-02-27"
    for name in _NUMBERS:
        body[hub.property_name(name)] = "1234.56"
    return body


def _pushed(
    done: Pushed, changed: int, spent: rig.Spent, before: dict[str, Any], after: dict[str, Any]
) -> list[Measured]:
    if done.stopped is not None or done.contacts_written != changed:
        raise RuntimeError(f"the push wrote {done.contacts_written} of {changed}: {done.stopped}")
    calls = after["calls"] - before["calls"]
    share = calls / spent.wall_s / (LIMIT / WINDOW_S)
    note = f"{changed:,} contacts, 10 fields each, {calls} calls, {LATENCY_S * 1000:.0f} ms latency"
    return [
        Measured("push: share of the limit", share, "of 190 calls / 10 s", note),
        Measured("push: 429s", after["rate_limited"] - before["rate_limited"], "answers"),
        Measured("push: cpu a record", spent.cpu_s / changed * 1e6, "us"),
        Measured("push: time", spent.wall_s, "s"),
    ]


def run(folder: Path, contacts: int, steps: Sequence[str]) -> Iterator[Measured]:
    """The first sync, then the steps asked for."""
    with portal() as crm:
        whole = Whole(folder, contacts, crm)
        yield from whole.first()
        order: dict[str, Callable[[], list[Measured]]] = {
            "nothing": whole.nothing,
            "changed": whole.changed,
            "push": whole.push,
            "rules": whole.rules,
        }
        for name, step in order.items():
            if name in steps:
                yield from step()
