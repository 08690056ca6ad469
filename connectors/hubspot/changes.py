"""Which of the hub's records changed in the portal: HubSpot's search, oldest change first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.destination import Changed, CrmObject
from connectors.hubspot.client import HubSpotClient, reading
from connectors.hubspot.values import instant_from_wire

_PAGE = 200  # documented: most records of a search page
_REACH = 10_000  # documented: results that one search can page through
_MODIFIED = {
    CrmObject.CONTACT: "lastmodifieddate",
    CrmObject.TASK: "hs_lastmodifieddate",
    CrmObject.COMPANY: "hs_lastmodifieddate",
}


def changed(
    client: HubSpotClient, obj: CrmObject, key_property: str, since: int
) -> Iterator[Changed]:
    """Ids of records with a value in ``key_property`` that changed since ``since`` (ms).

    Raises:
        ProtocolError: the answer is not what HubSpot documents.
    """
    search = client.of(obj).search_api.do_search
    after, reached = "0", since
    while True:
        body = _asked(obj, key_property, since, after)
        answer = client.call(search, body)
        with reading("search"):
            stamps = [
                int(instant_from_wire(row["properties"][_MODIFIED[obj]]))
                for row in answer["results"]
            ]
            reached = max([reached, *stamps])
            yield Changed([str(row["id"]) for row in answer["results"]], reached)
            following = (answer.get("paging") or {}).get("next")
            if not following:
                return
            after = str(following["after"])
        if int(after) + _PAGE > _REACH:
            # Ten thousand at one instant: the rest is left to the rotation of reads by id.
            since, after = (reached if reached > since else since + 1), "0"


def _asked(obj: CrmObject, key_property: str, since: int, after: str) -> dict[str, Any]:
    name = _MODIFIED[obj]
    return {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": name, "operator": "GTE", "value": str(since)},
                    {"propertyName": key_property, "operator": "HAS_PROPERTY"},
                ]
            }
        ],
        "sorts": [{"propertyName": name, "direction": "ASCENDING"}],
        "properties": [name],
        "limit": _PAGE,
        "after": after,
    }
