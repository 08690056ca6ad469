"""One field of an sObject, and how describe shows it (recorded)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

TEXTS = ("string", "textarea", "phone", "url", "combobox")
NUMBERS = ("double", "currency", "percent", "int")
_SOAP = {
    "boolean": "xsd:boolean",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "int": "xsd:int",
    "id": "tns:ID",
    "reference": "tns:ID",
}
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a picklist. ``closed``: a task with it is done; a lead with it is converted."""

    value: str
    active: bool = True
    default: bool = False
    closed: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field's definition, in describe's words.

    ``filterable`` is false for long texts (documented); ``restricted`` is restrictedPicklist.
    """

    name: str
    type: str
    label: str
    length: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted: bool = False
    external_id: bool = False
    id_lookup: bool = False
    unique: bool = False
    case_sensitive: bool = False
    restricted: bool = False
    values: tuple[Choice, ...] = ()
    default: Any = None
    references: tuple[str, ...] = ()
    relationship: str | None = None
    precision: int = 18
    scale: int = 0
    custom: bool = False
    calculated: bool = False
    filterable: bool = True
    help: str = ""

    @property
    def required(self) -> bool:
        """A create without it is refused."""
        return self.createable and not self.nillable and not self.defaulted

    @property
    def key(self) -> bool:
        """Records are found by it."""
        return self.external_id or self.id_lookup or self.unique

    def folded(self, value: str) -> str:
        """The value as keys are compared (documented: case counts only where the field says)."""
        return value if self.case_sensitive else value.casefold()

    def describe(self, *, writable: bool) -> dict[str, Any]:
        """The field as describe shows it to a user who may (not) write it."""
        number = self.type in NUMBERS
        whole = self.type == "int"
        picklist = self.type in ("picklist", "multipicklist")
        return {
            "aggregatable": self.filterable,
            "autoNumber": False,
            "byteLength": self.length * 3,
            "calculated": self.calculated,
            "calculatedFormula": None,
            "cascadeDelete": False,
            "caseSensitive": self.case_sensitive,
            "compoundFieldName": None,
            "controllerName": None,
            "createable": self.createable and writable,
            "custom": self.custom,
            "defaultValue": self.default,
            "defaultValueFormula": None,
            "defaultedOnCreate": self.defaulted,
            "dependentPicklist": False,
            "deprecatedAndHidden": False,
            "digits": self.precision if whole else 0,
            "encrypted": False,
            "externalId": self.external_id,
            "filterable": self.filterable,
            "groupable": self.filterable and not number,
            "htmlFormatted": False,
            "idLookup": self.id_lookup,
            "inlineHelpText": self.help or None,
            "label": self.label,
            "length": self.length,
            "name": self.name,
            "nameField": self.name == "Name",
            "namePointing": len(self.references) > 1,
            "nillable": self.nillable,
            "permissionable": self.nillable,
            "picklistValues": [_choice(c) for c in self.values] if picklist else [],
            "polymorphicForeignKey": len(self.references) > 1,
            "precision": self.precision if number and not whole else 0,
            "referenceTo": list(self.references),
            "relationshipName": self.relationship,
            "restrictedPicklist": self.restricted,
            "scale": self.scale,
            "soapType": _SOAP.get(self.type, "xsd:string"),
            "sortable": self.filterable,
            "type": self.type,
            "unique": self.unique,
            "updateable": self.updateable and writable,
        }


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "active": choice.active,
        "defaultValue": choice.default,
        "label": choice.label or choice.value,
        "validFor": None,
        "value": choice.value,
    }


def spaced(name: str) -> str:
    """A label made of a name: ``LastName`` -> ``Last Name``; ``AccountId`` -> ``Account ID``."""
    words = _WORDS.sub(" ", name)
    return words[:-2] + "ID" if words.endswith(" Id") else words


def text(name: str, length: int = 255, kind: str = "string", **more: Any) -> Field:
    """A text; one over 255 characters cannot be filtered (documented for long text areas)."""
    more = {"label": spaced(name), "filterable": length <= 4000, **more}
    return Field(name, kind, length=length, **more)


def flag(name: str, *, default: bool = False, **more: Any) -> Field:
    """A checkbox: never null, false if not set (documented)."""
    more = {"label": spaced(name), **more}
    return Field(name, "boolean", nillable=False, defaulted=True, default=default, **more)


def moment(name: str, kind: str = "datetime", **more: Any) -> Field:
    """A date or dateTime."""
    return Field(name, kind, **{"label": spaced(name), **more})


def number(name: str, kind: str = "double", precision: int = 18, scale: int = 0) -> Field:
    """A number."""
    return Field(name, kind, label=spaced(name), precision=precision, scale=scale)


def link(name: str, references: Sequence[str], **more: Any) -> Field:
    """A reference; its relationship is its name without ``Id``."""
    more = {"label": spaced(name), "relationship": name.removesuffix("Id"), **more}
    return Field(name, "reference", length=18, references=tuple(references), **more)


def picklist(name: str, *values: str, default: str = "", **more: Any) -> Field:
    """A picklist; a value that begins with ``*`` is a closed one."""
    choices = tuple(
        Choice(value.lstrip("*"), closed=value.startswith("*"), default=value == default)
        for value in values
    )
    more = {"label": spaced(name), "default": default or None, **more}
    return Field(name, "picklist", length=255, values=choices, **more)


def fixed(*fields: Field) -> tuple[Field, ...]:
    """The fields, read-only."""
    return tuple(_read_only(field) for field in fields)


def _read_only(field: Field) -> Field:
    return replace(field, createable=False, updateable=False, defaulted=True)
