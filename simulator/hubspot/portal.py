"""The portal's state and what every route may do with it."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulator.hubspot.account import FakeOwner
from simulator.hubspot.definitions import (
    company_defaults,
    contact_defaults,
    owner_id,
    task_defaults,
)
from simulator.hubspot.problems import PortalError
from simulator.hubspot.store import Links, Properties, Record, Table
from simulator.hubspot.values import iso


class Time(Protocol):
    """The world's clock."""

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What nobody could verify about the real portal, so that a test can try both.

    Args:
        task_unique_keys: tasks take properties with unique values.
        email_conflict: an update with another contact's address: ``"conflict"`` (an error) or
            ``"ignored"`` (success, address unchanged; Census' documentation).
        owner_code: the error code for an owner who does not exist.
        merge_new_id: the survivor of a merge gets a new id.
        search_lag_s: how far the search index is behind (recorded: seconds).
    """

    task_unique_keys: bool = True
    email_conflict: str = "conflict"
    owner_code: str = "INVALID_OPTION"
    merge_new_id: bool = False
    search_lag_s: float = 3.0


@dataclass(slots=True)
class Written:
    """A write the portal applied, for tests that compare writes with a plan."""

    object: str
    crm_id: str
    created: bool
    properties: Mapping[str, str] = field(repr=False)


class Portal:
    """Tables, links, owners, and the one way each kind of write is applied and counted."""

    def __init__(
        self, time: Time, owners: Sequence[FakeOwner], choices: Choices, *, seed: int, keep: bool
    ) -> None:
        self.time = time
        self.choices = choices
        self.owners = {owner.id: owner for owner in owners}
        self.links = Links()
        self.rng = random.Random(seed)
        self.writes: Counter[str] = Counter()
        self.written: list[Written] = []
        self.keep_written = keep
        self._next_id = 1000
        self._answers = 0
        # Assumed: an archived owner is refused like one that never was.
        parse = owner_id(
            lambda o: o in self.owners and not self.owners[o].archived, choices.owner_code
        )
        lag_ms = round(choices.search_lag_s * 1000)
        contacts = Table(
            "0-1",
            "contacts",
            "contact",
            contact_defaults(parse),
            stamps=("createdate", "lastmodifieddate"),
            needed=("email", "firstname", "lastname"),  # documented for create, assumed for upsert
            unique_keys=True,
            lag_ms=lag_ms,
        )
        tasks = Table(
            "0-27",
            "tasks",
            "task",
            task_defaults(parse),
            stamps=("hs_createdate", "hs_lastmodifieddate"),
            needed=("hs_timestamp",),  # documented: the only required one
            unique_keys=choices.task_unique_keys,
            lag_ms=lag_ms,
        )
        companies = Table(
            "0-2",
            "companies",
            "company",
            company_defaults(parse),
            stamps=("createdate", "hs_lastmodifieddate"),
            needed=("name", "domain"),  # documented for create, assumed for upsert
            unique_keys=True,
            lag_ms=lag_ms,
        )
        self.contacts, self.tasks, self.companies = contacts, tasks, companies
        tables = (contacts, tasks, companies)
        self._tables = {name: table for table in tables for name in table.names}

    @property
    def now_ms(self) -> int:
        """The world's time."""
        return self.time.now_ms

    def correlation(self) -> str:
        """A correlation id, the same in every run."""
        self._answers += 1
        return str(uuid.UUID(int=self._answers))

    def table(self, name: str) -> Table:
        """The table of an object type (recorded: plural, singular, any case, or type id)."""
        try:
            return self._tables[name.lower()]
        except KeyError:
            # Recorded: this one has no category.
            raise PortalError(400, f"Unable to infer object type from: {name}", "") from None

    def write(
        self, table: Table, record: Record | None, changes: Properties
    ) -> tuple[Record, Properties, bool]:
        """Create or update a record with checked changes; (record, what is stored, created).

        Raises:
            PortalError: a unique value is taken, or a needed property is missing.
        """
        taken = table.conflict(record, changes)
        if taken is not None:
            changes = self._resolved(table, record, changes, *taken)
        created = record is None
        if record is None:
            if not any(changes.get(name) for name in table.needed):
                kind = table.singular.upper()
                raise PortalError(
                    400,
                    f"Error creating {kind}. Some required properties were not set.",
                    context={"properties": list(table.needed)},
                )
            record = Record(self.new_id(), self.now_ms)
        changes = table.put(record, changes, self.now_ms)
        self.writes[table.plural] += 1
        if self.keep_written:
            self.written.append(Written(table.plural, record.id, created, changes))
        return record, changes, created

    def new_id(self) -> str:
        """The next record id."""
        self._next_id += 1
        return str(self._next_id)

    def _resolved(
        self, table: Table, record: Record | None, changes: Properties, name: str, holder: str
    ) -> Properties:
        if name != "email":
            # Assumed words; recorded only that unique values are enforced.
            raise PortalError(
                400,
                f"Cannot set PropertyValueCoordinates{{objectTypeId={table.type_id}, propertyName="
                f"{name}, value={changes[name]}}}. {holder} already has that value.",
                errors=[
                    {
                        "message": "The value is already in use.",
                        "code": "CONFLICTING_UNIQUE_VALUE",
                        "context": {"propertyName": [name]},
                    }
                ],
            )
        if record is not None and self.choices.email_conflict == "ignored":
            return {**changes, "email": record.props.get("email", "")}
        # Recorded for creates; for an update by another key unverified.
        raise PortalError(
            409,
            f"Contact already exists. Existing ID: {holder}",
            "CONFLICT",
            context={"existingId": [holder]},
        )

    def associate(self, from_table: Table, from_id: str, to_table: Table, to_id: str) -> None:
        """Link two records by default.

        Raises:
            PortalError: one of them does not exist.
        """
        source, target = from_table.get(from_id), to_table.get(to_id)
        missing = [i for i, r in ((from_id, source), (to_id, target)) if r is None]
        if source is None or target is None:
            raise PortalError(
                404,
                "One or more objects are missing for the association.",
                "OBJECT_NOT_FOUND",
                sub_category="crm.associations.OBJECT_NOT_FOUND",
                context={"fromObjectId": [from_id], "toObjectId": [to_id], "ids": missing},
            )
        self.links.add(from_table.plural, source.id, to_table.plural, target.id)
        self.writes["associations"] += 1
        if self.keep_written:
            self.written.append(
                Written("associations", source.id, created=True, properties={"to": target.id})
            )

    def shown(self, record: Record, table: Table, names: Sequence[str]) -> dict[str, Any]:
        """A record as reads show it: unknown names are left out, blanks are null (documented)."""
        props = record.props
        known = [name for name in names if name in table.definitions]
        return {
            "id": record.id,
            "properties": {n: props.get(n) or None for n in (*known, *table.system)},
            "createdAt": iso(record.created_ms),
            "updatedAt": iso(record.updated_ms),
            "archived": record.archived_ms is not None,
        }

    def answered(self, record: Record, table: Table, stored: Properties) -> dict[str, Any]:
        """A record as writes answer it: what was sent and the system's own (recorded)."""
        props = record.props
        shown: dict[str, Any] = dict(stored)
        if "" in stored.values():
            shown = {n: v or None for n, v in stored.items()}
        for name in table.system:
            shown[name] = props[name]
        return {
            "id": record.id,
            "properties": shown,
            "createdAt": iso(record.created_ms),
            "updatedAt": iso(record.updated_ms),
            "archived": False,
        }

    def shuffled(self, results: list[Any]) -> list[Any]:
        """Results in another order than the inputs' (recorded), cheaply: cut and turned."""
        cut = self.rng.randrange(len(results)) if results else 0
        return (results[cut:] + results[:cut])[::-1]
