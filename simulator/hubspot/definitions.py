"""Property definitions of one object type: the defaults, and what may be created or changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.hubspot import values
from simulator.hubspot.problems import PortalError
from simulator.hubspot.values import Parse, RejectedError

MAX_UNIQUE = 10  # documented: properties with unique values, per object
FIELD_TYPES = {  # documented (properties guide): the field types each type may have
    "string": ("text", "textarea", "html", "phonenumber", "file"),
    "number": ("number",),
    "date": ("date",),
    "datetime": ("date",),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox"),
    "bool": ("booleancheckbox",),
    "phone_number": ("phonenumber",),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
LIFECYCLE = (  # documented: the default stages in order
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)


class Definition:
    """One property. ``parse`` turns a sent text into the shown one or raises (see ``values``)."""

    __slots__ = ("allowed", "built_in", "name", "parse", "read_only", "type", "unique", "wire")

    def __init__(self, wire: dict[str, Any], parse: Parse | None = None) -> None:
        self.wire = wire
        self.name: str = wire["name"]
        self.type: str = wire["type"]
        self.unique = bool(wire.get("hasUniqueValue"))
        self.read_only = bool(wire["modificationMetadata"]["readOnlyValue"])
        self.built_in = bool(wire.get("hubspotDefined"))
        self.allowed: dict[str, str] = {}
        self.parse = parse or self._parser()
        self.allow(wire.get("options", ()))

    def _parser(self) -> Parse:
        if self.read_only:
            return _read_only(self.name)
        if self.type in ("enumeration", "bool"):
            multi = self.wire["fieldType"] == "checkbox"
            return values.some_of(self.allowed) if multi else self.allowed.__getitem__
        parsers: dict[str, Parse] = {
            "number": values.parse_number,
            "date": values.parse_date,
            "datetime": values.parse_datetime,
        }
        return parsers.get(self.type, values.parse_text)

    def allow(self, options: Sequence[Mapping[str, Any]]) -> None:
        """Take ``options`` as the whole list."""
        self.allowed.clear()
        self.allowed[""] = ""
        self.allowed.update((option["value"], option["value"]) for option in options)


def _read_only(name: str) -> Parse:
    def parse(value: str) -> str:
        del value
        raise RejectedError(
            "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
        )

    return parse


def _wire(body: Mapping[str, Any], *, built_in: bool, read_only: bool = False) -> dict[str, Any]:
    """A definition as the properties API shows it (documented)."""
    return {
        "name": body["name"],
        "label": body["label"],
        "type": body["type"],
        "fieldType": body["fieldType"],
        "groupName": body["groupName"],
        "description": body.get("description", ""),
        "options": [dict(option) for option in body.get("options") or ()],
        "displayOrder": body.get("displayOrder", -1),
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": bool(body.get("hasUniqueValue")),
        "hidden": bool(body.get("hidden")),
        "hubspotDefined": built_in,
        "formField": bool(body.get("formField")),
        "archived": False,
        "modificationMetadata": {
            "archivable": not built_in,
            "readOnlyDefinition": built_in,
            "readOnlyValue": read_only,
        },
    }


def built_in(
    name: str,
    kind: str,
    group: str,
    *,
    options: Sequence[str] = (),
    read_only: bool = False,
    unique: bool = False,
    parse: Parse | None = None,
) -> Definition:
    """One of HubSpot's own properties; ``kind`` is ``type/fieldType``."""
    body = {
        "name": name,
        "label": name.removeprefix("hs_").replace("_", " ").capitalize(),
        "type": kind.partition("/")[0],
        "fieldType": kind.partition("/")[2],
        "groupName": group,
        "hasUniqueValue": unique,
        "options": [
            {"label": value.replace("_", " ").capitalize(), "value": value, "hidden": False}
            for value in options
        ],
    }
    return Definition(_wire(body, built_in=True, read_only=read_only), parse)


def contact_defaults(owner: Parse) -> list[Definition]:
    """The part of a new portal's contact properties an integration meets (documented names)."""
    group = "contactinformation"
    texts = "firstname lastname city country zip address state company jobtitle website hs_language"
    return [
        # Not "unique" in the API's sense (documented: an email is its own kind of key).
        built_in("email", "string/text", group, parse=values.parse_email),
        *(built_in(name, "string/text", group) for name in texts.split()),
        built_in("phone", "string/phonenumber", group),
        built_in("mobilephone", "string/phonenumber", group),
        built_in("hs_object_id", "number/number", group, read_only=True, unique=True),
        built_in("createdate", "datetime/date", group, read_only=True),
        built_in("lastmodifieddate", "datetime/date", group, read_only=True),
        built_in("hs_additional_emails", "string/text", group, read_only=True),
        built_in("hs_merged_object_ids", "string/text", group, read_only=True),
        built_in("lifecyclestage", "enumeration/radio", group, options=LIFECYCLE),
        built_in(
            "hs_lead_status", "enumeration/radio", group, options=("NEW", "OPEN", "CONNECTED")
        ),
        built_in("hubspot_owner_id", "enumeration/select", group, parse=owner),
    ]


