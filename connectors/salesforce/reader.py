"""Reading records: by the hub's key, by id, by address, and what changed.

Where a client's record may stand in several places, each is asked in its order; an id tells its
place by its first characters (documented). A merged record leads to the survivor, a converted lead
to its contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.destination import Addressed, Changed, CrmObject, CrmRecord
from connectors.salesforce import errors, queries, tasks
from connectors.salesforce.client import SalesforceClient, reading
from connectors.salesforce.model import PERSON_ACCOUNT, Place, Places
from connectors.salesforce.schema import Schemas
from connectors.salesforce.setup import Setup
from connectors.salesforce.values import instant_ms, inward, outward
from mapping.errors import ConfigError

_STEPS = 6  # a contact that a lead became may have been merged in turn
_ANY_CLIENT = ("003", "00Q", "001")
Moment = tuple[int, str]
"""When a record changed (ms UTC), and its id."""


class Reader:
    """Reads one org. Safe to use from several threads."""

    def __init__(
        self, client: SalesforceClient, schemas: Schemas, places: Places, org: Setup
    ) -> None:
        self._client = client
        self._schemas = schemas
        self._places = places
        self._org = org

    # By key and by id

    def read(
        self, obj: CrmObject, keys: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the hub's key; for tasks also the client they are put on."""
        found: dict[str, CrmRecord] = {}
        for place in self._places[obj]:
            left = [key for key in keys if key not in found]
            if left:
                found |= self._by_key(obj, place, left, properties)
        return self._put_on(found) if obj is CrmObject.TASK else found

    def _by_key(
        self, obj: CrmObject, place: Place, keys: Sequence[str], properties: Sequence[str]
    ) -> dict[str, CrmRecord]:
        key, names = self._schemas.of(place).key, self._fields(place, properties)
        also = self._meant(place)
        rows = queries.among(self._client, place.sobject, names, key, keys, also=also)
        asked = set(keys)  # Salesforce may compare without case
        left = {str(row["Id"]): str(row[key]) for row in rows if place.follower(row)}
        with reading("query"):
            here = [
                self._record(place, row, properties) for row in rows if str(row["Id"]) not in left
            ]
        found = {record.key: record for record in here if record.key in asked}
        followed = self.read_ids(obj, [*left], properties) if left else {}
        # One that came to be another client's record is not this client's any more.
        found |= {left[i]: r for i, r in followed.items() if r.key == left[i] and r.key in asked}
        return found

    def read_ids(
        self, obj: CrmObject, crm_ids: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by Salesforce's ids; a merged or converted one gives the one it became."""
        found: dict[str, CrmRecord] = {}
        lead_keys: dict[str, str] = {}
        merged_keys: dict[str, str] = {}
        # What is no id would fail the whole query. Asked id -> where it is looked for now.
        asked = {crm_id: crm_id for crm_id in crm_ids if errors.RECORD.fullmatch(crm_id)}
        for _ in range(_STEPS):
            rows = self._rows(obj, set(asked.values()), properties) if asked else {}
            following: dict[str, str] = {}
            for crm_id, at in asked.items():
                if at not in rows:
                    continue
                place, row = rows[at]
                if to := place.follower(row):
                    following[crm_id] = to
                    lead_keys[crm_id] = str(row.get(self._schemas.of(place).key) or "")
                elif not row["IsDeleted"]:
                    found[crm_id] = self._record(place, row, properties)
                elif master := row.get("MasterRecordId"):
                    following[crm_id] = str(master)
                    merged_keys[crm_id] = str(row.get(self._schemas.of(place).key) or "")
            asked = following
        for crm_id, record in found.items():
            if crm_id in lead_keys:
                found[crm_id] = replace(record, key=record.key or lead_keys[crm_id], successor=True)
            elif not record.key and merged_keys.get(crm_id):
                # A person merged it into a stranger's and kept that one's values, blanks too.
                found[crm_id] = replace(record, key=merged_keys[crm_id], successor=True)
        return found

    def ids(self, place: Place, keys: Sequence[str]) -> dict[str, str]:
        """Ids of one place's records by the hub's key, converted leads too."""
        key = self._schemas.of(place).key
        rows = queries.among(self._client, place.sobject, ("Id", key), key, keys)
        with reading("query"):
            return {str(row[key]): str(row["Id"]) for row in rows if row[key] in set(keys)}

    def _rows(
        self, obj: CrmObject, crm_ids: set[str], properties: Sequence[str]
    ) -> dict[str, tuple[Place, Mapping[str, Any]]]:
        found: dict[str, tuple[Place, Mapping[str, Any]]] = {}
        left = set(crm_ids)
        for place in self._places[obj]:
            here = sorted(i for i in crm_ids if i.startswith(place.prefix))
            left -= set(here)
            if not here:
                continue
            names = [*self._fields(place, properties), "IsDeleted"]
            names += ["MasterRecordId"] if obj is not CrmObject.TASK else []
            rows = queries.among(
                self._client, place.sobject, names, "Id", here, also=self._meant(place),
                deleted=True,
            )  # fmt: skip
            found |= {str(row["Id"]): (place, row) for row in rows}
        if obj is CrmObject.CONTACT and any(i.startswith(_ANY_CLIENT) for i in left):
            raise _other_model()
        return found

    def _meant(self, place: Place) -> str:
        """Converted leads are looked at, too, to be followed."""
        return "" if place.leads_on else self._schemas.of(place).condition

    # What changed

    def changed(self, obj: CrmObject, since: int) -> Iterator[Changed]:
        """By SystemModstamp, which every change moves; queries see it at once."""
        return in_order([self._changes(place, since) for place in self._places[obj]])

    def _changes(self, place: Place, since: int) -> Iterator[list[Moment]]:
        known = self._schemas.of(place)
        at = outward("datetime", str(since))
        wanted = queries.conditions(
            f"{known.key} != null", f"SystemModstamp >= {at}", self._meant(place)
        )
        where = f"WHERE {wanted} ORDER BY SystemModstamp, Id"
        fields = ("Id", "SystemModstamp")
        for page in queries.select(self._client, place.sobject, fields, where):
            with reading("query"):
                rows = [(instant_ms(str(row["SystemModstamp"])), str(row["Id"])) for row in page]
            if rows:
                yield rows

    # By address

    def by_email(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Clients' records by their address."""
        found: dict[str, set[str]] = {}
        for place in self._places[CrmObject.CONTACT]:
            fields, also = ("Id", place.email), self._schemas.of(place).condition
            rows = queries.among(
                self._client, place.sobject, fields, place.email, emails, also=also
            )
            with reading("query"):
                for row in rows:
                    found.setdefault(str(row[place.email]).lower(), set()).add(str(row["Id"]))
        return {email: frozenset(ids) for email, ids in found.items()}

    def contacts(self) -> Iterator[Sequence[Addressed]]:
        """All people of the org, 2,000 a call."""
        for place in self._places[CrmObject.CONTACT]:
            fields, also = ("Id", place.email), self._schemas.of(place).condition
            where = f"WHERE {also}" if also else ""
            for page in queries.select(self._client, place.sobject, fields, where):
                with reading("query"):
                    yield [Addressed(str(r["Id"]), _address(r[place.email])) for r in page]

    # Whom a task is put on

    def people_of(self, crm_ids: Iterable[str]) -> dict[str, str]:
        """What a task's WhoId is for clients' records; those that need another id than their own.

        A task is put on the contact behind a person account (assumed: documented of events).
        """
        asked = sorted({i for i in crm_ids if i.startswith(PERSON_ACCOUNT.prefix)})
        return {row["Id"]: row["PersonContactId"] for row in self._persons("Id", asked)}

    def _put_on(self, found: Mapping[str, CrmRecord]) -> Mapping[str, CrmRecord]:
        """The tasks with their clients' own records in the place of contacts behind them."""
        asked = sorted({who for record in found.values() for who in record.associated})
        back = {
            row["PersonContactId"]: row["Id"] for row in self._persons("PersonContactId", asked)
        }
        if not back:
            return found
        return {
            key: replace(r, associated=frozenset(back.get(who, who) for who in r.associated))
            for key, r in found.items()
        }

    def _persons(self, name: str, values: Sequence[str]) -> list[dict[str, str]]:
        if not values or PERSON_ACCOUNT not in self._places[CrmObject.CONTACT]:
            return []
        fields = ("Id", "PersonContactId")
        rows = queries.among(self._client, PERSON_ACCOUNT.sobject, fields, name, values)
        with reading("query"):
            return [{n: str(row[n]) for n in fields} for row in rows if row["PersonContactId"]]

    # One record

    def fields_known(self, place: Place, properties: Sequence[str]) -> list[str]:
        """What would be asked for, without asking the org for its names."""
        if self._schemas.knows(place):
            return self._fields(place, properties)
        return ["Id", "OwnerId", place.key, *place.reads, *properties]

    def _fields(self, place: Place, properties: Sequence[str]) -> list[str]:
        own = ["Id", "OwnerId", self._schemas.of(place).key, *place.reads]
        return [*own, *self._api_names(place, properties)]

    def _api_names(self, place: Place, properties: Sequence[str]) -> list[str]:
        known = self._schemas.of(place)
        task = place.prefix == "00T"
        wanted = tasks.fields(properties, tasks.due(known.kinds)) if task else properties
        return [known.names.api(name) for name in wanted]

    def _record(self, place: Place, row: Mapping[str, Any], properties: Sequence[str]) -> CrmRecord:
        known = self._schemas.of(place)
        who = row.get("WhoId")
        if place.prefix == "00T":
            shown = tasks.inbound(properties, row, tasks.due(known.kinds), self._org.nobody())
        else:
            names = self._api_names(place, properties)
            shown = {
                ours: self._owner(row)
                if api == "OwnerId"
                else inward(known.kinds.get(api, "string"), row.get(api))
                for ours, api in zip(properties, names, strict=True)
            }
        return CrmRecord(
            crm_id=str(row["Id"]),
            properties=shown,
            associated=frozenset({str(who)} if who else ()),
            key=str(row.get(known.key) or ""),
            owner=self._owner(row),
            emails=_address(row.get(place.email)) if place.email else frozenset(),
        )

    def _owner(self, row: Mapping[str, Any]) -> str:
        """Blank: the record is the integration user's, which is to say nobody's."""
        owner = str(row.get("OwnerId") or "")
        return "" if owner == self._org.nobody() else owner


def _address(value: Any) -> frozenset[str]:
    return frozenset({str(value).lower()} if value else ())


def _other_model() -> ConfigError:
    return ConfigError(
        "The hub knows clients by Salesforce records of another kind than object_model of this "
        "destination says: set it back. Which records stand for clients is chosen once."
    )


def in_order(streams: Sequence[Iterator[list[Moment]]]) -> Iterator[Changed]:
    """Pages of several streams as one, which may be left after any page.

    ``until`` never passes what another stream has still to show.
    """
    heads = {n: page for n, stream in enumerate(streams) if (page := next(stream, None))}
    while heads:
        first = min(heads, key=lambda n: heads[n][-1][0])
        page = heads.pop(first)
        others = [head[0][0] for head in heads.values()]
        yield Changed([crm_id for _, crm_id in page], min([page[-1][0], *others]))
        if following := next(streams[first], None):
            heads[first] = following
