"""Client cards against cards written by hand: each line, blanks, missing sources, the wall."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from config import yaml_file
from config.settings import DEFAULT_RULES
from mapping.brief import OpenTask, Standing
from mapping.card import CITED, LONGEST, Cards
from mapping.facts import CATALOGUE, FACTS, FAMILIES
from mapping.rules import FactType
from mapping.ruleset import RuleSet, load
from mapping.words import DeclineCategory, ReasonCategory

HEADS = (
    "Source", "Sales", "KYC", "Deposits", "Withdrawals", "Trading", "Campaigns", "Support",
    "Bonuses", "Risk", "Economics", "Trail",
)  # fmt: skip
ZONE = "Europe/Nicosia"


def at(text: str) -> int:
    """Milliseconds of ``2026-03-02 08:00`` (UTC)."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@cache
def rules(*families: str) -> RuleSet:
    """The shipped rules, with these source families (all by default)."""
    return load(yaml_file.read(DEFAULT_RULES).data, families or FAMILIES, 2)


def facts(**known: Any) -> dict[str, Any]:
    """All facts of a client of whom nothing else is known; sums are 0 then."""
    sums = {d.name: 0 for d in CATALOGUE if d.pick == "sum"}
    found = {d.name: d.fact.default for d in CATALOGUE} | sums
    found |= {"registered_at": at("2026-03-02 07:00"), "country": "CY", "language": "el"}
    assert known.keys() <= found.keys()
    return found | known


def made(
    stage: str = "LS1", since: str = "2026-03-02 07:00", cards: Cards | None = None,
    families: tuple[str, ...] = (), states: dict[str, int] | None = None,
    tasks: tuple[OpenTask, ...] = (), with_held: bool = False, **known: Any,
) -> tuple[dict[str, str], str]:  # fmt: skip
    """(lines by head, brief) of a client."""
    maker = cards or Cards(rules(*families), ZONE, "USD", 2)
    standing = Standing(
        "alpha:1002", facts(**known), stage, at(since), states or {}, tasks, with_held
    )
    text, brief = maker.of(standing)
    lines = dict(line.split(": ", 1) for line in text.split("\n"))
    assert tuple(lines)[:12] == HEADS
    return lines, brief


def line(head: str, **known: Any) -> str:
    """One line."""
    return made(**known)[0][head]


# --- the twelve lines ----------------------------------------------------------------------------


def test_cc1_source() -> None:
    found = line(
        "Source", source_type="affiliate", campaign="spring-cy", landing_page="/cy/spring",
        device="ios", affiliate_id="77", sub_id="banner-3", attributed_at=at("2026-03-02 06:58"),
        attribution_conflict=1,
    )  # fmt: skip
    assert found == (
        "affiliate, campaign spring-cy, landing page /cy/spring, country CY, device ios, "
        "registered 2026-03-02 09:00 EET; affiliate 77, sub-id banner-3, "
        "attributed 2026-03-02 08:58 EET, another affiliate was named later"
    )
    assert line("Source") == (
        "not known, campaign not known, landing page not known, country CY, device not known, "
        "registered 2026-03-02 09:00 EET; affiliate not known"
    )


def test_cc2_sales() -> None:
    task = OpenTask("CS5", at("2026-03-05 12:07"))
    found = line("Sales", stage="LS4", tasks=(task,), zone="Asia/Nicosia")
    assert found == (
        "team payments; next task: Offer a payment route that works, due 2026-03-05 14:07 EET; "
        "language el, time zone Asia/Nicosia; last contact and call outcome not connected"
    )
    assert line("Sales", stage="LS11") == (
        "team account management; no open task; language el, time zone not known; "
        "last contact and call outcome not connected"
    )


