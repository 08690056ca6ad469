"""Salesforce under the contract of every destination, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from connectors.base import no_boundary
from connectors.destination import CrmProperty, Destination
from simulator.salesforce import FakeApp, FakeUser, Fault
from simulator.salesforce.orders import INTEGRATION, SALES
from tests.connectors.salesforce_rig import KEY, TASK_KEY, SalesforceRig
from tests.contracts.destination import DestinationContract
from tests.crms.salesforce import shown, task_shown

GONE = FakeUser("gone@broker.test", "Gone", "Gil", "gone@broker.test", active=False)
BUSY = "ConcurrentPerOrgLongTxn Limit exceeded."


class SalesforcePortal:
    """The simulated org, as the contract sees a CRM."""

    secret = "8A-of-the-app-5F"
    secret_words, blank_bool, quota_words = "consumer_secret", "false", "24 hours"
    write_scope, company_write_scope = "Edit on Contact", "Edit on Account"
    contact_key, task_key = KEY, TASK_KEY
    company_key = CrmProperty("broker_partner_key", "Partner key", "string", unique=True)
    first_name, last_name, email = "firstname", "lastname", "email"
    sobject, address = "Contact", "Email"
    """What stands for a client, and its field with the address."""

    def __init__(self, *, unique: bool = True) -> None:
        app = FakeApp("consumer", self.secret, run_as=INTEGRATION.username)
        users = (INTEGRATION, SALES, GONE)
        self.rig = SalesforceRig(apps=(app,), users=users, activity_external_ids=unique)
        self.fake = self.rig.fake
        self.other: SalesforcePortal | None = None
        users = [(u["Id"], bool(u["IsActive"])) for u in self.fake.records("User").values()]
        self.owners = (*users, *((i, True) for i in self.fake.records("Group")))

    def named(self, name: str) -> str:
        return f"{name}__c"

    def destination(self, *, secret: str = "", boundary: Any = None) -> Destination:
        self.rig.boundary = boundary or no_boundary
        return self.rig.destination(consumer_secret=secret or self.secret)

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        return shown(self.fake, "Contact")

    def companies(self) -> Mapping[str, Mapping[str, str]]:
        return shown(self.fake, "Account")

    def tasks(self) -> Mapping[str, Mapping[str, str]]:
        return {i: task_shown(row) for i, row in self.fake.records("Task").items()}

    def links(self) -> Mapping[str, Sequence[str]]:
        rows = self.fake.records("Task").values()
        return {row["Id"]: [row["WhoId"]] for row in rows if row.get("WhoId")}

    def add_contact(self, **properties: str) -> str:
        names = {"email": self.address, "firstname": "FirstName"}
        values = {names[n]: v for n, v in properties.items()}
        return self.fake.people.create(self.sobject, LastName="Somebody", **values, **self.more())

    def more(self) -> Mapping[str, str]:
        """What else a person's record needs."""
        return {}

    def edit_contact(self, crm_id: str, **properties: str) -> None:
        self.fake.people.edit(self.sobject, crm_id, FirstName=properties["firstname"])

    def archive_contact(self, crm_id: str) -> None:
        self.fake.people.delete(self.sobject, crm_id)

    def merge_contacts(self, primary: str, loser: str) -> str:
        self.fake.people.merge(self.sobject, primary, loser)
        return primary

    def now_ms(self) -> int:
        return self.rig.world.now_ms

    def wait(self, seconds: float) -> None:
        self.rig.world.sleep(seconds)

    def without_task_keys(self) -> SalesforcePortal:
        self.other = SalesforcePortal(unique=False)
        return self.other

    def close(self) -> None:
        """Free the ports."""
        self.rig.close()
        if self.other is not None:
            self.other.close()

    def archive_company(self, crm_id: str) -> None:
        self.fake.people.delete("Account", crm_id)

    def merge_companies(self, primary: str, loser: str) -> str:
        self.fake.people.merge("Account", primary, loser)
        return primary

    def calls(self) -> int:
        return self.fake.calls.total() - self.signed_in()

    def signed_in(self) -> int:
        return sum(n for route, n in self.fake.calls.items() if route == "POST services/token")

    def lose_answers(self, count: int) -> None:
        self.fake.clear_faults()
        self.fake.fail_next([Fault.lost_answer()] * count)

    def too_fast(self) -> None:
        self.fake.fail_next([Fault(status=403, message=BUSY)])

    def remove_scope(self, scope: str) -> None:
        right, _, sobject = scope.partition(" on ")
        self.fake.deny(sobject, "create", right.lower())

    def use_up_the_day(self) -> None:
        self.fake.use_up_quota()

    def next_day(self) -> None:
        self.rig.world.sleep(86_400)


class TestSalesforce(DestinationContract):
    @pytest.fixture
    def portal(self) -> Iterator[SalesforcePortal]:
        found = SalesforcePortal()
        yield found
        found.close()
