"""The one way a record is created, changed, deleted and restored.

The order of the checks is that of documented "order of execution": the values and the object's own
rules first, then validation rules, then duplicate rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.salesforce import duplicates, persons
from simulator.salesforce.definitions import READ_ONLY
from simulator.salesforce.derived import derive
from simulator.salesforce.fields import Field
from simulator.salesforce.org import Org, View, target
from simulator.salesforce.problems import (
    NotBuiltError,
    SalesforceError,
    attributes_late,
    bad_reference,
    converted,
    deleted,
    no_such_operation,
    read_only,
    unknown_column,
)
from simulator.salesforce.requests import Caller
from simulator.salesforce.store import Table, Values
from simulator.salesforce.values import taken


def create(org: Org, caller: Caller, table: Table, sent: Mapping[str, Any]) -> str:
    """Create a record; its id."""
    if table.name in READ_ONLY:
        raise no_such_operation(table.name, "create")
    if table.name == "User":
        raise NotBuiltError("creation of users")
    _permitted(org, caller, table, "create")
    if org.rules.storage_full:  # recorded code; the words are assumed
        raise SalesforceError("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", [])
    changes = _changes(org, caller, table, sent, creating=True)
    row_id = org.ids.new(table.prefix)
    new: Values = {"Id": row_id}
    for definition in table.fields.values():
        if definition.default is not None and definition.createable:
            new[definition.name] = definition.default
    if "ownerid" in table.fields:
        new["OwnerId"] = caller.user_id
    _save(org, caller, table, new | org.born(caller.user_id), {}, changes)
    org.log(table, row_id, "create", caller.user_id, changes)
    return row_id


def update(org: Org, caller: Caller, table: Table, row_id: str, sent: Mapping[str, Any]) -> None:
    """Change a record."""
    _permitted(org, caller, table, "edit")
    old = existing(table, row_id)
    if old.get("IsConverted"):
        raise converted()  # recorded: only reading is left
    changes = _changes(org, caller, table, sent, creating=False)
    _save(org, caller, table, dict(old), old, changes)
    org.log(table, row_id, "update", caller.user_id, changes)


def delete(org: Org, caller: Caller, table: Table, row_id: str) -> None:
    """Put a record into the recycle bin."""
    _permitted(org, caller, table, "delete")
    old = existing(table, row_id)
    if table.name in READ_ONLY or table.name == "User":
        raise no_such_operation(table.name, "delete")
    _strike(org, caller, table)
    row = org.stamped(old, caller.user_id) | {"IsDeleted": True}
    table.put(row_id, row)
    persons.follow(org, table, row)
    org.log(table, row_id, "delete", caller.user_id, {})


def undelete(org: Org, caller: Caller, table: Table, row_id: str) -> None:
    """Take a record out of the recycle bin."""
    row = org.stamped(table.rows[row_id], caller.user_id)
    del row["IsDeleted"]
    _unique(table, row, {})
    table.put(row_id, row)
    persons.follow(org, table, row)
    org.log(table, row_id, "undelete", caller.user_id, {})


def existing(table: Table, row_id: str) -> Values:
    """A live record.

    Raises:
        SalesforceError: it is gone, or never was.
    """
    row = table.rows.get(row_id)
    if row is None:
        raise bad_reference()
    if row.get("IsDeleted"):
        raise deleted()
    return row


def _permitted(org: Org, caller: Caller, table: Table, right: str) -> None:
    """The user's right on the object. Codes and words are assumed."""
    if caller.human or org.may(table, right):
        return
    if right == "create":
        words = f"entity type cannot be inserted: {table.label}"
        raise SalesforceError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words, [])
    words = "insufficient access rights on object id"
    raise SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", words, [])


def _strike(org: Org, caller: Caller, table: Table) -> None:
    if not caller.human:
        org.rules.strike(table.name)


def _save(
    org: Org, caller: Caller, table: Table, new: Values, old: Values, changes: Values
) -> None:
    for name, value in changes.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = value
    persons.settle(org, table, new, changes)
    _required(table, new, changes)
    _references(org, table, changes)
    derive(org, table, new, old)
    _unique(table, new, old)
    _strike(org, caller, table)
    org.rules.validate(table.name, new, old)
    if not caller.human:
        duplicates.check(org, caller, table, new, old)
    row = org.stamped(new, caller.user_id)
    table.put(row["Id"], row)
    persons.follow(org, table, row)


# What was sent