def test_cc3_kyc() -> None:
    assert line("KYC") == "not started"
    approved = {"kyc_status": "approved", "kyc_attempt": 1, "kyc_status_at": at("2026-03-03 08:00")}
    assert line("KYC", **approved) == "approved since 2026-03-03 10:00 EET, attempt 1"
    rejected = approved | {
        "kyc_status": "rejected_retry", "kyc_attempt": 2, "kyc_gap": "proof_of_address",
        "kyc_rejection_reason": "document_quality", "kyc_reason_code": "BLOCKLIST",
        "kyc_client_text": "A corner\nis cut off.",
    }  # fmt: skip
    # The provider's own code is never shown: one that is new to us may say anything.
    assert line("KYC", **rejected) == (
        "rejected retry since 2026-03-03 10:00 EET, attempt 2; reason document quality, missing or "
        "failed proof_of_address, the client was told: A corner is cut off."
    )
    review = {"kyc_status": "in_review", "kyc_attempt": 1}
    assert line("KYC", **review) == "in review since not known, attempt 1"


PAID = {
    "deposit_attempts": 1, "deposits": 1, "total_deposits": 31000,
    "first_deposit_at": at("2026-03-03 10:00"), "last_deposit_at": at("2026-03-03 10:00"),
    "first_deposit_method": "card", "last_attempt_opened_at": at("2026-03-03 09:58"),
    "last_attempt_outcome": "succeeded", "last_attempt_ended_at": at("2026-03-03 10:00"),
    "last_attempt_method": "card", "last_attempt_psp": "Nuvei", "last_attempt_amount": "310.00 USD",
}  # fmt: skip
FAILED = PAID | {
    "deposit_attempts": 4, "failed_attempts": 1, "deposits": 3,
    "second_deposit_at": at("2026-03-04 10:00"), "last_deposit_at": at("2026-03-05 10:00"),
    "last_attempt_outcome": "failed", "last_attempt_ended_at": at("2026-03-06 10:00"),
    "last_attempt_amount": "250.00 EUR", "last_attempt_decline": "insufficient_funds",
}  # fmt: skip


def test_cc4_deposits() -> None:
    assert line("Deposits") == "no attempt"
    assert line("Deposits", **PAID) == (
        "attempts 1 (failed 0, counted 1), total 310.00 USD; first 2026-03-03 12:00 EET by card; "
        "latest attempt succeeded 2026-03-03 12:00 EET: 310.00 USD by card through Nuvei"
    )
    assert line("Deposits", **FAILED) == (
        "attempts 4 (failed 1, counted 3), total 310.00 USD; first 2026-03-03 12:00 EET by card, "
        "second 2026-03-04 12:00 EET, latest 2026-03-05 12:00 EET; latest attempt failed "
        "2026-03-06 12:00 EET: 250.00 EUR by card through Nuvei, insufficient funds"
    )
    abandoned = line("Deposits", **FAILED | {"last_attempt_abandoned": 1})
    assert abandoned.endswith("250.00 EUR by card through Nuvei, abandoned")
    waiting = {"deposit_attempts": 1, "last_attempt_opened_at": at("2026-03-03 09:58")}
    assert line("Deposits", **waiting, total_deposits=None) == (
        "attempts 1 (failed 0, counted 0), total not known; "
        "latest attempt 2026-03-03 11:58 EET without an outcome"
    )


TAKEN = {
    "withdrawals": 2, "withdrawals_open": 1, "total_withdrawals": 5000,
    "first_withdrawal_at": at("2026-03-10 08:00"), "first_withdrawal_amount": "50.00 USD",
    "first_withdrawal_method": "card", "first_withdrawal_status": "paid",
    "first_withdrawal_settled_at": at("2026-03-11 08:00"),
    "last_withdrawal_at": at("2026-03-20 08:00"),
    "last_withdrawal_paid_at": at("2026-03-11 08:00"),
}  # fmt: skip
REVIEWED = TAKEN | {
    "withdrawals": 1, "total_withdrawals": 0, "first_withdrawal_status": "manual_review",
    "first_withdrawal_settled_at": None, "last_withdrawal_at": at("2026-03-10 08:00"),
    "last_withdrawal_paid_at": None,
}  # fmt: skip


def test_cc5_withdrawals() -> None:
    assert line("Withdrawals") == "none requested"
    assert line("Withdrawals", **TAKEN) == (
        "requested 2 (open 1), paid 50.00 USD; first 2026-03-10 10:00 EET: 50.00 USD by card, paid "
        "2026-03-11 10:00 EET; latest requested 2026-03-20 10:00 EET; "
        "latest paid 2026-03-11 10:00 EET"
    )
    assert line("Withdrawals", **REVIEWED) == (
        "requested 1 (open 1), paid 0.00 USD; first 2026-03-10 10:00 EET: 50.00 USD by card, "
        "manual review"
    )


