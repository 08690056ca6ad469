"""Routes of v4 associations."""

from __future__ import annotations

from typing import Any

from simulator.hubspot.objects import envelope
from simulator.hubspot.portal import Portal
from simulator.hubspot.problems import PortalError
from simulator.hubspot.requests import inputs
from simulator.hubspot.store import Links, Table
from simulator.wire import Request, Response


def batch(portal: Portal, request: Request, rest: list[str]) -> Response:
    """`/associations/{from}/{to}/...`: labels, and the batch calls (sizes documented)."""
    source, target = portal.table(rest[0]), portal.table(rest[1])
    match request.method, rest[2:]:
        case "GET", ["labels"]:
            return Response.json(200, {"results": [_type(source, target) | {"label": None}]})
        case "POST", ["batch", "associate", "default"]:
            _, rows = inputs(request, 2000)
            return _associate(portal, source, target, rows, 200)
        case "POST", ["batch", "create"]:
            _, rows = inputs(request, 2000)
            return _associate(portal, source, target, rows, 201)
        case "POST", ["batch", "read"]:
            _, rows = inputs(request, 1000)
            return _read(portal, source, target, rows)
        case "POST", ["batch", "archive"]:
            _, rows = inputs(request, 100)
            for row in rows:
                for to in row["to"]:
                    portal.links.remove(
                        source.plural, str(row["from"]["id"]), target.plural, str(to["id"])
                    )
            return Response(204)
        case _:
            return Response(405)


def _type(source: Table, target: Table) -> dict[str, Any]:
    type_id = Links.TYPE_IDS.get((source.plural, target.plural), 0)
    return {"category": "HUBSPOT_DEFINED", "typeId": type_id}


def _pair(source: Table, source_id: str, target: Table, target_id: str) -> dict[str, Any]:
    spec = {
        "associationCategory": "HUBSPOT_DEFINED",
        "associationTypeId": Links.TYPE_IDS.get((source.plural, target.plural), 0),
    }
    return {"from": {"id": source_id}, "to": {"id": target_id}, "associationSpec": spec}


def _associate(
    portal: Portal, source: Table, target: Table, rows: list[dict[str, Any]], ok: int
) -> Response:
    """Idempotent (documented). Assumed: pairs are refused one by one, answered both ways."""
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for row in rows:
        source_id, target_id = str(row["from"]["id"]), str(row["to"]["id"])
        try:
            portal.associate(source, source_id, target, target_id)
        except PortalError as problem:
            errors.append(problem.entry(None))
            continue
        results.append(_pair(source, source_id, target, target_id))
        results.append(_pair(target, target_id, source, source_id))
    results = portal.shuffled(results)
    return envelope(portal, results, errors, ok)


def _linked(portal: Portal, source: Table, source_id: str, target: Table) -> list[dict[str, Any]]:
    linked = portal.links.of(source.plural, source_id, target.plural)
    kind = _type(source, target) | {"label": None}
    # Recorded: toObjectId is a JSON number on the wire, although the specification says text.
    return [{"toObjectId": int(i), "associationTypes": [kind]} for i in sorted(linked)]


def _read(portal: Portal, source: Table, target: Table, rows: list[dict[str, Any]]) -> Response:
    """Assumed (v3's recorded form): a record without links is an entry of ``errors``."""
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for row in rows:
        source_id = str(row["id"])
        linked = _linked(portal, source, source_id, target)
        if linked:
            results.append({"from": {"id": source_id}, "to": linked})
            continue
        message = f"No {target.singular} is associated with {source.singular} {source_id}."
        errors.append(
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": message,
                "context": {
                    "fromObjectId": [source_id],
                    "fromObjectType": [source.singular],
                    "toObjectType": [target.singular],
                },
            }
        )
    results = portal.shuffled(results)
    return envelope(portal, results, errors, 200)


def of_record(portal: Portal, request: Request, rest: list[str]) -> Response:
    """`/objects/{from}/{id}/associations/...`: list, link, unlink one pair."""
    source, source_id = portal.table(rest[0]), rest[1]
    match request.method, rest[3:]:
        case "GET", [to]:
            linked = _linked(portal, source, source_id, portal.table(to))
            return Response.json(200, {"results": linked})
        case "PUT", ["default", to, to_id]:
            rows = [{"from": {"id": source_id}, "to": {"id": to_id}}]
            return _associate(portal, source, portal.table(to), rows, 200)
        case "PUT", [to, to_id]:
            target = portal.table(to)
            portal.associate(source, source_id, target, to_id)
            out = {
                "fromObjectTypeId": source.type_id,
                "fromObjectId": source_id,
                "toObjectTypeId": target.type_id,
                "toObjectId": to_id,
                "labels": [],
            }
            return Response.json(201, out)
        case "DELETE", [to, to_id]:
            portal.links.remove(source.plural, source_id, portal.table(to).plural, to_id)
            return Response(204)
        case _:
            return Response(405)
