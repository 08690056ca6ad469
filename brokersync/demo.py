"""The demo: a simulated brokerage flows into a simulated CRM, through everything that is real.

The hub is installed on day 46: one first sync over the history, which opens no task for old
reasons. Then the world advances one hour and the hub syncs once, until day 60.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from brokersync import bootstrap, explain, no_leak
from brokersync.output import Output, instant
from brokersync.world import World, WorldClock, running
from connectors.destination import CrmObject
from mapping.errors import BrokersyncError
from state import episodes, projection, schema, sources
from state import explain as evidence
from sync.crm_schema import wanted
from sync.cycle import Cycle, sync_once
from sync.hub import Hub

_HOUR_MS = 3_600_000
_HISTORY = timedelta(days=90)
_EXPLAINED = 3
BOTH = "both"
"""Each brand has a CRM of its own."""


@dataclass(slots=True)
class Options:
    """How big a demo."""

    clients: int = 1000
    days: int = 60
    day: int = 46
    seed: int = 7
    crm: str = "hubspot"


@dataclass(slots=True)
class Figures:
    """What the demo counts beside what the hub stores."""

    records: int = 0
    contacts_written: int = 0
    tasks_written: int = 0
    companies_written: int = 0
    syncs: int = 0
    last: Cycle | None = None
    errors: dict[str, BrokersyncError] = field(default_factory=dict)

    def add(self, cycle: Cycle) -> None:
        """Count one cycle."""
        self.syncs += 1
        self.records += cycle.pulled.journalled
        self.contacts_written += sum(p.contacts_written for p in cycle.pushed.values())
        self.tasks_written += sum(p.tasks_written for p in cycle.pushed.values())
        self.companies_written += sum(p.companies_written for p in cycle.pushed.values())
        self.errors |= dict(cycle.errors)
        self.last = cycle


def configuration(world: Mapping[str, Any], database: str, crm: str = "hubspot") -> dict[str, Any]:
    """A configuration for a running simulation, as brokersync.yaml would hold it.

    Args:
        crm: the type of the destination of all brands, or "both".
    """
    chosen = _crms(world, crm)
    start = datetime.fromtimestamp(world["start_ms"] / 1000, UTC) - _HISTORY
    live = datetime.fromtimestamp(world["live_from_ms"] / 1000, UTC).isoformat()
    brands, connections, rates = {}, {}, {}
    connections["registry"] = {"type": "registry", "url": world["registry"]["url"]}
    for name, brand in world["brands"].items():
        brands[name] = {
            "zone": brand["zone"],
            "base_currency": brand["base_currency"],
            "entity": brand["entity"],
            "destination": chosen[name],
            "live_from": {"*": live},
        }
        rates[brand["base_currency"]] = brand["rates"]
        connections[f"sumsub-{name}"] = {"type": "sumsub", "brand": name, **brand["sumsub"]}
        connections[f"paymentiq-{name}"] = {
            "type": "paymentiq",
            "brand": name,
            "start_at": start.isoformat(),
            **brand["paymentiq"],
        }
        connections[f"mt5-{name}"] = {"type": "mt5_sql", "brand": name, **brand["mt5"]}
        connections[f"cellxpert-{name}"] = {
            "type": "cellxpert",
            "brand": name,
            "start_at": start.isoformat(),
            "step_days": 40,  # a small broker's window fits one answer
            **brand["cellxpert"],
        }
        connections[f"zendesk-{name}"] = {
            "type": "zendesk",
            "brand": name,
            "start_at": start.isoformat(),
            **brand["zendesk"],
        }
    used = sorted(set(chosen.values()))
    return {
        "database": database,
        "brands": brands,
        "connections": connections,
        "destinations": {one: {"type": one, **_access(world[one])} for one in used},
        "teams": _teams({one: world[one]["teams"] for one in used}),
        "rates": {"fixed": rates},
    }


def _crms(world: Mapping[str, Any], crm: str) -> dict[str, str]:
    """Brand -> its CRM."""
    known = [*bootstrap.DESTINATIONS] if crm == BOTH else [crm]
    return {name: known[n % len(known)] for n, name in enumerate(sorted(world["brands"]))}


def _access(served: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in served.items() if n not in ("owners", "teams")}


def _teams(served: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Teams with their people in each CRM."""
    round_the_clock = ("payments", "support")
    found: dict[str, dict[str, Any]] = {}
    for crm, teams in served.items():
        for name, team in teams.items():
            usual: dict[str, Any] = {"hours": "24/7"} if name in round_the_clock else {}
            owners = found.setdefault(name, {**usual, "owners": {}})["owners"]
            owners[crm] = {"queue": team["queue"] or "", "members": list(team["members"])}
    return found


