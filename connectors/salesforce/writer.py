"""Writing records: rows of one object, 200 a call, each accounted for.

Records known by their id are updated by it and never created anew; others are upserted by the
unique external id. Both are idempotent: a lost answer is met by sending the same again.

A lead that people converted is read only. It is followed to its contact, and what was to be
written is written there, if the contact is nobody else's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.clock import Clock
from connectors.destination import GONE, Applied, CrmObject, Outcome, Refused, Write
from connectors.salesforce import accounting, errors, tasks
from connectors.salesforce.bulk import Bulk, Target
from connectors.salesforce.client import MOST, SalesforceClient
from connectors.salesforce.model import LEAD, PERSON_ACCOUNT, TASK, Place, Places
from connectors.salesforce.reader import Reader
from connectors.salesforce.schema import Schemas
from connectors.salesforce.setup import Setup
from connectors.salesforce.values import Json, outward
from mapping.errors import ConfigError, RetryableError

_COLLECTIONS = "composite/sobjects"
_LOCK_WAITS_S = (1.0, 2.0, 4.0, 8.0)
CONVERTED = "CANNOT_UPDATE_CONVERTED_LEAD"
Row = dict[str, Any]


class Writer:
    """Writes to one org. Safe to use from several threads.

    Args:
        zones: brand -> time zone, for the day of a task.
        bulk_above: more records than these are written by a bulk job.
    """

    def __init__(
        self, client: SalesforceClient, schemas: Schemas, places: Places, reader: Reader,
        clock: Clock, zones: Mapping[str, str], org: Setup, bulk: Bulk, bulk_above: int,
    ) -> None:  # fmt: skip
        self._client = client
        self._schemas = schemas
        self._places = places
        self._reader = reader
        self._clock = clock
        self._zones = zones
        self._org = org
        self._bulk = bulk
        self._bulk_above = bulk_above

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> dict[str, Outcome]:
        """Outcomes by key. What has no id yet is made in the object's last place."""
        out: dict[str, Outcome] = {}
        home = self._places[obj][-1]
        known = [w for w in writes if w.crm_id]
        new = [w for w in writes if not w.crm_id]
        there = self._there(obj, new)
        known += there.values()
        for place in self._places[obj]:
            self._write(place, [w for w in known if self._place(obj, w) is place], out)
        self._write(home, [w for w in new if w.key not in there], out)
        _referring(writes, out)
        self._follow(obj, [w for w in writes if _went(w, out[w.key])], out)
        return out

    def _place(self, obj: CrmObject, write: Write) -> Place:
        some = self._places[obj]
        return next((p for p in some if write.crm_id.startswith(p.prefix)), some[-1])

    def _there(self, obj: CrmObject, new: Sequence[Write]) -> dict[str, Write]:
        """Writes by the id of a record that has their key, where an upsert by it would do harm.

        It would make a lead beside the contact, set a person's record type back, or write the
        name that stands in for none over a name.
        """
        some = self._places[obj]
        ask = [w.key for w in new if len(some) > 1 or some[0] is PERSON_ACCOUNT
               or (some[0].person and not w.properties.get("lastname"))]  # fmt: skip
        if not ask:
            return {}
        found = self._reader.read(obj, ask, ())
        key = some[0].key  # a successor may not have it yet
        return {
            w.key: Write(w.key, {**w.properties, key: w.key}, found[w.key].crm_id)
            for w in new
            if w.key in found
        }

    def _write(self, place: Place, writes: Sequence[Write], out: dict[str, Outcome]) -> None:
        left = list(writes)
        if len(left) > self._bulk_above:
            left = self._in_bulk(place, left, out)
        for start in range(0, len(left), MOST):
            part = left[start : start + MOST]
            rows = {w.key: row for w in part if (row := self.row(place, w, out)) is not None}
            self.send(place, [w for w in part if w.key in rows], rows, out)

    def _in_bulk(
        self, place: Place, writes: Sequence[Write], out: dict[str, Outcome]
    ) -> list[Write]:
        """Write records, all known by their id or none, by bulk jobs; what is left for calls."""
        known, by_key = self._schemas.of(place), {w.key: w for w in writes}
        key = "Id" if writes[0].crm_id else known.key
        target = Target(place.sobject, key, frozenset(known.kinds))
        said: set[str] = set().union(*(w.properties for w in writes))
        names = sorted({known.names.api(name) for name in said} | set(place.completed))
        done = self._bulk.write(target, names, by_key, lambda k: self.row(place, by_key[k], out))
        out |= done.outcomes
        return [by_key[k] for k in done.again]

    def looked(self, place: Place, key: str) -> bool:
        """Whether jobs of an earlier process were looked for; ``key`` by the hub's name, or Id."""
        known = self._schemas.knows(place)
        api = self._schemas.of(place).key if known and key != "Id" else key
        return self._bulk.looked(place.sobject, api)

    # Rows

    def row(self, place: Place, write: Write, out: dict[str, Outcome]) -> Row | None:
        """The write as Salesforce takes it, its type first; None, and a refusal, if it is none."""
        row: Row = {"attributes": {"type": place.sobject}}
        try:
            row |= self._values(place, write)
        except ValueError as error:
            name = str(error.args[-1]) if len(error.args) > 1 else ""
            told = errors.Details("INVALID_TYPE_ON_FIELD_IN_RECORD", (name,) if name else ())
            out[write.key] = errors.refused(write.key, told)
            return None
        place.complete(row, write.key, new=not write.crm_id)
        if write.crm_id:
            row["Id"] = write.crm_id
            return row
        row[self._schemas.of(place).key] = write.key
        if place is PERSON_ACCOUNT:
            row["RecordTypeId"] = self._org.person_record_type()
        return row

    def _values(self, place: Place, write: Write) -> dict[str, Json]:
        known = self._schemas.of(place)
        if place is TASK:
            zone = tasks.zone_of(write.key, self._zones)
            due = tasks.due(known.kinds)
            said = tasks.outbound(
                write.properties, zone, self._org.statuses(), due, self._org.nobody()
            )
            return {known.names.api(name): value for name, value in said.items()}
        found: dict[str, Json] = {}
        for name, text in write.properties.items():
            api = known.names.api(name)
            try:
                told = text or (self._org.nobody() if api == "OwnerId" else "")
                found[api] = outward(known.kinds.get(api, "string"), told)
            except ValueError as error:
                raise ValueError("not a value of the field's type", api) from error
        return found

    # Calls

    def send(
        self, place: Place, writes: Sequence[Write], rows: Mapping[str, Row],
        out: dict[str, Outcome], *, once: bool = False,
    ) -> None:  # fmt: skip
        """Write in one call; rows that met a lock are sent again, later and alone."""
        left = list(writes)
        for wait_s in (0.0, *_LOCK_WAITS_S):
            if not left:
                return
            if wait_s:
                self._clock.sleep(wait_s)
            parts = [[w] for w in left] if wait_s else [left]
            left = []
            for part in parts:
                answer = self._call(place, part, rows, once=once)
                done = accounting.counted(answer, part)
                out |= done.outcomes
                left += done.locked
        if left:
            raise RetryableError(
                f"Salesforce kept {len(left)} records locked: other programs or automations write "
                f"to them. The hub tries again.",
                f"salesforce {place.sobject}: {len(left)} rows UNABLE_TO_LOCK_ROW",
            )

    def _call(
        self, place: Place, writes: Sequence[Write], rows: Mapping[str, Row], *, once: bool
    ) -> Any:
        body = {"allOrNone": False, "records": [rows[w.key] for w in writes]}
        if once:
            return self._client.call("POST", _COLLECTIONS, body=body, once=True)
        if writes[0].crm_id:
            return self._client.call("PATCH", _COLLECTIONS, body=body)
        key = self._schemas.of(place).key
        path = f"{_COLLECTIONS}/{place.sobject}/{key}"
        try:
            return self._client.call("PATCH", path, body=body)
        except errors.RefusalError as refusal:
            if refusal.details.code != "NOT_FOUND":
                raise
            raise ConfigError(
                f"Salesforce's {place.sobject} has no unique external id {key} that the "
                f"integration user sees: run `brokersync crm install`.",
                refusal.log,
            ) from None

    # Converted leads, merged records

    def _follow(self, obj: CrmObject, writes: Sequence[Write], out: dict[str, Outcome]) -> None:
        """Write to what leads were converted into, or records merged into, meanwhile.

        A record that is still there was not deleted: it refers to one that was, to an owner, say.
        The codes are the same.
        """
        if not writes:
            return
        ids = {w.key: w.crm_id for w in writes if w.crm_id}
        if unknown := [w.key for w in writes if not w.crm_id]:
            ids |= self._reader.ids(LEAD, unknown)
        key = self._places[obj][0].key
        found = self._reader.read_ids(obj, [*ids.values()], ())
        moved: dict[str, Write] = {}
        for write in writes:
            record = found.get(ids.get(write.key, ""))
            if record is None:
                if _is(out[write.key], CONVERTED):
                    out[write.key] = errors.refused(write.key, errors.Details("NOT_FOUND"))
            elif record.crm_id == write.crm_id:
                out[write.key] = errors.refused(write.key, errors.Details("REFERENCE_GONE"))
            elif record.key in ("", write.key):
                carried = {**write.properties, key: write.key}
                moved[write.key] = Write(write.key, carried, record.crm_id)
            elif _is(out[write.key], CONVERTED):
                told = errors.Details("CONVERTED_INTO_ANOTHER", existing=(record.crm_id,))
                out[write.key] = errors.refused(write.key, told)
        for place in self._places[obj]:
            self._write(place, [w for w in moved.values() if self._place(obj, w) is place], out)
        for name in moved:
            if isinstance(done := out[name], Applied):
                done.successor = found[ids[name]].successor
            elif _is(done, GONE):  # it was just seen
                out[name] = errors.refused(name, errors.Details("REFERENCE_GONE"))

    # Tasks on people

    def create_tasks(self, writes: Sequence[Write], contacts: Mapping[str, str]) -> list[Outcome]:
        """Create tasks on clients' records, in one call that is sent once."""
        out: dict[str, Outcome] = {}
        rows = {w.key: row for w in writes if (row := self.row(TASK, w, out)) is not None}
        out |= self.put_on([(key, contacts[key]) for key in rows], rows=rows)
        _referring(writes, out)
        return [out[write.key] for write in writes]

    def put_on(
        self, pairs: Sequence[tuple[str, str]], *, rows: Mapping[str, Row] | None = None
    ) -> dict[str, Outcome]:
        """Put tasks on clients' records: (task, record) pairs, a task has one.

        Args:
            rows: new tasks by key, to be created once, in the place of ids of known ones.
        """
        who = self._reader.people_of(record for _, record in pairs)
        told = {task: who.get(record, record) for task, record in pairs}
        out = self._put(told, rows)
        lost = [task for task, outcome in out.items() if _is(outcome, CONVERTED)]
        if lost:
            leads = {told[task] for task in lost}
            contacts = self._reader.read_ids(CrmObject.CONTACT, sorted(leads), ())
            again = {t: contacts[told[t]].crm_id for t in lost if told[t] in contacts}
            out |= self._put(again, rows)
        return out

    def _put(self, told: Mapping[str, str], rows: Mapping[str, Row] | None) -> dict[str, Outcome]:
        out: dict[str, Outcome] = {}
        if rows is None:
            whole = {
                task: {"attributes": {"type": TASK.sobject}, "Id": task, "WhoId": who}
                for task, who in told.items()
            }
            self.send(TASK, [Write(task, {}, task) for task in told], whole, out)
        else:
            whole = {t: rows[t] | ({"WhoId": who} if who else {}) for t, who in told.items()}
            self.send(TASK, [Write(task, {}) for task in told], whole, out, once=True)
        return out


def _referring(writes: Sequence[Write], out: dict[str, Outcome]) -> None:
    """A new record cannot be gone: it refers to one that is."""
    for write in writes:
        if not write.crm_id and _is(out[write.key], GONE):
            out[write.key] = errors.refused(write.key, errors.Details("REFERENCE_GONE"))


def _went(write: Write, outcome: Outcome) -> bool:
    """Whether another record may have taken the place of the one that was to be written."""
    return _is(outcome, CONVERTED) or (bool(write.crm_id) and _is(outcome, GONE))


def _is(outcome: Outcome, code: str) -> bool:
    return isinstance(outcome, Refused) and outcome.code == code


def created(outcome: Outcome) -> Outcome:
    """Of a create: every record of a successful row is new."""
    return replace(outcome, created=True) if isinstance(outcome, Applied) else outcome
