"""A statement at work: its rows, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simulator.salesforce.fields import NUMBERS, Field
from simulator.salesforce.org import Org, read
from simulator.salesforce.problems import SalesforceError
from simulator.salesforce.requests import Caller
from simulator.salesforce.soql.conditions import compiled, value_of
from simulator.salesforce.soql.scope import TYPE, Column, Scope
from simulator.salesforce.soql.syntax import Both, Compare, Condition, Query, parse
from simulator.salesforce.soql.tokens import malformed
from simulator.salesforce.store import Table, Values

Lookup = Callable[[str], Table | None]


class Statement:
    """A statement one user asks, ready to be run. ``columns`` is empty for ``COUNT()``."""

    def __init__(self, org: Org, caller: Caller, text: str, lookup: Lookup) -> None:
        query = parse(text)
        table = lookup(query.sobject.text)
        if table is None:  # recorded code; the words are assumed
            raise malformed(
                text,
                query.sobject.at,
                f"sObject type '{query.sobject.text}' is not supported. If you are attempting to "
                "use a custom object, be sure to append the '__c' after the entity name.",
                "INVALID_TYPE",
            )
        self.table = table
        self._query = query
        self._scope = Scope(org, caller.user_id, table, text)
        self.columns = self._columns(query)
        self._test = compiled(self._scope, query.where) if query.where is not None else None
        self._order = [(self._scope.column(o.path), o) for o in query.order]
        for column, _ in self._order:
            if not column.field.filterable:
                raise SalesforceError(
                    "INVALID_FIELD",
                    f"field '{column.field.name}' can not be sorted in a query call",
                )

    def _columns(self, query: Query) -> list[Column]:
        seen: set[str] = set()
        columns = []
        for path in query.fields:
            if path.text.lower() in seen:
                raise malformed(
                    query.statement,
                    path.at,
                    f"duplicate field selected: {path.text}",
                    "INVALID_FIELD",
                )
            seen.add(path.text.lower())
            columns.append(self._scope.column(path))
        return columns

    # Rows

    def rows(self, *, deleted: bool) -> list[Values]:
        """The rows that are meant, in order; ``deleted``: those in the recycle bin, too."""
        rows: Iterable[Values] = self._candidates(deleted=deleted)
        if self._test is not None:
            rows = filter(self._test, rows)
        found = list(rows)
        for column, order in reversed(self._order):
            _sort(found, column, descending=order.descending, nulls_last=order.nulls_last)
        if self._query.offset:
            found = found[self._query.offset :]
        return found if self._query.limit is None else found[: self._query.limit]

    def _candidates(self, *, deleted: bool) -> Iterable[Values]:
        """All rows, or those a key leads to: the same answer, found sooner."""
        table = self.table
        keyed = None if self._query.where is None else self._keyed(self._query.where)
        if keyed is not None and not deleted:
            field, values = keyed
            ids = {i for value in values for i in table.find(field, value)}
            # In the order of creation, as a walk through all would find them.
            return [table.rows[row_id] for row_id in sorted(ids)]
        return list(table.rows.values()) if deleted else table.live()

    def _keyed(self, where: Condition) -> tuple[Field, Sequence[Any]] | None:
        match where:
            case Compare(path, "=" | "IN", literals) if len(path.parts) == 1:
                field = self._scope.column(path).field
                if not field.key or (field.name != "Id" and field.name not in self.table.keys):
                    return None
                values = [value_of(field, literal) for literal in literals]
                return None if None in values else (field, values)
            case Both("AND", parts):
                return next((k for k in map(self._keyed, parts) if k is not None), None)
            case _:
                return None

    # How they are shown

    def shown(self, row: Values, base: str) -> dict[str, Any]:
        """A row with the fields that were selected (recorded)."""
        out: dict[str, Any] = {
            "attributes": _attributes(self.table.name, self.table.name, row, base)
        }
        for column in self.columns:
            self._put(out, row, column, base)
        return out

    def _put(self, out: dict[str, Any], row: Values, column: Column, base: str) -> None:
        table = self.table
        for parent in column.parents:
            name = parent.relationship or ""
            found = self._scope.parent(row, parent)
            if found is None:
                out[name] = None
                return
            table, row = found
            if name not in out:
                kind = "Name" if len(parent.references) > 1 else table.name  # assumed
                out[name] = {"attributes": _attributes(kind, table.name, row, base)}
            out = out[name]
        if column.field is TYPE:
            out["Type"] = table.name
        else:
            out[column.field.name] = read(column.field, row)

    def metadata(self) -> dict[str, Any]:
        """What ``columns=true`` asks for (recorded: the shape a command-line client needs)."""
        return {
            "columnMetadata": [_column(column) for column in self.columns],
            "entityName": self.table.name,
            "groupBy": False,
            "idSelected": any(c.field.name == "Id" and not c.parents for c in self.columns),
            "keyPrefix": self.table.prefix,
        }


def _attributes(kind: str, table: str, row: Values, base: str) -> dict[str, str]:
    return {"type": kind, "url": f"{base}/sobjects/{table}/{row['Id']}"}


def _sort(rows: list[Values], column: Column, *, descending: bool, nulls_last: bool) -> None:
    """Documented: blanks come first unless asked otherwise, whatever the direction."""

    def key(row: Values) -> Any:
        value = column.get(row)
        return value.casefold() if isinstance(value, str) else value

    blank = [row for row in rows if column.get(row) is None]
    filled = [row for row in rows if column.get(row) is not None]
    filled.sort(key=key, reverse=descending)
    rows[:] = filled + blank if nulls_last else blank + filled


def _column(column: Column) -> dict[str, Any]:
    out = _described(column.field)
    for parent in reversed(column.parents):
        name = parent.relationship or ""
        told = {"columnName": name, "displayName": name, "joinColumns": [out]}
        out = {**_described(parent), **told, "foreignKeyName": parent.name}
    return out


def _described(field: Field) -> dict[str, Any]:
    number, flag = field.type in NUMBERS, field.type == "boolean"
    return {
        "aggregate": False,
        "apexType": "Id" if field.type in ("id", "reference") else field.type.capitalize(),
        "booleanType": flag,
        "columnName": field.name,
        "custom": field.custom,
        "displayName": field.name,
        "foreignKeyName": None,
        "insertable": field.createable,
        "joinColumns": [],
        "numberType": number,
        "textType": not number and not flag,
        "updatable": field.updateable,
    }
