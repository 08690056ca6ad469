"""Explain: why a client is where it is, what is refused and why, what time alone will change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from brokersync import links as by_hand
from brokersync.output import Output, instant, iso
from mapping.errors import ConfigError
from mapping.facts import FACTS, FAMILIES
from mapping.rules import Expr, parts
from mapping.ruleset import RuleSet
from mapping.texts import words
from state import episodes, explain, links, sources
from state.schema import NEVER
from sync.hub import Hub
from sync.project import figures

_MOST_WAKES = 40
Key = tuple[str, str]


def client(hub: Hub, text: str) -> dict[str, Any]:
    """Everything `explain` shows of one client, as plain data.

    Raises:
        ConfigError: no such client, or several; says what to type instead.
    """
    with hub.store.reading() as connection:
        brand, client_id = _one(connection, text)
        found = _explained(hub, connection, brand, client_id)
        found["links"] = [by_hand.shown(d) for d in links.trail(connection, brand, client_id)]
    if found["stage"] is not None:
        found["next_stage_change"] = _next_change(hub, (brand, client_id), found)
    return found


def _one(connection: Connection, text: str) -> Key:
    keys = explain.find(connection, text)
    if not keys:
        raise ConfigError(
            f"no client {_named(text)}: give brand:client_id, a client id or an e-mail address; "
            "`brokersync status` says whether the registry was read"
        )
    if len(keys) > 1:
        several = ", ".join(f"{b}:{c}" for b, c in keys[:10])
        raise ConfigError(f"{_named(text)} means several clients: {several}; give one of these")
    return keys[0]


def _named(text: str) -> str:
    """What was asked for; an address is not repeated, as errors end up in logs."""
    return "with that e-mail address" if "@" in text else repr(text)


def _explained(hub: Hub, connection: Connection, brand: str, client_id: str) -> dict[str, Any]:
    key = f"{brand}:{client_id}"
    stored = explain.profile(connection, brand, client_id)
    if stored is None:
        into = explain.merged_into(connection, brand, client_id)
        why = f"merged into {brand}:{into}" if into else "not computed yet: run `brokersync sync`"
        return {"client": key, "stage": None, "why": why}
    rules = hub.rules[brand]
    known = explain.facts(connection, brand, client_id)
    horizons = _horizons(connection, brand)
    at = stored["evaluated_at"]
    view = _View(hub, connection, (brand, client_id), known, horizons, at)
    stage = rules.stage(stored["stage"])
    held = episodes.of_client(connection, brand, client_id)
    return {
        "client": key,
        "as_of": iso(at),
        "rule_version": stored["rule_version"],
        "stage": stage.id,
        "label": stage.label,
        "since": iso(stored["stage_since"]),
        "accountable": stage.team,
        "rule": stage.when.text.strip(),
        "conditions": view.conditions(stage.when),
        "not_these": _passed_over(rules, stage.id),
        "states": [_state(view, rules, s, b) for s, b in stored["states"].items()],
        "tasks": [_task(e) for e in held if e.admitted_at is not None],
        "refused": _refusals(rules, held, stored["states"]),
        "records": [_record(r) for r in explain.records(connection, brand, client_id)],
        "history": [_change(h) for h in explain.history(connection, brand, client_id)],
        "complete_until": {f: iso(t) for f, t in sorted(horizons.items())},
    }


class _View:
    """One client's facts at one instant, for answering conditions."""

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        key: Key,
        facts: Mapping[str, Any],
        horizons: Mapping[str, int],
        at: int,
    ) -> None:
        self.hub, self.connection, self.key = hub, connection, key
        self.facts, self.horizons, self.at = facts, horizons, at

    def conditions(self, rule: Expr) -> list[dict[str, Any]]:
        """Each part of a rule with its answer and the facts it read."""
        found = parts(rule)
        held = explain.answers(
            self.connection, *self.key, [p.expr for p in found], self.at, self.horizons
        )
        return [
            {
                "condition": " ".join(p.text.split()),
                "holds": holds,
                "depth": p.depth,
                "facts": {n: self.word(n) for n in sorted(p.facts)},
            }
            for p, holds in zip(found, held, strict=True)
        ]

    def holds(self, rule: Expr) -> bool:
        """Whether one rule holds."""
        return explain.answers(self.connection, *self.key, [rule], self.at, self.horizons)[0]

    def word(self, name: str) -> str:
        """A fact in words."""
        brand = self.hub.brands[self.key[0]]
        return words(self.facts.get(name), FACTS[name], brand.zone, self.hub.digits(brand.id))


def _passed_over(rules: RuleSet, stage_id: str) -> list[str]:
    ids = [s.id for s in rules.stages]
    return ids[: ids.index(stage_id)]


def _state(view: _View, rules: RuleSet, state_id: str, begin: int) -> dict[str, Any]:
    state = rules.state(state_id)
    if state is None:
        return {"state": state_id, "since": iso(begin)}
    return {
        "state": state.id,
        "label": state.label,
        "since": iso(begin),
        "owner": state.owner,
        "action": state.action,
        "rule": " ".join(state.when.text.split()),
        "conditions": view.conditions(state.when),
    }


def _task(e: episodes.Episode) -> dict[str, Any]:
    return {
        "key": e.key,
        "state": e.state,
        "since": iso(e.begin_at),
        "opened": iso(e.admitted_at),
        "due": iso(e.due_at),
        "team": e.team,
        "owner": e.owner,
        "contact": e.contact,
        "status": "open" if e.closed_at is None else "closed",
        "closed": iso(e.closed_at),
        "close_reason": e.close_reason,
    }