def run(out: Output, options: Options) -> dict[str, Any]:
    """The whole demo; returns the object ``--json`` prints."""
    began = time.perf_counter()  # the real time a reader waits; the hub itself never sees it
    arguments = [
        "--clients",
        str(options.clients),
        "--days",
        str(options.days),
        "--day",
        str(options.day),
        "--seed",
        str(options.seed),
    ]
    out.line(
        f"A brokerage of {options.clients:,} clients and two brands, {options.days} days long. "
        f"brokersync is installed on day {options.day}, then syncs every hour."
    )
    with (
        tempfile.TemporaryDirectory(prefix="brokersync-demo-") as folder,
        running(arguments) as world,
    ):
        path = Path(folder) / "brokersync.yaml"
        database = f"sqlite:///{folder}/brokersync.db"
        settings = configuration(world.described, database, options.crm)
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        clock = WorldClock(world.described["clock"], Path(world.described["clock_file"]))
        hub = bootstrap.build(bootstrap.configuration(path), clock)
        try:
            return _story(out, hub, world, began)
        finally:
            hub.close()
            clock.close()


def _story(out: Output, hub: Hub, world: World, began: float) -> dict[str, Any]:
    for name, destination in hub.destinations.items():
        for obj, properties in wanted(hub, name).items():
            if obj is not CrmObject.COMPANY or not destination.lacks(obj):
                destination.install(obj, properties)
    figures = Figures()
    _first(out, hub, figures)
    _hours(out, hub, world, figures)
    second = sync_once(hub)
    figures.errors |= dict(second.errors)
    result = _result(hub, figures, second, time.perf_counter() - began)
    if len(hub.destinations) > 1:
        result["crms"] = no_leak.held(hub, world.get("/keys"))
        result["leak"] = no_leak.leaks(result["crms"])
    _show(out, hub, world, result)
    return result


def _first(out: Output, hub: Hub, figures: Figures) -> None:
    out.line("First sync, over the whole history ...")
    cycle = sync_once(hub)
    figures.add(cycle)
    s = cycle.summary()
    out.line(
        f"  {s['versions']:,} versions read, {s['contacts_written']:,} contacts written, "
        f"{s['tasks_written']} tasks: reasons older than the installation open none."
    )


def _hours(out: Output, hub: Hub, world: World, figures: Figures) -> None:
    state = world.get("/state")
    hours = (state["end_ms"] - state["story_ms"]) // _HOUR_MS
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    day = -1
    with Progress(
        *columns, console=out.errors, transient=True, disable=not out.interactive
    ) as progress:
        bar = progress.add_task("Day 0", total=hours)
        for hour in range(1, hours + 1):
            at = state["story_ms"] + hour * _HOUR_MS
            world.post("/advance", {"to_ms": at})
            figures.add(sync_once(hub))
            now = (at - state["start_ms"]) // (24 * _HOUR_MS)
            progress.update(bar, advance=1, description=f"Day {now}")
            if now != day and not out.interactive:
                day = now
                out.line(
                    f"  day {day}: {figures.contacts_written:,} contact writes, "
                    f"{figures.tasks_written:,} task writes so far"
                )


