"""The org's fields: reading them as the integration user sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.destination import MARK, CrmObject, CrmProperty, NoRightError, Option
from connectors.salesforce.client import SalesforceClient, reading
from connectors.salesforce.errors import RefusalError
from connectors.salesforce.names import Names
from connectors.salesforce.values import TYPES

SOBJECTS: Mapping[CrmObject, str] = {
    CrmObject.CONTACT: "Contact",
    CrmObject.TASK: "Task",
    CrmObject.COMPANY: "Account",
}


_SHOWN = {"multipicklist": "checkbox"}
"""The hub's word for a field of several options."""


@dataclass(frozen=True, slots=True)
class Described:
    """An object: its properties by the hub's names, and what conversions need.

    ``kinds`` maps API names to Salesforce's types; ``keys`` are fields that may be upserted by.
    """

    names: Names
    properties: Mapping[str, CrmProperty]
    kinds: Mapping[str, str]
    keys: frozenset[str]


_RIGHTS = {"queryable": "Read", "createable": "Create", "updateable": "Edit"}
"""Describe's words for what the user may do, and Setup's."""


def lacking(client: SalesforceClient, sobject: str) -> list[str]:
    """Rights on an object that the integration user has not: ``Edit on Account``. One call."""
    try:
        found = _described(client, sobject)
    except NoRightError:
        return [f"Read on {sobject}"]
    return [f"{right} on {sobject}" for flag, right in _RIGHTS.items() if found.get(flag) is False]


def describe(client: SalesforceClient, obj: CrmObject) -> Described:
    """One call."""
    answer = _described(client, SOBJECTS[obj])
    with reading("describe"):
        rows = answer["fields"]
        names = Names(obj, [str(row["name"]) for row in rows])
        properties = {p.name: p for p in (_property(names, row) for row in rows)}
        kinds = {str(row["name"]): str(row["type"]) for row in rows}
        keys = frozenset(
            str(r["name"]) for r in rows if r.get("externalId") and r.get("idLookup", True)
        )
    return Described(names, properties, kinds, keys)


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
