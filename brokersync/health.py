"""Whether an engine is at work, and how each source does: the first lines of `status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokersync.output import Output, instant, iso
from state.engine import Standing
from sync.process import gone

_MINUTE_MS = 60_000


def engine(standing: Standing | None, now: int) -> dict[str, Any]:
    """The engine for `--json`: ``state`` is running, stopped, silent or none.

    ``silent``: it did not give the role up, and yet it does not work any more.
    """
    if standing is None or not standing.taken_at:
        return {"state": "none"}
    holder = standing.holder
    state = "silent"
    if standing.released_at is not None:
        state = "stopped"
    elif standing.held(now, gone):
        state = "running"
    return {
        "state": state,
        "kind": holder.kind,
        "host": holder.host,
        "pid": holder.pid,
        "since": iso(standing.taken_at),
        "last_heartbeat": iso(standing.beat_at),
        "heartbeat_age_s": max(0, now - standing.beat_at) // 1000,
        "lease_until": iso(standing.lease_until),
        "stopped_at": iso(standing.released_at),
    }


def at_work(engine: Mapping[str, Any]) -> bool:
    """Whether `run` works, as somebody expects who has set it up."""
    return (engine["state"], engine.get("kind")) == ("running", "run")


def silent(engine: Mapping[str, Any]) -> bool:
    """Whether a `run` ended without saying so."""
    return (engine["state"], engine.get("kind")) == ("silent", "run")


def show_engine(out: Output, engine: Mapping[str, Any], standing: Standing | None) -> None:
    """One line about the engine."""
    if standing is None or engine["state"] == "none":
        out.line("No engine has run yet: start `brokersync run`, or `brokersync sync` once.")
        return
    who = f"`{engine['kind']}` on {engine['host']}, process {engine['pid']}"
    since = instant(standing.taken_at)
    if engine["state"] == "running":
        age = engine["heartbeat_age_s"]
        out.line(f"Engine: {who}, at work since {since}, last heartbeat {age} s ago.")
    elif engine["state"] == "stopped":
        out.line(
            f"No engine is running. The last was {who}; it ended {instant(standing.released_at)}."
        )
    else:
        minutes = round(engine["heartbeat_age_s"] / 60)
        out.line(
            f"THE ENGINE IS SILENT: {who}, started {since}, ended without a word. Its last "
            f"heartbeat is {minutes} min old. Start it again: nothing is lost."
        )


def source(row: Mapping[str, Any]) -> dict[str, Any]:
    """One source for `--json`."""
    times = ("complete_until", "last_ok_at", "last_try_at", "due_at", "started_at", "failing_since")
    return {
        "source": row["source"],
        "family": row["family"],
        "versions": row["records"],
        "last_error": row["last_error"],
        **{name: iso(row[name]) for name in times},
    }


def show_sources(out: Output, rows: list[dict[str, Any]], now: int) -> None:
    """A line a source, and below it what ails it."""
    out.table(
        ["Source", "Complete up to", "Age", "Last success", "Next", "Versions"],
        [
            [
                row["source"],
                instant(row["complete_until"]) or "never",
                age(now, row["complete_until"]),
                instant(row["last_ok_at"]) or "never",
                _next(row, now),
                row["records"],
            ]
            for row in rows
        ],
        "No source was read yet: run `brokersync sync`.",
    )
    for row in rows:
        if row["last_error"]:
            since = f" since {instant(row['failing_since'])}" if row["failing_since"] else ""
            out.line(f"{row['source']} fails{since}: {row['last_error']}")


def _next(row: Mapping[str, Any], now: int) -> str:
    if row["started_at"] is not None:
        return f"being read for {age(now, row['started_at'])}"
    if row["due_at"] is None:
        return ""
    left_ms = row["due_at"] - now
    return f"in {left_ms / 1000:.0f} s" if left_ms > 0 else f"due for {age(now, row['due_at'])}"


def age(now: int, at: int | None) -> str:
    """How long ago, in the unit a person would take."""
    if at is None:
        return ""
    minutes = max(0, now - at) / _MINUTE_MS
    if minutes < 2:
        return f"{minutes * 60:.0f} s"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 72 * 60 else f"{minutes / 1440:.0f} d"
