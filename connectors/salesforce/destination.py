"""Salesforce as the hub's destination: clients, tasks and partners by the hub's own unique keys.

Which records stand for clients is the org's choice: :mod:`connectors.salesforce.model`. All writes
but the creation of tasks without a unique key are idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import Context
from connectors.destination import (
    Addressed,
    CallCount,
    Changed,
    Cost,
    CrmObject,
    CrmProperty,
    CrmRecord,
    NoRightError,
    Outcome,
    Owner,
    Refused,
    Scopes,
    Work,
    Write,
    bounded,
)
from connectors.salesforce import errors, forecast, install, rights, schema, setup, tasks
from connectors.salesforce.bulk import Bulk
from connectors.salesforce.client import MOST, SalesforceClient
from connectors.salesforce.manifest import MANIFEST
from connectors.salesforce.model import PERSON_ACCOUNT, places
from connectors.salesforce.reader import Reader
from connectors.salesforce.schema import Schemas
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.writer import Writer, created
from mapping.errors import ConfigError

_OF_DELETED = ("IsDeleted", "MasterRecordId")


class SalesforceDestination:
    """See :class:`connectors.destination.Destination`. Safe to use from several threads."""

    manifest = MANIFEST
    settings_type = SalesforceSettings
    batch = MOST
    last_name_needed = True

    def __init__(self, settings: SalesforceSettings, context: Context, pool: Any = None) -> None:
        """``pool``: stands in for urllib3's pools, to reach an org in the same process."""
        self.name = context.name
        self.settings = settings
        self.counts = CallCount()
        self.daily_limit: int | None = settings.daily_limit
        self._client = SalesforceClient(settings, context, self.counts, pool)
        self._bulk = Bulk(self._client, context.clock, settings.bulk_wait_s)
        self._places = places(settings.object_model)
        # Places, and which task statuses are closed.
        self.schema_calls = len(self._places[CrmObject.CONTACT]) + 2
        self._schemas = Schemas(self._client)
        self._org = setup.Setup(self._client, settings.person_record_type)
        self._reader = Reader(self._client, self._schemas, self._places, self._org)
        self._writer = Writer(
            self._client, self._schemas, self._places, self._reader, context.clock,
            context.brands, self._org, self._bulk, max(MOST, settings.bulk_above),
        )  # fmt: skip

    # Rights and schema

    def check(self) -> None:
        """Prove that the hub may sign in and see what it writes.

        Raises:
            ConfigError: the credentials, the API version, a right, or an org without what
                ``object_model`` needs.
        """
        offered = self._client.version_list()
        if self.settings.api_version not in offered:
            raise ConfigError(
                f"Salesforce does not offer API version {self.settings.api_version} (newest: "
                f"{offered[-1] if offered else 'none'}): set api_version of this destination."
            )
        for obj in (CrmObject.CONTACT, CrmObject.TASK):
            if why := self.lacks(obj):
                raise NoRightError(f"{why}: give its permission set what is missing.")
            self.describe(obj)
        if PERSON_ACCOUNT in self._places[CrmObject.CONTACT]:
            self._org.person_record_type()

    def lacks(self, obj: CrmObject) -> str:
        """The rights on the object that the integration user lacks, as Setup names them."""
        missing = [r for place in self._places[obj] for r in schema.lacking(self._client, place)]
        return f"the integration user may not: {', '.join(missing)}" if missing else ""

    def scopes(self) -> Scopes | None:
        """What the integration user may do beyond and short of need; None: it may not know."""
        return rights.scopes(self._client, self._schemas, self._places)

    def describe(self, obj: CrmObject) -> Mapping[str, CrmProperty]:
        """The org's live schema, by the hub's names; of several places, what all of them take."""
        found = [(place, self._schemas.anew(place)) for place in self._places[obj]]
        if obj is CrmObject.TASK:
            self._org.statuses()
        return schema.together(found)

    def keyed(self, obj: CrmObject) -> bool:
        """Whether Salesforce keeps the hub's key unique: a field that may be upserted by."""
        known = [self._schemas.of(place) for place in self._places[obj]]
        return all(one.key in one.keys for one in known)

    def install(self, obj: CrmObject, wanted: Sequence[CrmProperty]) -> Sequence[str]:
        """Create missing fields and options, and let the integration user see them."""
        own = [tasks.PROPERTY] if obj is CrmObject.TASK else []
        present = [(place, self._schemas.anew(place).properties) for place in self._places[obj]]
        done = install.install(self._client, present, [*wanted, *own])
        for place in self._places[obj]:
            self._schemas.forget(place)
        return done

    def owners(self) -> Sequence[Owner]:
        """Users who can own tasks, and queues, whose address is their developer name."""
        return self._org.owners()

    # Reading

    def read(
        self, obj: CrmObject, keys: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the hub's key; for tasks also the client they are put on."""
        bounded(keys, self.batch)
        return self._reader.read(obj, keys, properties)

    def read_ids(
        self, obj: CrmObject, crm_ids: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by Salesforce's ids; a merged or converted one gives the one it became."""
        bounded(crm_ids, self.batch)
        return self._reader.read_ids(obj, crm_ids, properties)

    def changed(self, obj: CrmObject, since: int) -> Iterator[Changed]:
        """By SystemModstamp, which every change moves; queries see it at once."""
        return self._reader.changed(obj, since)

    def by_email(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Clients' records by their address."""
        bounded(emails, self.batch)
        return self._reader.by_email(emails)

    def contacts(self) -> Iterator[Sequence[Addressed]]:
        """All people of the org, 2,000 a call."""
        return self._reader.contacts()

    def find_tasks(
        self, contacts: Mapping[str, str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Tasks by their key: queries see everything at once, so the contacts do not matter."""
        return self.read(CrmObject.TASK, [*contacts], properties)

    # Writing

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records; the outcomes are in the order of ``writes``.

        Raises:
            ValueError: too many, or one key twice (a mistake of the caller).
        """
        bounded([write.key for write in writes], self._most(obj))
        self._bulk.abort_left_behind()
        out = self._writer.upsert(obj, writes)
        self._permitted(obj, out)
        return [out[write.key] for write in writes]

    def batch_of(self, obj: CrmObject, pending: int) -> int:
        """200, or the rows of a bulk job where so many contacts are pending that it pays."""
        return self._most(obj) if pending > self.settings.bulk_above else self.batch

    def cost(self, obj: CrmObject, work: Work, once: set[str]) -> Cost:
        """By what is known of the org's fields: before they were read, by the hub's own names."""
        some = self._places[obj]
        home = some[-1]
        found = forecast.cost(
            obj, work,
            read_fields=[self._reader.fields_known(place, work.read_names) for place in some],
            look_fields=self._reader.fields_known(some[0], [*work.look_names, *_OF_DELETED]),
            in_bulk=self._in_bulk_above,
            keyed=self._schemas.knows(home) and self.keyed(obj),
            again=len(some) > 1 or home is PERSON_ACCOUNT,
        )  # fmt: skip
        if found.jobs:
            keys = {"Id": work.updated, home.key: work.created}
            busy = {key for key, count in keys.items() if count > self._in_bulk_above}
            first = {key for key in busy if not self._writer.looked(home, key)}
            found.calls += len(first - once)
            once |= first
        return found

    @property
    def _in_bulk_above(self) -> int:
        return max(self.batch, self.settings.bulk_above)

    def _most(self, obj: CrmObject) -> int:
        bulk = obj is CrmObject.CONTACT and self.settings.bulk_above
        return self.settings.bulk_rows if bulk else self.batch

    def _permitted(self, obj: CrmObject, out: Mapping[str, Outcome]) -> None:
        """Where every row was refused, ask whether it was the right that is missing.

        The code alone does not tell: an Apex trigger or the sharing of a record has the same.
        """
        denied = [o for o in out.values() if isinstance(o, Refused) and o.code in errors.DENIED]
        if denied and len(denied) == len(out) and (why := self.lacks(obj)):
            raise NoRightError(f"{why}: give its permission set what is missing.")

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Outcome]:
        """Put tasks on clients: a task has one."""
        found: list[Outcome] = []
        for part in _parts(pairs, self.batch):
            out = self._writer.put_on(part)
            found += [out[task] for task, _ in part]
        return found

    def create_tasks(
        self, writes: Sequence[Write], contacts: Mapping[str, str]
    ) -> Sequence[Outcome]:
        """One call, sent once: creating is not idempotent."""
        bounded([write.key for write in writes], self.batch)
        return [created(outcome) for outcome in self._writer.create_tasks(writes, contacts)]

    def close(self) -> None:
        """Give back connections."""
        self._client.close()


def _parts(pairs: Sequence[tuple[str, str]], size: int) -> Iterator[Sequence[tuple[str, str]]]:
    """Each with a task once: the same one twice would fail as a doubled record."""
    part: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        if len(part) == size or pair[0] in part:
            yield [*part.values()]
            part = {}
        part[pair[0]] = pair
    if part:
        yield [*part.values()]
