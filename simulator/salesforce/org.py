"""The organisation's state: its tables and users, who sees which field, and the log of writes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from simulator.salesforce.definitions import CUSTOM_FIELD, PERSON, STANDARDS
from simulator.salesforce.fields import Field
from simulator.salesforce.fields import flag as checkbox
from simulator.salesforce.ids import Ids
from simulator.salesforce.problems import not_found
from simulator.salesforce.rules import Rules
from simulator.salesforce.store import Table, Undo, Values
from simulator.salesforce.values import shown


class Time(Protocol):
    """The world's clock."""

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


@dataclass(frozen=True, slots=True)
class FakeUser:
    """A user of the organisation."""

    username: str
    last_name: str
    first_name: str = ""
    email: str = ""
    active: bool = True
    password: str = ""


@dataclass(frozen=True, slots=True)
class FakeQueue:
    """A queue: a Group of type Queue, for records of some objects."""

    developer_name: str
    name: str = ""
    sobjects: tuple[str, ...] = ("Task", "Lead")


@dataclass(slots=True)
class Choices:
    """What differs between organisations, or what nobody could verify about Salesforce.

    Args:
        person_accounts: Account takes persons.
        activity_external_ids: a custom field of Activity may be an external id (unverified).
        duplicate_key: how the body of DUPLICATES_DETECTED spells it (recorded without the "l"
            for v54 and v56).
        view_all_data: the user may upsert by an external id that is not unique (documented).
        may_customize: the user may create custom fields (the right "Customize Application").
    """

    person_accounts: bool = False
    activity_external_ids: bool = False
    duplicate_key: str = "duplicateResut"
    view_all_data: bool = True
    may_customize: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A write that was applied, for tests that compare writes with a plan."""

    sobject: str
    id: str
    action: str
    user_id: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class View:
    """What one user may see and write of one sObject: fields by lower-case name."""

    fields: dict[str, Field]
    writable: frozenset[str]
    relations: dict[str, Field]


class Org:
    """All that lasts, and the one way it is read."""

    def __init__(self, time: Time, choices: Choices, *, seed: int, keep: bool) -> None:
        self.time = time
        self.choices = choices
        self.ids = Ids()
        self.rng = random.Random(seed)
        self.rules = Rules()
        self.writes: Counter[str] = Counter()
        self.written: list[Written] = []
        self.keep_written = keep
        self.acting_ms: int | None = None
        self.hidden: set[tuple[str, str]] = set()
        self.frozen: set[tuple[str, str]] = set()
        self.denied: set[tuple[str, str]] = set()
        self._undo = Undo()
        self._views: dict[tuple[str, str, bool], View] = {}
        person = PERSON if choices.person_accounts else ()
        shadow = (replace(checkbox("IsPersonAccount"), createable=False, updateable=False),)
        extra = {"Account": person, "Contact": shadow if person else ()}
        tables = [Table(s, self._undo, extra.get(s.name, ())) for s in STANDARDS]
        self.tables = {table.name.lower(): table for table in tables}
        self.custom_fields = Table(CUSTOM_FIELD, self._undo)
        self.by_prefix = {table.prefix: table for table in tables}
        self.metadata: dict[str, dict[str, Any]] = {}

    @property
    def now_ms(self) -> int:
        """The world's time, or the moment a bulk job did what is being done."""
        return self.time.now_ms if self.acting_ms is None else self.acting_ms

    def table(self, name: str) -> Table:
        """The table of an sObject, whatever the case (recorded: an unknown one is a 404)."""
        found = self.tables.get(name.lower())
        if found is None:
            raise not_found()
        return found

    def row(self, sobject: str, row_id: str) -> Values:
        """A row that is there."""
        return self.table(sobject).rows[row_id]

    def may(self, table: Table, right: str) -> bool:
        """Whether the hub's user has a right ("read", "create", "edit", "delete") on an sObject."""
        return (table.name, right) not in self.denied

    # Who sees what

    def forget_views(self) -> None:
        """Definitions or permissions have changed."""
        self._views.clear()

    def view(self, table: Table, user_id: str, *, human: bool = False) -> View:
        """What a user may see and write; a person in Salesforce's pages sees all."""
        key = (table.name, user_id, human)
        found = self._views.get(key)
        if found is None:
            found = self._views[key] = self._seen(table, user_id, human=human)
        return found

    def _seen(self, table: Table, user_id: str, *, human: bool) -> View:
        read, edit = self._grants(user_id)
        fields: dict[str, Field] = {}
        writable = set()
        for name, definition in table.fields.items():
            place = (table.name, _granted_as(name))
            if table.name == "Account" and name.endswith("__pc"):
                place = ("Contact", place[1])
            open_to_all = not definition.custom or definition.required
            if not human and (place in self.hidden or not (open_to_all or place in read)):
                continue
            fields[name] = definition
            if human or (place not in self.frozen and (open_to_all or place in edit)):
                writable.add(definition.name)
        relations = {f.relationship.lower(): f for f in fields.values() if f.relationship}
        return View(fields, frozenset(writable), relations)

    def _grants(self, user_id: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """(object, field in lower case) readable, and editable, by permission sets."""
        mine = {
            row.get("PermissionSetId")
            for row in self.tables["permissionsetassignment"].live()
            if row.get("AssigneeId") == user_id
        }
        read, edit = set(), set()
        for row in self.tables["fieldpermissions"].live():
            if row.get("ParentId") not in mine:
                continue
            sobject, _, name = row["Field"].partition(".")
            # Custom fields of tasks are defined on Activity (documented).
            sobject = "Task" if sobject.lower() == "activity" else self.table(sobject).name
            if row.get("PermissionsRead") or row.get("PermissionsEdit"):
                read.add((sobject, name.lower()))
            if row.get("PermissionsEdit"):
                edit.add((sobject, name.lower()))
        return read, edit

    # All or nothing

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What is done inside is taken back if it raises."""
        outermost = self._undo.steps is None
        steps = self._undo.steps = self._undo.steps or []
        mark, writes, written = len(steps), self.writes.copy(), len(self.written)
        try:
            yield
        except BaseException:
            self._undo.steps = None
            while len(steps) > mark:
                steps.pop()()
            self._undo.steps = steps
            self.writes = writes
            del self.written[written:]
            self.forget_views()
            raise
        finally:
            if outermost:
                self._undo.steps = None

    def log(
        self, table: Table, row_id: str, action: str, user_id: str, values: Mapping[str, Any]
    ) -> None:
        """Count a write that was applied."""
        self.writes[table.name] += 1
        if self.keep_written:
            self.written.append(Written(table.name, row_id, action, user_id, dict(values)))
        if table.name in ("FieldPermissions", "PermissionSetAssignment"):
            self.forget_views()

    def stamped(self, row: Values, user_id: str) -> Values:
        """The row with the marks every change leaves (assumed: also one that changes nothing)."""
        now = shown(self.now_ms)
        return {
            **row,
            "LastModifiedDate": now,
            "LastModifiedById": user_id,
            "SystemModstamp": now,
        }

    def born(self, user_id: str) -> Values:
        """The marks of a new row."""
        return {"CreatedDate": shown(self.now_ms), "CreatedById": user_id}


def _granted_as(name: str) -> str:
    return name.removesuffix("__pc") + "__c" if name.endswith("__pc") else name


def read(definition: Field, row: Values) -> Any:
    """A field's value; a checkbox that was never set is what it is by default."""
    value = row.get(definition.name)
    if value is None and definition.type == "boolean":
        return bool(definition.default)
    return value


def target(org: Org, row_id: str, references: Sequence[str]) -> Table | None:
    """The table a reference may lead to, None if the id belongs to none of ``references``."""
    table = org.by_prefix.get(row_id[:3])
    return table if table is not None and table.name in references else None
