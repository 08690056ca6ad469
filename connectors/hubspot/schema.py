"""The portal's properties: reading them, and creating what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.destination import MARK, CrmObject, CrmProperty, Option, unusable
from connectors.hubspot.client import HubSpotClient, reading
from connectors.hubspot.errors import RefusalError
from connectors.hubspot.settings import HubSpotSettings
from mapping.errors import ConfigError

TYPES = {
    CrmObject.CONTACT: "contacts",
    CrmObject.TASK: "tasks",
    CrmObject.COMPANY: "companies",
}
FIELD_TYPES = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "enumeration": "select",
    "bool": "booleancheckbox",
}
_LONGEST = {"string": 65_536, "phone_number": 65_536, "enumeration": 3_000}  # documented
_YES_NO = (Option("true", "Yes"), Option("false", "No"))


class NoUniqueValuesError(ConfigError):
    """The portal takes no (further) property with unique values on this object."""


def describe(client: HubSpotClient, obj: CrmObject) -> dict[str, CrmProperty]:
    """All properties of an object type, by name."""
    rows = _rows(client, obj)
    with reading("properties"):
        return {row["name"]: _property(row) for row in rows}


def _rows(client: HubSpotClient, obj: CrmObject) -> list[dict[str, Any]]:
    answer = client.call(client.crm.properties.core_api.get_all, TYPES[obj])
    with reading("properties"):
        rows: list[dict[str, Any]] = answer["results"]
    return rows


def _property(row: Mapping[str, Any]) -> CrmProperty:
    rights = row.get("modificationMetadata") or {}
    description = row.get("description") or ""
    return CrmProperty(
        name=row["name"],
        label=row["label"],
        type=row["type"],
        field_type=row["fieldType"],
        options=tuple(Option(o["value"], o["label"]) for o in row.get("options") or ()),
        unique=bool(row.get("hasUniqueValue")),
        read_only=bool(rights.get("readOnlyValue") or row.get("calculated")),
        description=description,
        ours=MARK in description,
        calculated=bool(row.get("calculated")),
        max_length=_LONGEST.get(row["type"]),
    )


def install(
    client: HubSpotClient, settings: HubSpotSettings, obj: CrmObject, wanted: Sequence[CrmProperty]
) -> list[str]:
    """Create the missing group, properties and options; what was done, one line each.

    Nothing is removed or renamed, and nothing is created when a property of the portal stands in
    the way.

    Raises:
        ConfigError: a property exists in a form the hub cannot use, or HubSpot refuses a new one.
    """
    rows = _rows(client, obj)
    with reading("properties"):
        present = {row["name"]: _property(row) for row in rows}
        raw_options = {row["name"]: list(row.get("options") or ()) for row in rows}
    _usable(obj, wanted, present)
    missing = [prop for prop in wanted if prop.name not in present]
    done = _group(client, settings, obj) if missing else []
    done += [_created(client, settings, obj, prop) for prop in missing]
    for prop in wanted:
        if prop.name in present:
            done += _add_options(client, obj, prop, raw_options[prop.name])
    return done


def _usable(
    obj: CrmObject, wanted: Iterable[CrmProperty], present: Mapping[str, CrmProperty]
) -> None:
    """Type and uniqueness cannot be changed once a property exists."""
    if wrong := unusable(obj, wanted, present):
        raise ConfigError(
            f"HubSpot's {TYPES[obj]} have properties the hub cannot use: {'; '.join(wrong)}. "
            f"Delete them in HubSpot (Settings > Properties) or map the fields to other names."
        )


def _group(client: HubSpotClient, settings: HubSpotSettings, obj: CrmObject) -> list[str]:
    groups = client.crm.properties.groups_api
    name = settings.property_group
    answer = client.call(groups.get_all, TYPES[obj])
    with reading("property groups"):
        if any(group["name"] == name for group in answer["results"]):
            return []
    body = {"name": name, "label": settings.property_group_label, "displayOrder": -1}
    if not _made(client, groups.create, obj, body, f"property group {name}"):
        return []
    return [f"created property group {name} of {TYPES[obj]}"]


def _created(
    client: HubSpotClient, settings: HubSpotSettings, obj: CrmObject, prop: CrmProperty
) -> str:
    """Create a property; tasks get a key without unique values where the portal takes no other."""
    try:
        return _create(client, settings, obj, prop)
    except NoUniqueValuesError:
        if obj is not CrmObject.TASK:
            raise
    line = _create(client, settings, obj, replace(prop, unique=False))
    return f"{line}, without unique values, which the portal does not take on {TYPES[obj]}"


def _create(
    client: HubSpotClient, settings: HubSpotSettings, obj: CrmObject, prop: CrmProperty
) -> str:
    options = prop.options or (_YES_NO if prop.type == "bool" else ())
    body = {
        "name": prop.name,
        "label": prop.label,
        "type": prop.type,
        "fieldType": prop.field_type or FIELD_TYPES[prop.type],
        "groupName": settings.property_group,
        "description": prop.description,
        "hasUniqueValue": prop.unique,
        "options": [_option(option, place) for place, option in enumerate(options)],
    }
    core = client.crm.properties.core_api
    made = _made(client, core.create, obj, body, f"property {prop.name}")
    return f"{'created' if made else 'found'} property {TYPES[obj]}.{prop.name} ({prop.type})"


def _option(option: Option, place: int) -> dict[str, Any]:
    return {
        "value": option.value,
        "label": option.label,
        "hidden": False,
        "displayOrder": place,
    }


def _made(
    client: HubSpotClient, create: Any, obj: CrmObject, body: Mapping[str, Any], what: str
) -> bool:
    """Create something; False if it is there already (somebody else, or a lost answer: 409)."""
    try:
        client.call(create, TYPES[obj], body, expect=(200, 201))
    except RefusalError as refusal:
        if refusal.status == 409:
            return False
        if body.get("hasUniqueValue"):
            raise NoUniqueValuesError(
                f"HubSpot takes no property with unique values on {TYPES[obj]} ({what}): at most "
                f"10 an object are allowed, and some accounts allow none on tasks.",
                refusal.log,
            ) from None
        raise ConfigError(
            f"HubSpot refused to create the {what} of {TYPES[obj]}: see the log for its code. Its "
            f"name, type or options are not what HubSpot allows.",
            refusal.log,
        ) from None
    return True


def _add_options(
    client: HubSpotClient, obj: CrmObject, prop: CrmProperty, present: list[dict[str, Any]]
) -> list[str]:
    """Add missing options: HubSpot replaces the whole list, so the present ones go along."""
    if prop.type != "enumeration":
        return []
    known = {option.get("value") for option in present}
    new = [option for option in prop.options if option.value not in known]
    if not new:
        return []
    added = [_option(option, len(present) + place) for place, option in enumerate(new)]
    core = client.crm.properties.core_api
    try:
        client.call(core.update, TYPES[obj], prop.name, {"options": [*present, *added]})
    except RefusalError as refusal:
        raise ConfigError(
            f"HubSpot refused new options of {TYPES[obj]}.{prop.name}: add them in HubSpot "
            f"(Settings > Properties), or map the field to another property.",
            refusal.log,
        ) from None
    return [f"added option {option.value} to {TYPES[obj]}.{prop.name}" for option in new]
