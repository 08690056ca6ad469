"""What the helpdesk tells: tickets and their load (0015)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.story import DAY_MS, Event

_UNRESOLVED = frozenset({"new", "open", "pending", "hold"})
_STATUS = {
    "ticket_solved": "solved",
    "ticket_reopened": "open",
    "ticket_closed": "closed",
    "ticket_deleted": "deleted",
}
_LOAD = 4
_WINDOW = 30 * DAY_MS


@dataclass(slots=True)
class Ticket:
    """One ticket that is not deleted."""

    opened: int
    status: str
    complaint: bool

    @property
    def unresolved(self) -> bool:
        """Whether somebody still waits."""
        return self.status in _UNRESOLVED


def tickets(told: Iterable[tuple[str, Event]]) -> list[Ticket]:
    """From what became visible, in order of time, each with the key of the client; by opening."""
    found: dict[tuple[str, str], Ticket] = {}
    for key, event in told:
        place = (key, event.data["ticket"])
        if event.name == "ticket_opened":
            found[place] = Ticket(event.at, "new", bool(event.data.get("complaint")))
        elif event.name == "ticket_updated":
            ticket = found[place]
            kept = "open" if ticket.status == "new" else ticket.status
            ticket.status = event.data.get("status", kept)
        else:
            found[place].status = _STATUS[event.name]
    return sorted((t for t in found.values() if t.status != "deleted"), key=lambda t: t.opened)


def load_begun(opened: list[int], at: int) -> int | None:
    """Since when four tickets lie within 30 days; None if they do not at ``at``.

    Args:
        opened: when the client's tickets were opened, in order.
    """
    begun, ends = None, 0
    for fourth, latest in zip(opened, opened[_LOAD - 1 :], strict=False):
        if latest >= fourth + _WINDOW:
            begun = None
            continue
        if begun is None or latest >= ends:
            begun = latest
        ends = fourth + _WINDOW
    return begun if at < ends else None


def load_ends(opened: list[int]) -> int | None:
    """When the fourth-latest ticket is 30 days old."""
    return opened[-_LOAD] + _WINDOW if len(opened) >= _LOAD else None
