"""What the names of a statement mean: fields, and fields of parents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.salesforce.fields import Field, text
from simulator.salesforce.org import Org, View, read
from simulator.salesforce.soql.syntax import Path
from simulator.salesforce.soql.tokens import malformed
from simulator.salesforce.store import Table, Values

MOST_PARENTS = 5  # documented
_COMMON = frozenset(("id", "name", "email", "firstname", "lastname", "phone", "title", "username",
                     "isactive"))  # fmt: skip
"""What is common to all that an owner or a ``Who`` may be (documented: the Name object)."""
TYPE = text("Type", 40)


@dataclass(frozen=True, slots=True)
class Column:
    """A field as the statement reaches it. ``parents``: the references on the way."""

    field: Field
    parents: tuple[Field, ...]
    get: Callable[[Values], Any]


class Scope:
    """The names one user may use in a statement about one sObject."""

    def __init__(self, org: Org, user_id: str, table: Table, statement: str) -> None:
        self.org = org
        self.table = table
        self._user_id = user_id
        self._statement = statement

    def view(self, table: Table) -> View:
        """What the user sees of a table."""
        return self.org.view(table, self._user_id)

    def column(self, path: Path) -> Column:
        """What a path leads to.

        Raises:
            SalesforceError: INVALID_FIELD; the words are assumed.
        """
        parents: list[Field] = []
        tables = [self.table]
        for name in path.parts[:-1]:
            found = self.view(tables[0]).relations.get(name.lower()) if len(tables) == 1 else None
            if found is None or len(parents) == MOST_PARENTS:
                raise self._error(path, f"Didn't understand relationship '{name}' in field path.")
            parents.append(found)
            tables = [self.org.table(sobject) for sobject in found.references]
        field = self._field(tables, path)
        return Column(field, tuple(parents), self._getter(tuple(parents), field))

    def _field(self, tables: list[Table], path: Path) -> Field:
        name = path.parts[-1].lower()
        if len(tables) == 1:
            found = self.view(tables[0]).fields.get(name)
            if found is not None:
                return found
        elif name == "type":
            return TYPE
        elif name in _COMMON:
            for table in tables:
                found = self.view(table).fields.get(name)
                if found is not None:
                    return found
        entity = tables[0].name if len(tables) == 1 else "Name"
        raise self._error(
            path,
            f"No such column '{path.parts[-1]}' on entity '{entity}'. If you are attempting to use "
            "a custom field, be sure to append the '__c' after the custom field name. Please "
            "reference your WSDL or the describe call for the appropriate names.",
        )

    def _error(self, path: Path, words: str) -> Exception:
        return malformed(self._statement, path.at, words, "INVALID_FIELD")

    def _getter(self, parents: tuple[Field, ...], field: Field) -> Callable[[Values], Any]:
        if not parents:
            return lambda row: read(field, row)

        def get(row: Values) -> Any:
            for parent in parents:
                found = self.parent(row, parent)
                if found is None:
                    return None
                table, row = found
            return table.name if field is TYPE else read(field, row)

        return get

    def parent(self, row: Values, reference: Field) -> tuple[Table, Values] | None:
        """The record a reference leads to, unless it is deleted (assumed)."""
        row_id = row.get(reference.name)
        if row_id is None:
            return None
        table = self.org.by_prefix[row_id[:3]]
        found = table.rows.get(row_id)
        return None if found is None or found.get("IsDeleted") else (table, found)
