"""What the hub knows of a CRM object's properties: how to compare values, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.destination import CrmObject
from mapping.ownership import Hold, Policy, Verdict, judge, writes
from mapping.texts import SPELLED, same
from sync.hub import Hub
from sync.partners import NAME

CONTACT = "contact"
"""In a task's body: the key of the contact it is put on; not a property."""

KEY = "broker_client_id"
OWN = (KEY, "broker_other_ids")
"""The hub's own properties of contacts, which no rule set declares."""

_TASK_TYPES = {"due": "datetime"}
# What a person changes in a task is that person's; the hub still closes it when its reason is gone.
_TASK_POLICIES = dict.fromkeys(("subject", "body", "owner", "due", "priority"), Policy.PERSON)


def unset(text: str) -> bool:
    """Whether a canonical text may be that of a property nobody ever wrote.

    A CRM's checkbox may be never blank.
    """
    return text in ("", "false")


@dataclass(frozen=True, slots=True)
class Properties:
    """Property -> field type, and property -> owner of its value where a person may own it.

    ``spelled`` are the properties whose values the CRM may spell in another way.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    spelled: frozenset[str] = frozenset()

    def same(self, name: str, ours: str, theirs: str) -> bool:
        """Whether two canonical texts mean the same to the CRM."""
        return ours == theirs or same(self.types.get(name, "string"), ours, theirs)

    def ours(self, name: str, ours: str, theirs: str) -> str:
        """Our spelling of a value where the CRM's means the same (``500`` and ``500.00``)."""
        return ours if self.same(name, ours, theirs) else theirs

    def may_write(self, name: str, hold: Hold | None, there: str) -> bool:
        """Whether the hub may write over ``there``, which differs from what it wants."""
        policy = self.policies.get(name, Policy.HUB)
        return writes(policy, hold, blank=not there)

    def edited(self, name: str, hold: Hold | None, wanted: str, there: str, now: int) -> Verdict:
        """What follows from finding ``there`` where the hub last saw something else."""
        policy = self.policies.get(name, Policy.HUB)
        fine = self.same(name, wanted, there)
        return judge(policy, hold, as_desired=fine, blank=not there, now=now)


def properties(hub: Hub, obj: CrmObject) -> Properties:
    """Of all brands together: a property that one brand leaves to people is left to people."""
    if obj is CrmObject.TASK:
        return Properties(_TASK_TYPES, _TASK_POLICIES)
    if obj is CrmObject.COMPANY:
        return Properties(policies={NAME: Policy.PERSON})
    types: dict[str, str] = {}
    policies: dict[str, Policy] = {}
    for rules in hub.rules.values():
        for f in rules.fields:
            name = hub.property_name(f.property, native=f.native)
            types[name] = "email" if f.hub == "client.email" else f.type
            if f.owner in (Policy.PERSON, Policy.FILL_BLANK):
                policies[name] = f.owner
    return Properties(types, policies, frozenset(n for n, t in types.items() if t in SPELLED))
