"""What the integration user may do, short of and beyond what a sync needs.

Documented: rights of the whole org are fields ``Permissions...`` of permission sets; a profile has
a permission set of its own, which its users are assigned to. Which of them a release or an edition
has is asked of the describe. What one may do with an object or a field is in the object's own
describe. Not looked at: Modify All on single objects, objects the hub has no business with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.destination import CrmObject, NoRightError, Scopes
from connectors.salesforce import queries, schema
from connectors.salesforce.client import SalesforceClient, reading, soql_text
from connectors.salesforce.errors import RefusalError
from connectors.salesforce.model import Place, Places
from connectors.salesforce.schema import Schemas

_SETS = "PermissionSet"
NEEDED = {"ApiEnabled": "API Enabled"}
TO_INSTALL = {
    "CustomizeApplication": "Customize Application",
    "ManageProfilesPermissionsets": "Manage Profiles and Permission Sets",
    "AssignPermissionSets": "Assign Permission Sets",
}
"""Needed until `crm install` has made the hub's fields: they rule the whole org."""
TOO_MUCH = {
    "ModifyAllData": "Modify All Data",
    "ViewAllData": "View All Data",
    "ManageUsers": "Manage Users",
    "AuthorApex": "Author Apex",
    "BulkApiHardDelete": "Bulk API Hard Delete",
    "DataExport": "Weekly Data Export",
}
"""What no sync needs, and would do harm in the wrong hands: by Setup's names."""


def scopes(client: SalesforceClient, schemas: Schemas, places: Places) -> Scopes | None:
    """The user's rights against those that are needed.

    None: Salesforce does not tell the user its permission sets (it lacks View Setup and
    Configuration), and nothing else is wrong.
    """
    clients = [*places[CrmObject.CONTACT], *places[CrmObject.TASK]]
    partners = places[CrmObject.COMPANY]
    missing = [right for place in clients for right in _missing(client, schemas, place)]
    beyond = _deletes(client, [*clients, *partners])
    lacking: list[str] = []
    known = _granted(client)
    if known is not None:
        missing += [name for right, name in NEEDED.items() if known.get(right) is False]
        lacking = [name for right, name in TO_INSTALL.items() if known.get(right) is False]
        beyond += [name for right, name in TOO_MUCH.items() if known.get(right)]
        if not missing and _installed(schemas, clients):
            told = "{} (only `crm install` needs it)"
            beyond += [told.format(n) for right, n in TO_INSTALL.items() if known.get(right)]
    elif not missing and not beyond:
        return None
    of_partners = [right for place in partners for right in _missing(client, schemas, place)]
    return Scopes(tuple(missing), tuple(lacking), tuple(beyond), tuple(of_partners))


def _missing(client: SalesforceClient, schemas: Schemas, place: Place) -> list[str]:
    """On the object, then on the hub's own fields in it, where the user sees them."""
    lacking = schema.lacking(client, place)
    if f"Read on {place.sobject}" in lacking:
        return lacking
    known = schemas.anew(place)
    fields = sorted(
        known.names.api(p.name)
        for p in known.properties.values()
        if p.ours and p.read_only and not p.calculated
    )
    return [*lacking, *(f"Edit on the field {place.sobject}.{name}" for name in fields)]


def _installed(schemas: Schemas, some: Sequence[Place]) -> bool:
    """Whether the hub's keys are there; a field that a new rule needs is another day's matter."""
    return all(schemas.of(place).key in schemas.of(place).kinds for place in some)


def _deletes(client: SalesforceClient, some: Sequence[Place]) -> list[str]:
    """The hub deletes nothing."""
    found: list[str] = []
    for sobject in dict.fromkeys(place.sobject for place in some):
        try:
            if client.describe(sobject).get("deletable") is True:
                found.append(f"Delete on {sobject}")
        except RefusalError:
            continue  # it may not even be read
    return found


def _granted(client: SalesforceClient) -> Mapping[str, bool] | None:
    """Rights of the whole org by name: whether any of the user's sets has them."""
    try:
        with reading("describe"):
            there = {str(f["name"]) for f in client.describe(_SETS)["fields"]}
        asked = [f"Permissions{r}" for r in (*NEEDED, *TO_INSTALL, *TOO_MUCH)]
        names = [name for name in asked if name in there]
        mine = f"WHERE AssigneeId = {soql_text(client.user_id())}"
        pages = queries.select(client, "PermissionSetAssignment", ("PermissionSetId",), mine)
        with reading("PermissionSetAssignment"):
            ids = [str(row["PermissionSetId"]) for page in pages for row in page]
        rows: list[Mapping[str, Any]] = queries.among(client, _SETS, ("Id", *names), "Id", ids)
    except (NoRightError, RefusalError):
        return None
    if not rows or not names:
        return None
    return {n.removeprefix("Permissions"): any(row[n] is True for row in rows) for n in names}
