"""Creating the hub's fields, and letting the integration user see them.

A new field is invisible to everybody, its maker too, until a permission set grants it (reported;
the sign is INVALID_FIELD). So the hub keeps one permission set, assigned to its own user. Running
it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.destination import CrmObject, CrmProperty, Option, unusable
from connectors.salesforce import queries
from connectors.salesforce.client import SalesforceClient, reading, soql_text
from connectors.salesforce.errors import RefusalError
from connectors.salesforce.model import TASK, Place
from connectors.salesforce.names import custom
from mapping.errors import ConfigError

PERMISSION_SET = "brokersync"
_TEXT, _LONG = 255, 32_768  # documented: longest text, and the usual long one
_DIGITS, _SCALE = 18, 6
_LINES = 4


def install(
    client: SalesforceClient, present: Sequence[tuple[Place, Mapping[str, CrmProperty]]],
    wanted: Sequence[CrmProperty],
) -> list[str]:  # fmt: skip
    """Create what is missing in any place; what was done, one line each.

    Args:
        present: the places of an object, with their properties as they are.

    Raises:
        ConfigError: a field is there in a form the hub cannot use, or Salesforce refuses one.
    """
    for place, there in present:
        _usable(place, wanted, there)
    done: list[str] = []
    for place, there in present:
        done += _installed(client, place, wanted, there)
    return done


def _installed(
    client: SalesforceClient, place: Place, wanted: Sequence[CrmProperty],
    present: Mapping[str, CrmProperty],
) -> list[str]:  # fmt: skip
    missing = [p for p in wanted if p.name not in present]
    done = [_created(client, place, p) for p in missing]
    for prop in wanted:
        if prop.name in present:
            done += _add_options(client, place, prop, present[prop.name])
    new = {p.name for p in missing}
    own: dict[str, list[str]] = {}
    for prop in wanted:
        if prop.name in new or present[prop.name].ours:
            own.setdefault(place.home(prop.name)[1], []).append(custom(prop.name))
    for sobject, names in own.items():
        done += _granted(client, sobject, names)
    return done


def _usable(
    place: Place, wanted: Sequence[CrmProperty], present: Mapping[str, CrmProperty]
) -> None:
    """Type and uniqueness cannot be changed safely once a field holds values."""
    obj = CrmObject.TASK if place is TASK else CrmObject.CONTACT
    if wrong := unusable(obj, wanted, present):
        raise ConfigError(
            f"Salesforce's {place.sobject} has fields the hub cannot use: {'; '.join(wrong)}. "
            f"Delete them in Setup > Object Manager or map the fields to other names."
        )


def _created(client: SalesforceClient, place: Place, prop: CrmProperty) -> str:
    """Create a field; tasks get a key without uniqueness where the org takes no other."""
    try:
        return _create(client, place, prop)
    except ConfigError:
        if not prop.unique or place is not TASK:
            raise
    line = _create(client, place, replace(prop, unique=False))
    return f"{line}, without unique values, which the org does not take on tasks"


def _create(client: SalesforceClient, place: Place, prop: CrmProperty) -> str:
    owner, _ = place.home(prop.name)
    body = {"FullName": f"{owner}.{custom(prop.name)}", "Metadata": metadata(prop)}
    try:
        client.call("POST", "tooling/sobjects/CustomField", body=body)
    except RefusalError as refusal:
        if refusal.details.code in ("DUPLICATE_DEVELOPER_NAME", "DUPLICATE_VALUE"):
            return f"found field {owner}.{custom(prop.name)}, not visible yet"
        raise ConfigError(
            f"Salesforce refused to create the field {owner}.{custom(prop.name)} "
            f"({refusal.details.code}): its name or type is not what it allows, or the object has "
            f"no room for another.",
            refusal.log,
        ) from None
    return f"created field {owner}.{custom(prop.name)} ({prop.type})"


def metadata(prop: CrmProperty) -> dict[str, Any]:
    """A property as the Tooling API describes a field."""
    base: dict[str, Any] = {"label": prop.label[:40], "inlineHelpText": prop.description[:510]}
    if prop.unique:
        # Case matters in the broker's ids: without it, C1 and c1 would be one client.
        return base | {"type": "Text", "length": _TEXT, "externalId": True, "unique": True,
                       "caseSensitive": True}  # fmt: skip
    match prop.type:
        case "number":
            return base | {"type": "Number", "precision": _DIGITS, "scale": _SCALE}
        case "date":
            return base | {"type": "Date"}
        case "datetime":
            return base | {"type": "DateTime"}
        case "bool":
            return base | {"type": "Checkbox", "defaultValue": "false"}
        case "enumeration":
            several = prop.field_type == "checkbox"
            made = {"type": "MultiselectPicklist", "visibleLines": _LINES} if several else {
                "type": "Picklist"
            }  # fmt: skip
            return base | made | {"valueSet": _values(prop.options)}
        case _ if prop.field_type == "textarea":
            return base | {"type": "LongTextArea", "length": _LONG, "visibleLines": 10}
        case _:
            return base | {"type": "Text", "length": _TEXT}


def _values(options: Sequence[Option]) -> dict[str, Any]:
    """Restricted: a value nobody foresaw is refused, and the admin told, not silently kept."""
    rows = [{"valueName": o.value, "label": o.label, "default": False} for o in options]
    return {"restricted": True, "valueSetDefinition": {"sorted": False, "value": rows}}


def _add_options(
    client: SalesforceClient, place: Place, prop: CrmProperty, have: CrmProperty
) -> list[str]:
    """Salesforce replaces the whole list, so the present values go along."""
    known = {option.value for option in have.options}
    new = [option for option in prop.options if option.value not in known]
    if prop.type != "enumeration" or not new or not have.options:
        return []
    name = custom(prop.name)
    owner, _ = place.home(prop.name)
    where = (
        f"WHERE DeveloperName = {soql_text(name.removesuffix('__c'))} "
        f"AND TableEnumOrId = {soql_text(owner)}"
    )
    found = client.call("GET", "tooling/query", params={"q": f"SELECT Id FROM CustomField {where}"})
    with reading("CustomField"):
        field_id = str(found["records"][0]["Id"])
    whole = replace(prop, options=(*have.options, *new), label=have.label,
                    description=have.description)  # fmt: skip
    client.call("PATCH", f"tooling/sobjects/CustomField/{field_id}",
                body={"Metadata": metadata(whole)})  # fmt: skip
    return [f"added value {option.value} to {owner}.{name}" for option in new]


def _granted(client: SalesforceClient, sobject: str, fields: Sequence[str]) -> list[str]:
    """Let the integration user read and edit these fields."""
    done: list[str] = []
    set_id = _permission_set(client, done)
    where = f"WHERE ParentId = {soql_text(set_id)} AND SobjectType = {soql_text(sobject)}"
    rows = [r for p in queries.select(client, "FieldPermissions", ("Field",), where) for r in p]
    with reading("FieldPermissions"):
        there = {str(row["Field"]).lower() for row in rows}
    hidden = [f"{sobject}.{name}" for name in fields]
    hidden = [full for full in hidden if full.lower() not in there]
    for full in hidden:
        grant = {"ParentId": set_id, "SobjectType": sobject, "Field": full,
                 "PermissionsRead": True, "PermissionsEdit": True}  # fmt: skip
        client.call("POST", "sobjects/FieldPermissions", body=grant)
    if hidden:
        count = f"{len(hidden)} field{'s' if len(hidden) > 1 else ''} of {sobject}"
        done.append(f"let the permission set {PERMISSION_SET} see and edit {count}")
    return done


def _permission_set(client: SalesforceClient, done: list[str]) -> str:
    """The hub's permission set, assigned to its own user."""
    where = f"WHERE Name = {soql_text(PERMISSION_SET)}"
    rows = [r for p in queries.select(client, "PermissionSet", ("Id",), where) for r in p]
    with reading("PermissionSet"):
        if rows:
            set_id = str(rows[0]["Id"])
        else:
            made = client.call("POST", "sobjects/PermissionSet",
                               body={"Name": PERMISSION_SET, "Label": PERMISSION_SET})  # fmt: skip
            set_id = str(made["id"])
            done.append(f"created permission set {PERMISSION_SET}")
    user = client.user_id()
    where = f"WHERE PermissionSetId = {soql_text(set_id)} AND AssigneeId = {soql_text(user)}"
    assigned = queries.select(client, "PermissionSetAssignment", ("Id",), where)
    if not any(len(page) for page in assigned):
        client.call("POST", "sobjects/PermissionSetAssignment",
                    body={"PermissionSetId": set_id, "AssigneeId": user})  # fmt: skip
        done.append(f"assigned permission set {PERMISSION_SET} to the integration user")
    return set_id
