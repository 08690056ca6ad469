"""What the portal holds: records of one object type with their keys, and links between objects."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from simulator.hubspot.definitions import LIFECYCLE, MAX_UNIQUE, Definition
from simulator.hubspot.problems import BadValue, PortalError, bad_values, malformed
from simulator.hubspot.values import MAX_TEXT, RejectedError, explain, iso

Properties = dict[str, str]


class Record:
    """One object. ``props`` is replaced, never changed, so that older views stay as they were."""

    __slots__ = ("archived_ms", "created_ms", "id", "props", "updated_ms")

    def __init__(self, record_id: str, now_ms: int) -> None:
        self.id = record_id
        self.created_ms = now_ms
        self.updated_ms = now_ms
        self.archived_ms: int | None = None
        self.props: Properties = {}


class Table:
    """All records of one object type.

    Args:
        stamps: names of the properties that hold creation and last change.
        needed: at least one of these must be set on a new record.
        unique_keys: whether properties with unique values may be created.
        lag_ms: how long the search index is behind.
    """

    def __init__(
        self,
        type_id: str,
        plural: str,
        singular: str,
        definitions: Sequence[Definition],
        *,
        stamps: tuple[str, str],
        needed: tuple[str, ...],
        unique_keys: bool,
        lag_ms: int,
    ) -> None:
        self.type_id = type_id
        self.lag_ms = lag_ms
        self.plural = plural
        self.singular = singular
        self.names = frozenset({type_id, plural, singular})
        self.stamps = stamps
        self.system = (*stamps, "hs_object_id")
        self.needed = needed
        self.unique_keys = unique_keys
        self.definitions = {d.name: d for d in definitions}
        self.parsers = {d.name: d.parse for d in definitions}
        group = definitions[0].wire["groupName"]
        self.groups: dict[str, dict[str, Any]] = {
            group: {"name": group, "label": group, "displayOrder": 0, "archived": False}
        }
        self.records: dict[str, Record] = {}
        self.archived: dict[str, Record] = {}
        self.moved: dict[str, str] = {}  # id that was merged away -> id of the survivor
        self.keys: dict[str, dict[str, str]] = {"email": {}} if "email" in self.definitions else {}
        self._order: list[int] = []
        self._recent: deque[tuple[int, str, Properties | None]] = deque()

    # Definitions

    def define(self, definition: Definition) -> None:
        """Add a property.

        Raises:
            PortalError: the name is taken, or no more unique properties are allowed (documented).
        """
        name = definition.name
        if name in self.definitions:
            raise PortalError(
                409,
                f"Property named '{name}' already exists.",
                "CONFLICT",
                sub_category="Properties.PROPERTY_EXISTS",
            )
        if definition.unique:
            if not self.unique_keys:
                raise PortalError(
                    400,
                    f"CANNOT_SET_{self.singular.upper()}_HAS_UNIQUE_VALUE: {self.plural} take no "
                    "properties with unique values",
                    sub_category="Properties.CANNOT_SET_HAS_UNIQUE_VALUE",
                )
            if sum(d.unique and not d.built_in for d in self.definitions.values()) >= MAX_UNIQUE:
                raise PortalError(400, f"At most {MAX_UNIQUE} unique properties are allowed")
            self.keys[name] = {}
        self.definitions[name] = definition
        self.parsers[name] = definition.parse

    def undefine(self, name: str) -> None:
        """Archive a property; its values disappear with it."""
        del self.definitions[name], self.parsers[name]
        self.keys.pop(name, None)

    # Looking up

    def get(self, record_id: str) -> Record | None:
        """A live record by id; an id that was merged away leads to the survivor (documented)."""
        record = self.records.get(record_id)
        if record is None and record_id in self.moved:
            return self.get(self.moved[record_id])
        return record

    def find(self, id_property: str | None, value: str) -> Record | None:
        """A live record by id or by a property with unique values.

        Raises:
            PortalError: the property does not exist or is not unique (recorded).
        """
        if id_property in (None, "", "hs_object_id"):
            return self.get(value)
        keys = self.keys.get(id_property or "")
        if keys is None:
            self._no_key(id_property or "")
        elif id_property == "email":
            value = value.lower()
        record_id = keys.get(value) if keys else None
        return self.get(record_id) if record_id else None

    def _no_key(self, name: str) -> None:
        if name not in self.definitions:
            raise PortalError(
                400, f"Property {name} does not exist", sub_category="PROPERTY_DOESNT_EXIST"
            )
        raise PortalError(
            400, f"Unable to perform update/upsert by non-unique {self.type_id} property {name}"
        )

    def page(self, after: str, limit: int) -> list[Record]:
        """Up to ``limit`` live records in the order of ids, behind ``after``."""
        start = bisect.bisect_right(self._order, int(after)) if after else 0
        out: list[Record] = []
        for number in self._order[start:]:
            record = self.records.get(str(number))
            if record is not None:
                out.append(record)
                if len(out) == limit:
                    break
        return out

    # Values

    def check(self, sent: Mapping[str, Any]) -> Properties:
        """Sent values as they would be stored.

        Raises:
            PortalError: 400 naming every bad value (recorded: none is ever ignored).
        """
        parsers = self.parsers
        try:
            out = {name: parsers[name](value) for name, value in sent.items()}
        except (KeyError, TypeError, RejectedError):
            raise self._explained(sent) from None
        if max(map(len, out.values()), default=0) > MAX_TEXT:
            raise self._explained(sent)
        return out

    def _explained(self, sent: Mapping[str, Any]) -> PortalError:
        bad: list[BadValue] = []
        for name, value in sent.items():
            definition = self.definitions.get(name)
            if definition is None:
                message = f'Property "{name}" does not exist'
                bad.append(BadValue(name, "PROPERTY_DOESNT_EXIST", message))
            elif not isinstance(value, str):
                # Assumed: documented is only that values are texts.
                return malformed(f"the value of {name} is not a text")
            else:
                rejected = explain(value, definition.parse, definition.allowed)
                if rejected is not None:
                    bad.append(BadValue(name, rejected.code, rejected.message))
        return bad_values(bad)

    def conflict(self, record: Record | None, changes: Mapping[str, str]) -> tuple[str, str] | None:
        """(property, id of the record that has the value) if a unique value is taken."""
        for name, taken in self.keys.items():
            value = changes.get(name)
            if value:
                holder = taken.get(value)
                if holder is not None and (record is None or holder != record.id):
                    return name, holder
        return None

    # Writing

    def put(self, record: Record, changes: Properties, now_ms: int) -> Properties:
        """Store checked ``changes``, and say what is stored; the search index learns later."""
        old = record.props
        stage = changes.get("lifecyclestage")
        if stage and _backward(old.get("lifecyclestage", ""), stage):
            # Recorded: a backward move is answered with success and changes nothing.
            changes = {**changes, "lifecyclestage": old["lifecyclestage"]}
        for name, taken in self.keys.items():
            if name in changes:
                before = old.get(name)
                if before and taken.get(before) == record.id:
                    del taken[before]
                if changes[name]:
                    taken[changes[name]] = record.id
        self._forget(now_ms)
        self._recent.append((now_ms, record.id, old if record.id in self.records else None))
        record.updated_ms = now_ms
        record.props = {**old, **changes, self.stamps[1]: iso(now_ms)}
        if record.id not in self.records:
            record.props[self.stamps[0]] = record.props[self.stamps[1]]
            record.props["hs_object_id"] = record.id
            self.records[record.id] = record
            self._order.append(int(record.id))
        return changes

    def archive(self, record: Record, now_ms: int) -> None:
        """Hide a record and free its keys."""
        del self.records[record.id]
        self.archived[record.id] = record
        record.archived_ms = now_ms
        other_emails = record.props.get("hs_additional_emails", "").split(";")
        for name, taken in self.keys.items():
            for value in (record.props.get(name, ""), *(other_emails if name == "email" else ())):
                if taken.get(value) == record.id:
                    del taken[value]

    # Searching

    def indexed(self, now_ms: int) -> Iterator[tuple[Record, Properties]]:
        """Records as the search index knows them: writes of the last ``lag_ms`` are unseen."""
        self._forget(now_ms)
        earlier: dict[str, Properties | None] = {}
        for _, record_id, before in self._recent:
            earlier.setdefault(record_id, before)
        for record in self.records.values():
            props = earlier.get(record.id, record.props)
            if props is not None:
                yield record, props

    def _forget(self, now_ms: int) -> None:
        while self._recent and self._recent[0][0] <= now_ms - self.lag_ms:
            self._recent.popleft()


def _backward(old: str, new: str) -> bool:
    return old in LIFECYCLE and new in LIFECYCLE and LIFECYCLE.index(new) < LIFECYCLE.index(old)


class Links:
    """Associations with their type ids, both directions (ids recorded; 203 assumed)."""

    TYPE_IDS: ClassVar = {("tasks", "contacts"): 204, ("contacts", "tasks"): 203}

    def __init__(self) -> None:
        self._to: dict[tuple[str, str], dict[str, dict[str, set[int]]]] = {}

    def add(self, from_type: str, from_id: str, to_type: str, to_id: str) -> bool:
        """Link two records by default; False if they already were (idempotent, documented)."""
        fresh = to_id not in self.of(from_type, from_id, to_type)
        for a, a_id, b, b_id in (
            (from_type, from_id, to_type, to_id),
            (to_type, to_id, from_type, from_id),
        ):
            type_id = self.TYPE_IDS.get((a, b), 0)
            self._to.setdefault((a, b), {}).setdefault(a_id, {}).setdefault(b_id, set()).add(
                type_id
            )
        return fresh

    def of(self, from_type: str, from_id: str, to_type: str) -> dict[str, set[int]]:
        """Linked id -> type ids."""
        return self._to.get((from_type, to_type), {}).get(from_id, {})

    def remove(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        """Unlink two records."""
        for a, a_id, b, b_id in (
            (from_type, from_id, to_type, to_id),
            (to_type, to_id, from_type, from_id),
        ):
            self.of(a, a_id, b).pop(b_id, None)

    def move(self, kind: str, old: str, new: str) -> None:
        """Give all links of ``old`` to ``new`` (a merge)."""
        for a, b in [pair for pair in self._to if pair[0] == kind]:
            for other in list(self.of(a, old, b)):
                self.remove(a, old, b, other)
                self.add(a, new, b, other)

    def all(self, from_type: str, to_type: str) -> Iterator[tuple[str, list[str]]]:
        """(from id, linked ids) of every linked record."""
        for from_id, linked in self._to.get((from_type, to_type), {}).items():
            if linked:
                yield from_id, sorted(linked)
