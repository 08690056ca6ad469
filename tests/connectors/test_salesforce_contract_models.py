"""Salesforce's other object models under the contract of every destination, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from connectors.base import no_boundary
from connectors.destination import Applied, CrmObject, Destination, NoRightError, Option, Write
from simulator.salesforce import FakeApp, Fault
from simulator.salesforce.orders import INTEGRATION, SALES
from tests.connectors.salesforce_rig import SalesforceRig
from tests.connectors.test_salesforce_contract import GONE, SalesforcePortal
from tests.contracts.destination import STATUS, DestinationContract
from tests.crms.salesforce import shown


class LeadPortal(SalesforcePortal):
    """An org whose new clients are leads."""

    object_model, write_scope = "lead_then_contact", "Edit on Lead"
    sobject = "Lead"

    def __init__(self, **org: Any) -> None:
        app = FakeApp("consumer", self.secret, run_as=INTEGRATION.username)
        users = (INTEGRATION, SALES, GONE)
        self.rig = SalesforceRig(apps=(app,), users=users, activity_external_ids=True, **org)
        self.fake = self.rig.fake
        known = [(u["Id"], bool(u["IsActive"])) for u in self.fake.records("User").values()]
        self.owners = (*known, *((i, True) for i in self.fake.records("Group")))

    def destination(self, *, secret: str = "", boundary: Any = None) -> Destination:
        self.rig.boundary = boundary or no_boundary
        return self.rig.destination(
            consumer_secret=secret or self.secret, object_model=self.object_model
        )

    def lose_answers(self, count: int) -> None:
        """Of writes: the look-up before one leaves nothing in doubt."""
        self.fake.clear_faults()
        self.fake.fail_next([Fault.lost_answer("composite")] * count)

    def more(self) -> Mapping[str, str]:
        return {"Company": "Somebody"}

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        assert self.fake.records("Contact") == {}, "the hub makes no contacts here"
        return shown(self.fake, "Lead")


class PersonPortal(LeadPortal):
    """An org whose clients are person accounts."""

    object_model, write_scope = "person_account", "Edit on Account"
    sobject, address = "Account", "PersonEmail"

    def __init__(self) -> None:
        super().__init__(person_accounts=True)

    def named(self, name: str) -> str:
        return f"{name}__pc"

    def more(self) -> Mapping[str, str]:
        types = self.fake.records("RecordType").values()
        return {"RecordTypeId": next(t["Id"] for t in types if t["IsPersonType"])}

    def _accounts(self, *, persons: bool) -> Mapping[str, Mapping[str, str]]:
        meant = {i for i, row in self.fake.records("Account").items()
                 if row["IsPersonAccount"] is persons}  # fmt: skip
        rows = shown(self.fake, "Account")
        plain = {"personemail": "email"}
        return {
            i: {plain.get(n.removesuffix("__pc"), n.removesuffix("__pc")): v
                for n, v in row.items()}
            for i, row in rows.items()
            if i in meant
        }  # fmt: skip

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        return self._accounts(persons=True)

    def companies(self) -> Mapping[str, Mapping[str, str]]:
        return self._accounts(persons=False)

    def links(self) -> Mapping[str, Sequence[str]]:
        behind = {r["PersonContactId"]: i for i, r in self.fake.records("Account").items()
                  if r["IsPersonAccount"]}  # fmt: skip
        return {task: [behind[who] for who in some] for task, some in super().links().items()}


class TestLeads(DestinationContract):
    @pytest.fixture
    def portal(self) -> Iterator[LeadPortal]:
        found = LeadPortal()
        yield found
        found.rig.close()

    def test_missing_options_join_the_present_ones(self, portal: Any, hub: Destination) -> None:
        """On both objects, each with a line of its own."""
        wanted = replace(STATUS, options=(STATUS.options[0], Option("expired", "Expired")))
        assert hub.install(CrmObject.CONTACT, [wanted]) == [
            f"added value expired to {sobject}.kyc_status__c" for sobject in ("Contact", "Lead")
        ]
        have = hub.describe(CrmObject.CONTACT)["kyc_status"]
        assert have.options == (*STATUS.options, Option("expired", "Expired"))


class TestPersonAccounts(DestinationContract):
    @pytest.fixture
    def portal(self) -> Iterator[PersonPortal]:
        found = PersonPortal()
        yield found
        found.rig.close()

    def test_what_the_token_lacks_for_companies_is_named_and_concerns_nothing_else(
        self, portal: Any, hub: Destination
    ) -> None:
        """Here clients and partners are the same object: what concerns one concerns both."""
        assert hub.lacks(CrmObject.COMPANY) == ""
        portal.remove_scope(portal.company_write_scope)
        assert portal.company_write_scope in hub.lacks(CrmObject.COMPANY)
        with pytest.raises(NoRightError, match=portal.company_write_scope):
            hub.check()
        with pytest.raises(NoRightError, match=portal.company_write_scope):
            hub.upsert(CrmObject.COMPANY, [Write("alpha:A-1", {"name": "One"})])
        assert portal.companies() == {}
        (task,) = hub.upsert(CrmObject.TASK, [Write("k", {"subject": "x"})])
        assert isinstance(task, Applied)
