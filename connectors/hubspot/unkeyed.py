"""Tasks of a portal that takes no unique key on them.

HubSpot's create is not idempotent, so it is sent once. Whether a task is there is found out in two
ways: from the tasks of its contact, which are read as records, and by a search for its key, which
lags behind but also finds a task whose link somebody cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.destination import Applied, Outcome, Write
from connectors.hubspot import accounting
from connectors.hubspot.client import HubSpotClient, reading

_TASK_TO_CONTACT = 204  # documented: HubSpot's own type of link from a task to a contact
_VALUES = 100  # texts in one IN filter
_PAGE = 200


def candidates(client: HubSpotClient, key_property: str, contacts: Mapping[str, str]) -> list[str]:
    """Ids of the tasks that may carry one of these keys (task key -> contact id)."""
    ids = sorted({i for i in contacts.values() if i})
    found = dict.fromkeys(_of_contacts(client, ids) if ids else [])
    found |= dict.fromkeys(_searched(client, key_property, sorted(contacts)))
    return list(found)


def _of_contacts(client: HubSpotClient, ids: Sequence[str]) -> list[str]:
    api = client.crm.associations.v4.batch_api
    out: list[str] = []
    body: dict[str, Any] = {"inputs": [{"id": i} for i in ids]}
    answer = client.call(api.get_page, "contacts", "tasks", body, expect=(200, 207))
    with reading("associations/batch/read"):
        accounting.only_absent(answer, "associations/batch/read")
        for row in answer["results"]:
            out += [str(to["toObjectId"]) for to in row["to"]]
    return out


def _searched(client: HubSpotClient, key_property: str, keys: Sequence[str]) -> list[str]:
    search = client.crm.objects.tasks.search_api.do_search
    out: list[str] = []
    for start in range(0, len(keys), _VALUES):
        named = {"propertyName": key_property, "operator": "IN"}
        body = {
            "filterGroups": [{"filters": [{**named, "values": keys[start : start + _VALUES]}]}],
            "properties": [key_property],
            "limit": _PAGE,
        }
        answer = client.call(search, body)
        with reading("search"):
            out += [str(row["id"]) for row in answer["results"]]
    return out


def create(
    client: HubSpotClient, api: Any, key_property: str, writes: Sequence[Write],
    contacts: Mapping[str, str],
) -> dict[str, Outcome]:  # fmt: skip
    """Create tasks with their key and their link; outcomes by key.

    Raises:
        AmbiguousError: the answer was lost.
        RefusalError: HubSpot refused the whole batch.
    """
    inputs: list[dict[str, Any]] = [
        {
            "objectWriteTraceId": str(place),
            "properties": dict(w.properties) | {key_property: w.key},
            "associations": _link(contacts.get(w.key, "")),
        }
        for place, w in enumerate(writes)
    ]
    answer = client.call(api.create, {"inputs": inputs}, expect=(201, 207))
    with reading("batch/create"):
        done = accounting.upserted(answer, writes, key_property)
    for outcome in done.values():
        if isinstance(outcome, Applied):
            outcome.created = True  # only an upsert's answer says so
    return done


def _link(contact: str) -> list[dict[str, Any]]:
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _TASK_TO_CONTACT}
    return [{"to": {"id": contact}, "types": [kind]}] if contact else []
