"""A simulated CRM as a test sees it, in words that are no CRM's own.

Contacts and companies have the hub's property names and texts, and ``id``. Tasks have the hub's
words: subject, body, owner, due (ms), priority, status (open, done), and ``id``. Blanks are left
out. What people do is neither counted as a write nor limited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from connectors.base import Boundary
from connectors.clock import Clock
from connectors.destination import Destination
from simulator.portal import Team

CLIENT_KEY, TASK_KEY = "broker_client_id", "broker_task_key"
Rows = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Written:
    """A write of the hub that was applied; ``object`` is contacts, tasks or companies."""

    object: str
    crm_id: str
    created: bool
    properties: Mapping[str, str] = field(repr=False)


class Crm(Protocol):
    """What a test asks of a CRM, and of its people."""

    name: str
    """Of the destination."""
    teams: Mapping[str, Team]
    several_addresses: bool
    """A contact may have further addresses beside its first."""
    people: Sequence[str]
    """Owners who are persons and work here still."""

    def destination(
        self, brands: Mapping[str, str], clock: Clock, boundary: Boundary
    ) -> Destination:
        """A fresh end of the hub."""

    def contacts(self, by: str = "id") -> Rows:
        """Live contacts by a property's value; contacts without it are left out."""

    def companies(self, by: str = "id") -> Rows:
        """Live companies, as :meth:`contacts`."""

    def tasks(self, by: str = TASK_KEY) -> Rows:
        """Live tasks, as :meth:`contacts`."""

    def links(self) -> dict[str, list[str]]:
        """Task key -> keys of the contacts it is put on."""

    def add(self, **properties: str) -> str:
        """A person creates a contact; its id."""

    def edit(self, crm_id: str, **properties: str) -> None:
        """A person edits a contact."""

    def archive(self, crm_id: str) -> None:
        """A person deletes a contact."""

    def merge(self, primary: str, loser: str) -> str:
        """A person merges two contacts and keeps what only the loser has; the survivor's id."""

    def edit_task(self, crm_id: str, **words: str) -> None:
        """A person edits a task, by the hub's words."""

    def archive_task(self, crm_id: str) -> None:
        """A person deletes a task."""

    @property
    def writes(self) -> Counter[str]:
        """The hub's writes so far: contacts, tasks, associations (and companies)."""

    @property
    def written(self) -> Sequence[Written]:
        """The hub's writes so far, in order."""

    @property
    def calls(self) -> int:
        """Calls received so far."""

    def lose_each(self, nth: int, times: int) -> None:
        """Of the next calls each ``nth`` has its effect, and its answer is lost."""

    def calm(self) -> None:
        """Forget what was ordered to go wrong."""

    def snapshot(self) -> dict[str, Any]:
        """All that lasts, comparable between runs whose ids were given in another order."""

    def save(self) -> Any:
        """Everything as it is now, for :meth:`restore`."""

    def restore(self, saved: Any) -> None:
        """Back to what was saved."""
