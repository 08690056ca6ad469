"""HubSpot as the hub's destination: contacts, tasks and companies by the hub's own unique keys.

Every write carries a trace id, so that one bad record refuses only itself (documented for create,
confirmed for upsert on a live portal). All writes are idempotent: upserts by unique key, default
associations, properties by name. A lost answer is therefore met by sending the same again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.base import Context
from connectors.destination import (
    Addressed,
    CallCount,
    Changed,
    CrmObject,
    CrmProperty,
    CrmRecord,
    NoRightError,
    OneWay,
    Outcome,
    Owner,
    Scopes,
    Write,
    bounded,
)
from connectors.hubspot import (
    accounting,
    addresses,
    changes,
    errors,
    rights,
    schema,
    tasks,
    unkeyed,
)
from connectors.hubspot.client import HubSpotClient, Pool, reading
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import Convert, readers, writers
from mapping.errors import ConfigError

_OWNER, _MERGED = "hubspot_owner_id", "hs_merged_object_ids"
_OWN: dict[CrmObject, tuple[str, ...]] = {
    CrmObject.CONTACT: (_OWNER, _MERGED, addresses.EMAIL, addresses.FURTHER),
    CrmObject.TASK: (_OWNER,),
    CrmObject.COMPANY: (_OWNER, _MERGED),
}
"""HubSpot's own properties that are read with each record."""
_LINKS = 1000  # documented: 2,000 for writing, 1,000 for reading
_SAME_FOR_ALL = frozenset({"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"})


