"""Values that a value map does not name: how many contacts have each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from mapping.transforms import ValueMap
from state import sources, tally
from state.evaluate import evaluator
from sync.hub import Hub


@dataclass(slots=True)
class Left:
    """Of one property: contacts by value, and contacts whose value is not shown.

    ``becomes`` is what is done with such a value: blank, keep or refuse.
    """

    becomes: str
    values: Counter[str] = field(default_factory=Counter)
    hidden: int = 0

    def as_json(self) -> dict[str, Any]:
        """As one object; values by count."""
        return {"becomes": self.becomes, "values": dict(self.values.most_common()),
                "not_shown": self.hidden}  # fmt: skip


def unmapped(hub: Hub, connection: Connection, destination: str) -> dict[str, Left]:
    """Properties of a destination that leave values out, by name.

    Texts that a person may have written are counted and not shown.
    """
    found: dict[str, Left] = {}
    horizons = sources.horizons(connection, [s.name for s in hub.sources])
    now = hub.clock.now_ms()
    for brand, rules in sorted(hub.rules.items()):
        if hub.brands[brand].destination != destination:
            continue
        own = horizons.get(brand, {})
        for f, values in tally.unmapped(connection, brand, evaluator(rules), now, own):
            if not values or not isinstance(f.transform, ValueMap):
                continue
            name = hub.property_name(f.property, native=f.native)
            left = found.setdefault(name, Left(f.transform.unmapped.value))
            if f.source.shown:
                left.values.update(values)
            else:
                left.hidden += values.total()
    return found
