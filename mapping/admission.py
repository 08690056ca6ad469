"""Admission: whether a reason opens a task, for whom and by when. Each refusal says why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from mapping.policy import BrandPolicy, Team
from mapping.ruleset import State


@dataclass(frozen=True, slots=True)
class Admitted:
    """A task is to be opened. ``due_at`` in ms UTC, ``owner`` a CRM owner id."""

    due_at: int
    team: str
    owner: str
    priority: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """No task; ``code`` is stable, ``why`` answers "why no task?"."""

    code: str
    why: str


def admit(
    state: State, begin_at: int, country: str, sooner: bool, brand: BrandPolicy, key: str
) -> Admitted | Refusal:
    """Judge one open episode.

    Args:
        begin_at: ms, the effective begin of the reason.
        sooner: whether the playbook's shorter term applies.
        key: the episode's key; decides among members.
    """
    refusal = _refused(state, begin_at, country, brand)
    if refusal is not None:
        return refusal
    team = brand.teams.get(state.owner)
    if team is None or not (team.queue or team.members):
        return Refusal("no_owner", f"team {state.owner} has neither a queue nor members")
    term = state.sooner.term if sooner and state.sooner else state.term
    due_at = team.calendar.due(begin_at, term, brand.zone)
    return Admitted(due_at, team.name, owner_of(team, key), "HIGH" if term.urgent else "MEDIUM")


def _refused(state: State, begin_at: int, country: str, brand: BrandPolicy) -> Refusal | None:
    mode = brand.mode(state.id)
    if mode != "tasks":
        return Refusal("mode", f"{state.id} is in mode {mode} for brand {brand.id}")
    live = brand.live_at(state.id)
    if live is None or begin_at < live:
        since = "it has no live-from instant" if live is None else f"live from {_day(live)}"
        return Refusal("live_from", f"the reason began {_day(begin_at)}; {state.id} is {since}")
    scope = brand.scope
    if scope.countries and country not in scope.countries:
        return Refusal("scope", f"country {country or '(blank)'} is not in the brand's scope")
    if scope.teams and state.owner not in scope.teams:
        return Refusal("scope", f"team {state.owner} is not in the brand's scope")
    return None


def owner_of(team: Team, key: str) -> str:
    """The team's queue, else the member its hash of the key picks (the same one for ever)."""
    if team.queue:
        return team.queue
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % len(team.members)
    return team.members[place]


def _day(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
