"""`POST objects/{type}/search` over an index that is behind the writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.hubspot.portal import Portal
from simulator.hubspot.problems import PortalError
from simulator.hubspot.requests import body
from simulator.hubspot.store import Table
from simulator.wire import Request, Response

MOST = 10_000  # documented: results reachable by one search


def search(portal: Portal, request: Request, table: Table) -> Response:
    """Documented: 5 groups of 6 filters, 18 in all; 200 a page; archived records excluded."""
    asked = body(request)
    groups = asked.get("filterGroups") or []
    _bounded(groups, asked)
    limit, after = int(asked.get("limit") or 10), int(asked.get("after") or 0)
    text = str(asked.get("query") or "").lower()
    found = [
        (record, props)
        for record, props in table.indexed(portal.now_ms)
        if (not groups or any(all(_passes(f, props) for f in g["filters"]) for g in groups))
        and (not text or any(text in v.lower() for v in props.values()))
    ]
    _sort(found, asked.get("sorts") or [])
    names = asked.get("properties") or ("email", "firstname", "lastname")
    page = found[after : after + limit]
    out: dict[str, Any] = {
        "total": len(found),
        "results": [portal.shown(record, table, names) for record, _ in page],
    }
    if after + limit < len(found):
        out["paging"] = {"next": {"after": str(after + limit)}}
    return Response.json(200, out)


def _bounded(groups: list[dict[str, Any]], asked: Mapping[str, Any]) -> None:
    filters = [f for group in groups for f in group.get("filters", ())]
    if len(groups) > 5 or len(filters) > 18 or any(len(g.get("filters", ())) > 6 for g in groups):
        raise PortalError(400, "Too many filterGroups or filters")
    if not all({"propertyName", "operator"} <= row.keys() for row in filters):
        raise PortalError(400, "A filter needs propertyName and operator")
    if not 0 < int(asked.get("limit") or 10) <= 200:
        raise PortalError(400, "limit must be between 1 and 200")
    if int(asked.get("after") or 0) + int(asked.get("limit") or 10) > MOST:
        raise PortalError(400, f"Paging beyond {MOST} results is not supported")


def _sort(found: list[tuple[Any, dict[str, str]]], sorts: list[Any]) -> None:
    for sort in reversed(sorts):
        name = sort if isinstance(sort, str) else sort["propertyName"]
        down = not isinstance(sort, str) and sort.get("direction") == "DESCENDING"
        found.sort(key=lambda row: _ordered(row[1].get(name, "")), reverse=down)


def _ordered(value: str) -> tuple[int, float, str]:
    """Numbers before texts; instants and days count as ms, as filters give them (documented)."""
    try:
        return 0, float(value), ""
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 1, 0.0, value
    return 0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000, ""


def _passes(row: Mapping[str, Any], props: Mapping[str, str]) -> bool:
    have = props.get(row["propertyName"], "")
    value = str(row.get("value", ""))
    if row["propertyName"] == "email":
        value = value.lower()
    match row["operator"]:
        case "EQ":
            return have == value
        case "NEQ":
            return have != value
        case "IN":
            return have in row["values"]
        case "NOT_IN":
            return have not in row["values"]
        case "HAS_PROPERTY":
            return bool(have)
        case "NOT_HAS_PROPERTY":
            return not have
        case "CONTAINS_TOKEN":
            return value.strip("*").lower() in have.lower()
        case "GT" | "GTE" | "LT" | "LTE" | "BETWEEN":
            return bool(have) and _compares(row, _ordered(have))
        case operator:
            raise PortalError(400, f"Unknown operator {operator}")


def _compares(row: Mapping[str, Any], have: tuple[int, float, str]) -> bool:
    value = _ordered(str(row["value"]))
    match row["operator"]:
        case "GT":
            return have > value
        case "GTE":
            return have >= value
        case "LT":
            return have < value
        case "LTE":
            return have <= value
        case _:
            return value <= have <= _ordered(str(row["highValue"]))