def test_cc6_trading() -> None:
    assert line("Trading", trading_accounts=1) == "no trade, accounts 1"
    traded = {
        "trading_accounts": 2, "trading_days": 12, "first_trade_at": at("2026-03-04 23:30"),
        "last_trade_at": at("2026-03-20 08:00"), "last_trade_group": "fx",
    }  # fmt: skip
    found = line("Trading", **traded)
    assert found == "first 2026-03-05, latest 2026-03-20 in fx, trading days 12, accounts 2"
    # Another deal on that day changes nothing: who trades all day has one card a day.
    assert line("Trading", **traded | {"last_trade_at": at("2026-03-20 09:00")}) == found


def test_cc7_campaigns() -> None:
    assert line("Campaigns", campaign="spring-cy") == (
        "first touch spring-cy; messages, calls and offers not connected"
    )


def test_cc8_support() -> None:
    assert line("Support") == "no ticket"
    found = line(
        "Support", tickets=3, tickets_open=1, complaints_open=1, last_ticket_category="payment",
        last_ticket_at=at("2026-03-06 08:00"),
    )  # fmt: skip
    assert (
        found == "tickets 3 (open 1), open complaints 1; latest 2026-03-06 10:00 EET about payment"
    )


def test_cc9_bonuses() -> None:
    assert line("Bonuses") == "none granted"
    given = {"bonuses": 2, "last_bonus_at": at("2026-03-06 08:00"), "bonus_used": -150}
    assert line("Bonuses", **given) == (
        "granted 2, latest 2026-03-06, used -1.50 USD; terms and expiry not connected"
    )


def test_cc10_risk() -> None:
    assert line("Risk", chargebacks=1) == "no open review; chargebacks 1"


def test_cc11_economics() -> None:
    assert line(
        "Economics", trading_revenue=1234, payment_fees=5, bonus_used=5000, partner_payouts=None,
        tickets=3, refunds_chargebacks=100_000_00,
    ) == (
        "trading revenue 12.34 USD, payment fees 0.05 USD, bonuses 50.00 USD, partner payouts not "
        "known, tickets 3, refunds and chargebacks 100000.00 USD"
    )  # fmt: skip


def test_cc12_trail() -> None:
    assert line("Trail", stage="LS4", since="2026-03-05 12:02") == (
        "LS4 Failed deposit attempt since 2026-03-05 14:02 EET; "
        "history and reasons: brokersync explain alpha:1002"
    )


def test_a_link_to_the_console_only_where_there_is_one() -> None:
    cards = Cards(rules(), ZONE, "USD", 2, console="https://hub.broker.example/")
    text, _ = cards.of(Standing("alpha:1002", facts(), "LS1", at("2026-03-02 07:00")))
    last = text.split("\n")[-1]
    assert last == "Full card: https://hub.broker.example/clients/alpha:1002"
    assert "Full card" not in made()[0]


def test_amounts_have_their_currencys_digits() -> None:
    def total(currency: str, digits: int, minor: int) -> str:
        cards = Cards(rules(), ZONE, currency, digits)
        return made(cards=cards, **PAID | {"total_deposits": minor})[0]["Deposits"].split(";")[0]

    assert total("JPY", 0, 31000).endswith("total 31000 JPY")
    assert total("KWD", 3, 31000).endswith("total 31.000 KWD")
    assert total("KWD", 3, 7).endswith("total 0.007 KWD")
    assert total("USD", 2, 0).endswith("total 0.00 USD")


# --- blanks and missing sources ------------------------------------------------------------------

SECTIONS = {
    "kyc": ["KYC"], "psp": ["Deposits", "Withdrawals"], "trading": ["Trading"],
    "helpdesk": ["Support"], "ledger": ["Bonuses"],
}  # fmt: skip


@pytest.mark.parametrize("family", sorted(SECTIONS))
def test_what_no_source_tells_says_so_and_is_never_0(family: str) -> None:
    others = tuple(f for f in FAMILIES if f != family)
    lines, _ = made(families=others)
    assert {h for h, text in lines.items() if text == "not connected"} == set(SECTIONS[family])


