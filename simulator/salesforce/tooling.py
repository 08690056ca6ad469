"""Routes of the Tooling API: creating, reading and changing custom fields (documented).

Documented: a field that was just created is seen by nobody until a permission set grants it.
"""

from __future__ import annotations

from typing import Any

from simulator.salesforce import customizing
from simulator.salesforce.ids import whole
from simulator.salesforce.metadata import metadata_of
from simulator.salesforce.org import Org
from simulator.salesforce.problems import NotBuiltError, SalesforceError, not_found
from simulator.salesforce.queries import Queries
from simulator.salesforce.requests import Call, json_object, needs
from simulator.salesforce.store import Table
from simulator.wire import Response


def tooling(org: Org, queries: Queries, call: Call) -> Response:
    """``tooling/...``"""
    match call.method, [part.lower() for part in call.parts[1:]]:
        case "POST", ["sobjects", "customfield"]:
            return _create(org, call)
        case "GET", ["sobjects", "customfield", "describe"]:
            raise NotBuiltError("describe of tooling objects")
        case (("GET" | "PATCH"), ["sobjects", "customfield", _]):
            return _one(org, call, call.parts[3])
        case "GET", ["query"]:
            if any(word in call.text("q").lower() for word in ("fullname", "metadata")):
                raise NotBuiltError("tooling queries of FullName or Metadata")
            tables = {"customfield": org.custom_fields}
            return queries.first(call, lookup=lambda name: tables.get(name.lower()))
        case _:
            raise NotBuiltError("/".join(call.parts))


def _may_customize(org: Org) -> None:
    """Documented right; code and words are assumed."""
    if not org.choices.may_customize:
        raise SalesforceError(
            "INSUFFICIENT_ACCESS", "insufficient access rights on object id", status=403
        )


def _create(org: Org, call: Call) -> Response:
    _may_customize(org)
    body = json_object(call.request)
    told = body.get("Metadata")
    needs(told, dict, "Metadata")
    row_id = customizing.create(org, body.get("FullName"), told or {})
    answer = {"id": row_id, "success": True, "errors": [], "warnings": [], "infos": []}
    return Response.json(201, answer)


def _one(org: Org, call: Call, text: str) -> Response:
    row_id = whole(text)
    row = org.custom_fields.rows.get(row_id or "")
    if row is None or row_id is None:
        raise not_found()
    table = org.table("Task" if row["TableEnumOrId"] == "Activity" else row["TableEnumOrId"])
    field = table.fields[row["DeveloperName"].lower() + "__c"]
    told = org.metadata.get(row_id) or metadata_of(field)
    if call.method == "PATCH":
        _may_customize(org)
        _change(org, table, row_id, field.name, told, json_object(call.request))
        return Response(204)
    url = f"{call.base}/tooling/sobjects/CustomField/{row_id}"
    return Response.json(200, {
        "attributes": {"type": "CustomField", "url": url},
        "Id": row_id,
        "DeveloperName": row["DeveloperName"],
        "TableEnumOrId": row["TableEnumOrId"],
        "FullName": f"{row['TableEnumOrId']}.{field.name}",
        "Metadata": told,
    })  # fmt: skip


def _change(
    org: Org, table: Table, row_id: str, name: str, old: dict[str, Any], body: dict[str, Any]
) -> None:
    """Assumed: what is not told stays as it is; the type does."""
    told = {**old, **(body.get("Metadata") or {})}
    if told.get("type") != old.get("type"):
        raise NotBuiltError("changing the type of a custom field")
    customizing.change(org, table, row_id, name, told)
