"""What a brand allows: zone, currency, go-live, modes, scope, and the teams that own tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mapping.calendars import Calendar

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
    name of the brand's CRM.
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

    def live_at(self, playbook: str) -> int | None:
        """From when reasons of a playbook open tasks, ms; None: never."""
        return self.live_from.get(playbook, self.live_from.get("*"))

    def mode(self, playbook: str) -> str:
        """observe, fields or tasks."""
        return self.modes.get(playbook, self.modes.get("*", "observe"))