def _refusal(e: episodes.Episode) -> dict[str, Any]:
    return {
        "state": e.state,
        "since": iso(e.begin_at),
        "refused": e.refused,
        "why": e.refused_why,
        "digest": e.digest,
    }


def _refusals(
    rules: RuleSet, held: list[episodes.Episode], states: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Reasons without a task: refused ones, and those that came back within the cool-down."""
    standing = {e.state for e in held if e.closed_at is None}
    found = [_refusal(e) for e in held if e.admitted_at is None and e.closed_at is None]
    for state_id, begin in states.items():
        state = rules.state(state_id)
        closed = [e.closed_at for e in held if e.state == state_id and e.closed_at is not None]
        if state_id not in standing and state is not None and closed:
            ready = max(closed) + state.cool_down_h * 3_600_000
            ended, again = instant(max(closed)), instant(ready)
            why = f"the same reason ended {ended}; a new task may open {again}"
            found.append(
                {"state": state_id, "since": iso(begin), "refused": "cool_down", "why": why}
            )
    return found


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "at": iso(row["at"]), "version_at": iso(row["version_at"])}


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "effective_at": iso(row["effective_at"]), "observed_at": iso(row["observed_at"])}


def _horizons(connection: Connection, brand: str) -> dict[str, int]:
    names = [str(row["source"]) for row in sources.overview(connection)]
    return sources.horizons(connection, names).get(brand, {})


def _next_change(hub: Hub, key: Key, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The next moment at which time alone changes the stage, if nothing else happens.

    Tried for real at each due moment in turn, in a rehearsal that is taken back.
    """
    brand, client_id = key
    rules = hub.rules[brand]
    with hub.store.rehearsal(), hub.store.transaction("explain") as connection:
        stored = explain.profile(connection, brand, client_id)
        due = min(stored["due_at"] if stored else NEVER, explain.facts_due(connection, *key))
        for _ in range(_MOST_WAKES):
            if due >= NEVER:
                return None
            then = explain.at_instant(
                connection,
                rules,
                brand,
                client_id,
                due,
                dict.fromkeys(FAMILIES, due),
                figures(hub, brand),
            )
            if then is None:
                return None
            if then.stage != found["stage"]:
                return {"at": iso(due), "stage": then.stage, "label": rules.stage(then.stage).label}
            due = min(then.due_at, explain.facts_due(connection, *key))
    return None


def show(out: Output, found: Mapping[str, Any]) -> None:
    """Print an explanation for a person."""
    out.heading(f"Client {found['client']}")
    _show_links(out, found["links"])
    if found["stage"] is None:
        out.line(f"No stage: {found['why']}.")
        return
    out.line(
        f"{found['stage']} {found['label']} since {_short(found['since'])}; accountable: "
        f"{found['accountable']}. As of {_short(found['as_of'])}, rule set {found['rule_version']}."
    )
    out.line(f"Rule: {found['rule']}")
    _show_conditions(out, found["conditions"])
    if found["not_these"]:
        out.line(f"  Earlier stages do not hold: {', '.join(found['not_these'])}.")
    for state in found["states"]:
        out.line(
            f"{state['state']} {state.get('label', '')} since {_short(state['since'])}; "
            f"owner {state.get('owner', '?')}: {state.get('action', '')}."
        )
        _show_conditions(out, state.get("conditions", []))
    if not found["states"]:
        out.line("No states.")
    for task in found["tasks"]:
        ended = (
            f", closed {_short(task['closed'])}: {task['close_reason']}" if task["closed"] else ""
        )
        out.line(
            f"Task {task['key']}: {task['team']} ({task['owner']}), "
            f"due {_short(task['due'])}{ended}."
        )
    for refusal in found["refused"]:
        told = f"; it stands in the digest {refusal['digest']}" if refusal.get("digest") else ""
        out.line(f"No task for {refusal['state']}: {refusal['why']}{told} [{refusal['refused']}].")
    rows = [
        [_short(r["at"]), r["kind"], r["says"], f"{r['source']} {r['id']}"]
        for r in found["records"]
    ]
    out.table(["When", "Record", "Says", "Behind it"], rows, "No records.")
    _show_next(out, found.get("next_stage_change"))


def _show_conditions(out: Output, conditions: list[dict[str, Any]]) -> None:
    for c in conditions:
        facts = ", ".join(f"{n} = {v}" for n, v in c["facts"].items())
        mark = "yes" if c["holds"] else "no "
        out.line(
            f"  {'  ' * c['depth']}{mark}  {c['condition']}" + (f"   [{facts}]" if facts else "")
        )


def _show_links(out: Output, decided: list[dict[str, Any]]) -> None:
    for d in decided:
        what = f"linked to {d['client']}" if d["client"] else "link taken back"
        stands = "" if d["standing"] or not d["client"] else " (no longer)"
        out.line(
            f"By hand: {d['kind']} {d['value']} {what}{stands}, {d['by']}, {_short(d['at'])}: "
            f"{d['reason']}"
        )


def _show_next(out: Output, change: Mapping[str, Any] | None) -> None:
    if change is None:
        out.line("Time alone does not change the stage.")
    else:
        out.line(
            f"If nothing else happens: {change['stage']} {change['label']} "
            f"on {_short(change['at'])}."
        )


def _short(text: str | None) -> str:
    return f"{text[:16].replace('T', ' ')} UTC" if text else "-"
