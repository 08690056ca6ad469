"""Making and changing custom fields, whichever API asks."""

from __future__ import annotations

from typing import Any

from simulator.salesforce import setup
from simulator.salesforce.fields import Field
from simulator.salesforce.metadata import Metadata, field_of, refused, split
from simulator.salesforce.org import Org
from simulator.salesforce.problems import SalesforceError
from simulator.salesforce.store import Table


def draft(org: Org, full_name: object, told: Metadata) -> tuple[Table, Field]:
    """The field that some metadata asks for, and where; nothing is made yet.

    Raises:
        SalesforceError: there is one of that name, or it is no definition.
    """
    sobject, name = split(full_name)
    table = _table(org, sobject)
    if name.lower() in table.fields:
        words = f"There is already a field named {name.removesuffix('__c')} on {sobject}."
        raise SalesforceError("DUPLICATE_DEVELOPER_NAME", words, ["FullName"])
    return table, _field(org, table, name, told)


def create(org: Org, full_name: object, told: Metadata) -> str:
    """Make a field, which nobody sees yet; the id of its definition."""
    table, field = draft(org, full_name, told)
    row_id = setup.define(org, table.name, field)
    org.metadata[row_id] = dict(told)
    return row_id


def change(org: Org, table: Table, row_id: str, name: str, told: dict[str, Any]) -> None:
    """Give a field other metadata."""
    field = _field(org, table, name, told)
    if field.unique:
        values = [field.folded(str(r[name])) for r in table.live() if r.get(name) is not None]
        if len(set(values)) < len(values):
            raise refused("there are records with the same value", "unique")
    setup.redefine(org, table, field)
    org.metadata[row_id] = told


def _table(org: Org, sobject: str) -> Table:
    """Documented: custom fields of tasks belong to Activity."""
    name = "task" if sobject.lower() == "activity" else sobject.lower()
    table = org.tables.get(name)
    if table is None or sobject.lower() == "task":
        raise SalesforceError(
            "INVALID_CROSS_REFERENCE_KEY",
            f"Entity of type 'CustomObject' named '{sobject}' cannot be found",
        )
    return table


def _field(org: Org, table: Table, name: str, told: Metadata) -> Field:
    return field_of(
        name,
        told,
        on_activity=table.name == "Task",
        activity_keys=org.choices.activity_external_ids,
    )
