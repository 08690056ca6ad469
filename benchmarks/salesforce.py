"""Salesforce: a first push by bulk jobs, nothing changed, 1 % changed, and all changed by bulk.

The org is in a process of its own behind real HTTP, so that CPU is the hub's alone. Its jobs are
done as soon as they are looked at: what is measured is the hub, and how many calls it makes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import rig
from benchmarks.crm import Crm, process
from benchmarks.report import Measured
from benchmarks.seed import MATES_EVERY, NOW_MS, Broker
from benchmarks.whole import change_all, ended, routes
from connectors.salesforce import SalesforceDestination, SalesforceSettings
from mapping.records import Record
from simulator.loopback import HttpServer
from simulator.salesforce import SalesforceFake
from simulator.salesforce_people import APP, organisation, teams
from state import engine, intake
from sync.cycle import anyone, pull_once, sync_once
from sync.project import Projector
from sync.push import Pushed, Pusher

CRM = "salesforce"
BATCH = 200
DAY_CALLS = 100_000  # documented: the least an Enterprise org has
_LOOK = "GET jobs/ingest/JOB"


class _RealTime:
    """The machine's clock, on the seed's day."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()

    @property
    def now_ms(self) -> int:
        """Milliseconds that never go back."""
        return NOW_MS + (time.monotonic_ns() - self._began_ns) // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Really wait."""
        time.sleep(seconds)


def _serve(pipe: Connection) -> None:
    fake = organisation(
        _RealTime(), daily_limit=DAY_CALLS, bulk_queue_s=0, bulk_rows_per_s=1e9, session_s=1e6
    )
    server = HttpServer(fake)
    pipe.send(server.url)
    while (words := pipe.recv())[0] != "stop":
        pipe.send(_answer(fake, words))
    server.close()


def _answer(fake: SalesforceFake, words: tuple[Any, ...]) -> Any:
    match words:
        case ("keep",):
            fake.written.clear()
            fake.org.keep_written = True
        case ("stats",):
            return fake.stats()
        case ("teams",):
            return dict(teams(fake))
        case ("written",):
            return [(w.sobject, w.id, tuple(sorted(w.values))) for w in fake.written]
    return None


class _Bench:
    """One hub, one org, and the steps in their order."""

    def __init__(self, folder: Path, contacts: int, crm: Crm) -> None:
        self.broker = Broker(contacts)
        self.crm = crm
        self.clock = rig.Clock()
        settings = SalesforceSettings.model_validate({
            "base_url": crm.url, "auth": "client_credentials", "consumer_key": APP.client_id,
            "consumer_secret": APP.client_secret,
        })  # fmt: skip
        destination = SalesforceDestination(settings, rig.context(CRM))
        self.hub = rig.hub_to(
            destination, crm.ask("teams"), f"sqlite:///{folder / 'hub.db'}", self.clock,
            list(rig.sources(self.broker, self.clock)),
        )  # fmt: skip
        rig.install(self.hub)

    def first(self) -> list[Measured]:
        """Everything is read and computed; then all contacts, unknown to the org, are pushed."""
        pull_once(self.hub)
        Projector(self.hub, 0, 1, anyone).project(self.clock.now_ms())
        pushed, found = self._pushed("first push")
        if pushed.contacts_created != self.broker.contacts:
            raise RuntimeError(f"created: {pushed.contacts_created}")
        return [*found, Measured("salesforce, memory: peak", rig.peak_mb(), "MB resident")]

    def everything(self) -> list[Measured]:
        """Every contact, known by its id, differs in ten fields."""
        change_all(self.hub, CRM, self.clock.now_ms())
        return self._pushed("all changed")[1]

    def _pushed(self, name: str) -> tuple[Pushed, list[Measured]]:
        with self.hub.store.transaction("bench.role") as connection:
            fence = engine.take_role(connection, self.clock.now_ms())
        pusher = Pusher(
            self.hub, CRM, self.hub.destinations[CRM], fence, lambda c: engine.hold(c, fence)
        )
        before = self.crm.stats()
        with rig.spending() as spent:
            done = pusher.push()
        after = self.crm.stats()
        count = done.contacts_written
        if done.stopped is not None or not count:
            raise RuntimeError(f"the push wrote {count}: {done.stopped}")
        by_route = routes(after, before)
        calls = sum(by_route.values())
        used = after["used_today"] - before["used_today"]
        note = (
            f"{count:,} contacts, {done.tasks_written:,} tasks, {calls:,} calls: "
            f"{by_route.get('POST jobs/ingest', 0)} jobs, {by_route.get(_LOOK, 0)} looks at them, "
            f"{sum(n for r, n in by_route.items() if 'query' in r)} queries"
        )
        return done, [
            Measured(f"salesforce, {name}: calls a record", calls / count, "calls", note),
            Measured(f"salesforce, {name}: of a day's calls", used / DAY_CALLS, "of 100,000"),
            Measured(f"salesforce, {name}: cpu a record", spent.cpu_s / count * 1e6, "us"),
            Measured(f"salesforce, {name}: time", spent.wall_s, "s"),
        ]

    def nothing(self) -> list[Measured]:
        """Everything is pulled and computed again, and is as it was."""
        with self.hub.store.transaction("bench.touch") as connection:
            intake.touch_all(connection)
        before = self.crm.stats()
        cycle = ended(sync_once(self.hub))
        after = self.crm.stats()
        note = f"{cycle.projected.clients:,} clients computed again"
        writes = sum(after["writes"].values()) - sum(before["writes"].values())
        return [
            Measured("salesforce, nothing changed: writes", writes, "records", note),
            Measured("salesforce, nothing changed: calls", after["calls"] - before["calls"],
                     "calls", "of read-back"),
        ]  # fmt: skip

    def changed(self) -> list[Measured]:
        """A telephone number of one contact in a hundred changes in the registry."""
        ids = [i for i in range(self.broker.contacts) if i % MATES_EVERY == 1]
        registry = self.hub.sources[0]
        registry.batches = self._news(ids)
        for source in self.hub.sources[1:]:
            source.batches = list
        before = self.crm.stats()
        self.crm.keep()
        cycle = ended(sync_once(self.hub))
        by_route = routes(self.crm.stats(), before)
        calls = sum(n for r, n in by_route.items() if not r.startswith("GET"))
        looked = cycle.read_back[CRM].calls
        reads = sum(by_route.values()) - calls - looked
        written = self.crm.written()
        right = sum(names == ("Phone",) for _, _, names in written)
        note = f"{len(ids)} changed; {reads} reads of person-wins fields, {looked} of read-back"
        name = "salesforce, 1 % changed"
        return [
            Measured(f"{name}: write calls", calls, "calls", note, f"== {-(-len(ids) // BATCH)}"),
            Measured(f"{name}: calls a record", (calls + reads) / len(ids), "calls"),
            Measured(f"{name}: records written", len(written), "records", "", f"== {len(ids)}"),
            Measured(f"{name}: of them with changed fields only", right, "records", "",
                     f"== {len(ids)}"),
        ]  # fmt: skip

    def _news(self, ids: Sequence[int]) -> rig.Batches:
        def batches() -> Iterator[list[Record]]:
            return rig.paged((self.broker.profile(i, version=1) for i in ids), 1000)

        return batches


def run(folder: Path, contacts: int) -> Iterator[Measured]:
    """All steps."""
    with process(_serve) as crm:
        bench = _Bench(folder, contacts, crm)
        steps: Sequence[Callable[[], list[Measured]]] = (
            bench.first, bench.nothing, bench.changed, bench.everything,
        )  # fmt: skip
        for step in steps:
            yield from step()
