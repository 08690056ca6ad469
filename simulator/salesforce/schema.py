"""Routes that say what there is: versions, resources, sObjects and their fields."""

from __future__ import annotations

from typing import Any

from simulator.salesforce.definitions import READ_ONLY
from simulator.salesforce.org import Org
from simulator.salesforce.problems import SalesforceError, not_found
from simulator.salesforce.requests import Call
from simulator.salesforce.store import Table
from simulator.wire import Response

FIRST, LAST = 31, 67  # recorded: a real organisation's list begins at 31.0; 67.0 is Summer '26
_SEASONS = ("Spring", "Summer", "Winter")
_RESOURCES = ("tooling", "limits", "sobjects", "query", "queryAll", "jobs", "composite")


def versions() -> Response:
    """``GET /services/data`` (recorded; it needs no session: assumed)."""
    return Response.json(200, [_version(number) for number in range(FIRST, LAST + 1)])


def _version(number: int) -> dict[str, Any]:
    # Three releases a year; 66.0 is Spring '26, and Winter '27 comes out in 2026.
    since = number - 66
    season, year = _SEASONS[since % 3], 26 + since // 3 + (since % 3 == 2)
    return {
        "label": f"{season} '{year:02d}",
        "url": f"/services/data/v{number}.0",
        "version": f"{number}.0",
    }


def check_version(number: int) -> None:
    """Documented: versions 21 to 30 are gone. Assumed: one to come is unknown."""
    if number < FIRST:
        raise SalesforceError(
            "UNSUPPORTED_API_VERSION",
            "The API version you're using has been retired",
            status=410,
        )
    if number > LAST:
        raise not_found()


def resources(call: Call) -> Response:
    """``GET /services/data/v60.0``"""
    return Response.json(200, {name: f"{call.base}/{name}" for name in _RESOURCES})


def sobjects(org: Org, call: Call) -> Response:
    """``GET sobjects``: all sObjects, without their fields."""
    rows = [_summary(org, call, table) for table in org.tables.values()]
    return Response.json(200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": rows})


def basic(org: Org, call: Call, table: Table) -> Response:
    """``GET sobjects/Contact``"""
    return Response.json(200, {"objectDescribe": _summary(org, call, table), "recentItems": []})


def describe(org: Org, call: Call, table: Table) -> Response:
    """``GET sobjects/Contact/describe``: what the user may see, and what of it write."""
    view = org.view(table, call.caller.user_id)
    fields = [f.describe(writable=f.name in view.writable) for f in view.fields.values()]
    types = [
        {
            "active": True,
            "available": True,
            "defaultRecordTypeMapping": not row["IsPersonType"],
            "developerName": row["DeveloperName"],
            "master": False,
            "name": row["Name"],
            "recordTypeId": row["Id"],
        }
        for row in org.tables["recordtype"].live()
        if row["SobjectType"] == table.name
    ]
    told = _summary(org, call, table)
    return Response.json(200, {**told, "fields": fields, "recordTypeInfos": types})


def _summary(org: Org, call: Call, table: Table) -> dict[str, Any]:
    place = f"{call.base}/sobjects/{table.name}"
    readonly = table.name in READ_ONLY
    deletable = not readonly and table.name != "User" and org.may(table, "delete")
    return {
        "createable": not readonly and org.may(table, "create"),
        "custom": False,
        "deletable": deletable,
        "keyPrefix": table.prefix,
        "label": table.label,
        "labelPlural": table.plural,
        "layoutable": not readonly,
        "mergeable": table.name in ("Account", "Contact", "Lead"),
        "name": table.name,
        "queryable": True,
        "searchable": not readonly,
        "triggerable": not readonly,
        "undeletable": not readonly,
        "updateable": not readonly and org.may(table, "edit"),
        "urls": {
            "describe": f"{place}/describe",
            "rowTemplate": f"{place}/{{ID}}",
            "sobject": place,
        },
    }
