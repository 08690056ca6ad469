"""Which contacts have which e-mail addresses, primary or further ones, in lower case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.destination import Addressed
from connectors.hubspot import accounting
from connectors.hubspot.client import HubSpotClient, reading

EMAIL, FURTHER = "email", "hs_additional_emails"
_PAGE = 100  # documented: most records of a list page
_GROUPS = 5  # documented: groups of filters in one search


def of_row(row: Mapping[str, Any]) -> Addressed:
    """A contact's id and addresses."""
    values = row["properties"]
    texts = [values.get(EMAIL) or "", *(values.get(FURTHER) or "").split(";")]
    return Addressed(str(row["id"]), frozenset(t.strip().lower() for t in texts if t.strip()))


def by_email(client: HubSpotClient, emails: Sequence[str]) -> dict[str, frozenset[str]]:
    """Address -> ids of the contacts that have it, for at most a batch of addresses.

    A batch read by address finds primary ones (documented) and in portals seen further ones too;
    those it does not find are searched for among the further ones.
    """
    body = {
        "idProperty": EMAIL,
        "inputs": [{"id": e} for e in emails],
        "properties": [EMAIL, FURTHER],
        "propertiesWithHistory": [],
    }
    found: dict[str, set[str]] = defaultdict(set)
    answer = client.call(client.crm.contacts.batch_api.read, body, expect=(200, 207))
    with reading("batch/read"):
        accounting.only_absent(answer, "batch/read")
        rows = [of_row(row) for row in answer["results"]]
    _note(found, rows, emails)
    left = [e for e in emails if e not in found]
    for start in range(0, len(left), _GROUPS):
        part = left[start : start + _GROUPS]
        _note(found, _searched(client, part), part)
    return {email: frozenset(ids) for email, ids in found.items()}


def _note(found: dict[str, set[str]], rows: Sequence[Addressed], emails: Sequence[str]) -> None:
    for row in rows:
        for email in row.emails.intersection(emails):
            found[email].add(row.crm_id)


def _searched(client: HubSpotClient, emails: Sequence[str]) -> list[Addressed]:
    has = {"propertyName": FURTHER, "operator": "CONTAINS_TOKEN"}
    body = {
        "filterGroups": [{"filters": [{**has, "value": email}]} for email in emails],
        "properties": [EMAIL, FURTHER],
        "limit": _PAGE,
    }
    answer = client.call(client.crm.contacts.search_api.do_search, body)
    with reading("search"):
        return [of_row(row) for row in answer["results"]]


def every(client: HubSpotClient) -> Iterator[list[Addressed]]:
    """All contacts of the portal, a page at a time, in the order of their ids."""
    after: dict[str, Any] = {}
    while True:
        answer = client.call(
            client.crm.contacts.basic_api.get_page,
            limit=_PAGE, properties=[EMAIL, FURTHER], **after,
        )  # fmt: skip
        with reading("contacts"):
            yield [of_row(row) for row in answer["results"]]
            following = (answer.get("paging") or {}).get("next")
            if not following:
                return
            after = {"after": following["after"]}
