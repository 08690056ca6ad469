"""Reasons: open, judge and close the episodes of a projection step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy.engine import Connection

from mapping.admission import Admitted, admit
from mapping.ruleset import State
from state import episodes, projection
from state.episodes import Episode
from state.evaluate import Evaluated
from state.projection import Key
from sync.hub import Hub

_HOUR_MS = 3_600_000


class Contacts(Protocol):
    """Where a client's tasks are put."""

    def contact(self, client: Key) -> str:
        """The contact's key."""


class Reasons:
    """The episodes of the clients on the work list, and what this step does to them."""

    def __init__(self, hub: Hub, rule_version: int, contacts: Contacts, now: int) -> None:
        self.hub = hub
        self.rule_version = rule_version
        self.contacts = contacts
        self.now = now
        self.open: dict[tuple[str, str, str], Episode] = {}
        self.had: dict[Key, set[str]] = {}
        self.latest: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.fresh: list[Episode] = []
        self.judged: list[Episode] = []
        self.closed: list[tuple[Episode, str]] = []
        self.rows: dict[Key, Evaluated] = {}
        self.wakes: dict[Key, int] = {}
        self.refused = 0

    def load(self, connection: Connection) -> None:
        """Read the episodes of the work list."""
        self.open = episodes.open_of_work(connection)
        for brand, client_id, state in self.open:
            self.had.setdefault((brand, client_id), set()).add(state)
        self.latest = episodes.latest_of_work(connection)

    def judge(self, row: Evaluated) -> None:
        """Bring one client's episodes in line with the states that hold now."""
        client = (row.brand, row.client_id)
        self.rows[client] = row
        states = {s.id: s for s in self.hub.rules[row.brand].states}
        for state_id, begin in row.states.items():
            self._holds(row, states[state_id], begin)
        for state_id in sorted(self.had.get(client, set()) - set(row.states)):
            known = state_id in states
            why = f"the reason is over, stage is {row.stage}" if known else "its rule was removed"
            self._close(self.open[*client, state_id], why)

    def close_gone(self, gone: Iterable[Key]) -> None:
        """Close all reasons of clients that are gone."""
        lost = set(gone)
        for e in [e for e in self.open.values() if e.client in lost]:
            self._close(e, "the client was merged into another")

    def _holds(self, row: Evaluated, state: State, begin: int) -> None:
        place = (row.brand, row.client_id, state.id)
        known = self.open.get(place)
        if known is not None:
            if known.admitted_at is None:
                judged = self._judged(replace(known, begin_at=begin), row, state)
                if judged != known:
                    self.judged.append(judged)
                    self.open[place] = judged
            return
        number, closed_at = self.latest.get(place, (0, None))
        if closed_at is not None:
            ready = closed_at + state.cool_down_h * _HOUR_MS
            if self.now < ready:  # still the old reason
                client = (row.brand, row.client_id)
                self.wakes[client] = min(ready, self.wakes.get(client, ready))
                return
        self._open(row, state, begin, number + 1)

    def _open(self, row: Evaluated, state: State, begin: int, number: int) -> None:
        brand = self.hub.brands[row.brand]
        fresh = Episode(
            brand=row.brand, client_id=row.client_id, state=state.id, n=number,
            key=f"{row.brand}:{row.client_id}:{state.id}:{number}", begin_at=begin,
            opened_at=self.now, closed_at=None, close_reason="", refused="", refused_why="",
            admitted_at=None, due_at=None, team="", owner="", priority="",
            destination=brand.destination, contact="", rule_version=self.rule_version,
        )  # fmt: skip
        judged = self._judged(fresh, row, state)
        self.fresh.append(judged)
        self.open[row.brand, row.client_id, state.id] = judged

    def _judged(self, episode: Episode, row: Evaluated, state: State) -> Episode:
        brand = self.hub.brands[row.brand]
        sooner = state.id in row.sooner
        verdict = admit(state, episode.begin_at, row.country, sooner, brand, episode.key)
        if not isinstance(verdict, Admitted):
            return replace(
                episode, refused=verdict.code, refused_why=verdict.why,
                rule_version=self.rule_version,
            )  # fmt: skip
        return replace(
            episode, refused="", refused_why="", admitted_at=self.now, due_at=verdict.due_at,
            team=verdict.team, owner=verdict.owner, priority=verdict.priority,
            contact=self.contacts.contact(episode.client), rule_version=self.rule_version,
        )  # fmt: skip

    def _close(self, episode: Episode, why: str) -> None:
        self.closed.append((episode, why))
        del self.open[episode.brand, episode.client_id, episode.state]

    @property
    def admitted(self) -> list[Episode]:
        """Episodes whose task this step opens."""
        return [e for e in (*self.fresh, *self.judged) if e.admitted_at is not None]

    @property
    def tasks_closed(self) -> list[Episode]:
        """Episodes with a task that this step closes."""
        return [e for e, _ in self.closed if e.admitted_at is not None]

    @property
    def clients_with_new_tasks(self) -> set[Key]:
        """Clients whose contact a new task needs."""
        return {e.client for e in self.admitted}

    def next_action(self, client: Key) -> tuple[str, str]:
        """(action, due as ms text) of the client's open task with the earliest due time."""
        row = self.rows.get(client)
        if row is None:
            return "", ""
        mine = [
            e for s in row.states
            if (e := self.open.get((*client, s))) is not None and e.admitted_at is not None
        ]  # fmt: skip
        if not mine:
            return "", ""
        first = min(mine, key=lambda e: (e.due_at or 0, e.key))
        state = self.hub.rules[first.brand].state(first.state)
        return (state.action if state else ""), str(first.due_at)

    def store(self, connection: Connection) -> None:
        """Write what this step decided."""
        self.refused = sum(e.refused != "" for e in self.fresh)
        episodes.open_(connection, self.fresh)
        episodes.judge(connection, self.judged)
        for why in sorted({w for _, w in self.closed}):
            keys = [e.key for e, w in self.closed if w == why]
            episodes.close(connection, keys, self.now, why)
        projection.set_due(connection, self.wakes)


def with_tasks(found: Sequence[Episode]) -> list[Episode]:
    """Episodes that have a task."""
    return [e for e in found if e.admitted_at is not None]
