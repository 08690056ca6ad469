"""Who owns a CRM property's value, and what follows when somebody edits it.

A hub-owned value is restored twice; if it keeps being edited it is held: left as it is, with an
alert, until a person decides. Where a person wins, the hub writes until a person has edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESTORES = 2
CALM_MS = 30 * 86_400_000
"""Edits longer ago than this no longer count as a fight."""


class Policy(StrEnum):
    """Owner of a property's value. ``LOCKED`` is the hub's, changed by a decision only."""

    HUB = "hub"
    LOCKED = "locked"
    PERSON = "person"
    FILL_BLANK = "fill_blank"


class HoldKind(StrEnum):
    """Why a property is watched: the hub restored it, gave it up, or a person has it."""

    RESTORED = "restored"
    HELD = "held"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Hold:
    """What happened to one property of one record. ``since`` and ``last_at`` in ms UTC."""

    kind: HoldKind
    times: int
    since: int
    last_at: int

    @property
    def keeps_off(self) -> bool:
        """Whether the hub leaves the property alone."""
        return self.kind is not HoldKind.RESTORED


@dataclass(frozen=True, slots=True)
class Verdict:
    """``hold`` is what to remember (None: nothing), ``write`` whether the hub writes again."""

    hold: Hold | None
    write: bool


def judge(policy: Policy, hold: Hold | None, *, as_desired: bool, blank: bool, now: int) -> Verdict:
    """A property was found changed in the CRM: what now?

    Args:
        hold: what is remembered of this property.
        as_desired: whether what was found is what the hub wants anyway.
        blank: whether it was found blank.
        now: ms UTC.
    """
    if as_desired:
        return Verdict(None if hold is None or hold.keeps_off else hold, write=False)
    match policy:
        case Policy.PERSON:
            since = hold.since if hold else now
            return Verdict(Hold(HoldKind.PERSON, 1, since, now), write=False)
        case Policy.FILL_BLANK:
            return Verdict(None, write=blank)
        case _:
            return _restore(hold, now)


def _restore(hold: Hold | None, now: int) -> Verdict:
    if hold is None or (now - hold.last_at > CALM_MS and not hold.keeps_off):
        return Verdict(Hold(HoldKind.RESTORED, 1, now, now), write=True)
    if hold.keeps_off or hold.times >= RESTORES:
        return Verdict(Hold(HoldKind.HELD, hold.times, hold.since, now), write=False)
    return Verdict(Hold(HoldKind.RESTORED, hold.times + 1, hold.since, now), write=True)


def writes(policy: Policy, hold: Hold | None, *, blank: bool) -> bool:
    """Whether the hub may write a property that it wants otherwise than the CRM holds it.

    Args:
        blank: whether the CRM holds nothing there.
    """
    if hold is not None and hold.keeps_off:
        return False
    return policy is not Policy.FILL_BLANK or blank
