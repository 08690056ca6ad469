"""Reasons: open, judge and close the episodes of a projection step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy.engine import Connection

from mapping.admission import Admitted, Reason, admit
from mapping.outage import Outage, old
from mapping.ruleset import RuleSet, State
from mapping.wall import UNDER_REVIEW
from state import digests, episodes, projection, readback
from state.episodes import Episode, Latest
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
        self.latest: dict[tuple[str, str, str], Latest] = {}
        self.owners: dict[tuple[str, str], str] = {}
        self.fresh: list[Episode] = []
        self.judged: list[Episode] = []
        self.closed: list[tuple[Episode, str]] = []
        self.rows: dict[Key, Evaluated] = {}
        self.wakes: dict[Key, int] = {}
        self.late: frozenset[str] = frozenset()
        self.outages: Mapping[str, Sequence[Outage]] = {}  # by brand, those without a digest yet
        self.digests: dict[str, Outage] = {}
        self.refused = 0

    def load(self, connection: Connection) -> None:
        """Read the episodes of the work list."""
        self.open = episodes.open_of_work(connection)
        for brand, client_id, state in self.open:
            self.had.setdefault((brand, client_id), set()).add(state)
        told = {e.digest for e in self.open.values() if e.digest}
        self.digests = digests.outages(connection, told) if told else {}
        self.latest = episodes.latest_of_work(connection)
        for name in self.hub.destinations:
            self.owners |= {(name, k): o for k, o in readback.owners_of_work(connection, name)}

    def judge(self, row: Evaluated) -> None:
        """Bring one client's episodes in line with the states that hold now."""
        client = (row.brand, row.client_id)
        self.rows[client] = row
        rules = self.hub.rules[row.brand]
        states = {s.id: s for s in rules.states}
        for state_id, begin in row.states.items():
            self._holds(row, states[state_id], begin)
        for state_id in sorted(self.had.get(client, set()) - set(row.states)):
            why = _over(rules, row) if state_id in states else "its rule was removed"
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
        last = self.latest.get(place)
        if last is not None:
            if last.by_person and begin <= last.closed_at:
                return  # somebody dealt with it: only something further is a reason again
            ready = last.closed_at + state.cool_down_h * _HOUR_MS
            if self.now < ready:  # still the old reason
                client = (row.brand, row.client_id)
                self.wakes[client] = min(ready, self.wakes.get(client, ready))
                return
        self._open(row, state, begin, last.n + 1 if last else 1)

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
        reason = Reason(
            episode.begin_at, row.country, state.id in row.sooner, state.id in row.instead,
            row.counts_from.get(state.id),
        )  # fmt: skip
        contact = self.contacts.contact(episode.client)
        owner = self.owners.get((brand.destination, contact), "")
        late_at = self.now if episode.key in self.late else None
        outage = self._outage(episode, state)
        verdict = admit(state, reason, brand, episode.key, owner, late_at, outage)
        if isinstance(verdict, Admitted):
            judged = replace(episode, refused="", refused_why="", admitted_at=self.now)
            task: Admitted | None = verdict
        else:
            judged = replace(episode, refused=verdict.code, refused_why=verdict.why)
            task = verdict.task
        return replace(
            judged, due_at=task.due_at if task else None, team=task.team if task else "",
            owner=task.owner if task else "", priority=task.priority if task else "",
            contact=contact if task else "", rule_version=self.rule_version,
        )  # fmt: skip

    def _outage(self, episode: Episode, state: State) -> Outage | None:
        """What makes the reason old: the outage of the digest it stands in, or one without yet."""
        told = self.digests.get(episode.digest)
        if told is not None and episode.begin_at < told.until_at:
            return told
        waiting = self.outages.get(episode.brand)
        return old(state.dated_by, episode.begin_at, waiting) if waiting else None

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

    def tasks(self, client: Key) -> list[Episode]:
        """The client's open tasks, the earliest due first."""
        row = self.rows.get(client)
        mine = [
            e for s in (row.states if row else ())
            if (e := self.open.get((*client, s))) is not None and e.admitted_at is not None
        ]  # fmt: skip
        return sorted(mine, key=lambda e: (e.due_at or 0, e.key)) if len(mine) > 1 else mine

    def next_action(self, client: Key) -> tuple[str, str]:
        """(action, due as ms text) of the client's open task with the earliest due time."""
        mine = self.tasks(client)
        if not mine:
            return "", ""
        first = mine[0]
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


def _over(rules: RuleSet, row: Evaluated) -> str:
    """Why a reason is closed; the text of any team's task does not name a review of the client."""
    named = "" if rules.stage(row.stage).team == UNDER_REVIEW else f", stage is {row.stage}"
    return f"the reason is over{named}"


def with_tasks(found: Sequence[Episode]) -> list[Episode]:
    """Episodes that have a task."""
    return [e for e in found if e.admitted_at is not None]
