"""The org's fields, as the integration user sees them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.destination import MARK, CrmProperty, NoRightError, Option
from connectors.salesforce.client import SalesforceClient, reading
from connectors.salesforce.errors import RefusalError
from connectors.salesforce.model import Place
from connectors.salesforce.names import Names
from connectors.salesforce.values import TYPES

_SHOWN = {"multipicklist": "checkbox"}
"""The hub's word for a field of several options."""
_RIGHTS = {"queryable": "Read", "createable": "Create", "updateable": "Edit"}
"""Describe's words for what the user may do, and Setup's."""


@dataclass(frozen=True, slots=True)
class Described:
    """A place: its properties by the hub's names, and what conversions need.

    ``kinds`` maps API names to Salesforce's types; ``keys`` are fields that may be upserted by;
    ``key`` is the API name of the hub's key; ``condition`` is what a query asks for to meet the
    place's records only.
    """

    names: Names
    properties: Mapping[str, CrmProperty]
    kinds: Mapping[str, str]
    keys: frozenset[str]
    key: str
    condition: str


class Schemas:
    """What the describes said, place by place; each is asked for once. Safe to share."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client
        self._describing = threading.Lock()
        self._known: dict[Place, Described] = {}

    def of(self, place: Place) -> Described:
        """As it was described last."""
        if place not in self._known:
            with self._describing:
                if place not in self._known:
                    self.anew(place)
        return self._known[place]

    def knows(self, place: Place) -> bool:
        """Whether it was described before."""
        return place in self._known

    def anew(self, place: Place) -> Described:
        """As it is described now: one call."""
        found = self._known[place] = describe(self._client, place)
        return found

    def forget(self, place: Place) -> None:
        """Something was changed."""
        self._known.pop(place, None)


def lacking(client: SalesforceClient, place: Place) -> list[str]:
    """Rights on an object that the integration user has not: ``Edit on Account``. One call."""
    sobject = place.sobject
    try:
        found = _described(client, sobject)
    except NoRightError:
        return [f"Read on {sobject}"]
    asked = [flag for flag in _RIGHTS if place.creates or flag != "createable"]
    return [f"{_RIGHTS[flag]} on {sobject}" for flag in asked if found.get(flag) is False]


def describe(client: SalesforceClient, place: Place) -> Described:
    """One call."""
    answer = _described(client, place.sobject)
    with reading("describe"):
        rows = answer["fields"]
        names = Names([str(row["name"]) for row in rows], place.standard, place.key, place.suffixes)
        properties = {p.name: p for p in (_property(names, row) for row in rows)}
        kinds = {str(row["name"]): str(row["type"]) for row in rows}
        keys = frozenset(str(row["name"]) for row in rows if _is_key(row))
    key, condition = names.api(place.key), place.condition(kinds)
    return Described(names, properties, kinds, keys, key, condition)


def _described(client: SalesforceClient, sobject: str) -> Mapping[str, Any]:
    """Raises NoRightError for an object the user may not read: to her there is none (assumed)."""
    try:
        return client.describe(sobject)
    except RefusalError as refusal:
        if refusal.details.code != "NOT_FOUND":
            raise
        raise NoRightError(
            f"the integration user may not: Read on {sobject}. Give its permission set this right.",
            refusal.log,
        ) from None


def _is_key(row: Mapping[str, Any]) -> bool:
    """Documented: upserts by an external id that is not unique need the right View All Data."""
    return bool(row.get("externalId") and row.get("unique") and row.get("idLookup", True))


def _property(names: Names, row: Mapping[str, Any]) -> CrmProperty:
    kind, name = str(row["type"]), str(row["name"])
    help_text = row.get("inlineHelpText") or ""
    options = [v for v in row.get("picklistValues") or () if v.get("active", True)]
    calculated = bool(row.get("calculated"))
    return CrmProperty(
        name=names.ours(name),
        label=str(row.get("label") or name),
        type=TYPES.get(kind, "string"),
        field_type=_SHOWN.get(kind, kind),
        # A picklist that is not restricted takes any value (documented).
        options=tuple(Option(str(v["value"]), str(v.get("label") or v["value"])) for v in options)
        if row.get("restrictedPicklist")
        else (),
        unique=bool(row.get("unique")),
        read_only=calculated or not row.get("updateable", True),
        description=help_text,
        ours=MARK in help_text,
        calculated=calculated,
        max_length=int(row["length"]) if row.get("length") and kind not in ("id",) else None,
    )


# --- one schema of several places ----------------------------------------------------------------


def together(found: Sequence[tuple[Place, Described]]) -> Mapping[str, CrmProperty]:
    """What all places take: a client's record moves from one to the next with its properties.

    The hub's own property that one place lacks is missing, to be created there. Somebody else's is
    shown with where it is, in its type, for no type the hub wants is that.
    """
    if len(found) == 1:
        return found[0][1].properties
    shown: dict[str, CrmProperty] = {}
    for name in dict.fromkeys(n for _, known in found for n in known.properties):
        there = [(p.sobject, d.properties[name]) for p, d in found if name in d.properties]
        if len(there) == len(found):
            shown[name] = _common([prop for _, prop in there], [where for where, _ in there])
        elif not all(prop.ours for _, prop in there):
            where, prop = there[0]
            shown[name] = replace(prop, type=f"{prop.type}, on {where} only")
    return shown


def _common(props: Sequence[CrmProperty], where: Sequence[str]) -> CrmProperty:
    first = props[0]
    kinds = [prop.type for prop in props]
    unlike = ", ".join(f"{kind} on {on}" for kind, on in zip(kinds, where, strict=True))
    longest = [prop.max_length for prop in props if prop.max_length is not None]
    return replace(
        first,
        type=first.type if len(set(kinds)) == 1 else unlike,
        options=tuple(o for o in first.options if all(_has(prop, o.value) for prop in props)),
        unique=all(prop.unique for prop in props),
        read_only=any(prop.read_only for prop in props),
        ours=all(prop.ours for prop in props),
        calculated=any(prop.calculated for prop in props),
        max_length=min(longest) if longest else None,
    )


def _has(prop: CrmProperty, value: str) -> bool:
    return any(option.value == value for option in prop.options)
