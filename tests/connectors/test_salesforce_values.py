"""Names and values between the hub and Salesforce."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.salesforce.names import (
    CONTACT_NAMES,
    CUSTOM,
    PERSON,
    PERSON_NAMES,
    Names,
    custom,
)
from connectors.salesforce.values import inward, outward
from mapping.errors import ConfigError

CASES: list[tuple[str, str, Any, Any]] = [
    # type, our text, Salesforce's value as sent, as it comes back
    ("string", "O'Brien", "O'Brien", "O'Brien"),
    ("string", "", None, None),
    ("email", "a@b.example", "a@b.example", "a@b.example"),
    ("boolean", "true", True, True),
    ("boolean", "false", False, False),
    ("double", "1234.56", 1234.56, 1234.56),
    ("double", "500", 500, 500.0),
    ("currency", "0.001", 0.001, 0.001),
    ("currency", "-12.5", -12.5, -12.5),
    ("double", "123456789012", 123456789012, 1.23456789012e11),
    ("double", "", None, None),
    ("date", "2026-03-01", "2026-03-01", "2026-03-01"),
    ("date", "", None, None),
    ("datetime", "1772323200123", "2026-03-01T00:00:00.123Z", "2026-03-01T00:00:00.123+0000"),
    ("datetime", "0", "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000+0000"),
    ("datetime", "", None, None),
    ("picklist", "approved", "approved", "approved"),
    ("multipicklist", "a;b", "a;b", "b;a"),
]


@pytest.mark.parametrize(("kind", "text", "sent", "shown"), CASES)
def test_a_value_goes_and_comes_back(kind: str, text: str, sent: Any, shown: Any) -> None:
    found = outward(kind, text)
    assert found == sent
    assert type(found) is type(sent)
    assert inward(kind, shown) == text


def test_money_that_salesforce_shows_shorter_is_a_number_all_the_same() -> None:
    assert inward("currency", 500.50) == "500.5"
    assert outward("currency", "500.50") == 500.5


def test_a_blank_checkbox_is_no() -> None:
    assert outward("boolean", "") is False


@pytest.mark.parametrize(
    ("kind", "text"),
    [("date", "1 March"), ("date", "2026-02-30"), ("double", "many"), ("double", "NaN"),
     ("double", "Infinity"), ("boolean", "yes"), ("datetime", "soon")],
)  # fmt: skip
def test_what_is_no_value_of_the_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the words
        outward(kind, text)


def test_names_of_contacts() -> None:
    fields = ["Id", "Email", "Brokerage_KYC_Status__c", "Branch__c"]
    names = Names(fields, CONTACT_NAMES)
    assert names.api("email") == "Email"
    assert names.api("brokerage_kyc_status") == "Brokerage_KYC_Status__c", "as the org spells it"
    assert names.api("brokerage_new") == "brokerage_new__c"
    assert names.api("Branch__c") == names.api("branch") == "Branch__c"
    assert names.ours("Email") == "email"
    assert names.ours("Brokerage_KYC_Status__c") == "brokerage_kyc_status"


def test_names_of_person_accounts() -> None:
    fields = ["PersonEmail", "broker_client_id__c", "broker_client_id__pc", "Stage__pc", "Stage__c",
              "Region__c"]  # fmt: skip
    names = Names(fields, PERSON_NAMES, "broker_client_id", (PERSON, CUSTOM))
    assert names.api("email") == "PersonEmail"
    assert names.api("broker_client_id") == "broker_client_id__c", "the key is Account's own"
    assert names.api("stage") == "Stage__pc", "before the business account's field"
    assert names.api("region") == "Region__c"
    assert names.api("brokerage_new") == "brokerage_new__pc"
    assert custom("brokerage_new__pc") == "brokerage_new__c", "made on Contact"
    assert [names.ours(f) for f in fields] == [
        "email", "broker_client_id", "broker_client_id__pc", "stage", "stage__c", "region",
    ]  # fmt: skip


def test_a_custom_field_never_takes_a_standard_ones_name() -> None:
    names = Names(["MailingCountry", "Country__c"], CONTACT_NAMES)
    assert (names.api("country"), names.api("country__c")) == ("MailingCountry", "Country__c")
    assert (names.ours("MailingCountry"), names.ours("Country__c")) == ("country", "country__c")


@pytest.mark.parametrize("name", ["x" * 41, "a__b", "ends_", "1st", ""])
def test_a_name_salesforce_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="rule set"):
        custom(name)
