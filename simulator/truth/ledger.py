"""Episodes and tasks as they must stand when the hub syncs at given instants (domain §4, 0002).

Truth about tasks is what holds at the instants of the syncs: a reason that comes and goes
between two of them is never seen. So the ledger is told of each sync, in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.portal import TEAMS, Team
from simulator.story import World
from simulator.truth.calendars import office_hours, round_the_clock
from simulator.truth.contacts import Address, address, grouped, survivor
from simulator.truth.facts import DAY, HOUR, MINUTE, known
from simulator.truth.profile import Profile, profile
from simulator.truth.sources import SOURCES

COOL_DOWN = DAY


@dataclass(frozen=True, slots=True)
class Playbook:
    """Who works a state's tasks, and by when: a term counted in the team's open time."""

    team: str
    term: int
    count: Callable[[int, int, str], int]


TASK_STATES: Mapping[str, Playbook] = {
    "CS3": Playbook("onboarding", HOUR, office_hours),
    "CS5": Playbook("payments", 5 * MINUTE, round_the_clock),
    "CS6": Playbook("retention", 3 * HOUR, office_hours),
    "CS8": Playbook("support", HOUR, round_the_clock),
}


@dataclass(slots=True)
class Task:
    """One task: its key is its episode's. ``contact`` is the contact's primary at opening."""

    key: str
    client: str
    contact: str
    state: str
    begin: int
    due: int
    owner: str
    status: str
    opened_at: int
    closed_at: int | None = None


@dataclass(slots=True)
class _Episode:
    key: str
    task: Task | None = None
    refused: str = ""


class TaskLedger:
    """Told of every sync instant in order; keeps which tasks were opened and closed.

    Args:
        world: whose truth.
        live_from: reasons that began earlier open no task.
        modes: state -> "tasks" or anything else; unnamed states open no tasks.
        teams: who owns the tasks.
        sources: the families that are connected.
    """

    def __init__(
        self,
        world: World,
        live_from: int,
        modes: Mapping[str, str] | None = None,
        teams: Mapping[str, Team] = TEAMS,
        sources: frozenset[str] = SOURCES,
    ) -> None:
        self.world, self.live_from, self.teams = world, live_from, teams
        self.sources = sources
        self.modes = dict.fromkeys(TASK_STATES, "tasks") if modes is None else dict(modes)
        self.tasks: dict[str, Task] = {}
        self._last: int | None = None
        self._next_look: dict[str, int] = {}
        self._profiles: dict[str, Profile | None] = {}
        self._addresses: dict[str, Address] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._open: dict[tuple[str, str], _Episode] = {}
        self._closed: dict[tuple[str, str], int] = {}

    def observe(self, at_ms: int) -> None:
        """A sync at ``at_ms``: look at every client something may have changed for."""
        looks = sorted(self._looks(at_ms))
        for key in looks:
            client = self.world.clients[key]
            found = self._profiles[key] = profile(self.world, client, at_ms, self.sources)
            self._next_look.pop(key, None)
            if found and found.until is not None:
                self._next_look[key] = found.until
            where = address(known(self.world, client, at_ms))
            if where:
                self._addresses[key] = where
            else:
                self._addresses.pop(key, None)
        for key in looks:
            for state in TASK_STATES:
                self._judge(key, state, at_ms)
        self._last = at_ms

    def refused(self, client_key: str) -> dict[str, str]:
        """The client's open reasons without a task: state -> why."""
        return {
            state: episode.refused
            for (key, state), episode in self._open.items()
            if key == client_key and episode.task is None
        }

    def next_action_due(self, client_key: str) -> str:
        """When the first of the client's open tasks is due, as text of epoch ms; "" if none."""
        due = [
            episode.task.due
            for (key, _), episode in self._open.items()
            if key == client_key and episode.task
        ]
        return str(min(due)) if due else ""

    def _looks(self, at_ms: int) -> set[str]:
        if self._last is None:
            return set(self.world.clients)
        keys = {key for key, look in self._next_look.items() if look <= at_ms}
        for client, _ in self.world.between(self._last, at_ms):
            keys.add(client.key)
            into = survivor(client)
            if into is not None:
                keys.add(into)
        return keys

    def _judge(self, key: str, state: str, at_ms: int) -> None:
        found, place = self._profiles[key], (key, state)
        begin = found.states.get(state) if found else None
        episode = self._open.get(place)
        if begin is None:
            if episode is not None:
                self._close(place, episode, at_ms)
            return
        if episode is None:
            closed_at = self._closed.get(place)
            if closed_at is not None and at_ms < closed_at + COOL_DOWN:
                look = closed_at + COOL_DOWN
                self._next_look[key] = min(look, self._next_look.get(key, look))
                return
            n = self._numbers[place] = self._numbers.get(place, 0) + 1
            episode = self._open[place] = _Episode(f"{key}:{state}:{n}")
        if episode.task is None:
            self._admit(key, state, begin, episode, at_ms)

    def _admit(self, key: str, state: str, begin: int, episode: _Episode, at_ms: int) -> None:
        if self.modes.get(state) != "tasks":
            episode.refused = "mode"
        elif begin < self.live_from:
            episode.refused = "live_from"
        else:
            playbook = TASK_STATES[state]
            zone = self.world.brands[self.world.clients[key].brand].zone
            found = self._profiles[key]
            counted_from = found.counts_from.get(state, begin) if found else begin
            due = playbook.count(counted_from, playbook.term, zone)
            owner = owner_of(self.teams[playbook.team], episode.key)
            contact = self._contact(key)
            task = Task(episode.key, key, contact, state, begin, due, owner, "open", at_ms)
            episode.task = self.tasks[task.key] = task

    def _close(self, place: tuple[str, str], episode: _Episode, at_ms: int) -> None:
        if episode.task:
            episode.task.status, episode.task.closed_at = "closed", at_ms
        del self._open[place]
        self._closed[place] = at_ms

    def _contact(self, key: str) -> str:
        mine = self._addresses[key].email
        sharing = {
            other: where
            for other, where in self._addresses.items()
            if other == key or (mine and where.email == mine)
        }
        return grouped(sharing)[0].primary


def owner_of(team: Team, task_key: str) -> str:
    """The team's queue, else its members in list order by a hash of the task's key."""
    if team.queue is not None:
        return team.queue
    digest = hashlib.sha256(task_key.encode()).hexdigest()
    return team.members[int(digest[:8], 16) % len(team.members)]
