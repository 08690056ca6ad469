"""Routes of one record: by id, or by one of its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.salesforce import writing
from simulator.salesforce.fields import Field
from simulator.salesforce.ids import whole
from simulator.salesforce.org import Org, read
from simulator.salesforce.problems import (
    MatchesError,
    SalesforceError,
    deleted,
    no_key,
    not_found,
    unknown_column,
)
from simulator.salesforce.requests import Call, Caller, json_object
from simulator.salesforce.store import Table, Values
from simulator.wire import Response

_CUT_OFF = (".inc",)  # documented: such an ending is taken for the format of the answer


def collection(org: Org, call: Call, table: Table) -> Response:
    """``POST sobjects/Contact`` (201)."""
    if call.method != "POST":
        raise SalesforceError(
            "METHOD_NOT_ALLOWED",
            f"HTTP Method '{call.method}' not allowed. Allowed are GET,POST",
            status=405,
        )
    row_id = writing.create(org, call.caller, table, json_object(call.request))
    return _created(call, table, row_id)


def by_id(org: Org, call: Call, table: Table, text: str) -> Response:
    """``sobjects/Contact/{id}``: GET, PATCH, DELETE."""
    row_id = whole(text)
    if row_id is None:
        raise no_key(text)  # recorded: what is no id is taken for the name of a key
    row = table.rows.get(row_id)
    if row is None:
        raise not_found()
    if row.get("IsDeleted"):
        raise deleted()
    return _one(org, call, table, row_id)


def by_key(org: Org, call: Call, table: Table, name: str, value: str) -> Response:
    """``sobjects/Contact/Ext__c/{value}``: GET, PATCH (an upsert), DELETE."""
    key = key_field(org, call.caller, table, name)
    if value.lower().endswith(_CUT_OFF):
        raise not_found()
    if call.method == "PATCH":
        return _upsert(org, call, table, key, value)
    found = matches(table, key, value)
    if not found:
        raise not_found()
    return _one(org, call, table, found[0])


def _one(org: Org, call: Call, table: Table, row_id: str) -> Response:
    match call.method:
        case "GET":
            names = [n for n in call.text("fields").split(",") if n]
            return Response.json(200, shown(org, call, table, row_id, names))
        case "PATCH":
            writing.update(org, call.caller, table, row_id, _body(call, "Id"))
            return Response(204)
        case "DELETE":
            writing.delete(org, call.caller, table, row_id)
            return Response(204)
        case _:
            raise SalesforceError(
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{call.method}' not allowed. Allowed are DELETE,GET,HEAD,PATCH",
                status=405,
            )


def _body(call: Call, key: str) -> dict[str, Any]:
    """Documented: the key stands in the address and not in the body (unlike collections)."""
    sent = json_object(call.request)
    if any(name.lower() == key.lower() for name in sent):
        raise SalesforceError(
            "INVALID_FIELD", f"The {key} field should not be specified in the sobject data."
        )
    return sent


def _created(call: Call, table: Table, row_id: str) -> Response:
    told: dict[str, Any] = {"id": row_id, "success": True, "errors": []}
    if call.method == "PATCH" and call.version >= 46:
        told["created"] = True
    place = f"{call.base}/sobjects/{table.name}/{row_id}"
    return Response.json(201, told, {"Location": place})


def _upsert(org: Org, call: Call, table: Table, key: Field, value: str) -> Response:
    row_id, created = upsert(
        org,
        call.caller,
        table,
        key,
        value,
        _body(call, key.name),
        only_update=call.flag("updateOnly"),
    )
    if created:
        return _created(call, table, row_id)
    if call.version < 46:  # documented
        return Response(204)
    return Response.json(200, {"id": row_id, "success": True, "errors": [], "created": False})


# What collections and bulk jobs do, too


def key_field(org: Org, caller: Caller, table: Table, name: str) -> Field:
    """A field records can be found by.

    Raises:
        SalesforceError: it is none, or (documented) an external id that is not unique and the
            user may not view all data.
    """
    key = org.view(table, caller.user_id).fields.get(name.lower())
    if key is None or not (key.external_id or key.id_lookup):
        raise no_key(name)
    if key.external_id and not key.unique and not org.choices.view_all_data:
        raise no_key(name)
    return key


def matches(table: Table, key: Field, value: Any) -> list[str]:
    """Ids of the records with a key, one at most.

    Raises:
        MatchesError: several have it.
    """
    text = str(value).strip()
    if key.name == "Id":
        text = whole(text) or text
    found = table.find(key, text)
    if len(found) > 1:
        raise MatchesError(found)
    return found


def upsert(
    org: Org,
    caller: Caller,
    table: Table,
    key: Field,
    value: Any,
    sent: Mapping[str, Any],
    *,
    only_update: bool = False,
) -> tuple[str, bool]:
    """Change the record with a key, or create it; (id, created)."""
    found = matches(table, key, value)
    if found:
        writing.update(org, caller, table, found[0], sent)
        return found[0], False
    if only_update:
        raise not_found()
    return writing.create(org, caller, table, {**sent, key.name: value}), True


def shown(
    org: Org, call: Call, table: Table, row_id: str, names: Sequence[str] = ()
) -> dict[str, Any]:
    """A record as reads show it: unset fields are null."""
    view = org.view(table, call.caller.user_id)
    row: Values = table.rows[row_id]
    out: dict[str, Any] = {
        "attributes": {
            "type": table.name,
            "url": f"{call.base}/sobjects/{table.name}/{row_id}",
        }
    }
    for name in names or view.fields:
        definition = view.fields.get(name.strip().lower())
        if definition is None:
            raise unknown_column(name, table.name)
        out[definition.name] = read(definition, row)
    return out
