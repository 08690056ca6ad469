"""What a Zendesk ticket is about: the order of evidence, words of subjects, complaints."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.zendesk.category import shipped
from mapping.payloads import Ticket
from mapping.records import Record
from tests.connectors.test_zendesk_tickets import row, ticket
from tests.connectors.zendesk_rig import ZendeskRig
from tests.contracts.world import client

LISTS: dict[str, Any] = {
    "category_field": 11,
    "category_values": {"money_out": "withdrawal"},
    "forms": {21: "kyc"},
    "tags": {"robot": "trading"},
    "groups": {31: "bonus"},
    "complaint_field": 12,
    "complaint_forms": (22,),
}

FIELD = [{"id": 11, "value": "money_out"}]


@pytest.mark.parametrize(
    ("evidence", "category", "rule"),
    [
        # All at once, then each without those before it.
        (
            {"custom_fields": FIELD, "ticket_form_id": 21, "tags": ["robot"], "group_id": 31,
             "subject": "I cannot log in"},
            "withdrawal", "field:11:money_out",
        ),
        (
            {"ticket_form_id": 21, "tags": ["robot"], "group_id": 31, "subject": "log in"},
            "kyc", "form:21",
        ),
        ({"tags": ["robot"], "group_id": 31, "subject": "log in"}, "trading", "tag:robot"),
        ({"group_id": 31, "subject": "I cannot log in"}, "bonus", "group:31"),
        ({"subject": "I cannot log in"}, "platform", "word:en:log in"),
        ({"subject": "Hello"}, "other", "none"),
        ({"subject": None}, "other", "none"),
        # A field without a known value, a form and a group without a meaning, say nothing.
        ({"custom_fields": [{"id": 11, "value": "misc"}], "tags": ["kyc"]}, "kyc", "tag:kyc"),
        ({"custom_fields": [{"id": 11, "value": None}], "group_id": 31}, "bonus", "group:31"),
        ({"custom_fields": [{"id": 13, "value": "kyc"}]}, "other", "none"),
        ({"ticket_form_id": 20, "group_id": 30, "tags": ["x", "deposit"]}, "payment",
         "tag:deposit"),
        # A category's own name needs no setting; a list field may hold several values.
        ({"custom_fields": [{"id": 11, "value": "Bonus"}]}, "bonus", "field:11:bonus"),
        ({"custom_fields": [{"id": 11, "value": ["x", "kyc"]}]}, "kyc", "field:11:kyc"),
        ({"custom_fields": [{"id": 11, "value": "other"}], "tags": ["kyc"]}, "other",
         "field:11:other"),
    ],
)  # fmt: skip
def test_the_first_evidence_decides(evidence: dict[str, Any], category: str, rule: str) -> None:
    found = ticket(row(**evidence), **LISTS)
    assert (found.category, found.rule, found.complaint) == (category, rule, False)


@pytest.mark.parametrize(
    ("subject", "category"),
    [
        ("WITHDRAWAL?", "withdrawal"),
        ("my withdrawals", "withdrawal"),
        ("Re: [Payout] #33", "withdrawal"),
        ("Payment of my withdrawal", "withdrawal"),  # the narrower word decides
        ("Withdrawal of the bonus", "withdrawal"),
        ("Payment? Mi retiro!", "withdrawal"),  # also across languages
        ("unpayoutable", "other"),  # not within a word
        ("Cash  Out please", "withdrawal"),
        ("cashing out", "other"),
        ("My MT5 is broken", "platform"),
        ("MT51", "other"),
        ("Wann kommt meine AUSZAHLUNG", "withdrawal"),
        ("Auszahlungsproblem", "withdrawal"),
        ("¿Y mi retiro?", "withdrawal"),
        ("retirement plan", "other"),
        ("VERIFICACION", "kyc"),  # accents are left out
        ("Dépôt refusé", "payment"),
        ("Где мой вывод?", "withdrawal"),
        ("Κατάθεση", "payment"),
        ("ΚΑΤΑΘΕΣΗ", "payment"),
        ("昨日の出金について", "withdrawal"),
        ("入金できない", "payment"),
        ("ﾎﾞｰﾅｽ", "bonus"),  # half width
        ("طلب السحب", "withdrawal"),
        ("Rut tien", "withdrawal"),
        ("🙂🙂", "other"),
        ("", "other"),
    ],
)
def test_words_of_subjects(subject: str, category: str) -> None:
    assert ticket(row(subject=subject)).category == category


def test_words_are_settings() -> None:
    own = {"en": {"payment": ("moolah*",)}, "nl": {"kyc": ("paspoort",)}}
    assert ticket(row(subject="my moolahs"), keywords=own).rule == "word:en:moolah*"
    assert ticket(row(subject="Paspoort"), keywords=own).rule == "word:nl:paspoort"
    # An admin's word comes before any shipped one.
    assert ticket(row(subject="payout"), keywords={"nl": {"kyc": ("payout",)}}).category == "kyc"
    # The shipped list of a language gives way, those of the others stay.
    assert ticket(row(subject="payout"), keywords=own).category == "other"
    assert ticket(row(subject="Auszahlung"), keywords=own).category == "withdrawal"
    assert ticket(row(subject="payout"), keywords={"en": {}}).category == "other"


@pytest.mark.parametrize(
    "evidence",
    [
        {"custom_fields": [{"id": 12, "value": True}]},
        {"custom_fields": [{"id": 12, "value": "Yes"}]},
        {"ticket_form_id": 22},
        {"tags": ["vip", "complaint"]},
        {"subject": "I want to complain"},
        {"subject": "Meine Beschwerde"},
    ],
)
def test_a_complaint_is_a_mark_beside_the_category(evidence: dict[str, Any]) -> None:
    assert ticket(row(group_id=31, **evidence), **LISTS).category == "bonus"
    assert ticket(row(group_id=31, **evidence), **LISTS).complaint


@pytest.mark.parametrize(
    "evidence",
    [
        {"custom_fields": [{"id": 12, "value": False}]},
        {"custom_fields": [{"id": 12, "value": "no"}]},
        {"custom_fields": [{"id": 13, "value": True}]},
        {"tags": ["no-complaint"]},
        {"subject": "compliant"},
    ],
)
def test_what_is_no_complaint(evidence: dict[str, Any]) -> None:
    assert not ticket(row(**evidence), **LISTS).complaint


def test_a_withdrawal_complaint_is_both() -> None:
    found = ticket(row(subject="Complaint: my withdrawal"))
    assert (found.category, found.complaint) == ("withdrawal", True)


def test_complaint_lists_are_settings() -> None:
    own = {"complaint_tags": ("angry",), "complaint_keywords": {"en": ("lawyer*",)}}
    assert ticket(row(tags=["angry"]), **own).complaint
    assert not ticket(row(tags=["complaint"]), **own).complaint
    assert ticket(row(subject="my lawyers"), **own).complaint
    assert not ticket(row(subject="complaint"), **own).complaint


def test_the_shipped_table_is_whole() -> None:
    lines = shipped()
    assert len({(x.evidence, x.language, x.match) for x in lines}) == len(lines)
    assert {x.evidence for x in lines} == {"tag", "word"}
    assert all(bool(x.language) == (x.evidence == "word") for x in lines)
    assert all(x.match == x.match.strip() and x.match.strip("*") for x in lines)


def test_one_field_may_tell_both() -> None:
    one = {"category_field": 11, "complaint_field": 11}
    for value, category, complaint in (("kyc", "kyc", False), ("complaint", "other", True)):
        whole = row(custom_fields=[{"id": 11, "value": value}])
        rig = ZendeskRig(client("1001"))
        reader = rig.source(**one)._rows
        found = reader.of_ticket(whole, None, rig.world.now_ms)
        assert isinstance(found, Record)
        assert isinstance(found.payload, Ticket)
        assert (found.payload.category, found.payload.complaint) == (category, complaint)
