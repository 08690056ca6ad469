"""Digests: what an outage made old becomes one ranked task for each team, once it is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from mapping import digest
from mapping.admission import owner_of
from mapping.digest import LINES, Digest, Line
from mapping.facts import FACTS
from mapping.texts import fill
from mapping.wall import RISK_TEAMS, hidden
from state import digests, outages, outbox, projection
from state.digests import Gathered, Member, Stored, Waiting
from state.outages import Spell
from state.outbox import Desired
from sync.hub import Guard, Hub
from sync.tasks import OPEN, TASK_PRIORITY, closed

OVER = "all its reasons are over"


@dataclass(slots=True)
class Told:
    """How many digests were made and closed, and how many tasks changed for that."""

    made: int = 0
    closed: int = 0
    tasks: int = 0


def tell(hub: Hub, guard: Guard, now: int, waiting: Collection[str]) -> Told:
    """Make the digests of the outages that are over, and close those whose reasons are.

    Args:
        waiting: brands whose clients are not worked out now.
    """
    done = Told()
    with hub.store.reading() as connection:
        untold = outages.untold(connection)
        spells = [s for s in untold if s.ended_at is not None and s.brand not in waiting]
        ending = digests.over(connection)
    if not spells and not ending:
        return done
    with hub.store.transaction("project.digest") as connection:
        guard(connection)
        for (brand, ended_at), together in _together(spells).items():
            if brand in hub.rules:
                _make(connection, hub, brand, ended_at, together, now, done)
        outages.told(connection, spells, now)
        _close(connection, hub, digests.over(connection), now, done)
    return done


def _together(spells: Sequence[Spell]) -> dict[tuple[str, int], list[Spell]]:
    """(brand, end) -> families that came back at once: one vendor, one digest."""
    found: dict[tuple[str, int], list[Spell]] = defaultdict(list)
    for spell in sorted(spells, key=lambda s: (s.brand, s.ended_at or 0, s.family)):
        found[spell.brand, spell.ended_at or 0].append(spell)
    return found


def _make(
    connection: Connection, hub: Hub, brand: str, ended_at: int, spells: Sequence[Spell],
    now: int, done: Told,
) -> None:  # fmt: skip
    states, destination = hub.rules[brand].states, hub.brands[brand].destination
    waiting = [Waiting(s.from_at, [t.id for t in states if s.family in t.dated_by]) for s in spells]
    for team in digests.teams(connection, brand, waiting):
        key = digest.key(brand, team, ended_at)
        gathered = digests.gather(connection, brand, team, waiting, key)
        members = digests.ranked(connection, key, LINES)
        stored = Stored(
            key, brand, team, frozenset(s.family for s in spells), min(s.from_at for s in spells),
            ended_at, destination, _contact(connection, destination, members),
        )  # fmt: skip
        digests.keep(connection, stored)
        body = _body(connection, hub, stored, members, gathered)
        wanted = [Desired("task", key, body, TASK_PRIORITY)]
        done.tasks += outbox.want(connection, destination, wanted, now)
        done.made += 1


def _contact(connection: Connection, destination: str, members: Sequence[Member]) -> str:
    """The contact of the most valuable client that has one in the CRM."""
    contacts = [m.contact for m in members]
    there = digests.reachable(connection, destination, contacts)
    return next((c for c in contacts if c in there), contacts[0])


def _body(
    connection: Connection, hub: Hub, stored: Stored, members: Sequence[Member],
    gathered: Gathered,
) -> dict[str, str]:  # fmt: skip
    """The task's properties as canonical texts, as those of :func:`sync.tasks.task_body`."""
    brand = hub.brands[stored.brand]
    rest = dict(gathered.states)
    for member in members:
        rest[member.state] -= 1
    made = Digest(
        stored.brand, brand.zone, stored.families, stored.from_at, stored.ended_at,
        _lines(connection, hub, stored, members), {s: n for s, n in rest.items() if n},
    )  # fmt: skip
    return {
        "subject": made.subject(),
        "body": made.body(),
        "owner": owner_of(brand.teams[stored.team], stored.key),
        "due": str(gathered.due_at),
        "priority": "HIGH" if gathered.urgent else "MEDIUM",
        "status": OPEN,
        "contact": stored.contact,
    }


def _lines(
    connection: Connection, hub: Hub, stored: Stored, members: Sequence[Member]
) -> list[Line]:
    rules = hub.rules[stored.brand]
    facts = projection.facts_of(connection, sorted({(m.brand, m.client_id) for m in members}))
    found = []
    for m in members:
        state = rules.state(m.state)
        if state is not None:
            value = _deposits(hub, stored, facts.get((m.brand, m.client_id), {}))
            found.append(Line(state, f"{m.brand}:{m.client_id}", m.begin_at, value))
    return found


def _deposits(hub: Hub, stored: Stored, facts: Mapping[str, object]) -> str:
    """What the client has deposited, behind the wall like every fact of a task."""
    brand, connected = hub.brands[stored.brand], hub.rules[stored.brand].connected
    walled = frozenset[str]() if stored.team in RISK_TEAMS else hidden(facts)
    text = fill(
        "{total_deposits}", facts, FACTS, brand.zone, hub.digits(brand.id), connected, walled
    )
    return f"{text} {brand.base_currency}" if text[:1].isdigit() else text


def _close(
    connection: Connection, hub: Hub, ending: Sequence[tuple[str, str, str]], now: int, done: Told
) -> None:
    digests.close(connection, {key: OVER for key, *_ in ending}, now)
    for key, brand, destination in ending:
        stored = outbox.bodies(connection, destination, "task", [key])
        body = closed(hub, stored.get(key, {}), brand, OVER, now)
        wanted = [Desired("task", key, body, TASK_PRIORITY)]
        done.tasks += outbox.want(connection, destination, wanted, now)
        done.closed += 1
