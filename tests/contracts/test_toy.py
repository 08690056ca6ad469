"""The contract itself: a toy destination that was written for nothing else keeps it, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.base import no_boundary
from connectors.destination import CrmProperty, Destination
from tests.contracts.destination import DestinationContract
from tests.contracts.toy import KEYS, ToyCrm, ToyDestination


class ToyPortal:
    """The toy CRM and its people."""

    secret, secret_words = "toy-secret-77", "token"
    blank_bool, quota_words = "", "midnight"
    write_scope, company_write_scope = "contact.write", "company.write"
    first_name, last_name, email = "first", "last", "email"
    contact_key, task_key, company_key = (
        CrmProperty(KEYS[obj], "Key", "string", unique=True)
        for obj in ("contact", "task", "company")
    )
    owners = (("7", True), ("8", False))

    def __init__(self, *, keyed: bool = True) -> None:
        self.crm = ToyCrm(keyed=keyed)

    def named(self, name: str) -> str:
        return name

    def destination(self, *, secret: str = "", boundary: Any = None) -> Destination:
        return ToyDestination(self.crm, secret or self.secret, boundary or no_boundary)

    def contacts(self) -> Mapping[str, Mapping[str, str]]:
        return self.crm.rows["contact"]

    def tasks(self) -> Mapping[str, Mapping[str, str]]:
        return self.crm.rows["task"]

    def companies(self) -> Mapping[str, Mapping[str, str]]:
        return self.crm.rows["company"]

    def links(self) -> Mapping[str, Sequence[str]]:
        return self.crm.links

    def add_contact(self, **properties: str) -> str:
        return self.crm.put("contact", properties)

    def edit_contact(self, crm_id: str, **properties: str) -> None:
        self.crm.put("contact", properties, crm_id)

    def archive_contact(self, crm_id: str) -> None:
        del self.crm.rows["contact"][crm_id]

    def archive_company(self, crm_id: str) -> None:
        del self.crm.rows["company"][crm_id]

    def merge_contacts(self, primary: str, loser: str) -> str:
        return self._merged("contact", primary, loser)

    def merge_companies(self, primary: str, loser: str) -> str:
        return self._merged("company", primary, loser)

    def _merged(self, obj: str, primary: str, loser: str) -> str:
        del self.crm.rows[obj][loser]
        self.crm.moved[loser] = primary
        return primary

    def now_ms(self) -> int:
        return self.crm.now_ms

    def wait(self, seconds: float) -> None:
        self.crm.now_ms += round(seconds * 1000)

    def without_task_keys(self) -> ToyPortal:
        return ToyPortal(keyed=False)

    def calls(self) -> int:
        return self.crm.calls

    def signed_in(self) -> int:
        return 0

    def lose_answers(self, count: int) -> None:
        self.crm.faults.clear()
        self.crm.faults.extend(["lost"] * count)

    def too_fast(self) -> None:
        self.crm.faults.append("busy")

    def remove_scope(self, scope: str) -> None:
        self.crm.rights.discard(scope)

    def use_up_the_day(self) -> None:
        self.crm.spent = True

    def next_day(self) -> None:
        self.crm.spent = False


class TestToy(DestinationContract):
    @pytest.fixture
    def portal(self) -> ToyPortal:
        return ToyPortal()


def test_a_destination_need_not_be_long() -> None:
    text = (Path(__file__).parent / "toy.py").read_text(encoding="utf-8")
    assert len(text[text.index("class ToyDestination") :].splitlines()) <= 150
