"""Salesforce as the hub's destination: contacts and tasks by the hub's own unique keys.

Records known by their id are updated by it and never created anew; others are upserted by the
unique external id, 200 a call. All writes but the creation of tasks without such an id are
idempotent: a lost answer is met by sending the same again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import Context
from connectors.destination import (
    Addressed,
    Applied,
    CallCount,
    Changed,
    Cost,
    CrmObject,
    CrmProperty,
    CrmRecord,
    Outcome,
    Owner,
    Scopes,
    Work,
    Write,
)
from connectors.salesforce import accounting, errors, forecast, install, queries, schema, tasks
from connectors.salesforce.bulk import Bulk, Target
from connectors.salesforce.client import MOST, SalesforceClient, reading
from connectors.salesforce.manifest import MANIFEST
from connectors.salesforce.schema import SOBJECTS, Described
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.values import Json, instant_ms, inward, outward
from mapping.errors import ConfigError, RetryableError

KEYS = {
    CrmObject.CONTACT: "broker_client_id",
    CrmObject.TASK: "broker_task_key",
    CrmObject.COMPANY: "broker_partner_key",
}
_COLLECTIONS = "composite/sobjects"
_LOCK_WAITS_S = (1.0, 2.0, 4.0, 8.0)
_MERGES = 5  # a survivor may have been merged in turn


class SalesforceDestination:
    """See :class:`connectors.destination.Destination`. Safe to use from several threads."""

    manifest = MANIFEST
    settings_type = SalesforceSettings
    batch = MOST

    def __init__(self, settings: SalesforceSettings, context: Context) -> None:
        self.name = context.name
        self.settings = settings
        self.counts = CallCount()
        self.daily_limit: int | None = settings.daily_limit
        self._clock = context.clock
        self._zones = context.brands
        self._client = SalesforceClient(settings, context, self.counts)
        self._bulk = Bulk(self._client, context.clock, settings.bulk_wait_s)
        self._describing = threading.Lock()
        self._described: dict[CrmObject, Described] = {}
        self._statuses: tasks.Statuses | None = None

    # Rights and schema

    def check(self) -> None:
        """Prove that the hub may sign in and see what it writes.

        Raises:
            ConfigError: the credentials, the API version or a right.
        """
        offered = self._client.version_list()
        if self.settings.api_version not in offered:
            raise ConfigError(
                f"Salesforce does not offer API version {self.settings.api_version} (newest: "
                f"{offered[-1] if offered else 'none'}): set api_version of this destination."
            )
        for obj in (CrmObject.CONTACT, CrmObject.TASK):
            self.describe(obj)

    def lacks(self, obj: CrmObject) -> str:
        """Why the integration user may not write such records; partners are not written yet."""
        if obj is CrmObject.COMPANY:
            return "partners are not written to Salesforce"
        found = self._client.describe(SOBJECTS[obj])
        missing = [right for right in ("createable", "updateable", "queryable") if not found[right]]
        return f"{SOBJECTS[obj]} is not {' or '.join(missing)} for the user" if missing else ""

    def scopes(self) -> Scopes | None:
        """None: what the integration user may do beyond need is not asked for yet."""
        return None

    def describe(self, obj: CrmObject) -> Mapping[str, CrmProperty]:
        """The org's live schema, by the hub's names."""
        found = schema.describe(self._client, obj)
        self._described[obj] = found
        return found.properties

    def _known(self, obj: CrmObject) -> Described:
        if obj not in self._described:
            with self._describing:
                if obj not in self._described:
                    self.describe(obj)
        return self._described[obj]

    def _key(self, obj: CrmObject) -> str:
        return self._known(obj).names.api(KEYS[obj])

    def keyed(self, obj: CrmObject) -> bool:
        """Whether Salesforce keeps the hub's key unique: a field that may be upserted by."""
        return self._key(obj) in self._known(obj).keys

    def install(self, obj: CrmObject, wanted: Sequence[CrmProperty]) -> Sequence[str]:
        """Create missing fields and options, and let the integration user see them."""
        own = [tasks.PROPERTY] if obj is CrmObject.TASK else []
        done = install.install(self._client, obj, [*wanted, *own], self.describe(obj))
        self._described.pop(obj, None)
        return done

    def owners(self) -> Sequence[Owner]:
        """Users who can own tasks, and queues, whose address is their developer name."""
        out: list[Owner] = []
        users = ("Id", "Email", "IsActive")
        for page in queries.select(self._client, "User", users, "WHERE UserType = 'Standard'"):
            with reading("users"):
                out += [
                    Owner(r["Id"], (r["Email"] or "").lower(), "PERSON", bool(r["IsActive"]))
                    for r in page
                ]
        queues = ("Id", "DeveloperName")
        for page in queries.select(self._client, "Group", queues, "WHERE Type = 'Queue'"):
            with reading("queues"):
                out += [Owner(r["Id"], str(r["DeveloperName"]).lower(), "QUEUE") for r in page]
        return out

    # Reading

    def read(
        self, obj: CrmObject, keys: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the hub's key; for tasks also the contact they are put on."""
        self._bounded(keys)
        key = self._key(obj)
        rows = queries.among(self._client, SOBJECTS[obj], self._fields(obj, properties), key, keys)
        with reading("query"):
            found = [self._record(obj, row, properties) for row in rows]
        asked = set(keys)  # Salesforce may compare without case
        return {record.key: record for record in found if record.key in asked}

    def read_ids(
        self, obj: CrmObject, crm_ids: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by Salesforce's ids; a merged one gives the survivor."""
        self._bounded(crm_ids)
        names = [*self._fields(obj, properties), "IsDeleted"]
        if obj is CrmObject.CONTACT:
            names.append("MasterRecordId")
        found: dict[str, CrmRecord] = {}
        asked = {crm_id: crm_id for crm_id in crm_ids}  # asked id -> where it is looked for now
        for _ in range(_MERGES):
            wanted = sorted(set(asked.values()))
            rows = queries.among(self._client, SOBJECTS[obj], names, "Id", wanted, deleted=True)
            by_id = {str(row["Id"]): row for row in rows}
            following: dict[str, str] = {}
            for crm_id, at in asked.items():
                row = by_id.get(at)
                if row is None:
                    continue
                if not row["IsDeleted"]:
                    found[crm_id] = self._record(obj, row, properties)
                elif master := row.get("MasterRecordId"):
                    following[crm_id] = str(master)
            if not following:
                break
            asked = following
        return found

    def changed(self, obj: CrmObject, since: int) -> Iterator[Changed]:
        """By SystemModstamp, which every change moves; queries see it at once."""
        key = self._key(obj)
        at = outward("datetime", str(since))
        where = f"WHERE {key} != null AND SystemModstamp >= {at} ORDER BY SystemModstamp, Id"
        for page in queries.select(self._client, SOBJECTS[obj], ("Id", "SystemModstamp"), where):
            with reading("query"):
                if page:
                    until = instant_ms(str(page[-1]["SystemModstamp"]))
                    yield Changed([str(row["Id"]) for row in page], until)

    def by_email(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Contacts by their address."""
        self._bounded(emails)
        rows = queries.among(self._client, "Contact", ("Id", "Email"), "Email", emails)
        found: dict[str, set[str]] = {}
        with reading("query"):
            for row in rows:
                found.setdefault(str(row["Email"]).lower(), set()).add(str(row["Id"]))
        return {email: frozenset(ids) for email, ids in found.items()}

    def contacts(self) -> Iterator[Sequence[Addressed]]:
        """All contacts, 2,000 a call."""
        for page in queries.select(self._client, "Contact", ("Id", "Email"), ""):
            with reading("query"):
                yield [
                    Addressed(str(r["Id"]), frozenset({r["Email"].lower()} if r["Email"] else ()))
                    for r in page
                ]

    def _fields(self, obj: CrmObject, properties: Sequence[str]) -> list[str]:
        own = ["Id", "OwnerId", self._key(obj)]
        own += ["WhoId"] if obj is CrmObject.TASK else ["Email"]
        return [*own, *self._api_names(obj, properties)]

    def _api_names(self, obj: CrmObject, properties: Sequence[str]) -> list[str]:
        known = self._known(obj)
        wanted = tasks.fields(properties, self._due) if obj is CrmObject.TASK else properties
        return [known.names.api(name) for name in wanted]

    def _record(
        self, obj: CrmObject, row: Mapping[str, Any], properties: Sequence[str]
    ) -> CrmRecord:
        who = row.get("WhoId")
        email = row.get("Email")
        return CrmRecord(
            crm_id=str(row["Id"]),
            properties=self._shown(obj, row, properties),
            associated=frozenset({str(who)} if who else ()),
            key=str(row.get(self._key(obj)) or ""),
            owner=str(row.get("OwnerId") or ""),
            emails=frozenset({email.lower()} if email else ()),
        )

    def _shown(
        self, obj: CrmObject, row: Mapping[str, Any], properties: Sequence[str]
    ) -> dict[str, str]:
        if obj is CrmObject.TASK:
            return tasks.inbound(properties, row, self._due)
        kinds, names = self._known(obj).kinds, self._api_names(obj, properties)
        return {
            ours: inward(kinds.get(api, "string"), row.get(api))
            for ours, api in zip(properties, names, strict=True)
        }

    # Writing

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records; the outcomes are in the order of ``writes``.

        Raises:
            ValueError: too many, or one key twice (a mistake of the caller).
        """
        self._bounded([write.key for write in writes], self._most(obj))
        self._bulk.abort_left_behind()
        out: dict[str, Outcome] = {}
        for known in (True, False):
            left = [w for w in writes if bool(w.crm_id) is known]
            if len(left) > self._in_bulk_above and self._most(obj) > self.batch:
                left = self._in_bulk(obj, left, out)
            for start in range(0, len(left), self.batch):
                part = left[start : start + self.batch]
                rows = {w.key: row for w in part if (row := self._row(obj, w, out)) is not None}
                self._send(obj, [w for w in part if w.key in rows], rows, out)
        return [out[write.key] for write in writes]

    def batch_of(self, obj: CrmObject, pending: int) -> int:
        """200, or the rows of a bulk job where so many contacts are pending that it pays."""
        return self._most(obj) if pending > self.settings.bulk_above else self.batch

    def cost(self, obj: CrmObject, work: Work, once: set[str]) -> Cost:
        """By what is known of the org's fields: before they were read, by the hub's own names."""
        known = obj in self._described
        ask = self._fields if known else lambda _, names: ["Id", "OwnerId", KEYS[obj], *names]
        found = forecast.cost(
            obj, work, read_fields=ask(obj, work.read_names),
            look_fields=[*ask(obj, work.look_names), "IsDeleted", "MasterRecordId"],
            in_bulk=self._in_bulk_above, keyed=known and self.keyed(obj),
        )  # fmt: skip
        first = set()
        if obj is CrmObject.TASK and self._statuses is None and work.created + work.updated:
            first.add("statuses")
        if found.jobs:
            keys = {"Id": work.updated, self._key(obj) if known else KEYS[obj]: work.created}
            busy = {key for key, count in keys.items() if count > self._in_bulk_above}
            first |= {key for key in busy if not self._bulk.looked(SOBJECTS[obj], key)}
        found.calls += len(first - once)
        once |= first
        return found

    @property
    def _in_bulk_above(self) -> int:
        return max(self.batch, self.settings.bulk_above)

    def _most(self, obj: CrmObject) -> int:
        bulk = obj is CrmObject.CONTACT and self.settings.bulk_above
        return self.settings.bulk_rows if bulk else self.batch

    def _in_bulk(
        self, obj: CrmObject, writes: Sequence[Write], out: dict[str, Outcome]
    ) -> list[Write]:
        """Write records, all known by their id or none, by bulk jobs; what is left for calls."""
        known, by_key = self._known(obj), {w.key: w for w in writes}
        key = "Id" if writes[0].crm_id else self._key(obj)
        target = Target(SOBJECTS[obj], key, frozenset(known.kinds))
        said: set[str] = set().union(*(w.properties for w in writes))
        names = sorted({known.names.api(name) for name in said})
        done = self._bulk.write(target, names, by_key, lambda k: self._row(obj, by_key[k], out))
        out |= done.outcomes
        return [by_key[k] for k in done.again]

    def _row(self, obj: CrmObject, write: Write, out: dict[str, Outcome]) -> dict[str, Any] | None:
        """The write as Salesforce takes it, its type first; None, and a refusal, if it is none."""
        row: dict[str, Any] = {"attributes": {"type": SOBJECTS[obj]}}
        try:
            row |= self._values(obj, write)
        except ValueError as error:
            name = str(error.args[-1]) if len(error.args) > 1 else ""
            told = errors.Details("INVALID_TYPE_ON_FIELD_IN_RECORD", (name,) if name else ())
            out[write.key] = errors.refused(write.key, told)
            return None
        if write.crm_id:
            row["Id"] = write.crm_id
        else:
            row[self._key(obj)] = write.key
        return row

    def _values(self, obj: CrmObject, write: Write) -> dict[str, Json]:
        known = self._known(obj)
        if obj is CrmObject.TASK:
            zone = tasks.zone_of(write.key, self._zones)
            said = tasks.outbound(write.properties, zone, self._task_statuses(), self._due)
            return {known.names.api(name): value for name, value in said.items()}
        found: dict[str, Json] = {}
        for name, text in write.properties.items():
            api = known.names.api(name)
            try:
                found[api] = outward(known.kinds.get(api, "string"), text)
            except ValueError as error:
                raise ValueError("not a value of the field's type", api) from error
        return found

    @property
    def _due(self) -> str:
        return tasks.DUE if tasks.DUE in self._known(CrmObject.TASK).kinds else tasks.REMINDER

    def _task_statuses(self) -> tasks.Statuses:
        if self._statuses is None:
            names = ("ApiName", "IsClosed", "IsDefault", "SortOrder")
            rows = [r for p in queries.select(self._client, "TaskStatus", names, "") for r in p]
            with reading("TaskStatus"):
                self._statuses = tasks.statuses(rows)
        return self._statuses

    def _send(
        self, obj: CrmObject, writes: Sequence[Write], rows: Mapping[str, dict[str, Any]],
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
                answer = self._call(obj, part, rows, once=once)
                done = accounting.counted(answer, part)
                out |= done.outcomes
                left += done.locked
        if left:
            raise RetryableError(
                f"Salesforce kept {len(left)} records locked: other programs or automations write "
                f"to them. The hub tries again.",
                f"salesforce {SOBJECTS[obj]}: {len(left)} rows UNABLE_TO_LOCK_ROW",
            )

    def _call(
        self, obj: CrmObject, writes: Sequence[Write], rows: Mapping[str, dict[str, Any]], *,
        once: bool,
    ) -> Any:  # fmt: skip
        body = {"allOrNone": False, "records": [rows[w.key] for w in writes]}
        if once:
            return self._client.call("POST", _COLLECTIONS, body=body, once=True)
        if writes[0].crm_id:
            return self._client.call("PATCH", _COLLECTIONS, body=body)
        path = f"{_COLLECTIONS}/{SOBJECTS[obj]}/{self._key(obj)}"
        try:
            return self._client.call("PATCH", path, body=body)
        except errors.RefusalError as refusal:
            if refusal.details.code != "NOT_FOUND":
                raise
            raise ConfigError(
                f"Salesforce's {SOBJECTS[obj]} has no unique external id {self._key(obj)} that the "
                f"integration user sees: run `brokersync crm install`.",
                refusal.log,
            ) from None

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Outcome]:
        """Put tasks on contacts: a task has one."""
        found: list[Outcome] = []
        for start in range(0, len(pairs), self.batch):
            part = pairs[start : start + self.batch]
            writes = [Write(task, {}, task) for task, _ in part]
            rows = {
                task: {"attributes": {"type": "Task"}, "Id": task, "WhoId": to} for task, to in part
            }
            out: dict[str, Outcome] = {}
            self._send(CrmObject.TASK, writes, rows, out)
            found += [out[task] for task, _ in part]
        return found

    def find_tasks(
        self, contacts: Mapping[str, str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Tasks by their key: queries see everything at once, so the contacts do not matter."""
        return self.read(CrmObject.TASK, [*contacts], properties)

    def create_tasks(
        self, writes: Sequence[Write], contacts: Mapping[str, str]
    ) -> Sequence[Outcome]:
        """One call, sent once: creating is not idempotent."""
        self._bounded([write.key for write in writes])
        out: dict[str, Outcome] = {}
        rows: dict[str, dict[str, Any]] = {}
        for write in writes:
            row = self._row(CrmObject.TASK, write, out)
            if row is not None:
                rows[write.key] = row | ({"WhoId": who} if (who := contacts[write.key]) else {})
        self._send(CrmObject.TASK, [w for w in writes if w.key in rows], rows, out, once=True)
        return [
            Applied(o.key, o.crm_id, created=True) if isinstance(o, Applied) else o
            for o in (out[write.key] for write in writes)
        ]

    def _bounded(self, keys: Sequence[str], most: int = MOST) -> None:
        if len(keys) > most:
            raise ValueError(f"{len(keys)} records in one call, at most {most} are allowed")
        if len(set(keys)) != len(keys):
            raise ValueError("a key occurs twice in one call")

    def close(self) -> None:
        """Give back connections."""
        self._client.close()
