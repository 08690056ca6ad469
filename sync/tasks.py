"""Task texts: what the person who gets the task needs to act, from the client's own facts."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy.engine import Connection

from mapping.facts import FACTS
from mapping.ruleset import State
from mapping.texts import fill, words
from mapping.wall import RISK_TEAMS, hidden
from state import outbox, projection
from state.episodes import Episode
from state.outbox import Desired
from sync.hub import Hub
from sync.reasons import Reasons, with_tasks

OPEN, DONE = "open", "done"
TASK_PRIORITY = 1


def task_bodies(connection: Connection, hub: Hub, reasons: Reasons) -> dict[str, list[Desired]]:
    """Desired tasks of a step by destination: opened or lasting ones, and those to be closed."""
    wanted: dict[str, list[Desired]] = defaultdict(list)
    lasting = with_tasks(list(reasons.open.values()))
    facts = projection.facts_of(connection, sorted({e.client for e in lasting}))
    for episode in lasting:
        state = hub.rules[episode.brand].state(episode.state)
        if state is not None and episode.client in facts:
            body = task_body(hub, episode, state, facts[episode.client])
            wanted[episode.destination].append(Desired("task", episode.key, body, TASK_PRIORITY))
    for episode, why in reasons.closed:
        if episode.admitted_at is None:
            continue
        stored = outbox.bodies(connection, episode.destination, "task", [episode.key])
        body = closed(hub, stored.get(episode.key, {}), episode.brand, why, reasons.now)
        wanted[episode.destination].append(Desired("task", episode.key, body, TASK_PRIORITY))
    return wanted


def task_body(hub: Hub, episode: Episode, state: State, facts: dict[str, object]) -> dict[str, str]:
    """A task's properties as canonical texts (``due`` is epoch ms; ``contact`` a contact key)."""
    zone, digits = hub.brands[episode.brand].zone, hub.digits(episode.brand)
    connected = hub.rules[episode.brand].connected
    walled = frozenset[str]() if state.owner in RISK_TEAMS else hidden(facts)
    began = words(episode.begin_at, FACTS["registered_at"], zone, digits)
    lines = [
        fill(state.body, facts, FACTS, zone, digits, connected, walled),
        "",
        f"Next action: {state.action}.",
        f"{state.id} {state.label}, since {began}. Client {episode.brand}:{episode.client_id}.",
    ]
    subject = fill(state.subject, facts, FACTS, zone, digits, connected, walled)
    return {
        "subject": f"{subject} [{episode.brand}:{episode.client_id}]",
        "body": "\n".join(lines),
        "owner": episode.owner,
        "due": str(episode.due_at),
        "priority": episode.priority,
        "status": OPEN,
        "contact": episode.contact,
    }


def closed(hub: Hub, stored: dict[str, str], brand: str, why: str, now: int) -> dict[str, str]:
    """A task as it was wanted, done, with the reason and when (ms) it was closed."""
    zone, digits = hub.brands[brand].zone, hub.digits(brand)
    at = words(now, FACTS["registered_at"], zone, digits)
    body = f"{stored.get('body', '')}\n\nClosed by brokersync on {at}: {why}.".strip()
    return {**stored, "body": body, "status": DONE}
