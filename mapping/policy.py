"""What a brand allows: zone, currency, go-live, modes, scope, and the teams that own tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mapping.calendars import Calendar
from mapping.market import Market

MODES = ("observe", "fields", "tasks")


@dataclass(frozen=True, slots=True)
class Team:
    """Who owns a team's tasks in one CRM, by owner id: a queue, else the members in order."""

    name: str
    calendar: Calendar
    queue: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where tasks may open. Empty means everywhere."""

    countries: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BrandPolicy:
    """One brand as the hub treats it.

    ``live_from`` and ``modes`` are by playbook id, ``*`` for all others. ``destination`` is the
    name of the brand's CRM. ``high_value``: net deposits in whole units of the base currency.
    """

    id: str
    zone: str
    base_currency: str
    destination: str
    live_from: Mapping[str, int]
    modes: Mapping[str, str]
    teams: Mapping[str, Team]
    entity: str = ""
    scope: Scope = field(default_factory=Scope)
    market: Market = field(default_factory=Market)
    high_value: int = 10_000

    def live_at(self, playbook: str) -> int | None:
        """From when reasons of a playbook open tasks, ms; None: never."""
        return self.live_from.get(playbook, self.live_from.get("*"))

    def mode(self, playbook: str) -> str:
        """observe, fields or tasks."""
        return self.modes.get(playbook, self.modes.get("*", "observe"))


@dataclass(frozen=True, slots=True)
class Backlog:
    """A request to admit reasons from before go-live or from an outage, most valuable first.

    ``most`` is for each brand; a blank ``brand`` means every brand.
    """

    playbook: str
    most: int
    brand: str = ""