class HubSpotDestination(OneWay):
    """See :class:`connectors.destination.Destination`. Safe to use from several threads.

    Args:
        pool: instead of real connections (tests).
    """

    manifest = MANIFEST
    settings_type = HubSpotSettings
    last_name_needed = False
    batch = 100  # documented: inputs of one object batch
    schema_calls = 2

    def __init__(
        self, settings: HubSpotSettings, context: Context, *, pool: Pool | None = None
    ) -> None:
        self.name = context.name
        self.settings = settings
        self.counts = CallCount()
        self.daily_limit: int | None = settings.daily_limit
        self._client = HubSpotClient(settings, context, self.counts, pool)
        self._keys = {
            CrmObject.CONTACT: settings.contact_key,
            CrmObject.TASK: settings.task_key,
            CrmObject.COMPANY: settings.company_key,
        }
        self._describing = threading.Lock()
        self._writers: dict[CrmObject, dict[str, Convert]] = {}
        self._readers: dict[CrmObject, dict[str, Convert]] = {}
        self._unique: dict[CrmObject, bool] = {}

    # Rights and schema

    def check(self) -> None:
        """Prove that the token works and has each scope a sync needs.

        Raises:
            ConfigError: names every missing scope at once.
        """
        crm = self._client.crm
        read, write = self._probes(CrmObject.CONTACT)
        missing = errors.refusals_of(
            [
                read,
                lambda: self._client.call(crm.properties.core_api.get_all, "contacts"),
                lambda: self._client.call(crm.owners.owners_api.get_page, limit=1),
                write,
            ]
        )
        if missing:
            scopes = tuple(dict.fromkeys(s for error in missing for s in error.scopes))
            raise errors.MissingScopeError(
                f"HubSpot's access token lacks scopes: {', '.join(scopes)}. Add them to the "
                f"service key (Settings > Integrations > Service Keys) and start again.",
                missing[0].log,
                scopes,
            )

    def _probes(self, obj: CrmObject) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Calls that need the right to read and to write records, and do neither to any."""
        apis = self._client.of(obj)
        nothing: dict[str, Any] = {"inputs": []}
        return (
            lambda: self._client.call(apis.basic_api.get_page, limit=1),
            # Writes nothing; a portal that finds an empty batch wrong has accepted the scope.
            lambda: self._client.call(apis.batch_api.upsert, nothing, expect=(200, 201, 207)),
        )

    def lacks(self, obj: CrmObject) -> str:
        """What HubSpot refuses the token, by trying: one call to read, one to write."""
        try:
            missing = errors.refusals_of(self._probes(obj))
        except NoRightError as error:
            return error.admin
        if not missing:
            return ""
        scopes = dict.fromkeys(s for error in missing for s in error.scopes)
        return f"the access token lacks {', '.join(scopes)}"

    def scopes(self) -> Scopes | None:
        """What the token may do, against what is needed; None where HubSpot does not tell."""
        return rights.scopes(self._client)

    def describe(self, obj: CrmObject) -> Mapping[str, CrmProperty]:
        """The portal's live schema. Also refreshes what values are converted by."""
        properties = schema.describe(self._client, obj)
        key = properties.get(self._keys[obj])
        self._unique[obj] = key is not None and key.unique
        self._writers[obj] = writers(properties)
        self._readers[obj] = readers(properties)
        return properties

    def _known(self, obj: CrmObject) -> None:
        """Read the schema once before the first value is converted."""
        if obj not in self._readers:
            with self._describing:
                if obj not in self._readers:
                    self.describe(obj)

    def install(self, obj: CrmObject, wanted: Sequence[CrmProperty]) -> Sequence[str]:
        """Create the missing group, properties and options (scope crm.schemas.contacts.write)."""
        done = schema.install(self._client, self.settings, obj, wanted)
        self._readers.pop(obj, None)
        return done

    def owners(self) -> Sequence[Owner]:
        """All owners; HubSpot lists archived ones apart."""
        api = self._client.crm.owners.owners_api
        out: list[Owner] = []
        for archived in (False, True):
            after: dict[str, Any] = {}
            while True:
                page = self._client.call(api.get_page, limit=100, archived=archived, **after)
                with reading("owners"):
                    out += [
                        Owner(
                            crm_id=str(row["id"]),
                            email=(row.get("email") or "").lower(),
                            kind=row.get("type") or "PERSON",
                            active=not archived,
                        )
                        for row in page["results"]
                    ]
                    following = (page.get("paging") or {}).get("next")
                    if not following:
                        break
                    after = {"after": following["after"]}
        return out

    # Records

    def read(
        self, obj: CrmObject, keys: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the hub's key; for tasks also the contacts they are linked to."""
        bounded(keys, self.batch)
        if not keys:
            return {}
        self._known(obj)
        key_property = self._keys[obj]
        wire = tasks.names([*properties]) if obj is CrmObject.TASK else [*properties]
        body = {
            "idProperty": key_property,
            "inputs": [{"id": key} for key in keys],
            "properties": [*dict.fromkeys((*wire, key_property))],
            "propertiesWithHistory": [],
        }
        try:
            answer = self._client.call(self._client.of(obj).batch_api.read, body, expect=(200, 207))
        except errors.RefusalError as refusal:
            raise self._no_key(obj, refusal) from None
        with reading("batch/read"):
            accounting.only_absent(answer, "batch/read")
            rows = {str(row["properties"][key_property]): row for row in answer["results"]}
            ids = [str(row["id"]) for row in rows.values()]
        linked = self._linked(ids) if obj is CrmObject.TASK and ids else {}
        with reading("batch/read"):
            return {key: self._record(obj, row, properties, linked) for key, row in rows.items()}

    def read_ids(
        self, obj: CrmObject, crm_ids: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by HubSpot's ids; a merged id gives the survivor (assumed of batch reads)."""
        bounded(crm_ids, self.batch)
        if not crm_ids:
            return {}
        self._known(obj)
        wire = tasks.names([*properties]) if obj is CrmObject.TASK else [*properties]
        names = [*dict.fromkeys((*wire, self._keys[obj], *_OWN[obj]))]
        body = {
            "inputs": [{"id": i} for i in crm_ids],
            "properties": names,
            "propertiesWithHistory": [],
        }
        answer = self._client.call(self._client.of(obj).batch_api.read, body, expect=(200, 207))
        with reading("batch/read"):
            accounting.only_absent(answer, "batch/read")
            found = [self._record(obj, row, properties, {}) for row in answer["results"]]
            by_id = {i: record for record in found for i in (record.crm_id, *record.merged)}
            return {i: by_id[i] for i in crm_ids if i in by_id}

    def by_email(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Contacts by primary or further address."""
        bounded(emails, self.batch)
        return addresses.by_email(self._client, emails) if emails else {}

    def contacts(self) -> Iterator[Sequence[Addressed]]:
        """The whole portal, a hundred contacts a call."""
        return addresses.every(self._client)

    def keyed(self, obj: CrmObject) -> bool:
        """Whether the key property has unique values (some portals allow none on tasks)."""
        self._known(obj)
        return self._unique[obj]

    def find_tasks(
        self, contacts: Mapping[str, str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Tasks by key: read from their contacts, and searched for in case a link was cut."""
        keys = [*contacts]
        bounded(keys, self.batch)
        ids = unkeyed.candidates(self._client, self._keys[CrmObject.TASK], contacts)
        found: dict[str, CrmRecord] = {}
        for start in range(0, len(ids), self.batch):
            part = self.read_ids(CrmObject.TASK, ids[start : start + self.batch], properties)
            for record in sorted(part.values(), key=lambda r: int(r.crm_id)):
                if record.key in contacts:  # of two with one key, the older is the hub's
                    found.setdefault(record.key, record)
        linked = self._linked([r.crm_id for r in found.values()]) if found else {}
        return {
            key: replace(r, associated=linked.get(r.crm_id, frozenset()))
            for key, r in found.items()
        }

    def create_tasks(
        self, writes: Sequence[Write], contacts: Mapping[str, str]
    ) -> Sequence[Outcome]:
        """One batch, sent once: HubSpot's create is not idempotent."""
        bounded([write.key for write in writes], self.batch)
        self._known(CrmObject.TASK)
        out: dict[str, Outcome] = {}
        wire = [w for w in (self._wire(CrmObject.TASK, w, out) for w in writes) if w]
        self._create(wire, contacts, out)
        return [out[write.key] for write in writes]

    def _create(
        self, writes: Sequence[Write], contacts: Mapping[str, str], out: dict[str, Outcome]
    ) -> None:
        if not writes:
            return
        key_property = self._keys[CrmObject.TASK]
        try:
            api = self._client.of(CrmObject.TASK).batch_api
            out |= unkeyed.create(self._client, api, key_property, writes, contacts)
        except errors.RefusalError as refusal:  # nothing was created: find out whose fault it is
            if refusal.status not in (400, 409):
                raise
            if len(writes) == 1:
                out[writes[0].key] = errors.refused(writes[0].key, refusal.details)
                return
            middle = len(writes) // 2
            self._create(writes[:middle], contacts, out)
            self._create(writes[middle:], contacts, out)

    def changed(self, obj: CrmObject, since: int) -> Iterator[Changed]:
        """By HubSpot's search, which lags seconds behind and shows 10,000 records at most."""
        return changes.changed(self._client, obj, self._keys[obj], since)

    def _record(
        self, obj: CrmObject, row: Mapping[str, Any], properties: Sequence[str],
        linked: Mapping[str, frozenset[str]],
    ) -> CrmRecord:  # fmt: skip
        values = row["properties"]
        return CrmRecord(
            crm_id=str(row["id"]),
            properties=self._asked(obj, values, properties),
            associated=linked.get(str(row["id"]), frozenset()),
            key=values.get(self._keys[obj]) or "",
            owner=values.get(_OWNER) or "",
            merged=frozenset(filter(None, (values.get(_MERGED) or "").split(";"))),
            emails=addresses.of_row(row).emails,
        )

    def _asked(
        self, obj: CrmObject, values: Mapping[str, str | None], names: Sequence[str]
    ) -> dict[str, str]:
        if obj is not CrmObject.TASK:
            return self._shown(obj, values, names)
        return tasks.inward([*names], self._shown(obj, values, tasks.names([*names])))

    def _shown(
        self, obj: CrmObject, values: Mapping[str, str | None], names: Sequence[str]
    ) -> dict[str, str]:
        convert = self._readers[obj]
        out: dict[str, str] = {}
        for name in names:
            value = values.get(name)
            reader = convert.get(name) if value else None
            out[name] = reader(value) if reader and value else value or ""
        return out

    def _linked(self, task_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Task id -> ids of its contacts."""
        api = self._client.crm.associations.v4.batch_api
        body = {"inputs": [{"id": task_id} for task_id in task_ids]}
        answer = self._client.call(api.get_page, "tasks", "contacts", body, expect=(200, 207))
        with reading("associations/batch/read"):
            accounting.only_absent(answer, "associations/batch/read")
            return {
                str(row["from"]["id"]): frozenset(str(to["toObjectId"]) for to in row["to"])
                for row in answer["results"]
            }

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records by the hub's key; the outcomes are in the order of ``writes``.

        Raises:
            ValueError: too many inputs, or one key twice (a mistake of the caller: HubSpot would
                refuse the whole batch).
        """
        keys = [write.key for write in writes]
        bounded(keys, self.batch)
        if not keys:
            return []
        self._known(obj)
        out: dict[str, Outcome] = {}
        sendable = [write for write in (self._wire(obj, w, out) for w in writes) if write]
        self._send(obj, sendable, out)
        return [out[key] for key in keys]

    def _wire(self, obj: CrmObject, write: Write, out: dict[str, Outcome]) -> Write | None:
        """The write as HubSpot takes it; None, and a refusal, if a value has not its type."""
        convert = self._writers[obj]
        properties = (
            tasks.outward(write.properties) if obj is CrmObject.TASK else dict(write.properties)
        )
        names = convert.keys() & properties.keys()
        if not names and properties == write.properties:
            return write
        for name in names:
            try:
                properties[name] = convert[name](properties[name])
            except ValueError:
                found = errors.Details(problems=((name, "INVALID_DATE"),))
                out[write.key] = errors.refused(write.key, found)
                return None
        return Write(write.key, properties, write.crm_id)

    def _send(self, obj: CrmObject, writes: Sequence[Write], out: dict[str, Outcome]) -> None:
        """Write ``writes`` and put their outcomes into ``out``: known records by id, others by key.

        A known record is never upserted: had somebody deleted it, that would create it again.
        """
        api = self._client.of(obj).batch_api
        self._send_by(api.update, obj, [w for w in writes if w.crm_id], out)
        self._send_by(api.upsert, obj, [w for w in writes if not w.crm_id], out)

    def _send_by(
        self, method: Any, obj: CrmObject, writes: Sequence[Write], out: dict[str, Outcome]
    ) -> None:
        if not writes:
            return
        key_property = self._keys[obj]
        inputs: list[dict[str, Any]] = [
            {
                "id": w.crm_id or w.key,
                "objectWriteTraceId": str(place),
                "properties": _plain(w.properties),
            }
            for place, w in enumerate(writes)
        ]
        for one, w in zip(inputs, writes, strict=True):
            if not w.crm_id:
                one["idProperty"] = key_property
        try:
            answer = self._client.call(method, {"inputs": inputs}, expect=(200, 201, 207))
        except errors.RefusalError as refusal:
            self._send_apart(obj, writes, refusal, out)
            return
        with reading("batch write"):
            out.update(accounting.upserted(answer, writes, key_property))

    def _send_apart(
        self,
        obj: CrmObject,
        writes: Sequence[Write],
        refusal: errors.RefusalError,
        out: dict[str, Outcome],
    ) -> None:
        """HubSpot refused the whole batch in spite of trace ids: find out whose fault it is.

        A property that is not there is everybody's who has it; else halves are tried, so that a
        bad record costs about 2 log2(100) calls and stops nobody.
        """
        if refusal.status not in (400, 409) or refusal.details.key_unusable:
            raise self._no_key(obj, refusal)
        found = refusal.details
        codes = {code for _, code in found.problems}
        faulty = [write for write in writes if write.properties.keys() & set(found.names)]
        if len(writes) == 1:
            faulty = list(writes)
        elif not faulty or not codes <= _SAME_FOR_ALL:
            middle = len(writes) // 2
            self._send(obj, writes[:middle], out)
            self._send(obj, writes[middle:], out)
            return
        for write in faulty:
            out[write.key] = errors.refused(write.key, found)
        self._send(obj, [write for write in writes if write.key not in out], out)

    def _no_key(self, obj: CrmObject, refusal: errors.RefusalError) -> Exception:
        if not refusal.details.key_unusable:
            return refusal
        return ConfigError(
            f"HubSpot's {schema.TYPES[obj]} have no property {self._keys[obj]} with unique values: "
            f"run `brokersync crm install`.",
            refusal.log,
        )

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Outcome]:
        """Link tasks to contacts with HubSpot's default association (idempotent)."""
        api = self._client.crm.associations.v4.batch_api
        out: list[Outcome] = []
        for start in range(0, len(pairs), _LINKS):
            part = pairs[start : start + _LINKS]
            body = {"inputs": [{"from": {"id": task}, "to": {"id": to}} for task, to in part]}
            answer = self._client.call(
                api.create_default, "tasks", "contacts", body, expect=(200, 201, 207)
            )
            with reading("associate/default"):
                out += accounting.associated(answer, part)
        return out

    def close(self) -> None:
        """Give back connections."""
        self._client.close()


def _plain(properties: Mapping[str, str]) -> dict[str, str]:
    """A dict, as JSON needs it, copied only where it is something else."""
    return properties if isinstance(properties, dict) else dict(properties)
