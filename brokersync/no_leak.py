"""What lies in each CRM in the end, and whether it is its own brands' alone.

The simulators are asked, not the hub: a hub that mixes brands up would not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brokersync.output import Output
from sync.hub import Hub

_SHOWN = 3
_KINDS = ("contacts", "tasks", "companies")


def held(hub: Hub, keys: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, dict[str, Any]]:
    """CRM -> its brands, how many records it holds, what they cost, and the foreign ones.

    Args:
        keys: CRM -> kind of record -> the hub's key of each, blank where it has none.
    """
    found: dict[str, dict[str, Any]] = {}
    for crm, destination in hub.destinations.items():
        brands = sorted(n for n, b in hub.brands.items() if b.destination == crm)
        every = [key for kind in _KINDS for key in keys[crm][kind]]
        found[crm] = {
            "brands": brands,
            **{kind: len(keys[crm][kind]) for kind in _KINDS},
            "calls": destination.counts.calls,
            "rate_limited": destination.counts.rate_limited,
            "foreign": sorted(key for key in every if key.partition(":")[0] not in brands),
        }
    return found


def leaks(crms: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a CRM holds what is not of its brands."""
    return any(one["foreign"] for one in crms.values())


def show(out: Output, crms: Mapping[str, Mapping[str, Any]]) -> None:
    """The CRMs side by side."""
    columns = ["CRM", "Brands", "Contacts", "Tasks", "Companies", "Calls", "Refused by its limit"]
    rows = [
        [crm, ", ".join(one["brands"]), *(one[kind] for kind in _KINDS), one["calls"],
         one["rate_limited"]]
        for crm, one in crms.items()
    ]  # fmt: skip
    out.table(columns, rows, "None.")


def verdict(out: Output, crms: Mapping[str, Mapping[str, Any]]) -> None:
    """Whether each holds its own brands' records alone."""
    for crm, one in crms.items():
        if foreign := one["foreign"]:
            named = ", ".join(key or "one without a key" for key in foreign[:_SHOWN])
            out.line(f"LEAK: {crm} holds what is not of its brands ({len(foreign):,}): {named}.")
    if not leaks(crms):
        own = {crm: " and ".join(one["brands"]) for crm, one in crms.items()}
        each = ", ".join(f"{crm} holds {brands} alone" for crm, brands in own.items())
        out.line(f"No leak, by what lies in the simulated CRMs: {each}.")