def company_defaults(owner: Parse) -> list[Definition]:
    """The part of a new portal's company properties an integration meets (documented names)."""
    group = "companyinformation"
    texts = "name domain city country zip address state website description"
    return [
        # Documented: a domain is how the portal tells companies apart, and yet no unique key.
        *(built_in(name, "string/text", group) for name in texts.split()),
        built_in("phone", "string/phonenumber", group),
        built_in("hs_object_id", "number/number", group, read_only=True, unique=True),
        built_in("createdate", "datetime/date", group, read_only=True),
        built_in("hs_lastmodifieddate", "datetime/date", group, read_only=True),
        built_in("hs_merged_object_ids", "string/text", group, read_only=True),
        built_in("lifecyclestage", "enumeration/radio", group, options=LIFECYCLE),
        built_in("hubspot_owner_id", "enumeration/select", group, parse=owner),
    ]


def task_defaults(owner: Parse) -> list[Definition]:
    """A new portal's task properties (documented, tasks guide)."""
    group = "task"
    status = ("NOT_STARTED", "IN_PROGRESS", "WAITING", "COMPLETED", "DEFERRED")
    priority = ("NONE", "LOW", "MEDIUM", "HIGH")
    return [
        built_in("hs_timestamp", "datetime/date", group),
        built_in("hs_task_subject", "string/text", group),
        built_in("hs_task_body", "string/html", group),
        built_in("hs_task_status", "enumeration/select", group, options=status),
        built_in("hs_task_priority", "enumeration/select", group, options=priority),
        built_in("hs_task_type", "enumeration/select", group, options=("TODO", "CALL", "EMAIL")),
        built_in("hs_task_reminders", "string/text", group),
        built_in("hs_queue_membership_ids", "string/text", group),
        built_in("hubspot_owner_id", "enumeration/select", group, parse=owner),
        built_in("hs_object_id", "number/number", group, read_only=True, unique=True),
        built_in("hs_createdate", "datetime/date", group, read_only=True),
        built_in("hs_lastmodifieddate", "datetime/date", group, read_only=True),
    ]


def owner_id(known: Callable[[str], bool], code: str) -> Parse:
    """An owner must exist; HubSpot's code for one that does not is unverified."""

    def parse(value: str) -> str:
        if value and not known(value):
            raise RejectedError(code, f"{value} was not one of the allowed options: []")
        return value

    return parse


def created(body: Any, groups: Mapping[str, Any]) -> Definition:
    """The definition a create request asks for.

    Raises:
        PortalError: a part is missing or wrong (documented rules; words partly assumed).
    """
    missing = [
        name for name in ("name", "label", "type", "fieldType", "groupName") if not body.get(name)
    ]
    if missing:
        raise PortalError(400, f"Some required fields were not set: [{', '.join(missing)}]")
    name = body["name"]
    if not _NAME.fullmatch(name) or name.startswith("hs_"):
        raise PortalError(400, f"Property name {name} is not valid.")
    if body["fieldType"] not in FIELD_TYPES.get(body["type"], ()):
        raise PortalError(
            400, f"fieldType {body['fieldType']} is not a valid fieldType for type {body['type']}"
        )
    if body["groupName"] not in groups:
        raise PortalError(400, f"Property group {body['groupName']} does not exist")
    options = body.get("options") or ()
    checked_options(options)
    if body["type"] == "bool" and {o["value"] for o in options} != {"true", "false"}:
        raise PortalError(400, "Boolean properties must have exactly two options: true and false")
    return Definition(_wire(body, built_in=False))


def checked_options(options: Sequence[Mapping[str, Any]]) -> None:
    """Documented ([SPEC] OptionInput): label, value and hidden are required; at most 5,000."""
    for option in options:
        absent = [part for part in ("label", "value", "hidden") if part not in option]
        if absent:
            raise PortalError(400, f"Some required fields were not set: [{', '.join(absent)}]")
    texts = [option["value"] for option in options]
    if len(set(texts)) != len(texts):
        raise PortalError(400, "Property option values must be unique")
    if len(texts) > 5000 or any(len(text) > 3000 for text in texts):
        raise PortalError(400, "Too many or too long property options")
