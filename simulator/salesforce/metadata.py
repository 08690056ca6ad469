"""A custom field's metadata (the Tooling API's words) and the field it makes.

Documented: names and what each type needs; the words of the refusals are assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.salesforce.fields import Choice, Field
from simulator.salesforce.problems import NotBuiltError, SalesforceError

Metadata = Mapping[str, Any]


class Kind(NamedTuple):
    """A type: describe's word, what must be told, its length where none is told."""

    type: str
    needs: tuple[str, ...] = ()
    length: int = 0
    key: bool = False


KINDS = {
    "Text": Kind("string", ("length",), key=True),
    "Email": Kind("email", length=80, key=True),
    "Number": Kind("double", ("precision", "scale"), key=True),
    "Currency": Kind("currency", ("precision", "scale")),
    "Percent": Kind("percent", ("precision", "scale")),
    "Date": Kind("date"),
    "DateTime": Kind("datetime"),
    "Checkbox": Kind("boolean", ("defaultValue",)),
    "Picklist": Kind("picklist", ("valueSet",), 255),
    "MultiselectPicklist": Kind("multipicklist", ("valueSet", "visibleLines"), 4099),
    "Phone": Kind("phone", length=40),
    "Url": Kind("url", length=255),
    "TextArea": Kind("textarea", length=255),
    "LongTextArea": Kind("textarea", ("length", "visibleLines")),
}
"""Documented: an external id is a text, a number or an e-mail address (or an auto number)."""
_LONGEST = {"Text": 255, "LongTextArea": 131_072}  # documented
_ABSENT = ("AutoNumber", "Lookup", "MasterDetail", "Summary", "Html", "Location", "EncryptedText",
           "Time", "Hierarchy", "MetadataRelationship")  # fmt: skip
_NAME = re.compile(r"[A-Za-z](?!\w*__\w*__c)\w{0,39}(?<!_)__c", re.ASCII)


def refused(words: str, *fields: str) -> SalesforceError:
    """The usual refusal."""
    return SalesforceError("FIELD_INTEGRITY_EXCEPTION", words, fields)


def split(full_name: Any) -> tuple[str, str]:
    """Object and field of ``Contact.Hub_Key__c``."""
    sobject, dot, name = str(full_name).partition(".")
    if not dot or not _NAME.fullmatch(name):
        raise refused(f"The field name '{full_name}' is not valid", "FullName")
    return sobject, name


def field_of(name: str, told: Metadata, *, on_activity: bool, activity_keys: bool) -> Field:
    """The field some metadata describes.

    Raises:
        SalesforceError: a part is missing, or of no use with the type.
    """
    word = str(told.get("type"))
    if word in _ABSENT or "formula" in told:
        raise NotBuiltError(f"custom fields of type {word}, or with a formula")
    kind = KINDS.get(word)
    if kind is None:
        raise refused(f"'{word}' is not a valid type of a custom field", "type")
    for part in ("label", *kind.needs):
        if told.get(part) in (None, ""):
            raise refused(f"Must specify '{part}' for a CustomField of type {word}", part)
    if told.get("externalId") and (not kind.key or (on_activity and not activity_keys)):
        raise refused(
            f"Can not specify 'externalId' for a CustomField of type {word}", "externalId"
        )
    if told.get("unique") and not kind.key:
        raise refused(f"Can not specify 'unique' for a CustomField of type {word}", "unique")
    length = int(told.get("length") or kind.length)
    if not 0 <= length <= _LONGEST.get(word, length):
        raise refused(f"'length' is out of range: {length}", "length")
    values, restricted = _values(told) if "valueSet" in kind.needs else ((), False)
    flag = kind.type == "boolean"
    key = bool(told.get("externalId"))
    return Field(
        name,
        kind.type,
        label=str(told["label"]),
        length=length,
        nillable=not flag and not told.get("required"),
        defaulted=flag,
        external_id=key,
        id_lookup=key or bool(told.get("unique")),
        unique=bool(told.get("unique")),
        case_sensitive=bool(told.get("caseSensitive")),
        restricted=restricted,
        values=values,
        default=_default(told, values, flag=flag),
        precision=int(told.get("precision") or 18),
        scale=int(told.get("scale") or 0),
        custom=True,
        filterable=word != "LongTextArea",
        help=str(told.get("inlineHelpText") or ""),
    )


def _values(told: Metadata) -> tuple[tuple[Choice, ...], bool]:
    value_set = told["valueSet"]
    if value_set.get("valueSetName"):
        raise NotBuiltError("global value sets")
    rows = (value_set.get("valueSetDefinition") or {}).get("value") or []
    choices = tuple(
        Choice(
            str(row.get("fullName") or row.get("valueName")),
            active=row.get("isActive") is not False,
            default=bool(row.get("default")),
            label=str(row.get("label") or ""),
        )
        for row in rows
    )
    return choices, bool(value_set.get("restricted"))


def _default(told: Metadata, values: tuple[Choice, ...], *, flag: bool) -> Any:
    if flag:
        return str(told["defaultValue"]).lower() == "true"
    return next((choice.value for choice in values if choice.default), None)


def metadata_of(field: Field) -> dict[str, Any]:
    """The metadata that would make a field, for one that was added by hand."""
    word = next(
        (w for w, kind in KINDS.items() if kind.type == field.type and w != "TextArea"), "Text"
    )
    told: dict[str, Any] = {"type": word, "label": field.label, "required": field.required}
    told |= {"inlineHelpText": field.help} if field.help else {}
    kind = KINDS[word]
    if kind.key:
        told |= {"externalId": field.external_id, "unique": field.unique}
        told |= {"caseSensitive": field.case_sensitive}
    if "length" in kind.needs:
        told["length"] = field.length
    if "visibleLines" in kind.needs:
        told["visibleLines"] = 3
    if "precision" in kind.needs:
        told |= {"precision": field.precision, "scale": field.scale}
    if "defaultValue" in kind.needs:
        told["defaultValue"] = str(bool(field.default)).lower()
    if "valueSet" in kind.needs:
        rows = [
            {"fullName": c.value, "label": c.label or c.value, "default": c.default}
            for c in field.values
        ]
        definition = {"sorted": False, "value": rows}
        told["valueSet"] = {"restricted": field.restricted, "valueSetDefinition": definition}
    return told
