"""Values as texts for the CRM and for people."""

from __future__ import annotations

import pytest

from mapping.admission import owner_of
from mapping.calendars import Calendar
from mapping.facts import FACTS, FAMILIES
from mapping.policy import Team
from mapping.rules import FactType
from mapping.texts import canonical, fill, same

ALL = frozenset(FAMILIES)

AT = 1_772_663_400_000  # 2026-03-04T22:30:00Z, the 5th in Nicosia


@pytest.mark.parametrize(
    ("value", "fact_type", "field_type", "text"),
    [
        (None, FactType.TIME, "date", ""),
        (AT, FactType.TIME, "date", "2026-03-05"),
        (AT, FactType.TIME, "datetime", str(AT)),
        (31000, FactType.MONEY, "number", "310.00"),
        (-5, FactType.MONEY, "number", "-0.05"),
        (0, FactType.MONEY, "number", "0.00"),
        (3, FactType.COUNT, "number", "3"),
        (1, FactType.BOOL, "bool", "true"),
        (0, FactType.BOOL, "bool", "false"),
        ("approved", FactType.ENUM, "enumeration", "approved"),
    ],
)
def test_canonical(value: object, fact_type: FactType, field_type: str, text: str) -> None:
    assert canonical(value, fact_type, field_type, "Europe/Nicosia", 2) == text


@pytest.mark.parametrize(
    ("field_type", "ours", "theirs", "equal"),
    [
        ("number", "500.00", "500", True),
        ("number", "500.00", "500.01", False),
        ("number", "500.00", "many", False),
        ("number", "0.00", "", False),
        ("checkboxes", "CS3;CS5", "CS5;CS3", True),
        ("email", "a@b.co", "A@b.co", True),
        ("string", "a", "A", False),
        ("string", "", "", True),
    ],
)
def test_same(field_type: str, ours: str, theirs: str, equal: bool) -> None:
    assert same(field_type, ours, theirs) is equal


def test_a_task_text_has_words_for_every_kind_of_fact() -> None:
    text = "{kyc_status} since {kyc_status_at}, {total_deposits}, {kyc_gap}, {email_verified}"
    facts = {"kyc_status": "rejected_retry", "kyc_status_at": AT, "total_deposits": 31000,
             "kyc_gap": "", "email_verified": 1}  # fmt: skip
    assert fill(text, facts, FACTS, "Europe/Nicosia", 2, ALL) == (
        "rejected retry since 2026-03-05 00:30 EET, 310.00, not known, yes"
    )


def test_values_are_never_templates() -> None:
    facts = {"kyc_gap": "{kyc_client_text} {0.__class__}", "kyc_client_text": "secret"}
    assert fill("{kyc_gap}", facts, FACTS, "UTC", 2, ALL) == "{kyc_client_text} {0.__class__}"


def test_an_owner_is_the_queue_or_always_the_same_member() -> None:
    team = Team("onboarding", Calendar(), "", ("1", "2", "3"))
    key = "alpha:1002:CS3:1"
    # The key's sha256 begins with 9d339c13, which leaves 2 when divided by 3.
    assert owner_of(team, key) == "3"
    assert owner_of(Team("payments", Calendar(), "99", ("1",)), key) == "99"


def test_a_fact_of_a_source_that_is_not_connected_says_so() -> None:
    text = "{tickets} tickets, {deposits} deposits"
    found = fill(text, {"tickets": 0, "deposits": 0}, FACTS, "UTC", 2, {"psp"})
    assert found == "not connected tickets, 0 deposits"
