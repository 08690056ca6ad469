"""Routes of properties and their groups."""

from __future__ import annotations

from typing import Any

from simulator.hubspot.definitions import checked_options, created
from simulator.hubspot.objects import envelope
from simulator.hubspot.portal import Portal
from simulator.hubspot.problems import PortalError
from simulator.hubspot.requests import body, inputs
from simulator.hubspot.store import Table
from simulator.wire import Request, Response


def properties(portal: Portal, request: Request, rest: list[str]) -> Response:
    """`/properties/{type}[/{name}]`, `/batch/...`, `/groups/...`."""
    table = portal.table(rest[0])
    match request.method, rest[1:]:
        case "GET", []:
            return Response.json(200, {"results": [d.wire for d in table.definitions.values()]})
        case "POST", []:
            return Response.json(201, _create(table, body(request)))
        case "POST", ["batch", action]:
            return _batch(portal, request, table, action)
        case _, ["groups", *group]:
            return _groups(request, table, group)
        case "GET", [name]:
            return Response.json(200, _known(table, name).wire)
        case "PATCH", [name]:
            return _change(request, table, name)
        case "DELETE", [name]:
            _known(table, name)
            table.undefine(name)
            return Response(204)
        case _:
            return Response(405)


def _known(table: Table, name: str) -> Any:
    if name not in table.definitions:
        raise PortalError(
            404,
            f"Property {name} does not exist",
            "OBJECT_NOT_FOUND",
            sub_category="Properties.PROPERTY_NOT_FOUND",
        )
    return table.definitions[name]


def _create(table: Table, asked: Any) -> dict[str, Any]:
    definition = created(asked, table.groups)
    table.define(definition)
    return definition.wire


def _change(request: Request, table: Table, name: str) -> Response:
    """Documented: name, type and uniqueness stay. Assumed: ``options`` replaces the whole list."""
    definition = _known(table, name)
    asked = body(request)
    for fixed, current in (("hasUniqueValue", definition.unique), ("type", definition.type)):
        if fixed in asked and asked[fixed] != current:
            raise PortalError(400, f"{fixed} of a property cannot be changed")
    if definition.built_in and asked.keys() - {"options"}:
        raise PortalError(400, f"The definition of {name} is read only")
    if "options" in asked:
        checked_options(asked["options"])
        definition.allow(asked["options"])
    for part in ("label", "description", "groupName", "fieldType", "options", "hidden"):
        if part in asked:
            definition.wire[part] = asked[part]
    return Response.json(200, definition.wire)


def _batch(portal: Portal, request: Request, table: Table, action: str) -> Response:
    """Assumed: each definition stands for itself; problems make a 207."""
    _, rows = inputs(request)
    results: list[Any] = []
    errors: list[Any] = []
    for row in rows:
        try:
            if action == "create":
                results.append(_create(table, row))
            elif action == "read":
                results.append(_known(table, row["name"]).wire)
            else:
                _known(table, row["name"])
                table.undefine(row["name"])
        except PortalError as problem:
            errors.append(problem.entry(None))
    if action == "archive":
        return Response(204)
    return envelope(portal, results, errors, 201 if action == "create" else 200)


def _groups(request: Request, table: Table, rest: list[str]) -> Response:
    match request.method, rest:
        case "GET", []:
            return Response.json(200, {"results": list(table.groups.values())})
        case "POST", []:
            asked = body(request)
            if not asked.get("name") or not asked.get("label"):
                raise PortalError(400, "Some required fields were not set: [name, label]")
            if asked["name"] in table.groups:
                raise PortalError(
                    409, f"Property group named '{asked['name']}' already exists.", "CONFLICT"
                )
            group = {"displayOrder": -1, "archived": False} | asked
            table.groups[asked["name"]] = group
            return Response.json(201, group)
        case "GET", [name]:
            if name not in table.groups:
                raise PortalError(404, f"Property group {name} does not exist", "OBJECT_NOT_FOUND")
            return Response.json(200, table.groups[name])
        case _:
            return Response(405)
