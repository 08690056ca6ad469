"""Notice that a source became late, or is current again, when nothing but time tells.

The clients whose cards are concerned are touched once, in the transaction that keeps what was
noticed. See docs/decisions/0016-card-and-brief.md for which.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from mapping.freshness import PATIENCE_MS, Late, late
from state import freshness
from sync.hub import Guard, Hub

_TIMES = 2
"""How many reads of a source may fail to come before it is late."""


def notice(
    hub: Hub, guard: Guard, now: int, horizons: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Mapping[str, Late]],
) -> dict[str, dict[str, Late]]:  # fmt: skip
    """The late families of each brand at ``now`` (ms); what is new is kept.

    Args:
        horizons: brand -> family -> ms up to which it is complete.
        before: what was kept.
    """
    found: dict[str, dict[str, Late]] = {}
    for brand, own in horizons.items():
        known = before.get(brand, {})
        # Nearly always everything is current: nobody's schedule need be looked at.
        old = known or any(until and now - until > PATIENCE_MS for until in own.values())
        found[brand] = late(known, own, now, patience(hub, brand, now)) if old else {}
        if found[brand] != known:
            with hub.store.transaction("project.late") as writing:
                guard(writing)
                _keep(writing, brand, known, found[brand])
    return found


def _keep(
    connection: Connection, brand: str, known: Mapping[str, Late], found: Mapping[str, Late]
) -> None:
    freshness.store(connection, brand, found)
    healed = [one.since for family, one in known.items() if family not in found]
    if healed:
        freshness.touch_computed_since(connection, brand, min(healed))
    if any(found[family] != known.get(family) for family in found):
        freshness.touch_with_tasks(connection, brand)


def patience(hub: Hub, brand: str, now: int) -> dict[str, int]:
    """Family -> ms after which it is late: a source that is read rarely is not late for that."""
    found: dict[str, int] = {}
    for source in hub.sources:
        if brand in source.context.brands:
            schedule = hub.schedules.get(source.name)
            rhythm = _TIMES * schedule.longest_gap_ms(now) if schedule else 0
            for family in source.families:
                found[family] = max(rhythm, found.get(family, PATIENCE_MS))
    return found