def _result(hub: Hub, figures: Figures, second: Cycle, seconds: float) -> dict[str, Any]:
    counts = [destination.counts for destination in hub.destinations.values()]
    with hub.store.reading() as connection:
        stages = projection.count_by_stage(connection)
        tasks: Counter[str] = Counter()
        for _, state, opened, _ in episodes.count_tasks(connection):
            tasks[state] += opened
        clients = sum(stages.values())
        rejects = len(sources.asides(connection))
        records = projection.total(connection, schema.journal)
    return {
        "clients": clients,
        "records": records,
        "stages": dict(sorted(stages.items(), key=lambda kv: int(kv[0][2:]))),
        "tasks": dict(sorted(tasks.items())),
        "rejects": rejects,
        "crm": {
            "calls": sum(c.calls for c in counts),
            "rate_limited": sum(c.rate_limited for c in counts),
            "contacts_written": figures.contacts_written,
            "tasks_written": figures.tasks_written,
            "companies_written": figures.companies_written,
        },
        "second_sync": {
            "contacts_written": sum(p.contacts_written for p in second.pushed.values()),
            "tasks_written": sum(p.tasks_written for p in second.pushed.values()),
        },
        "syncs": figures.syncs + 1,
        "errors": {name: error.admin for name, error in figures.errors.items()},
        "seconds": round(seconds, 1),
        "peak_rss_mb": peak_rss_mb(),
    }


def peak_rss_mb() -> float:
    """Most memory this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024  # bytes there, kB elsewhere
    return round(peak / per_mb, 1)


def _show(out: Output, hub: Hub, world: World, result: Mapping[str, Any]) -> None:
    if out.as_json:
        return
    rules = next(iter(hub.rules.values()))
    labels = {s.id: s.label for s in rules.stages}
    out.heading("Clients by stage")
    out.table(
        ["Stage", "", "Clients"],
        [[s, labels.get(s, ""), n] for s, n in result["stages"].items()],
        "No clients.",
    )
    with hub.store.reading() as connection:
        rows = episodes.count_tasks(connection)
        examples = evidence.one_of_each_stage(connection, 20)
    out.heading("Tasks by team and playbook (opened, still open)")
    out.table(["Team", "Playbook", "Opened", "Open"], [list(r) for r in rows], "No tasks.")
    crm = result["crm"]
    crms = result.get("crms", {})
    out.heading("The CRMs" if crms else "The CRM")
    out.line(
        f"{crm['calls']:,} calls, {crm['rate_limited']} refused by its rate limit; "
        f"{crm['contacts_written']:,} contact, {crm['tasks_written']:,} task and "
        f"{crm['companies_written']} company writes."
    )
    if crms:
        no_leak.show(out, crms)
    for _, brand, client_id in _telling(examples):
        explain.show(out, explain.client(hub, f"{brand}:{client_id}"))
    out.heading("Once more, with nothing new")
    second = result["second_sync"]
    out.line(f"{second['contacts_written']} contacts and {second['tasks_written']} tasks written.")
    for name, message in result["errors"].items():
        out.line(f"{name}: {message}")
    if crms:
        out.heading("One brand's clients in the other's CRM?")
        no_leak.verdict(out, crms)
    at = instant(world.get("/state")["story_ms"])
    out.line(
        f"\n{result['clients']:,} clients, {result['records']:,} versions, {result['syncs']} syncs "
        f"up to {at}, in {result['seconds']} s and {result['peak_rss_mb']} MB."
    )


def _telling(examples: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Three clients worth reading about: payments first."""
    order = ["LS8", "LS6", "LS4", "LS11", "LS2", "LS12", "LS9"]
    known = {row[0]: row for row in examples}
    chosen = [known[s] for s in order if s in known]
    return (chosen + [r for r in examples if r not in chosen])[:_EXPLAINED]