def test_economics_and_risk_say_for_each_figure_what_is_not_connected() -> None:
    lines, brief = made(families=("registry", "kyc"), **FAILED, tickets=3, affiliate_id="77")
    assert lines["Economics"] == (
        "trading revenue not connected, payment fees not connected, bonuses not connected, partner "
        "payouts not connected, tickets not connected, refunds and chargebacks not connected"
    )
    assert lines["Risk"] == "no open review; chargebacks not connected"
    assert lines["Source"].endswith("; affiliate not connected")
    assert "not connected" not in brief


# --- the wall ------------------------------------------------------------------------------------

HOLD = "compliance hold, do not discuss"
CANARIES = {
    "kyc_reason_code": "CANARYCODE", "kyc_client_text": "canary told", "kyc_gap": "canary gap",
    "kyc_status": "rejected_retry", "kyc_attempt": 1, "kyc_status_at": at("2026-03-07 13:13"),
    "risk_flag_at": at("2026-03-07 11:11"), "chargeback_open_at": at("2026-03-07 12:12"),
    "disputes_amount": 77777, "refunds_chargebacks": 77777,
}  # fmt: skip
SENSITIVE = (
    "canary", "aml", "fraud", "duplicate", "flag", "chargeback", "dispute", "suspicious", "abuse",
    "review", "rejected", "777", "13:11", "14:12", "15:13", "investigat",
)  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "an AML match": {"kyc_rejection_reason": "aml_match"},
    "suspected fraud": {"kyc_rejection_reason": "fraud_suspected"},
    "the provider's duplicate": {"kyc_rejection_reason": "duplicate"},
    "an open flag": {"open_risk_flags": 1, "suspicious": 1},
    "an open flag about a duplicate": {"open_risk_flags": 1, "duplicate_flag": 1},
    "a possible duplicate": {"possible_duplicates": 1},
    "an open dispute": {"chargebacks_open": 1, "chargebacks": 1},
    "stage LS12": {"stage": "LS12", "since": "2026-03-07 11:11"},
    "another client of the contact": {"with_held": True},
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_could_tip_off_is_in_card_or_brief(case: str) -> None:
    tasks = (OpenTask("CS14", at("2026-03-07 12:11")), OpenTask("CS8", at("2026-03-10 09:00")))
    states = {"CS14": at("2026-03-07 11:11"), "CS3": at("2026-03-07 13:13")}
    known = FAILED | REVIEWED | CANARIES | {"kyc_rejection_reason": "document_quality"}
    known |= {"stage": "LS8", "since": "2026-03-10 08:00", **CASES[case]}
    lines, brief = made(tasks=tasks, states=states, **known)
    assert (lines["KYC"], lines["Risk"]) == (HOLD, HOLD)
    assert "Compliance hold: do not discuss." in brief
    everything = "\n".join(lines.values()).lower() + brief.lower()
    assert [word for word in SENSITIVE if word in everything] == []
    # The risk team's task is not named, another team's is.
    assert "next task: Tell the client where the withdrawal stands" in lines["Sales"]
    assert "Next:" not in brief


def test_without_any_of_it_there_is_no_hold() -> None:
    known = {n: v for n, v in CANARIES.items() if n.startswith("kyc")}
    lines, brief = made(**known, kyc_rejection_reason="document_quality", chargebacks=1)
    assert lines["KYC"].startswith("rejected retry")
    assert lines["Risk"] == "no open review; chargebacks 1"
    assert "hold" not in brief.lower()


@pytest.mark.parametrize("reason", [r.value for r in ReasonCategory if r.value != "none"])
def test_every_reason_of_a_rejection_is_decided_on(reason: str) -> None:
    lines, _ = made(kyc_status="rejected_final", kyc_rejection_reason=reason)
    named = reason.replace("_", " ") in lines["KYC"]
    assert named == (reason not in ("aml_match", "fraud_suspected", "duplicate"))


