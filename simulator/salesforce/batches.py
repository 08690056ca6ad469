"""sObject Collections: up to 200 records in one call, each with a result of its own.

Documented: results in the order of the records; 200 even if every record failed; 400 only for a
call that cannot be read. Recorded: a failed record has no ``id``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from simulator.salesforce import rows, writing
from simulator.salesforce.fields import Field
from simulator.salesforce.ids import whole
from simulator.salesforce.org import Org
from simulator.salesforce.problems import (
    MatchesError,
    SalesforceError,
    attributes_late,
    malformed_id,
    not_found,
)
from simulator.salesforce.requests import Call, Caller, json_object, needs
from simulator.salesforce.store import Table
from simulator.wire import Response

MOST = 200  # documented
MOST_READ = 2000  # documented for retrieving with POST
MOST_CHUNKS = 10  # documented: runs of one type in a call of mixed types
Row = dict[str, Any]
Step = Callable[[], tuple[str, bool]]
"""Writes one record; (id, created). Raises what refuses it."""


class _RolledBackError(Exception):
    pass


def collections(org: Org, call: Call) -> Response:
    """``composite/sobjects...``"""
    match call.method, call.parts[2:]:
        case "POST", []:
            return _create(org, call)
        case "PATCH", []:
            return _update(org, call)
        case "PATCH", [sobject, key]:
            return _upsert(org, call, org.table(sobject), key)
        case "DELETE", []:
            return _delete(org, call)
        case "GET" | "POST", [sobject]:
            return _retrieve(org, call, org.table(sobject))
        case _:
            raise not_found()


def _records(call: Call) -> tuple[list[Row], bool]:
    body = json_object(call.request)
    records = body.get("records")
    needs(records, list, "records")
    for record in records or ():
        needs(record, dict, "a record")
    _bounded(len(records or ()))
    return records or [], body.get("allOrNone") is True


def _bounded(count: int, most: int = MOST) -> None:
    if count > most:  # documented; code and words are assumed
        raise SalesforceError(
            "EXCEEDED_ID_LIMIT",
            f"record limit reached. cannot submit more than {most} records in this call",
        )


def _type(record: Row) -> str:
    """The type a record names first (recorded: else it cannot be read)."""
    told = record.get("attributes")
    if next(iter(record), "") != "attributes" or not isinstance(told, dict):
        raise attributes_late()
    return str(told.get("type", ""))


def _chunked(records: Sequence[Row]) -> None:
    told = [record.get("attributes") for record in records]
    kinds = [str(t.get("type")).lower() if isinstance(t, dict) else "" for t in told]
    if sum(1 for _ in groupby(kinds)) > MOST_CHUNKS:
        raise SalesforceError("LIMIT_EXCEEDED", f"more than {MOST_CHUNKS} chunks of types")


def _create(org: Org, call: Call) -> Response:
    records, all_or_none = _records(call)
    _chunked(records)

    def step(record: Row) -> Step:
        return lambda: (
            writing.create(org, call.caller, _table(org, record), record),
            True,
        )

    return Response.json(200, _run(org, [step(r) for r in records], all_or_none=all_or_none))


def _table(org: Org, record: Row) -> Table:
    name = _type(record)
    if name.lower() not in org.tables:  # recorded code; the words are assumed
        raise SalesforceError("INVALID_TYPE", f"sObject type '{name}' is not supported.")
    return org.table(name)


def _update(org: Org, call: Call) -> Response:
    records, all_or_none = _records(call)
    _chunked(records)

    def step(record: Row) -> Step:
        def run() -> tuple[str, bool]:
            table = _table(org, record)
            row_id = _id(_only(record, "id"))
            sent = {n: v for n, v in record.items() if n.lower() != "id"}
            writing.update(org, call.caller, table, row_id, sent)
            return row_id, False

        return run

    return Response.json(200, _run(org, [step(r) for r in records], all_or_none=all_or_none))


def _only(record: Row, name: str) -> Any:
    return next((v for n, v in record.items() if n.lower() == name.lower()), None)


def _id(value: Any) -> str:
    if value in (None, ""):  # documented code; the words are assumed
        raise SalesforceError("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
    row_id = whole(str(value))
    if row_id is None:
        raise malformed_id("Record ID", value, "Id")
    return row_id


def _delete(org: Org, call: Call) -> Response:
    ids = [part for part in call.text("ids").split(",") if part]
    _bounded(len(ids))

    def step(text: str) -> Step:
        def run() -> tuple[str, bool]:
            row_id = _id(text)
            table = org.by_prefix.get(row_id[:3])
            if table is None:
                raise malformed_id("Record ID", text, "Id")
            writing.delete(org, call.caller, table, row_id)
            return row_id, False

        return run

    steps = [step(text) for text in ids]
    return Response.json(200, _run(org, steps, all_or_none=call.flag("allOrNone")))


def _upsert(org: Org, call: Call, table: Table, name: str) -> Response:
    records, all_or_none = _records(call)
    key = rows.key_field(org, call.caller, table, name)
    steps = upserts(org, call.caller, table, key, records, typed=True)
    return Response.json(200, _run(org, steps, all_or_none=all_or_none, upsert=True))


def _retrieve(org: Org, call: Call, table: Table) -> Response:
    """Documented: a record that is not there is null."""
    if call.method == "POST":
        body = json_object(call.request)
        ids, names = body.get("ids") or [], body.get("fields") or []
        _bounded(len(ids), MOST_READ)
    else:
        ids = [i for i in call.text("ids").split(",") if i]
        names = [n for n in call.text("fields").split(",") if n]
    out: list[Any] = []
    for text in ids:
        row_id = whole(str(text))
        row = table.rows.get(row_id or "")
        there = row is not None and not row.get("IsDeleted")
        out.append(rows.shown(org, call, table, str(row_id), names) if there else None)
    return Response.json(200, out)


# What bulk jobs do, too


def upserts(
    org: Org,
    caller: Caller,
    table: Table,
    key: Field,
    records: Sequence[Row],
    *,
    typed: bool = False,
) -> list[Step]:
    """One step for each record of an upsert.

    Recorded: every record whose key stands in the call twice fails, whatever the case.
    """
    values = [_only(record, key.name) for record in records]
    texts = [None if v in (None, "") else key.folded(str(v).strip()) for v in values]
    seen = Counter(text for text in texts if text is not None)

    def step(record: Row, value: Any, text: str | None) -> Step:
        def run() -> tuple[str, bool]:
            if typed:
                _same_type(table, record)
            sent = {n: v for n, v in record.items() if n.lower() != key.name.lower()}
            if text is None:
                return _keyless(org, caller, table, key, sent)
            if seen[text] > 1:
                raise SalesforceError(
                    "DUPLICATE_VALUE", f"Duplicate external id specified: {value}", [key.name]
                )
            return _by_key(org, caller, table, key, value, sent)

        return run

    return [step(r, v, t) for r, v, t in zip(records, values, texts, strict=True)]


def _same_type(table: Table, record: Row) -> None:
    if _type(record).lower() != table.name.lower():
        raise SalesforceError(  # documented: one type in an upsert; code and words are assumed
            "INVALID_TYPE", f"sObject type '{_type(record)}' is not {table.name}"
        )


def _keyless(org: Org, caller: Caller, table: Table, key: Field, sent: Row) -> tuple[str, bool]:
    if key.name != "Id":  # documented code; the words are assumed
        raise SalesforceError("MISSING_ARGUMENT", f"{key.name} not specified", [])
    return writing.create(org, caller, table, sent), True  # recorded


def _by_key(
    org: Org, caller: Caller, table: Table, key: Field, value: Any, sent: Row
) -> tuple[str, bool]:
    if key.name == "Id":
        row_id = _id(value)
        writing.update(org, caller, table, row_id, sent)
        return row_id, False
    try:
        return rows.upsert(org, caller, table, key, value, sent)
    except MatchesError:
        raise writing.duplicate_key(key, value) from None


def attempt(
    step: Step,
    *,
    upsert: bool,
    error: Callable[[SalesforceError], Any] = SalesforceError.row,
) -> Row:
    """The result of one record; ``error`` says how its refusal is shown."""
    try:
        row_id, created = step()
    except SalesforceError as refused:
        out: Row = {"success": False, "errors": [error(refused)]}
        return out | ({"created": False} if upsert else {})
    out = {"id": row_id, "success": True, "errors": []}
    return out | ({"created": created} if upsert else {})


def _run(org: Org, steps: Sequence[Step], *, all_or_none: bool, upsert: bool = False) -> list[Row]:
    if not all_or_none:
        return [attempt(step, upsert=upsert) for step in steps]
    results: list[Row] = []
    try:
        with org.attempt():
            results += [attempt(step, upsert=upsert) for step in steps]
            _all_good(results)
    except _RolledBackError:
        return [_rolled_back(upsert=upsert) if r["success"] else r for r in results]
    return results


def _all_good(results: Sequence[Row]) -> None:
    if not all(result["success"] for result in results):
        raise _RolledBackError


def _rolled_back(*, upsert: bool) -> Row:
    """Recorded code; the words are assumed."""
    error = SalesforceError(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "Record rolled back because not all records were valid and the request was using "
        "AllOrNone header",
    )
    out: Row = {"success": False, "errors": [error.row()]}
    return out | ({"created": False} if upsert else {})
