"""The simulated Salesforce organisation in this process, as :class:`tests.crms.Crm`."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.base import Boundary, Context
from connectors.clock import Clock
from connectors.salesforce.destination import SalesforceDestination
from connectors.salesforce.settings import SalesforceSettings
from simulator.salesforce import Fault, SalesforceFake
from simulator.salesforce_people import API_VERSION, APP, organisation, teams
from simulator.story import World
from simulator.wire import Request, Response
from tests.crms import CLIENT_KEY, TASK_KEY, Rows, Written
from tests.transport import InProcessPool

_NAMES = {
    "Id": "id", "Email": "email", "FirstName": "firstname", "LastName": "lastname",
    "Phone": "phone", "OwnerId": "hubspot_owner_id", "Name": "name",
}  # fmt: skip
_WORDS = {
    "Subject": "subject", "Description": "body", "OwnerId": "owner", "broker_task_due__c": "due",
    "Id": "id", "broker_task_key__c": TASK_KEY,
}  # fmt: skip
_PRIORITY = {"High": "HIGH", "Normal": "MEDIUM", "Low": "LOW"}
_OBJECTS = {"Contact": "contacts", "Task": "tasks", "Account": "companies"}
_LAST_NAME = "Somebody"  # Salesforce takes no contact without a last name


class SalesforceCrm:
    """``org`` as of :class:`SalesforceFake`."""

    name = "salesforce"
    several_addresses = False

    def __init__(self, world: World, **org: Any) -> None:
        self._world = world
        self.fake = organisation(world, keep_writes=True, **org)
        self.teams = teams(self.fake)
        self.people = [m for team in self.teams.values() for m in team.members]

    def _answer(self, request: Request) -> Response:
        return self.fake(request)  # another one after a restore

    def destination(
        self, brands: Mapping[str, str], clock: Clock, boundary: Boundary
    ) -> SalesforceDestination:
        settings = SalesforceSettings.model_validate({
            "base_url": "https://broker.my.salesforce.com", "auth": "client_credentials",
            "consumer_key": APP.client_id, "consumer_secret": APP.client_secret,
            "api_version": API_VERSION,
        })  # fmt: skip
        context = Context(self.name, brands, clock, boundary)
        return SalesforceDestination(settings, context, InProcessPool(self._answer))

    # What is there

    def contacts(self, by: str = "id") -> Rows:
        return self._rows("Contact", by)

    def companies(self, by: str = "id") -> Rows:
        return self._rows("Account", by)

    def _rows(self, sobject: str, by: str) -> Rows:
        return {row[by]: row for row in shown(self.fake, sobject).values() if row.get(by)}

    def tasks(self, by: str = TASK_KEY) -> Rows:
        found = [task_shown(row) for row in self.fake.records("Task").values()]
        return {row[by]: row for row in found if row.get(by)}

    def links(self) -> dict[str, list[str]]:
        keys = {
            i: row.get(f"{CLIENT_KEY}__c", "") for i, row in self.fake.records("Contact").items()
        }
        return {
            row[f"{TASK_KEY}__c"]: [keys[row["WhoId"]]]
            for row in self.fake.records("Task").values()
            if row.get("WhoId") in keys and row.get(f"{TASK_KEY}__c")
        }

    # What people do

    def add(self, **properties: str) -> str:
        return self.fake.people.create(
            "Contact", **self._values({"lastname": _LAST_NAME} | properties)
        )

    def edit(self, crm_id: str, **properties: str) -> None:
        self.fake.people.edit("Contact", crm_id, **self._values(properties))

    def _values(self, properties: Mapping[str, str]) -> dict[str, str | None]:
        fields = {_ours(f.name): f.name for f in self.fake.org.table("Contact").fields.values()}
        return {fields[name]: value or None for name, value in properties.items()}

    def archive(self, crm_id: str) -> None:
        self.fake.people.delete("Contact", crm_id)

    def merge(self, primary: str, loser: str) -> str:
        rows = self.fake.records("Contact")
        fields = self.fake.org.table("Contact").fields.values()
        free = [f.name for f in fields if f.updateable and f.name not in rows[primary]]
        kept = {n: rows[loser][n] for n in free if rows[loser].get(n) is not None}
        self.fake.people.merge("Contact", primary, loser, **kept)
        return primary

    def merge_into(self, primary: str, loser: str) -> str:
        """A person merges two contacts and keeps the primary's values, blank ones too."""
        self.fake.people.merge("Contact", primary, loser)
        return primary

    def edit_task(self, crm_id: str, **words: str) -> None:
        fields = {ours: theirs for theirs, ours in _WORDS.items()}
        status = words.pop("status", "")
        change = {fields[name]: value for name, value in words.items()}
        if status == "done":
            self.fake.people.complete(crm_id, **change)
        else:
            change |= {"Status": "In Progress"} if status else {}
            self.fake.people.edit("Task", crm_id, **change)

    def archive_task(self, crm_id: str) -> None:
        self.fake.people.delete("Task", crm_id)

    # What the hub did

    @property
    def writes(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for write in self._mine():
            found[_OBJECTS[write.sobject]] += set(write.values) != {"WhoId"}
            found["associations"] += "WhoId" in write.values
        return +found

    @property
    def written(self) -> Sequence[Written]:
        return [
            Written(_OBJECTS[w.sobject], w.id, w.action == "create",
                    {_ours(n): str(v or "") for n, v in w.values.items()})
            for w in self._mine()
        ]  # fmt: skip

    def _mine(self) -> Iterable[Any]:
        mine = self.fake.hub_id
        return [w for w in self.fake.written if w.user_id == mine and w.sobject in _OBJECTS]

    @property
    def calls(self) -> int:
        signed_in = self.fake.calls["POST services/token"]  # counted by no limit
        return self.fake.calls.total() - signed_in

    def lose_each(self, nth: int, times: int) -> None:
        self.fake.fail_next([*[None] * (nth - 1), Fault.lost_answer()] * times)

    def calm(self) -> None:
        self.fake.clear_faults()

    def snapshot(self) -> dict[str, Any]:
        keys = {
            "Contact": f"{CLIENT_KEY}__c", "Task": f"{TASK_KEY}__c", "User": "Username",
            "Group": "DeveloperName",
        }  # fmt: skip
        found = self.fake.snapshot(keys)
        for row in found["Task"]:
            row.pop("CompletedDateTime", None)  # waiting moves the world's clock
        return {
            "contacts": found["Contact"], "tasks": found["Task"], "companies": found["Account"],
            "associations": self.links(),
        }  # fmt: skip

    def save(self) -> Any:
        return self._copied(self.fake)

    def restore(self, saved: Any) -> None:
        self.fake = self._copied(saved)

    def _copied(self, fake: SalesforceFake) -> SalesforceFake:
        """Clock and lock are shared."""
        shared = (self._world, fake._lock)
        return copy.deepcopy(fake, {id(one): one for one in shared})


def shown(fake: SalesforceFake, sobject: str) -> Rows:
    """Live records by id, by the hub's names and texts."""
    kinds = {f.name: f.type for f in fake.org.table(sobject).fields.values()}
    return {
        crm_id: {_ours(n): _text(kinds[n], v) for n, v in row.items() if v is not None}
        for crm_id, row in fake.records(sobject).items()
    }


def _ours(name: str) -> str:
    return _NAMES.get(name) or name.removesuffix("__c").lower()


def _text(kind: str, value: Any) -> str:
    """A value as the hub would write it."""
    match kind:
        case "boolean":
            return "true" if value else "false"
        case "double" | "currency" | "int":
            exact = Decimal(str(value))
            return f"{exact:f}" if exact % 1 else str(int(exact))
        case "datetime":
            return _ms(value)
        case "multipicklist":
            return ";".join(sorted(str(value).split(";")))
    return str(value)


def _ms(value: str) -> str:
    return str(round(datetime.fromisoformat(value).astimezone(UTC).timestamp() * 1000))


def task_shown(row: Mapping[str, Any]) -> dict[str, str]:
    """A task by the hub's words."""
    words = {ours: str(row[n]) for n, ours in _WORDS.items() if row.get(n) is not None}
    due = row.get("broker_task_due__c") or row.get("ReminderDateTime")
    return {
        **words,
        "due": _ms(due) if due else "",
        "priority": _PRIORITY.get(row["Priority"], row["Priority"]),
        "status": "done" if row.get("IsClosed") else "open",
    }