@pytest.mark.parametrize("decline", [c.value for c in DeclineCategory if c.value != "none"])
def test_what_an_issuer_suspects_is_not_for_staff_to_tell(decline: str) -> None:
    lines, brief = made(stage="LS4", **FAILED | {"deposits": 0, "last_attempt_decline": decline})
    suspected = decline in ("fraud_suspected", "lost_stolen", "account_blocked")
    said = "declined by the issuer" if suspected else decline.replace("_", " ")
    assert lines["Deposits"].endswith(f"through Nuvei, {said}")
    assert f": {said}." in brief


# --- the brief -----------------------------------------------------------------------------------


def test_a_brief_says_who_where_what_matters_and_what_next() -> None:
    _, brief = made(
        stage="LS4", since="2026-03-06 10:00", tasks=(OpenTask("CS5", at("2026-03-06 10:05")),),
        states={"CS5": at("2026-03-06 10:00")}, **FAILED | {"deposits": 0},
    )  # fmt: skip
    assert brief == (
        "Client alpha:1002 (CY, el): Failed deposit attempt since 2026-03-06 12:00 EET. "
        "Deposit of 250.00 EUR by card failed 2026-03-06 12:00 EET: insufficient funds. "
        "Next: Offer a payment route that works, due 2026-03-06 12:05 EET."
    )


MATTERS: list[tuple[dict[str, Any], str]] = [
    ({"complaints_open": 1, "last_ticket_at": at("2026-03-06 08:00"),
      "last_ticket_category": "withdrawal"},
     "Open complaints: 1, the latest ticket 2026-03-06 10:00 EET about withdrawal."),
    ({"states": {"CS15": at("2026-03-06 08:15")}, "uncredited_at": at("2026-03-06 08:00")},
     "A deposit is paid and not on the account since 2026-03-06 10:00 EET."),
    (FAILED | {"states": {"CS5": at("2026-03-06 10:00")}},
     "Deposit of 250.00 EUR by card failed 2026-03-06 12:00 EET: insufficient funds."),
    ({"kyc_status": "rejected_retry", "kyc_status_at": at("2026-03-06 08:00"),
      "kyc_rejection_reason": "document_missing", "kyc_gap": "back_side"},
     "KYC rejected 2026-03-06 10:00 EET: document missing, missing or failed back_side."),
    (REVIEWED, "Withdrawals open: 1, the latest requested 2026-03-10 10:00 EET."),
    # The state whose task is due soonest; those of the risk team are not told of.
    ({"states": {"CS11": at("2026-03-06 08:00"), "CS7": at("2026-03-07 08:00"),
                 "CS12": at("2026-03-01 08:00")}},
     "Traded once, did not return since 2026-03-07 10:00 EET."),
    ({}, ""),
    # An old failure of a funded client is no matter any more once its state is over.
    (FAILED, ""),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(MATTERS)))
def test_what_matters_most_is_said_first(place: int) -> None:
    known, sentence = MATTERS[place]
    _, brief = made(**known)
    said = f"Client alpha:1002 (CY, el): Registered, no KYC since 2026-03-02 09:00 EET. {sentence}"
    assert brief == f"{said.strip()} No open task."
    for other, _ in MATTERS[place + 1 : 6]:  # the order of the list is that of urgency
        states = {**other.get("states", {}), **known.get("states", {})}
        both = {n: v for n, v in other.items() if n not in known} | known | {"states": states}
        if place < 5:
            assert sentence in made(**both)[1], other


def test_who_is_excluded_is_not_contacted() -> None:
    _, brief = made(stage="LS0", since="2026-03-05 08:00", disposition="self_excluded", language="")
    assert brief == (
        "Client alpha:1002 (CY, language not known): Closed or excluded "
        "since 2026-03-05 10:00 EET. No contact."
    )


# --- late sources, steadiness, length ------------------------------------------------------------


