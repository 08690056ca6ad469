"""Rows, the holds of budget.yaml, and the readable table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
BUDGET = FOLDER / "budget.yaml"
RESULTS = FOLDER / "results.json"
APART = "million"


@dataclass(slots=True)
class Measured:
    """One figure. ``value`` None: not run, ``note`` says why.

    ``hold`` is set where the bound follows from the load itself (one call a hundred records).
    """

    name: str
    value: float | None
    unit: str = ""
    note: str = ""
    hold: str = ""


@dataclass(slots=True)
class Row:
    """A figure beside its hold; ``ok`` None where nothing is held or nothing was run."""

    name: str
    value: float | None
    unit: str
    hold: str | None
    ok: bool | None
    note: str = ""


def budget() -> dict[str, str | None]:
    """Name -> hold (``<= 250``, ``>= 0.90``, ``== 0``, ``computed``; None: only reported)."""
    found: dict[str, str | None] = yaml.safe_load(BUDGET.read_text("utf-8"))
    return found


def judged(measured: Sequence[Measured], holds: Mapping[str, str | None]) -> list[Row]:
    """Rows with their verdict.

    Raises:
        ValueError: a figure without an entry in the budget file.
    """
    rows = []
    for m in measured:
        if m.name not in holds:
            raise ValueError(f"{BUDGET.name} does not name {m.name!r}")
        hold = m.hold if holds[m.name] == "computed" else holds[m.name]
        ok = None if hold is None or m.value is None else holds_true(m.value, hold)
        rows.append(Row(m.name, m.value, m.unit, hold, ok, m.note))
    return rows


def holds_true(value: float, hold: str) -> bool:
    """Whether ``value`` keeps ``<= 250`` and the like."""
    sign, _, text = hold.partition(" ")
    bound = float(text)
    return {"<=": value <= bound, ">=": value >= bound, "==": value == bound}[sign]


def write(rows: Sequence[Row], *, whole: bool) -> None:
    """Store the rows as JSON, in the budget's order.

    Args:
        whole: these are all rows of the usual run. Else rows measured before stay.
    """
    kept = _stored() if RESULTS.exists() else {}
    if whole:  # the figures of a million clients are measured apart
        kept = {n: r for n, r in kept.items() if n.startswith(APART)}
    found = kept | {r.name: asdict(r) for r in rows}
    order = {name: place for place, name in enumerate(budget())}
    ordered = sorted(found.values(), key=lambda r: order.get(r["name"], len(order)))
    RESULTS.write_text(json.dumps(ordered, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _stored() -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in json.loads(RESULTS.read_text("utf-8"))}


def _shown(value: float | None) -> str:
    if value is None:
        return "not run"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def table(rows: Sequence[Row]) -> str:
    """The rows for a reader."""
    cells = [("what", "value", "unit", "hold", "", "")]
    verdicts: dict[Any, str] = {True: "ok", False: "MISSED", None: ""}
    cells += [(r.name, _shown(r.value), r.unit, r.hold or "", verdicts[r.ok], r.note) for r in rows]
    widths = [max(len(c[n]) for c in cells) for n in range(5)]
    lines = []
    for name, value, unit, *rest in cells:
        left = f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}"
        lines.append(f"{left}  {rest[0]:<{widths[3]}}  {rest[1]:<{widths[4]}}  {rest[2]}".rstrip())
    return "\n".join(lines)
