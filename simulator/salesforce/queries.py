"""Routes of queries: the first page and those behind it.

Recorded: pages of 2,000 rows, named by an id and the number of rows before. Documented: fewer with
``Sforce-Query-Options``; a cursor lives two days. Assumed: what a page shows is as fresh as the
first page in choice and order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.salesforce.org import Org
from simulator.salesforce.problems import SalesforceError
from simulator.salesforce.requests import Call
from simulator.salesforce.soql.run import Lookup, Statement
from simulator.salesforce.store import Table, Values
from simulator.wire import Response

PAGE, SMALLEST = 2000, 200
_LIFE_MS = 2 * 86_400_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """The rows of a statement, for pages to come."""

    statement: Statement
    rows: list[Values]
    ends_ms: int


class Queries:
    """Statements, and the cursors of those that have pages left."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._cursors: dict[str, Cursor] = {}

    def first(self, call: Call, *, deleted: bool = False, lookup: Lookup | None = None) -> Response:
        """``query?q=...``"""
        text = call.text("q")
        if not text.strip():  # documented code; the words are assumed
            raise SalesforceError("MALFORMED_QUERY", "A query string has to be specified")
        found = lookup or self._readable
        statement = Statement(self._org, call.caller, text, found)
        if call.flag("columns"):
            return Response.json(200, statement.metadata())
        rows = statement.rows(deleted=deleted)
        if not statement.columns:
            counted = {"totalSize": len(rows), "done": True, "records": []}
            return Response.json(200, counted)
        cursor = Cursor(statement, rows, self._org.now_ms + _LIFE_MS)
        return self._page(call, cursor, "", 0)

    def _readable(self, name: str) -> Table | None:
        table = self._org.tables.get(name.lower())
        return table if table is not None and self._org.may(table, "read") else None

    def more(self, call: Call, locator: str) -> Response:
        """``query/0r8...-2000``"""
        name, _, start = locator.rpartition("-")
        cursor = self._cursors.get(name)
        if cursor is None or not start.isdigit() or cursor.ends_ms <= self._org.now_ms:
            raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(call, cursor, name, int(start))

    def _page(self, call: Call, cursor: Cursor, name: str, start: int) -> Response:
        end = start + _page_size(call)
        told: dict[str, Any] = {"totalSize": len(cursor.rows), "done": end >= len(cursor.rows)}
        if end < len(cursor.rows):
            if not name:
                name = self._org.ids.new("0r8")
                self._cursors[name] = cursor
            told["nextRecordsUrl"] = f"{call.base}/query/{name}-{end}"
        told["records"] = [cursor.statement.shown(r, call.base) for r in cursor.rows[start:end]]
        return Response.json(200, told)


def _page_size(call: Call) -> int:
    text = call.header("sforce-query-options", "batchsize")
    return min(max(int(text), SMALLEST), PAGE) if text.isdigit() else PAGE
