"""What `sync`, `plan`, `status`, `rejects` and `runs` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokersync import health
from brokersync.crm_fields import OFF, show_unmapped
from brokersync.output import Output, instant, iso
from connectors.destination import CrmObject
from state import (
    digests,
    engine,
    episodes,
    identity,
    outbox,
    partners,
    projection,
    schema,
    sources,
    sweep,
)
from sync.cycle import Cycle
from sync.hub import Hub
from sync.plan import Planned


def plan(out: Output, found: Mapping[str, Planned], *, pulled: bool) -> None:
    """What the next sync would write."""
    if out.as_json:
        out.object({"destinations": {n: p.as_json() for n, p in found.items()}, "pulled": pulled})
    for name, p in found.items():
        out.heading(f"The next sync would write to {name}")
        contacts = p.contacts_created + p.contacts_updated
        out.line(f"Contacts: {contacts:,} ({p.contacts_created:,} new)")
        out.line(
            f"Tasks: {p.tasks_created + p.tasks_updated:,} ({p.tasks_created:,} new), "
            f"associations: {p.associations:,}"
        )
        if companies := p.companies_created + p.companies_updated:
            out.line(f"Companies: {companies:,} ({p.companies_created:,} new)")
        share = (
            f", {p.calls / p.daily_limit:.3%} of the daily {p.daily_limit:,}"
            if p.daily_limit
            else ""
        )
        out.line(f"Calls: {p.calls:,}{share}")
        if p.jobs:
            out.line(
                f"{p.jobs:,} of the CRM's bulk jobs are among them; looking whether they are done "
                f"takes some calls more."
            )
        if p.unread:
            out.line(f"{p.unread:,} records are read first; those the CRM already has need less.")
        out.table(
            ["Field", "Contacts"], [[f, n] for f, n in p.fields.most_common()], "No field changes."
        )
        show_unmapped(out, p.unmapped)
        if p.playbooks:
            out.table(
                ["New tasks by playbook", "Tasks"],
                [list(i) for i in sorted(p.playbooks.items())],
                "",
            )
    if not pulled:
        out.line("\nOnly what was read before is counted; `--pull` reads the sources first.")


def cycle(out: Output, hub: Hub, done: Cycle) -> None:
    """What a sync did."""
    summary = done.summary()
    calls = {n: d.counts.calls for n, d in hub.destinations.items()}
    if out.as_json:
        out.object({"run": done.run, "status": done.status, **summary, "calls": calls})
    out.line(
        f"Run {done.run}: {summary['records']:,} records read, {summary['versions']:,} new "
        f"versions, {summary['rejects']} set aside."
    )
    out.line(
        f"{summary['clients']:,} clients worked out, {summary['stage_changes']:,} changed stage; "
        f"{summary['tasks_opened']} tasks opened, {summary['tasks_closed']} closed."
    )
    companies = summary["companies_written"]
    out.line(
        f"Written: {summary['contacts_written']:,} contacts, {summary['tasks_written']:,} tasks, "
        + (f"{companies:,} companies, " if companies else "")
        + f"{summary['associations']:,} associations in {sum(calls.values()):,} calls."
    )
    for name, why in summary["companies_off"].items():
        out.note(named(name, f"{OFF}: {why}"))
    if summary["refused"]:
        out.line(f"{summary['refused']} records were refused by the CRM: see `brokersync rejects`.")
    for name, error in done.errors:
        out.note(named(name, error.admin))
    for brand, families in done.waiting.items():
        out.note(
            f"Brand {brand} waits for the first complete read of: {', '.join(families)}. Until "
            "then nothing is worked out for it: a missing source must not look like a fact."
        )


def named(name: str, text: str) -> str:
    """A message under the name of its connection, said once."""
    return text if text.startswith(f"{name}:") else f"{name}: {text}"


def status(out: Output, hub: Hub) -> dict[str, Any]:
    """Freshness and health; returns what it says of the engine."""
    now = hub.clock.now_ms()
    with hub.store.reading() as connection:
        seen = sources.overview(connection)
        stages = projection.count_by_stage(connection)
        waiting = identity.unlinked(connection)
        asides = len(sources.asides(connection))
        pending = {
            n: outbox.backlog(connection, n)
            for n in sorted({b.destination for b in hub.brands.values()})
        }
        told = [(team, "digest", made, still) for team, made, still in digests.count(connection)]
        tasks = sorted(episodes.count_tasks(connection) + told)
        touched = projection.total(connection, schema.touched) + sweep.left(connection)
        off = partners.off(connection, CrmObject.COMPANY.value, list(pending))
        latest = engine.runs(connection, 1)
        standing = engine.standing(connection)
    running = health.engine(standing, now)
    value: dict[str, Any] = {
        "engine": running,
        "sources": [health.source(s) for s in seen],
        "off": {b: dict(r.off) for b, r in hub.rules.items()},
        "stages": stages,
        "tasks": [{"team": t, "playbook": s, "opened": n, "open": o} for t, s, n, o in tasks],
        "set_aside": asides,
        "unlinked": sum(u.count for u in waiting),
        "touched": touched,
        "outbox": {n: {f"{o}.{s}": c for (o, s), c in p.items()} for n, p in pending.items()},
        "companies_off": {n: {"why": w, "since": iso(at)} for n, (w, at) in off.items()},
        "last_run": _run(latest[0]) if latest else None,
    }
    if out.as_json:
        out.object(value)
        return running
    health.show_engine(out, running, standing)
    out.heading("Sources")
    health.show_sources(out, seen, now)
    out.heading("Clients by stage")
    out.table(
        ["Stage", "Clients"],
        sorted(stages.items(), key=lambda kv: int(kv[0].removeprefix("LS") or 0)),
        "No client was worked out yet.",
    )
    out.heading("Tasks")
    out.table(
        ["Team", "Playbook", "Opened", "Open"], [list(t) for t in tasks], "No task was opened yet."
    )
    out.heading("Waiting")
    out.line(
        f"Set aside: {asides}; without a client: {value['unlinked']}; "
        f"clients to work out: {touched}."
    )
    for name, counts in value["outbox"].items():
        words = ", ".join(f"{c:,} {k}" for k, c in sorted(counts.items())) or "nothing"
        out.line(f"To be written to {name}: {words}.")
    for name, (why, since) in off.items():
        out.line(named(name, f"{OFF} since {instant(since)}: {why}"))
    for brand, without in value["off"].items():
        if without:
            listed = ", ".join(f"{i} (no {f} source)" for i, f in without.items())
            out.line(f"Off for {brand}: {listed}.")
    if latest:
        last = latest[0]
        out.line(f"Last run {last['id']}: {last['status']}, {instant(last['started_at'])}.")
        for name, error in last["summary"].get("errors", {}).items():
            out.line(f"  {named(name, error)}")
    return running


def rejects(out: Output, hub: Hub) -> bool:
    """Set-aside and unlinked records; whether there are any."""
    with hub.store.reading() as connection:
        rows = sources.asides(connection)
        waiting = identity.unlinked(connection)
    if out.as_json:
        out.object(
            {
                "set_aside": [_aside(r) for r in rows],
                "unlinked": [
                    {"brand": u.brand, "source": u.source, "kind": u.kind, "count": u.count}
                    for u in waiting
                ],
            }
        )
    table = [
        [
            r["origin"],
            r["kind"],
            r["external_id"],
            r["reason"],
            r["attempts"],
            instant(r["next_try_at"]),
        ]
        for r in rows
    ]
    out.table(
        ["From", "Kind", "Record", "Why", "Tries", "Next try"], table, "Nothing is set aside."
    )
    if waiting:
        out.heading("Without a client (taken up by themselves when the client appears)")
        out.table(
            ["Brand", "Source", "Kind", "Records"],
            [[u.brand, u.source, u.kind, u.count] for u in waiting],
            "",
        )
    return bool(rows or waiting)


def _aside(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {n: iso(row[n]) for n in ("first_at", "last_at", "next_try_at")}
    return {
        n: row[n] for n in ("area", "origin", "kind", "external_id", "brand", "reason", "attempts")
    } | times


def runs(out: Output, hub: Hub, limit: int) -> None:
    """The history of runs."""
    with hub.store.reading() as connection:
        rows = engine.runs(connection, limit)
    if out.as_json:
        out.object({"runs": [_run(r) for r in rows]})
    table = [
        [
            r["id"],
            instant(r["started_at"]),
            r["status"],
            r["summary"].get("versions", 0),
            r["summary"].get("clients", 0),
            r["summary"].get("contacts_written", 0),
            r["summary"].get("tasks_written", 0),
            r["summary"].get("companies_written", 0),
        ]
        for r in rows
    ]
    out.table(
        ["Run", "Started", "Ended", "Versions", "Clients", "Contacts", "Tasks", "Companies"],
        table,
        "No run yet: run `brokersync sync`.",
    )


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": row["id"],
        "kind": row["kind"],
        "started_at": iso(row["started_at"]),
        "ended_at": iso(row["ended_at"]),
        "status": row["status"],
        "rule_version": row["rule_version"],
        **row["summary"],
    }
