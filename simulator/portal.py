"""The CRM portal's people: which owner works in which team, as data for fake, demo and oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner of the portal; ids are numeric texts. ``kind`` is PERSON or QUEUE."""

    id: str
    email: str
    first_name: str
    last_name: str
    kind: str = "PERSON"
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Team:
    """Who takes a team's tasks: its queue, else its members in this order by a hash of the key."""

    members: tuple[str, ...]
    queue: str | None = None


OWNERS: tuple[Owner, ...] = (
    Owner("70110", "payments-queue@broker.example", "Payments", "Queue", kind="QUEUE"),
    Owner("70111", "petros.ioannou@broker.example", "Petros", "Ioannou"),
    Owner("70121", "olena.koval@broker.example", "Olena", "Koval"),
    Owner("70122", "omar.haddad@broker.example", "Omar", "Haddad"),
    Owner("70123", "oona.obrien@broker.example", "Oona", "O'Brien"),
    Owner("70131", "sofia.marques@broker.example", "Sofia", "Marques"),
    Owner("70132", "sam.lindqvist@broker.example", "Sam", "Lindqvist"),
    Owner("70141", "rania.nasser@broker.example", "Rania", "Nasser"),
    Owner("70142", "rui.fonseca@broker.example", "Rui", "Fonseca"),
    Owner("70199", "gone.colleague@broker.example", "Gone", "Colleague", archived=True),
)

TEAMS: Mapping[str, Team] = {
    "payments": Team(members=("70111",), queue="70110"),
    "onboarding": Team(members=("70121", "70122", "70123")),
    "support": Team(members=("70131", "70132")),
    "retention": Team(members=("70141", "70142")),
}
