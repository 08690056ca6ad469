"""What a row of Cellxpert's reports means: dates, amounts, plans, flags, prefixes, partners."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.base import Reject
from mapping.errors import ConfigError, RecordError
from mapping.money import Money
from mapping.payloads import Attribution, Partner, Payout, RiskFlag
from mapping.records import Record, Ref
from mapping.words import Kind, PayoutPlan, PayoutStatus, RiskKind
from simulator.cellxpert import FakePartner
from simulator.wire import Request, Response
from tests.connectors.cellxpert_rig import CellxpertRig
from tests.contracts.world import at, client

ROW = {"User_ID": "1001", "Affiliate_ID": "A17", "Registration_Date": "3/14/2026"}


def read(
    row: object, *, brands: tuple[str, ...] = ("alpha",), **settings: Any
) -> tuple[list[Record], list[Reject]]:
    """What a pull makes of a report with this one row."""
    rig = CellxpertRig(client("nobody"), brands=brands, partners=())
    handle = rig.transport.fake

    def one(request: Request) -> Response:
        answer = handle(request)
        return Response.json(200, [row]) if "processregreport" in request.target else answer

    rig.transport.fake = one
    source = rig.source(step_days=60, **settings)
    (page,) = source.pull(None)
    for reject in page.rejects:
        with pytest.raises(RecordError) as again:
            source.parse(json.loads(reject.raw))
        assert again.value.admin == reject.reason
    for record in page.records:
        assert source.parse(json.loads(record.raw)).content_hash() == record.content_hash()
    return list(page.records), list(page.rejects)


def only(records: list[Record], kind: Kind) -> Record:
    """The one record of a kind."""
    (found,) = (r for r in records if r.kind is kind)
    return found


def reason(row: object, **settings: Any) -> str:
    """Why the row, or the one part of it that cannot be read, is set aside."""
    (reject,) = read(row, **settings)[1]
    return reject.reason


# Attribution


def test_a_row_is_an_attribution() -> None:
    row = ROW | {
        "Customer_Name": "Ana Pop", "afp": "s-1", "Tracking_Code": "spring", "Country": "Cyprus",
        "Landing_Page": "/start?x=1", "Device": "mobile", "Net_Deposits": "99.00",
    }  # fmt: skip
    records, rejects = read(row)
    (record,) = records
    assert rejects == []
    assert record.payload == Attribution(
        "A17", at("2026-03-14 00:00"), "s-1", "spring", "/start?x=1", "Cyprus", "mobile"
    )
    assert (record.external_id, record.ref) == ("1001:A17:s-1", Ref("1001"))
    assert (record.polled, record.deleted, record.brand) == (True, False, "alpha")


def test_nothing_personal_is_kept_of_a_row() -> None:
    # Trap 30: the report shows names and balances; only what a record was made of is kept.
    row = ROW | {"Customer_Name": "Ana Pop", "MT5_Account": "70001", "Net_Deposits": "987654.00"}
    broken = row | {"CPA_Commission": "x", "fraudStatus": "Ana Pop has two accounts 70001"}
    records, rejects = read(broken)
    assert [r.kind for r in records] == [Kind.ATTRIBUTION]
    assert [r.external_id for r in rejects] == ["1001:A17:cpa", "1001:fraud"]
    for text in (*(r.raw for r in records), *(repr(r) for r in rejects), rejects[0].raw):
        for word in ("Ana", "70001", "987654"):
            assert word not in text


@pytest.mark.parametrize("column", ["Country", "afp", "fraudStatus", "CPA_Commission", "Status"])
def test_every_column_but_three_may_be_missing(column: str) -> None:
    full = ROW | {"Country": "Cyprus", "afp": "", "fraudStatus": "", "CPA_Commission": "0"}
    row = {k: v for k, v in full.items() if k != column}
    records, rejects = read(row)
    assert rejects == []
    assert only(records, Kind.ATTRIBUTION).external_id == "1001:A17:"


@pytest.mark.parametrize("value", [None, "", "  ", "0"])
def test_a_client_of_no_affiliate_has_no_attribution_and_no_payout(value: object) -> None:
    records, rejects = read(ROW | {"Affiliate_ID": value, "CPA_Commission": "5.00"})
    assert (records, rejects) == ([], [])


def test_of_two_columns_for_one_thing_the_one_that_says_something_counts() -> None:
    row = ROW | {"Affiliate_ID": "", "BTA": "A5", "Tracking_Code": "one", "TrackingCode": "two"}
    record = read(row)[0][0]
    assert isinstance(record.payload, Attribution)
    assert (record.payload.affiliate_id, record.payload.campaign) == ("A5", "one")
    assert read(ROW | {"BTA": "A5"})[0][0].external_id == "1001:A17:"


def test_which_id_means_nobody_is_a_setting() -> None:
    assert [r.external_id for r in read(ROW | {"Affiliate_ID": 0}, no_affiliate=())[0]] == [
        "1001:0:"
    ]
    assert read(ROW | {"Affiliate_ID": "house"}, no_affiliate=("house",)) == ([], [])


def test_ids_are_the_same_text_in_json_and_in_csv() -> None:
    for row in (ROW, ROW | {"User_ID": 1001}, ROW | {"User_ID": 1001.0}):
        assert read(row)[0][0].external_id == "1001:A17:"


def test_a_colon_in_an_id_is_no_border() -> None:
    one = read(ROW | {"User_ID": "1:2", "Affiliate_ID": "3"})[0][0]
    two = read(ROW | {"User_ID": "1", "Affiliate_ID": "2:3"})[0][0]
    three = read(ROW | {"User_ID": "1%3A2", "Affiliate_ID": "3"})[0][0]
    assert len({r.external_id for r in (one, two, three)}) == 3
    assert one.ref == Ref("1:2")


@pytest.mark.parametrize("column", ["User_ID", "Registration_Date"])
def test_what_a_record_cannot_do_without_is_named(column: str) -> None:
    assert f"'{column}'" in reason({k: v for k, v in ROW.items() if k != column})


@pytest.mark.parametrize("row", [None, "text", 7, [], {}, {"Unknown": 1}])
def test_what_is_no_row_is_set_aside(row: object) -> None:
    assert "no row" in reason(row)


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d", "x" * 501, ["list"], True])
def test_a_broken_text_sets_aside_the_attribution_alone(text: object) -> None:
    records, rejects = read(ROW | {"Tracking_Code": text, "CPL_Commission": "3.00"})
    assert [r.kind for r in records] == [Kind.PAYOUT]
    assert [r.kind for r in rejects] == [Kind.ATTRIBUTION]
    assert "'Tracking_Code'" in rejects[0].reason


def test_the_tenants_own_columns_are_a_setting() -> None:
    row = {"uid": "7", "partner": "A1", "joined": "3/2/2026", "s1": "sub"}
    names = {"client": "uid", "affiliate": "partner", "registered": "joined", "sub_id": "s1"}
    assert read(row, columns=names)[0][0].external_id == "7:A1:sub"
    with pytest.raises(ValueError, match="user_id"):
        CellxpertRig().source(columns={"user_id": "uid"})


# Dates


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3/14/2026", "2026-03-14 00:00"),  # a day no month could be
        ("3/9/2026", "2026-03-09 00:00"),
        ("12/9/2025", "2025-12-09 00:00"),
        ("03/09/2026", "2026-03-09 00:00"),
        ("3/9/2026 13:05", "2026-03-09 13:05"),
        ("3/9/2026 1:05:00 PM", "2026-03-09 13:05"),
        ("3/9/2026 12:05 AM", "2026-03-09 00:05"),
        ("2026-03-09T13:05:00", "2026-03-09 13:05"),
        ("2026-03-09", "2026-03-09 00:00"),
        ("2/29/2024", "2024-02-29 00:00"),
    ],
)
def test_dates_are_read_in_the_vendors_order(text: str, wanted: str) -> None:
    payload = read(ROW | {"Registration_Date": text})[0][0].payload
    assert isinstance(payload, Attribution)
    assert payload.at == at(wanted)


def test_the_order_of_dates_is_a_setting() -> None:
    payload = read(ROW | {"Registration_Date": "9/3/2026"}, date_format="D/M/YYYY")[0][0].payload
    assert isinstance(payload, Attribution)
    assert payload.at == at("2026-03-09 00:00")
    wrong = reason(ROW, date_format="D/M/YYYY")  # 3/14/2026
    assert "'Registration_Date'" in wrong
    assert "date_format" in wrong


def test_dates_are_of_the_tenants_zone() -> None:
    payload = read(ROW, zone="Europe/Nicosia")[0][0].payload
    assert isinstance(payload, Attribution)
    assert payload.at == at("2026-03-13 22:00")


@pytest.mark.parametrize(
    "value",
    ["14/3/2026", "2/29/2025", "3/14/26", "0/0/0000", "13:05", "soon", 46000, True,
     "3/9/2026 13:05 PM", "3/9/2026 25:00", "3/14/2031", "1/1/1970", "\u0663/9/2026"],
)  # fmt: skip
def test_what_is_no_date_is_set_aside(value: object) -> None:
    told = reason(ROW | {"Registration_Date": value})
    assert "'Registration_Date'" in told
    assert str(value) not in told


# Payouts


def payouts(row: dict[str, Any], **settings: Any) -> dict[str, tuple[int, bool]]:
    """Minor units, and whether it says that there is none, by external id."""
    records, rejects = read(ROW | row, **settings)
    assert rejects == []
    return {
        r.external_id: (r.payload.amount.minor, r.deleted)
        for r in records
        if isinstance(r.payload, Payout)
    }


def test_each_plan_is_a_payout() -> None:
    row = ROW | {
        "CPA_Commission": "1,250.50", "CPL_Commission": 3, "Revshare_Commission": -12.5,
        "Sub_Affiliate_Commissions": "1.10", "Other_Commissions": "0.15",
        "Qualification_Date": "3/16/2026", "Commissions": "9999.00",
    }  # fmt: skip
    found = {r.external_id: r.payload for r in read(row)[0] if r.kind is Kind.PAYOUT}
    registered, accrued = at("2026-03-14 00:00"), PayoutStatus.ACCRUED

    def payout(plan: PayoutPlan, minor: int, when: int = registered) -> Payout:
        return Payout("A17", plan, accrued, Money(minor, "USD"), when)

    assert found == {
        "1001:A17:cpa": payout(PayoutPlan.CPA, 125_050, at("2026-03-16 00:00")),
        "1001:A17:cpl": payout(PayoutPlan.CPL, 300),
        "1001:A17:revshare": payout(PayoutPlan.REVSHARE, -1250),
        "1001:A17:other": payout(PayoutPlan.OTHER, 125),
    }


@pytest.mark.parametrize(
    ("value", "minor"),
    [
        ("1,234.50", 123_450),
        ("1 234.50", 123_450),
        ("1\u00a0234.50", 123_450),
        ("1\u202f234\u202f567.00", 123_456_700),
        ("1'234.50", 123_450),
        (" 12.5 ", 1250),
        ("$1,234.50", 123_450),
        ("-12.50", -1250),
        (".5", 50),
        (12.5, 1250),
        (7, 700),
        (0.1 + 0.2, 30),  # what a sum of floats shows
        ("33.335", 3334),  # half to even
        ("33.325", 3332),
        (1e-30, 0),
    ],
)
def test_amounts_are_read_to_the_cent(value: object, minor: int) -> None:
    assert payouts({"CPA_Commission": value}) == {"1001:A17:cpa": (minor, minor == 0)}


@pytest.mark.parametrize(
    "value",
    ["12,50", "1,23,456.00", "1.234,50", "12.50 USD", "twelve", "1e3", "--5", "NaN", "-", ",",
     "9" * 40, "1" * 41, 1e20, float(10**15), True, [1], "\u0661\u0662"],
)  # fmt: skip
def test_what_is_no_amount_is_set_aside(value: object) -> None:
    told = reason(ROW | {"CPA_Commission": value})
    assert "'CPA_Commission'" in told


def test_a_decimal_comma_is_a_setting() -> None:
    assert "decimal_comma" in reason(ROW | {"CPA_Commission": "12,50"})
    for value, minor in (("12,50", 1250), ("1.234,50", 123_450), ("1 234,5", 123_450), (1.5, 150)):
        found = payouts({"CPA_Commission": value}, decimal_comma=True)
        assert found == {"1001:A17:cpa": (minor, False)}


def test_amounts_have_the_digits_of_the_currency() -> None:
    for currency, minor in (("JPY", 1234), ("KWD", 1_234_500), ("EUR", 123_450)):
        row = {"CPA_Commission": "1,234.50"}
        assert payouts(row, currency=currency) == {"1001:A17:cpa": (minor, False)}
    with pytest.raises(ConfigError, match="currency"):
        CellxpertRig().source(currency="usd")


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_blank_amount_says_nothing(value: object) -> None:
    assert payouts({"CPA_Commission": value}) == {}


@pytest.mark.parametrize("value", ["0", "0.00", 0, 0.0, "-0.00", "0.004"])
def test_a_zero_says_that_there_is_no_payout(value: object) -> None:
    assert payouts({"CPA_Commission": value}) == {"1001:A17:cpa": (0, True)}


def test_what_is_not_there_needs_no_date() -> None:
    row = {"User_ID": "1", "Affiliate_ID": "A", "CPA_Commission": "0", "fraudStatus": ""}
    records, rejects = read(row)
    assert [(r.external_id, r.deleted) for r in records] == [("1:A:cpa", True), ("1:fraud", True)]
    assert [r.kind for r in rejects] == [Kind.ATTRIBUTION]


# Risk flags


@pytest.mark.parametrize(
    ("text", "risk", "is_open", "gone"),
    [
        ("Suspected", RiskKind.SUSPICIOUS_PATTERN, True, False),
        (True, RiskKind.SUSPICIOUS_PATTERN, True, False),
        ("DUPLICATE", RiskKind.DUPLICATE_ACCOUNT, True, False),
        ("bonus_abuse", RiskKind.BONUS_ABUSE, True, False),
        ("Cleared", RiskKind.SUSPICIOUS_PATTERN, False, False),
        ("", RiskKind.SUSPICIOUS_PATTERN, False, True),
        (None, RiskKind.SUSPICIOUS_PATTERN, False, True),
        (0, RiskKind.SUSPICIOUS_PATTERN, False, True),
        ("Clean", RiskKind.SUSPICIOUS_PATTERN, False, True),
    ],
)
def test_a_fraud_status_is_a_flag(text: object, risk: RiskKind, is_open: bool, gone: bool) -> None:
    record = only(read(ROW | {"fraudStatus": text})[0], Kind.RISK_FLAG)
    assert isinstance(record.payload, RiskFlag)
    assert (record.payload.risk, record.payload.open) == (risk, is_open)
    assert (record.external_id, record.deleted) == ("1001:fraud", gone)


def test_a_report_without_the_column_says_nothing_of_fraud() -> None:
    assert [r.kind for r in read(ROW)[0]] == [Kind.ATTRIBUTION]


def test_a_client_of_nobody_is_flagged_all_the_same() -> None:
    records, _ = read(ROW | {"Affiliate_ID": "", "fraudStatus": "Fraud"})
    assert [r.external_id for r in records] == ["1001:fraud"]


def test_an_unknown_fraud_text_is_set_aside_with_its_reason() -> None:
    records, rejects = read(ROW | {"fraudStatus": "Under review"})
    assert [r.kind for r in records] == [Kind.ATTRIBUTION]
    assert [(r.external_id, r.kind) for r in rejects] == [("1001:fraud", Kind.RISK_FLAG)]
    assert "'Under review'" in rejects[0].reason
    assert "fraud_statuses" in rejects[0].reason
    known = {"under-review": {"effect": "open", "risk": "exposure"}}
    record = only(
        read(ROW | {"fraudStatus": "Under review"}, fraud_statuses=known)[0], Kind.RISK_FLAG
    )
    assert isinstance(record.payload, RiskFlag)
    assert (record.payload.risk, record.payload.open) == (RiskKind.EXPOSURE, True)


def test_a_remark_in_place_of_a_status_is_not_repeated() -> None:
    told = reason(ROW | {"fraudStatus": "same card as Ana Pop, 70001"})
    assert "Ana" not in told
    assert "27 letters" in told


# Prefixes and brands


def test_prefixes_are_kept_unless_the_rule_is_on() -> None:
    assert read(ROW | {"User_ID": "AL-1001"})[0][0].ref == Ref("AL-1001")


def test_a_prefix_is_taken_away_before_the_first_dash() -> None:
    for user, wanted in (("AL-1001", "1001"), ("AL-10-01", "10-01"), ("1001", "1001")):
        record = read(ROW | {"User_ID": user}, client_prefix_rule=True)[0][0]
        assert record.ref == Ref(wanted)
        assert record.external_id == f"{user}:A17:"


@pytest.mark.parametrize("user", ["-1001", "AL-", "-"])
def test_half_a_prefix_is_set_aside(user: str) -> None:
    told = reason(ROW | {"User_ID": user}, client_prefix_rule=True)
    assert "prefix" in told


def test_prefixes_tell_the_brand() -> None:
    settings: dict[str, Any] = {
        "brands": ("alpha", "beta"),
        "client_prefix_rule": True,
        "client_prefixes": {"AL": "alpha", "BE": "beta"},
    }
    found = [read(ROW | {"User_ID": f"{p}-1"}, **settings)[0][0] for p in ("AL", "BE")]
    assert [(r.brand, r.ref.value) for r in found] == [("alpha", "1"), ("beta", "1")]
    assert found[0].external_id != found[1].external_id
    for user in ("1", "XX-1"):
        assert "AL, BE" in reason(ROW | {"User_ID": user}, **settings)


def test_several_brands_need_prefixes() -> None:
    rig = CellxpertRig(brands=("alpha", "beta"))
    for settings in ({}, {"client_prefix_rule": True}, {"client_prefixes": {"A": "alpha"}}):
        with pytest.raises(ConfigError, match="client_prefixes"):
            rig.source(**settings)
    with pytest.raises(ConfigError, match="gamma"):
        rig.source(client_prefix_rule=True, client_prefixes={"G": "gamma"})


# Partners


def partners(*found: FakePartner, **settings: Any) -> tuple[list[Record], list[Reject]]:
    """What a pull makes of a partner list."""
    brands = settings.pop("brands", ("alpha",))
    rig = CellxpertRig(client("nobody"), brands=brands, partners=found)
    (page,) = rig.source(step_days=60, **settings).pull(None)
    return list(page.records), list(page.rejects)


def test_partners_are_no_clients() -> None:
    (record,), _ = partners(FakePartner("A17", "Ångström, Ltd.", "CPA", country="SE"))
    assert record.payload == Partner("Ångström, Ltd.", PayoutPlan.CPA, "Approved", "SE", None)
    assert (record.external_id, record.ref) == ("A17", Ref("A17", "partner"))
    assert "example.com" not in record.raw  # how to reach them is not kept


def test_an_unknown_plan_is_set_aside_and_can_be_named() -> None:
    odd = FakePartner("A17", "One", "Tiered CPA")
    records, (reject,) = partners(odd, FakePartner("A18", "Two"))
    assert [r.external_id for r in records] == ["A18"]
    assert (reject.external_id, reject.kind) == ("A17", Kind.PARTNER)
    assert "'Tiered CPA'" in reject.reason
    assert "plans" in reject.reason
    (record,), _ = partners(odd, plans={"tiered cpa": "cpa"})
    assert isinstance(record.payload, Partner)
    assert record.payload.plan is PayoutPlan.CPA


def test_a_partner_without_an_id_is_set_aside() -> None:
    records, (reject,) = partners(FakePartner("", "One"))
    assert records == []
    assert reject.external_id.startswith("row-")
    assert "'AffiliateID'" in reject.reason


def test_a_partner_of_two_brands_is_known_to_both() -> None:
    prefixes = {"client_prefix_rule": True, "client_prefixes": {"A": "alpha", "B": "beta"}}
    records, _ = partners(FakePartner("A17", "One"), brands=("alpha", "beta"), **prefixes)
    assert [(r.external_id, r.brand, r.ref.value) for r in records] == [
        ("A17:alpha", "alpha", "A17"),
        ("A17:beta", "beta", "A17"),
    ]


def test_which_partners_are_listed_is_a_setting() -> None:
    records, _ = partners(
        FakePartner("A17", "One"), FakePartner("A18", "Two", status="Declined"),
        partner_params={"status": "Approved"},
    )  # fmt: skip
    assert [r.external_id for r in records] == ["A17"]


@pytest.mark.parametrize(
    "raw",
    [{}, {"part": "x", "read_at": 1, "cells": {}}, {"part": ["cpa"], "read_at": 1, "cells": {}},
     {"part": "partner", "brand": "gamma", "read_at": 1, "cells": {"id": "1"}},
     {"part": "cpa", "read_at": 1, "cells": {"client": "1"}}],
)  # fmt: skip
def test_a_foreign_set_aside_row_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        CellxpertRig().source().parse(raw)