def _changes(
    org: Org, caller: Caller, table: Table, sent: Mapping[str, Any], *, creating: bool
) -> Values:
    view = org.view(table, caller.user_id, human=caller.human)
    changes: Values = {}
    refused: list[str] = []
    for name, value in sent.items():
        if name == "attributes":
            continue
        definition = view.fields.get(name.lower())
        if definition is None:
            definition = _relation(view, table, name)
            value = _related(org, definition, value)
        able = definition.createable if creating else definition.updateable
        if not able or definition.name not in view.writable:
            refused.append(definition.name)
        else:
            changes[definition.name] = taken(definition, value)
    if refused:
        raise read_only(refused)
    return changes


def _relation(view: View, table: Table, name: str) -> Field:
    found = view.relations.get(name.lower())
    if found is None:
        raise unknown_column(name, table.name)
    return found


def _related(org: Org, definition: Field, value: Any) -> str | None:
    """The id of a parent that is named by one of its keys (documented)."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise SalesforceError("JSON_PARSER_ERROR", f"Cannot read {definition.relationship}")
    told = value.get("attributes")
    if len(definition.references) > 1 and next(iter(value), "") != "attributes":
        raise attributes_late()
    sobject = told.get("type") if isinstance(told, dict) else definition.references[0]
    parent = org.table(str(sobject))
    keys = [(n, v) for n, v in value.items() if n != "attributes"]
    key = parent.fields.get(keys[0][0].lower()) if len(keys) == 1 else None
    if key is None or not key.key:
        raise SalesforceError(  # assumed words
            "INVALID_FIELD",
            f"Field name provided does not match an External ID for {parent.name}",
            [],
        )
    found = parent.find(key, keys[0][1])
    if not found:
        raise SalesforceError(  # documented code; the words are assumed
            "INVALID_FIELD",
            f"Foreign key external ID: {str(keys[0][1]).lower()} not found for field {key.name} "
            f"in entity {parent.name}",
            [],
        )
    if len(found) > 1:
        raise duplicate_key(key, keys[0][1])
    return found[0]


def duplicate_key(key: Field, value: object) -> SalesforceError:
    """Recorded code for a key several records have; the words are assumed."""
    return SalesforceError(
        "DUPLICATE_EXTERNAL_ID",
        f"{key.name}: more than one record found for external id field: {value}",
        [key.name],
    )


# What must hold


def _required(table: Table, new: Values, changes: Values) -> None:
    person = new.get("IsPersonAccount") and table.name == "Account"
    missing = [
        d.name
        for d in table.fields.values()
        if not d.nillable
        and d.createable
        and new.get(d.name) is None
        and (d.required or d.name in changes)
        and not (person and d.name == "Name")
    ]
    if missing:
        raise SalesforceError(
            "REQUIRED_FIELD_MISSING",
            f"Required fields are missing: [{', '.join(missing)}]",
            missing,
        )


def _references(org: Org, table: Table, changes: Values) -> None:
    for name, value in changes.items():
        definition = table.fields[name.lower()]
        if definition.type != "reference" or value is None:
            continue
        parent = target(org, value, definition.references)
        if parent is None:
            raise SalesforceError(  # recorded words
                "FIELD_INTEGRITY_EXCEPTION",
                f"{definition.label}: id value of incorrect type: {value}",
                [name],
            )
        if name == "RecordTypeId" and value not in parent.rows:  # recorded words
            words = f"Record Type ID: this ID value isn't valid for the user: {value}"
            raise SalesforceError("INVALID_CROSS_REFERENCE_KEY", words, [name])
        row = existing(parent, value)
        if value in org.rules.unseen:
            raise SalesforceError(
                "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
                f"insufficient access rights on cross-reference id: {value[:15]}",
                [],
            )
        if row.get("IsConverted"):
            raise converted()
        if name == "OwnerId":
            _owner(org, table, parent, row)


def _owner(org: Org, table: Table, parent: Table, row: Values) -> None:
    """Documented: an owner is active; a queue is one for this object. The words are assumed."""
    if parent.name == "User" and not row.get("IsActive"):
        raise SalesforceError(
            "INACTIVE_OWNER_OR_USER",
            f"operation performed with inactive user [{row['Id']}] as owner of "
            f"{table.name.lower()}",
            [],
        )
    if parent.name == "Group":
        supports = {
            q["SobjectType"] for q in org.table("QueueSobject").live() if q["QueueId"] == row["Id"]
        }
        if table.name not in supports:
            raise SalesforceError(
                "INVALID_OPERATION", "Queue not associated with this SObject type", []
            )


def _unique(table: Table, new: Values, old: Values) -> None:
    for name in table.keys:
        definition = table.fields[name.lower()]
        value = new.get(name)
        if not definition.unique or value is None or value == old.get(name):
            continue
        for holder in table.find(definition, value):
            if holder != new["Id"]:
                raise SalesforceError(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {name} duplicates value on record with id: "
                    f"{holder[:15]}",
                    [],
                )
