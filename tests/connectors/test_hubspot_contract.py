"""HubSpot under the contract of every destination."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import no_boundary
from connectors.destination import Destination
from simulator.hubspot import FakeOwner, Fault, HubSpotFake
from tests.contracts.destination import DestinationContract
from tests.fakes import hubspot as fakes


class HubSpotPortal:
    """The fake portal, as the contract sees a CRM."""

    secret = fakes.TOKEN
    secret_words, blank_bool, quota_words = "token", "", "midnight"
    write_scope = "crm.objects.contacts.write"
    company_write_scope = "crm.objects.companies.write"
    contact_key, task_key, company_key = fakes.CONTACT_KEY, fakes.TASK_KEY, fakes.COMPANY_KEY
    first_name, last_name, email = "firstname", "lastname", "email"
    owners = (("71", True), ("72", False), ("73", True))

    def __init__(self, path_version: str) -> None:
        self.path_version = path_version
        self.world = fakes.TestWorld()
        owners = [FakeOwner(i, f"o{i}@broker.test", archived=not on) for i, on in self.owners]
        self.fake = HubSpotFake(self.world, owners=owners)
        self.contacts, self.tasks = self.fake.contacts, self.fake.tasks
        self.companies = self.fake.companies
        self.links, self.remove_scope = self.fake.associations, self.fake.remove_scope

    def destination(self, *, secret: str = "", boundary: Any = None) -> Destination:
        return fakes.destination_for(
            self.fake,
            self.world.clock,
            boundary=boundary or no_boundary,
            access_token=secret or self.secret,
            path_version=self.path_version,
        )

    def archive_company(self, crm_id: str) -> None:
        self.fake.archive("companies", crm_id)

    def merge_companies(self, primary: str, loser: str) -> str:
        return self.fake.merge(primary, loser, kind="companies")

    def named(self, name: str) -> str:
        return name

    def calls(self) -> int:
        return sum(self.fake.calls.values())

    def signed_in(self) -> int:
        return 0

    def lose_answers(self, count: int) -> None:
        self.fake.clear_faults()
        self.fake.fail_next([Fault.lost_answer()] * count)

    def too_fast(self) -> None:
        self.fake.fail_next([Fault.rate_limited()])

    def use_up_the_day(self) -> None:
        self.fake.limiter.used_today = self.fake.limiter.daily

    def next_day(self) -> None:
        self.world.sleep(86_400)


class TestHubSpot(DestinationContract):
    @pytest.fixture(params=["v3", "2026-09"])
    def portal(self, request: pytest.FixtureRequest) -> HubSpotPortal:
        return HubSpotPortal(request.param)
