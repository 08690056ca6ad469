"""Routes of records: one at a time and in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulator.hubspot.portal import Portal
from simulator.hubspot.problems import HtmlMissingError, PortalError, malformed, not_found
from simulator.hubspot.requests import Query, body, inputs
from simulator.hubspot.store import Properties, Record, Table
from simulator.hubspot.values import iso
from simulator.wire import Request, Response

DEFAULT_CONTACT = (
    "createdate",
    "email",
    "firstname",
    "hs_object_id",
    "lastmodifieddate",
    "lastname",
)
Step = tuple[Record | None, Properties]
"""(record or None, checked changes)"""


def single(portal: Portal, request: Request, table: Table, rest: Sequence[str]) -> Response:
    """List, create, read, change, archive one record."""
    match request.method, len(rest):
        case "GET", 0:
            return _list(portal, request, table)
        case "POST", 0:
            return _create(portal, request, table)
        case "GET", 1:
            return _read(portal, request, table, rest[0])
        case "PATCH", 1:
            return _update(portal, request, table, rest[0])
        case "DELETE", 1:
            record = table.get(rest[0])
            if record is not None:
                table.archive(record, portal.now_ms)
            return Response(204)
        case _:
            return Response(405)


def _names(table: Table, asked: Sequence[str]) -> Sequence[str]:
    return asked or (DEFAULT_CONTACT if table.plural == "contacts" else table.system)


def _list(portal: Portal, request: Request, table: Table) -> Response:
    query = Query(request)
    limit = query.number("limit", 10, 100)
    names = _names(table, query.many("properties"))
    if query.flag("archived"):
        rows = sorted(table.archived.values(), key=lambda r: int(r.id))
        rows = [r for r in rows if int(r.id) > int(query.text("after", "0"))][: limit + 1]
    else:
        rows = table.page(query.text("after"), limit + 1)
    out: dict[str, Any] = {"results": [portal.shown(r, table, names) for r in rows[:limit]]}
    if len(rows) > limit:
        # Documented: `paging` is absent on the last page.
        out["paging"] = {
            "next": {"after": rows[limit - 1].id, "link": "?after=" + rows[limit - 1].id}
        }
    return Response.json(200, out)


def _create(portal: Portal, request: Request, table: Table) -> Response:
    whole = body(request)
    changes = table.check(_properties(whole))
    record, changes, _ = portal.write(table, None, changes)
    _link_inline(portal, table, record, whole)
    return Response.json(201, portal.answered(record, table, changes))


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    properties = row.get("properties")
    if not isinstance(properties, dict):
        raise malformed("properties is not an object")
    return properties


def _link_inline(portal: Portal, table: Table, record: Record, row: dict[str, Any]) -> None:
    """Associations in a create (documented; not allowed in update and upsert)."""
    for link in row.get("associations") or ():
        types = {spec.get("associationTypeId") for spec in link.get("types", ())}
        other = portal.contacts if types & {204} else portal.tasks
        portal.associate(table, record.id, other, str(link["to"]["id"]))


def _read(portal: Portal, request: Request, table: Table, record_id: str) -> Response:
    query = Query(request)
    id_property = query.text("idProperty")
    if not id_property and not record_id.isdigit():
        # Recorded, two spaces included.
        raise PortalError(
            404, "Object not found.  objectId are usually numeric.", "OBJECT_NOT_FOUND"
        )
    record = table.find(id_property, record_id)
    if record is None and query.flag("archived"):
        record = table.archived.get(record_id)
    if record is None:
        raise HtmlMissingError
    out = portal.shown(record, table, _names(table, query.many("properties")))
    wanted = query.many("associations")
    if wanted:
        out["associations"] = {}
        for other in (portal.table(name) for name in wanted):
            linked = portal.links.of(table.plural, record.id, other.plural)
            kind = f"{table.singular}_to_{other.singular}"
            if linked:
                out["associations"][other.plural] = {
                    "results": [{"id": i, "type": kind} for i in sorted(linked)]
                }
    return Response.json(200, out)


def _update(portal: Portal, request: Request, table: Table, record_id: str) -> Response:
    record = table.find(Query(request).text("idProperty"), record_id)
    if record is None:
        raise not_found([record_id])
    changes = table.check(_properties(body(request)))
    record, changes, _ = portal.write(table, record, changes)
    return Response.json(200, portal.answered(record, table, changes))


def batch(portal: Portal, request: Request, table: Table, action: str) -> Response:
    """`batch/read|create|update|upsert|archive`."""
    whole, rows = inputs(request)
    match action:
        case "read":
            return _batch_read(portal, table, whole, rows)
        case "archive":
            for row in rows:
                record = table.get(str(row.get("id")))
                if record is not None:
                    table.archive(record, portal.now_ms)
            return Response(204)
        case "create" | "update" | "upsert":
            return _batch_write(portal, table, rows, action)
        case _:
            return Response(405)


def _batch_read(
    portal: Portal, table: Table, whole: dict[str, Any], rows: list[dict[str, Any]]
) -> Response:
    if whole.get("propertiesWithHistory") and len(rows) > 50:
        raise PortalError(400, "The maximum batch size is 50 when history is asked for")  # recorded
    names = _names(table, whole.get("properties") or ())
    ids = [str(row.get("id")) for row in rows]
    _distinct(ids)
    found = [(i, table.find(whole.get("idProperty"), i)) for i in ids]
    shown = [portal.shown(record, table, names) for _, record in found if record is not None]
    shown = portal.shuffled(shown)
    missing = [i for i, record in found if record is None]
    errors = [not_found(missing).entry(None)] if missing else []  # recorded: one error, all ids
    return envelope(portal, shown, errors, 200)


def _distinct(ids: Sequence[str]) -> None:
    """Recorded: a repeated id rejects the whole batch, trace ids or not."""
    if len(set(ids)) != len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1})
        raise PortalError(
            400,
            f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique",
            context={"ids": twice},
        )


def envelope(
    portal: Portal, results: list[dict[str, Any]], errors: list[dict[str, Any]], ok: int
) -> Response:
    """Documented; ``status`` stays COMPLETE on partial failure (recorded)."""
    now = iso(portal.now_ms)
    out: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        out |= {"numErrors": len(errors), "errors": errors}
    return Response.json(207 if errors else ok, out)


def _batch_write(portal: Portal, table: Table, rows: list[dict[str, Any]], action: str) -> Response:
    if action != "create":
        _distinct([str(row.get("id")) for row in rows])
        for row in rows:
            table.find(row.get("idProperty"), "")  # an unusable id property refuses the batch
    prepare = _preparer(table, action)
    traces = [row.get("objectWriteTraceId") for row in rows]
    if rows and all(traces) and len(set(traces)) == len(traces):
        results, errors = _partial(portal, table, rows, prepare, action)
    else:
        # Documented: without a trace id on every input, one bad record refuses all.
        results, errors = _all_or_nothing(portal, table, rows, prepare, action), []
    results = portal.shuffled(results)  # recorded: not in the order of the inputs
    return envelope(portal, results, errors, 201 if action == "create" else 200)


def _preparer(table: Table, action: str) -> Callable[[dict[str, Any]], Step]:
    def prepare(row: dict[str, Any]) -> Step:
        sent = table.check(_properties(row))
        if action == "create":
            return None, sent
        id_property, key = row.get("idProperty"), str(row.get("id"))
        record = table.find(id_property, key)
        if record is None and (action == "update" or id_property in (None, "")):
            raise not_found([key])  # assumed for upsert: without idProperty, `id` is a record id
        if record is None and id_property is not None:
            # The key of a new record is set by the upsert itself.
            return None, sent | table.check({id_property: key})
        return record, sent

    return prepare


def _partial(
    portal: Portal,
    table: Table,
    rows: list[dict[str, Any]],
    prepare: Callable[[dict[str, Any]], Step],
    action: str,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for row in rows:
        trace = row["objectWriteTraceId"]
        try:
            found, checked = prepare(row)
            record, changes, created = portal.write(table, found, checked)
            _link_inline(portal, table, record, row if action == "create" else {})
        except PortalError as problem:
            errors.append(problem.entry(trace))
            continue
        shown = portal.answered(record, table, changes)
        if action == "upsert":
            shown["new"] = created
        shown["objectWriteTraceId"] = trace
        results.append(shown)
    return results, errors


def _all_or_nothing(
    portal: Portal,
    table: Table,
    rows: list[dict[str, Any]],
    prepare: Callable[[dict[str, Any]], Step],
    action: str,
) -> list[dict[str, Any]]:
    steps = [prepare(row) for row in rows]
    claimed: set[tuple[str, str]] = set()
    for record, changes in steps:
        claims = {(name, changes[name]) for name in table.keys if changes.get(name)}
        if claims & claimed or table.conflict(record, changes):
            # Recorded: the batch form of this error names no record.
            raise PortalError(409, "Contact already exists", "CONFLICT")
        claimed |= claims
        if record is None and not any(changes.get(name) for name in table.needed):
            portal.write(table, record, changes)  # refuses, with its own words
    results = []
    for row, (found, checked) in zip(rows, steps, strict=True):
        record, changes, created = portal.write(table, found, checked)
        _link_inline(portal, table, record, row if action == "create" else {})
        results.append(
            portal.answered(record, table, changes)
            | ({"new": created} if action == "upsert" else {})
        )
    return results


def merge(portal: Portal, request: Request, table: Table) -> Response:
    """Merge two contacts (documented; ids and keys as other integrations report them).

    Assumed: companies merge alike.

    The primary's values win, the loser fills blanks; its address stays as a second one, its key
    is gone, its id leads to the survivor.
    """
    ids = body(request)
    primary = table.get(str(ids.get("primaryObjectId")))
    loser = table.get(str(ids.get("objectIdToMerge")))
    if primary is None or loser is None or primary is loser:
        raise PortalError(400, "Cannot merge: objects must exist and differ")
    return Response.json(200, portal.shown(merged(portal, table, primary, loser), table, ()))


def merged(portal: Portal, table: Table, primary: Record, loser: Record) -> Record:
    """See :func:`merge`."""
    now_ms = portal.now_ms
    kept = {n: v for n, v in loser.props.items() if v and not primary.props.get(n)}
    email = loser.props.get("email", "")
    survivor = primary
    table.archive(loser, now_ms)
    del table.archived[loser.id]
    losers = [loser.id]
    if portal.choices.merge_new_id:
        table.archive(primary, now_ms)
        del table.archived[primary.id]
        kept = {**kept, **{n: v for n, v in primary.props.items() if v}}
        survivor = Record(portal.new_id(), now_ms)
        losers.append(primary.id)
    kept.pop("hs_object_id", None)
    emails = [e for e in survivor.props.get("hs_additional_emails", "").split(";") if e]
    if email and email != (survivor.props.get("email") or kept.get("email")):
        emails.append(email)
    if "hs_additional_emails" in table.definitions:
        kept["hs_additional_emails"] = ";".join(emails)
    earlier = survivor.props.get("hs_merged_object_ids", "")
    kept["hs_merged_object_ids"] = ";".join(filter(None, [earlier, *losers]))
    table.put(survivor, kept, now_ms)
    for old in losers:
        table.moved[old] = survivor.id
        portal.links.move(table.plural, old, survivor.id)
    if emails:
        table.keys["email"].update(dict.fromkeys(emails, survivor.id))
    return survivor
