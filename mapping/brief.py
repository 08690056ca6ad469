"""The brief: two or three sentences to read in ten seconds before calling a client.

Who it is and where it stands, what matters most now, what is to be done next. The sentences are
controlled: they advise nothing but what a playbook says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mapping.card_words import capital, said, why_failed, words
from mapping.ruleset import RuleSet, Stage, State
from mapping.wall import HOLD, RISK_TEAMS, UNDER_REVIEW

_HOLD = capital(f"{HOLD}.").replace(", do", ": do")


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that is open: its state's id, and when it is due (ms)."""

    state: str
    due_at: int


@dataclass(slots=True)
class Standing:
    """One client as card and brief are to show it; made for each client, and frozen ones cost more.

    Args:
        facts: by name, at least those of :data:`mapping.card.CITED`.
        since: ms, when the stage began.
        states: states that the CRM hears of, with their begin (ms).
        tasks: open tasks, the earliest due first.
        with_held: another client of the same contact is under review.
    """

    key: str
    facts: Mapping[str, Any]
    stage: str
    since: int
    states: Mapping[str, int] = field(default_factory=dict)
    tasks: Sequence[OpenTask] = ()
    with_held: bool = False


class Briefs:
    """Makes the briefs of a brand's clients.

    Args:
        at: an instant (ms, or None) as a text.
        note: which sources are late, as one sentence without its stop; blank if none is.
    """

    def __init__(self, rules: RuleSet, at: Callable[[int | None], str], note: str) -> None:
        self._at = at
        self._states = {s.id: s for s in rules.states}
        self._urgent = [s for s in sorted(rules.states, key=_term) if s.owner not in RISK_TEAMS]
        self._note = [capital(f"{note}.")] if note else []

    def of(self, client: Standing, stage: Stage, task: OpenTask | None, *, hold: bool) -> str:
        """The brief of a client.

        Args:
            task: the next task that everybody may know of.
        """
        f = client.facts
        who = (
            f"Client {client.key} ({said(f['country'] or 'country not known')}, "
            f"{said(f['language'] or 'language not known')})"
        )
        if stage.team != UNDER_REVIEW:
            who = f"{who}: {stage.label} since {self._at(client.since)}"
        if hold:
            return " ".join([f"{who}.", _HOLD, *self._note])
        if stage.team in RISK_TEAMS:  # closed or excluded
            return " ".join([f"{who}.", "No contact.", *self._note])
        following = "No open task."
        if task is not None:
            action = self._states[task.state].action
            following = f"Next: {action}, due {self._at(task.due_at)}."
        matter = self._matter(f, client.states)
        sentences = [f"{who}.", f"{matter}.", following] if matter else [f"{who}.", following]
        return " ".join([*sentences, *self._note])

    def _matter(self, f: Mapping[str, Any], states: Mapping[str, int]) -> str:
        """What matters most now; blank if nothing does."""
        at = self._at
        if f["complaints_open"]:
            last = f"{at(f['last_ticket_at'])} about {said(f['last_ticket_category'])}"
            return f"Open complaints: {f['complaints_open']}, the latest ticket {last}"
        if "CS15" in states and f["uncredited_at"] is not None:
            return f"A deposit is paid and not on the account since {at(f['uncredited_at'])}"
        if f["last_attempt_outcome"] == "failed" and ("CS5" in states or not f["deposits"]):
            what = f"{said(f['last_attempt_amount'])} by {said(f['last_attempt_method'])}"
            return f"Deposit of {what} failed {at(f['last_attempt_ended_at'])}: {why_failed(f)}"
        if f["kyc_status"] == "rejected_retry":
            why = words(f["kyc_rejection_reason"])
            gap = f"missing or failed {said(f['kyc_gap'])}"
            return f"KYC rejected {at(f['kyc_status_at'])}: {why}, {gap}"
        if f["withdrawals_open"]:
            last = at(f["last_withdrawal_at"])
            return f"Withdrawals open: {f['withdrawals_open']}, the latest requested {last}"
        if states:
            for state in self._urgent:
                if state.id in states:
                    return f"{state.label} since {at(states[state.id])}"
        return ""


def _term(state: State) -> tuple[int, str]:
    """How soon a state's task is due, in minutes; a day counts as one of 24 hours."""
    minutes, days = state.term.minutes, state.term.days
    return (1440 * (1 + (days or 0)) if minutes is None else minutes), state.id
