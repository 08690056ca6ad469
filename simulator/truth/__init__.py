"""The oracle: what is true of every client at an instant, in plain Python.

Written straight from the domain page (§§2-4, 7) and decisions 0002 and 0015; it shares no code with
the hub, reads no database and knows no vendor. The tests compare the hub with it, never the
reverse.
"""

from __future__ import annotations

from simulator.truth.contacts import ContactGroup, contacts
from simulator.truth.ledger import TASK_STATES, Task, TaskLedger
from simulator.truth.profile import Profile, profile
from simulator.truth.sources import BASE, SOURCES

__all__ = [
    "BASE", "SOURCES", "TASK_STATES", "ContactGroup", "Profile", "Task", "TaskLedger", "contacts",
    "profile",
]  # fmt: skip