def test_a_late_source_is_named_where_it_matters_and_in_the_brief() -> None:
    late = {"psp": at("2026-03-06 12:05"), "helpdesk": at("2026-03-06 09:00")}
    lines, brief = made(cards=Cards(rules(), ZONE, "USD", 2, late), **PAID)
    named = {head for head, text in lines.items() if "complete up to" in text}
    assert named == {"Deposits", "Withdrawals", "Support"}
    assert lines["Withdrawals"] == ("none requested; payments complete up to 2026-03-06 14:05 EET")
    assert lines["Support"] == "no ticket; tickets complete up to 2026-03-06 11:00 EET"
    assert brief.endswith(
        " Tickets complete up to 2026-03-06 11:00 EET; "
        "payments complete up to 2026-03-06 14:05 EET."
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_late(family: str) -> None:
    cards = Cards(rules(), ZONE, "USD", 2, {family: at("2026-03-06 12:05")})
    lines, brief = made(cards=cards)
    words = "complete up to 2026-03-06 14:05 EET"
    assert any(words in text for text in lines.values())
    assert words in brief
    lines, brief = made(cards=cards, kyc_rejection_reason="aml_match")
    assert (lines["KYC"], lines["Risk"]) == (HOLD, HOLD)


def test_only_a_cited_fact_changes_anything() -> None:
    cards = Cards(rules(), ZONE, "USD", 2)
    given = Standing("alpha:1002", facts(**FAILED, **TAKEN), "LS8", at("2026-03-10 08:00"))
    before = cards.of(given)
    other = dict(given.facts)
    for name, fact in FACTS.items():
        if name not in CITED:
            other[name] = "other" if fact.type in (FactType.TEXT, FactType.ENUM) else 4711
    assert cards.of(Standing("alpha:1002", other, "LS8", given.since)) == before
    least = {name: other[name] for name in CITED}  # nor is any other looked at
    assert cards.of(Standing("alpha:1002", least, "LS8", given.since)) == before
    assert set(CITED) <= FACTS.keys()
    moving = {"balance", "open_positions", "volume", "bonuses_90d", "last_trade_due_at"}
    assert moving.isdisjoint(CITED)


def test_dates_are_the_brands_through_both_clock_changes() -> None:
    def said(zone: str, instant: str) -> str:
        cards = Cards(rules(), zone, "USD", 2)
        return made(cards=cards, since=instant)[0]["Trail"].split(";")[0].split("since ")[1]

    assert said(ZONE, "2026-03-29 00:59") == "2026-03-29 02:59 EET"
    assert said(ZONE, "2026-03-29 01:00") == "2026-03-29 04:00 EEST"
    assert said(ZONE, "2026-10-25 00:59") == "2026-10-25 03:59 EEST"
    assert said(ZONE, "2026-10-25 01:00") == "2026-10-25 03:00 EET"
    assert said("America/New_York", "2026-03-08 06:59") == "2026-03-08 01:59 EST"
    assert said("America/New_York", "2026-03-08 07:00") == "2026-03-08 03:00 EDT"


def test_however_long_the_vendors_texts_are_the_card_is_not() -> None:
    long: dict[str, Any] = {}
    for name in CITED:
        fact = FACTS[name]
        long[name] = {
            FactType.TIME: 4_102_444_800_000, FactType.TEXT: "ab\n<b>é " * 1000,
            FactType.COUNT: 10**9, FactType.MONEY: 10**17, FactType.BOOL: 0, FactType.LOTS: 10**12,
            FactType.ENUM: max(fact.values, key=len) if fact.values else "",
        }[fact.type]  # fmt: skip
    quiet = {"open_risk_flags": 0, "chargebacks_open": 0, "possible_duplicates": 0}
    quiet |= {"kyc_rejection_reason": "document_unsupported", "last_attempt_outcome": "failed"}
    cards = Cards(
        rules(), ZONE, "USDT", 2, dict.fromkeys(FAMILIES, at("2026-03-06 12:05")),
        "https://" + "h" * 200,
    )  # fmt: skip
    text, brief = cards.of(
        Standing("b" * 40 + ":" + "9" * 100, facts(**long | quiet), "LS8", at("2026-03-10 08:00"),
                 tasks=(OpenTask("CS5", at("2026-03-10 08:05")),))
    )  # fmt: skip
    assert 3000 < len(text) < LONGEST
    assert len(brief) < 1000
    assert len(text.split("\n")) == 13
    assert "…" in text
    assert text.split("\n")[-1].startswith("Full card: https://")


def test_a_vendors_text_is_one_line_and_never_a_template() -> None:
    found = made(campaign="x\nRisk: none {kyc_gap}\u2028y\x00", kyc_gap="secret")[0]
    assert found["Campaigns"].startswith("first touch x Risk: none {kyc_gap} y; messages")
