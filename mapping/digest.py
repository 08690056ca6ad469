"""The digest of an outage: a team's old reasons as one task, the most valuable first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mapping.local_times import local_times
from mapping.outage import family_names
from mapping.ruleset import TEAMS, State

LINES = 50
"""Reasons that are listed one by one; the others are counted."""
_WORD = "digest"


@dataclass(frozen=True, slots=True)
class Line:
    """One reason. ``client`` is ``brand:client_id``, ``begin_at`` in ms, ``value`` in words."""

    state: State
    client: str
    begin_at: int
    value: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A team's old reasons of one outage.

    Args:
        zone: the brand's IANA zone; in it are all times.
        from_at: ms, with ``ended_at`` when the families were away.
        lines: the first :data:`LINES` reasons, the most valuable first.
        rest: playbook -> how many reasons more.
    """

    brand: str
    zone: str
    families: frozenset[str]
    from_at: int
    ended_at: int
    lines: Sequence[Line]
    rest: Mapping[str, int]

    def subject(self) -> str:
        """What is to be read in a list of tasks."""
        n = len(self.lines) + sum(self.rest.values())
        return (
            f"{n} reason{'s' * (n != 1)} from the outage of {family_names(self.families)}, "
            f"{self._span()} [{self.brand}]"
        )

    def body(self) -> str:
        """A line a reason, and how to get at those that are only counted."""
        at = local_times(self.zone).at
        listed = [
            f"{n}. {one.state.id} {one.state.label}, client {one.client}, deposits {one.value}, "
            f"since {at(one.begin_at)}"
            for n, one in enumerate(self.lines, 1)
        ]
        head = (
            f"They began while {family_names(self.families)} could not be read, and have no tasks "
            "of their own. The most valuable clients come first."
        )
        return "\n".join([head, "", *listed, *self._more()])

    def _more(self) -> list[str]:
        if not self.rest:
            return []
        first = max(sorted(self.rest), key=lambda state: self.rest[state])
        command = f"brokersync sync --backlog {first} --max {LINES} --brand {self.brand}"
        counts = ", ".join(f"{state}: {n}" for state, n in sorted(self.rest.items()))
        return ["", f"and {sum(self.rest.values())} more ({counts}): {command}"]

    def _span(self) -> str:
        """The zone is named once, unless the clocks changed meanwhile."""
        begin, end = (local_times(self.zone).at(at) for at in (self.from_at, self.ended_at))
        (moment, zone), name = begin.rsplit(" ", 1), end.rsplit(" ", 1)[1]
        return f"{moment if zone == name else begin} to {end}"


def key(brand: str, team: str, ended_at: int) -> str:
    """The task's key for ever."""
    return f"{brand}:{_WORD}:{team}:{ended_at}"


def playbook_of(task_key: str) -> str:
    """The playbook of a task by its key; ``digest`` where that is a digest's."""
    client, state, _ = task_key.rsplit(":", 2)
    return _WORD if state in TEAMS and client.endswith(f":{_WORD}") else state
