"""The plan for a Salesforce is what happens: in its batch size, its queries and its bulk jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from brokersync import bootstrap
from brokersync.demo import configuration
from brokersync.world import WorldClock
from simulator.server import SimulatorServer
from simulator.simulation import Options
from simulator.story import DAY_MS
from sync.crm_schema import wanted
from sync.cycle import pull_once, sync_once
from sync.hub import Hub
from sync.plan import plan

CLIENTS, DAYS, INSTALLED, ABOVE = 420, 51, 46, 250
CRM = "salesforce"
LOOK = "GET jobs/ingest/JOB"
"""A call that asks whether a job is done: how many there are is the org's to say."""


class World:
    """A world beside a hub that has not written yet."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'registry.db'}"
        options = Options(url, str(folder), clients=CLIENTS, days=DAYS, day=INSTALLED)
        self.server = SimulatorServer(options)
        self.simulation = self.server.simulation
        self.org = self.simulation.salesforce
        self.at = self.simulation.live_from
        described = self.server.description()
        settings = configuration(described, f"sqlite:///{folder / 'hub.db'}", CRM)
        # Without partners: whether an org takes them is another question, and asked every hour.
        connected = settings["connections"].items()
        settings["connections"] = {n: c for n, c in connected if c["type"] != "cellxpert"}
        settings["destinations"][CRM] |= {"bulk_above": ABOVE, "bulk_rows": 1000}
        self.path = folder / "brokersync.yaml"
        self.path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.hubs: list[Hub] = []
        self.clock = WorldClock(described["clock"], Path(described["clock_file"]))

    def hub(self, *, install: bool = False) -> Hub:
        """A process of its own."""
        found = bootstrap.build(bootstrap.configuration(self.path), self.clock)
        self.hubs.append(found)
        if install:
            for obj, properties in wanted(found, CRM).items():
                if not found.destinations[CRM].lacks(obj):
                    found.destinations[CRM].install(obj, properties)
        return found

    def close(self) -> None:
        """Give back ports and databases."""
        for hub in self.hubs:
            hub.close()
        self.clock.close()
        self.server.close()

    def day(self) -> None:
        """The story goes on for a day."""
        self.at += DAY_MS
        self.simulation.advance_to(self.at)

    def synced(self, hub: Hub) -> tuple[dict[str, int], int, int]:
        """Records and calls of a push that the org received, and the jobs it had."""
        writes, calls, jobs = self.received()
        cycle = sync_once(hub)
        assert cycle.errors == []
        after, calls_after, jobs_after = self.received()
        # What people did, and whom the CRM had before the hub, is looked up, not planned.
        apart = cycle.read_back[CRM].calls + cycle.pushed[CRM].claims.calls
        written = {o: after[o] - writes[o] for o in ("Contact", "Task")}
        return written, calls_after - calls - apart, jobs_after - jobs

    def received(self) -> tuple[Counter[str], int, int]:
        """Writes by object, calls but for looks at jobs and sessions, and jobs so far."""
        calls = Counter(self.org.calls)
        del calls[LOOK], calls["POST services/token"]
        return Counter(self.org.writes), sum(calls.values()), calls["POST jobs/ingest"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.close()


def _planned(hub: Hub) -> dict[str, Any]:
    return plan(hub)[CRM].as_json()


def test_writes_and_calls_are_the_planned_ones(world: World) -> None:
    hub = world.hub(install=True)
    pull_once(hub)
    jobs = 1
    for _ in range(4):
        planned = _planned(hub)
        written, calls, had = world.synced(hub)
        assert written == {"Contact": planned["contacts"]["total"],
                           "Task": planned["tasks"]["total"]}  # fmt: skip
        assert had == planned["jobs"] == jobs, "the first sync is the only large one"
        assert calls == planned["calls"]
        assert planned["contacts"]["total"] > (ABOVE if jobs else 0)
        world.day()
        pull_once(hub)
        jobs = 0


def test_a_plan_asks_the_org_nothing(world: World) -> None:
    world.hub(install=True)
    hub = world.hub()
    pull_once(hub)
    before = world.received()
    planned = _planned(hub)
    assert planned["jobs"] == 1
    assert planned["contacts"]["create"] > ABOVE
    assert planned["calls"] > 4
    assert world.received() == before
