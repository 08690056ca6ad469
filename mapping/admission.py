"""Admission: whether a reason opens a task, for whom and by when. Each refusal says why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from mapping.outage import Outage
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
    """No task; ``code`` is stable, ``why`` answers "why no task?".

    ``task``: what it would have been, where the reason is for a digest.
    """

    code: str
    why: str
    task: Admitted | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """What a client's reason for a task is judged by.

    Args:
        begin_at: ms, the effective begin of the reason.
        country: the client's.
        sooner: whether the playbook's shorter term applies.
        instead: whether the playbook's other team owns the task.
        counts_from: ms, from when the term counts; None: from the begin.
    """

    begin_at: int
    country: str = ""
    sooner: bool = False
    instead: bool = False
    counts_from: int | None = None


def admit(
    state: State, reason: Reason, brand: BrandPolicy, key: str, contact_owner: str = "",
    late_at: int | None = None, outage: Outage | None = None,
) -> Admitted | Refusal:  # fmt: skip
    """Judge one open episode.

    Args:
        key: the episode's key; decides among members.
        contact_owner: CRM id of the contact's owner, who comes first if in the team.
        late_at: ms; the reason is old and is admitted by request now: its term counts from here.
        outage: the one that makes the reason old.
    """
    name = state.instead.owner if reason.instead and state.instead else state.owner
    refusal = _refused(state, reason, name, brand, late=late_at is not None)
    if refusal is not None:
        return refusal
    team = brand.teams.get(name)
    if team is None or not (team.queue or team.members):
        return Refusal("no_owner", f"team {name} has neither a queue nor members")
    term = state.sooner.term if reason.sooner and state.sooner else state.term
    counts_from = reason.begin_at if reason.counts_from is None else reason.counts_from
    if late_at is not None:
        counts_from = late_at
    elif outage is not None and outage.ended_at is not None:
        counts_from = outage.ended_at
    owner = contact_owner if contact_owner in team.members else owner_of(team, key)
    due_at = team.calendar.due(counts_from, term, brand.zone)
    task = Admitted(due_at, team.name, owner, "HIGH" if term.urgent else "MEDIUM")
    if outage is not None and late_at is None:
        return Refusal("outage", outage.why(reason.begin_at), task)
    return task


def _refused(
    state: State, reason: Reason, team: str, brand: BrandPolicy, *, late: bool
) -> Refusal | None:
    begin_at, country = reason.begin_at, reason.country
    mode = brand.mode(state.id)
    if mode != "tasks":
        return Refusal("mode", f"{state.id} is in mode {mode} for brand {brand.id}")
    live = brand.live_at(state.id)
    if not late and (live is None or begin_at < live):
        since = "it has no live-from instant" if live is None else f"live from {_day(live)}"
        return Refusal("live_from", f"the reason began {_day(begin_at)}; {state.id} is {since}")
    scope = brand.scope
    if scope.countries and country not in scope.countries:
        return Refusal("scope", f"country {country or '(blank)'} is not in the brand's scope")
    if scope.teams and team not in scope.teams:
        return Refusal("scope", f"team {team} is not in the brand's scope")
    return None


def owner_of(team: Team, key: str) -> str:
    """The team's queue, else the member its hash of the key picks (the same one for ever)."""
    if team.queue:
        return team.queue
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % len(team.members)
    return team.members[place]


def _day(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
