"""The oracle's rules on affiliates, risk flags, tickets and shared addresses, by hand (UTC)."""

from __future__ import annotations

import pytest

from simulator.story import Event, Partner
from tests.simulator.stories import account, at, booking, client, deposit, event, seen, trade, world

PARTNERS = (
    Partner("A", "Active", "hybrid"),
    Partner("R", "Review", "cpa", "review"),
    Partner("N", "None", "none"),
)


def sent(affiliate: str, sub_id: str = "s1", when: str = "2026-03-01 08:00") -> Event:
    return event(when, "attributed", affiliate=affiliate, sub_id=sub_id)


def moved(when: str, affiliate: str) -> Event:
    return event(when, "reattributed", affiliate=affiliate, sub_id="s9")


@pytest.mark.parametrize(
    ("told", "fields", "reviewed"),
    [
        ([], ("", "", ""), False),
        ([sent("A")], ("A", "s1", "hybrid"), False),
        ([sent("N", "")], ("N", "", "none"), False),
        ([sent("R", "x:1")], ("R", "x:1", "cpa"), True),
        ([sent("unlisted")], ("unlisted", "s1", ""), False),
        # The first touch stays.
        ([sent("A"), moved("2026-03-04 10:50", "R")], ("A", "s1", "hybrid"), False),
        ([sent("R"), moved("2026-03-04 10:50", "A")], ("R", "s1", "cpa"), True),
    ],
)
def test_first_touch(told: list[Event], fields: tuple[str, str, str], reviewed: bool) -> None:
    found = seen("2026-03-05 12:00", client(*told), partners=PARTNERS)
    names = ("affiliate_id", "sub_id", "partner_payout_category")
    assert tuple(found.fields[name] for name in names) == fields
    assert ("CS13" in found.states) is reviewed


def test_review_begins_with_the_day_of_the_attribution() -> None:
    """The reports name the day, and nothing finer."""
    one = client(sent("R", when="2026-03-01 08:00:05"), moved("2026-03-09 10:50", "A"))
    found = seen("2026-03-10 12:00", one, partners=PARTNERS)
    assert found.states["CS13"] == at("2026-03-01 00:00")


def test_a_disputed_payout_is_a_reason_too() -> None:
    dispute = event("2026-03-07 10:50", "payout_disputed", affiliate="A", plan="cpa")
    found = seen("2026-03-10 12:00", client(sent("A"), dispute), partners=PARTNERS)
    assert found.states["CS13"] == at("2026-03-07 10:50")
    both = seen("2026-03-10 12:00", client(sent("R"), dispute), partners=PARTNERS)
    assert both.states["CS13"] == at("2026-03-07 10:50")


def flagged(when: str, kind: str) -> Event:
    return event(when, "fraud_flagged", kind=kind, reason="rule 7")


CLEARED = event("2026-03-06 10:50", "fraud_cleared")
FILED = event("2026-03-04 12:00", "chargeback_opened", payment="1", id="9", amount="5.00")
PAID = deposit("2026-03-02 12:00", "1", "5.00")


@pytest.mark.parametrize(
    ("kind", "suspicious", "duplicate"),
    [
        ("suspicious_pattern", "true", "false"),
        ("bonus_abuse", "true", "false"),
        ("exposure", "true", "false"),
        ("duplicate_account", "false", "true"),
    ],
)
def test_an_open_flag(kind: str, suspicious: str, duplicate: str) -> None:
    one = client(sent("A"), flagged("2026-03-03 10:50", kind), CLEARED)
    found = seen("2026-03-05 12:00", one)
    raised = at("2026-03-03 10:50")
    silent = {"CS1": at("2026-03-02 08:00")}
    assert (found.stage, found.since) == ("LS12", raised)
    assert found.states == {**silent, "CS14": raised}
    assert found.undated == {"stage", "CS14"}
    assert found.fields["suspicious_behavior"] == suspicious
    assert found.fields["duplicate_account"] == duplicate
    later = seen("2026-03-06 10:50", one)
    assert (later.stage, later.states, later.undated) == ("LS1", silent, set())
    assert later.fields["suspicious_behavior"] == later.fields["duplicate_account"] == "false"


@pytest.mark.parametrize(
    ("when", "since", "undated"),
    [
        ("2026-03-03 10:50", "2026-03-03 10:50", {"stage", "CS14"}),
        ("2026-03-05 10:50", "2026-03-04 12:00", set()),
    ],
)
def test_the_earliest_of_flags_and_disputes(when: str, since: str, undated: set[str]) -> None:
    found = seen("2026-03-05 12:00", client(sent("A"), PAID, FILED, flagged(when, "exposure")))
    assert (found.stage, found.since) == ("LS12", at(since))
    assert found.undated == undated


def test_a_flag_raised_again_was_first_open_then() -> None:
    one = client(
        sent("A"), flagged("2026-03-03 10:50", "exposure"), CLEARED,
        flagged("2026-03-09 10:50", "bonus_abuse"),
    )  # fmt: skip
    assert seen("2026-03-09 12:00", one).since == at("2026-03-03 10:50")


def test_another_client_of_the_brand_with_the_same_address() -> None:
    one = client(email="Ana@Example.com ")
    two = client(
        event("2026-03-04 08:00", "registered", email="other@example.com"),
        event("2026-03-05 08:00", "profile_updated", email=" ana@example.com"),
        event("2026-03-07 08:00", "merged", into="1001"),
        id="1002",
    )
    shown = [
        seen(when, one, two).fields["duplicate_account"]
        for when in ("2026-03-04 12:00", "2026-03-05 08:00", "2026-03-07 08:00")
    ]
    assert shown == ["false", "true", "false"]
    blank = [client(email=""), client(email=None, id="1002")]
    assert seen("2026-03-04 12:00", *blank).fields["duplicate_account"] == "false"


def opened(*days: float) -> list[Event]:
    """Tickets opened so many days after 2026-03-01 12:00."""
    return [
        Event(
            at("2026-03-01 12:00") + round(day * 86_400_000), "ticket_opened", {"ticket": f"t{n}"}
        )
        for n, day in enumerate(days)
    ]


@pytest.mark.parametrize(
    ("days", "now", "since"),
    [
        ((0, 1, 2), 3, None),
        ((0, 1, 2, 3), 3, 3),
        ((0, 1, 2, 3), 29.99, 3),
        ((0, 1, 2, 3), 30, None),
        ((0, 1, 2, 30), 30, None),
        ((0, 1, 2, 29.99), 29.99, 29.99),
        # A fifth before the state would have ended goes on with the run, to the second's 30 days.
        ((0, 1, 2, 3, 29), 30.5, 3),
        ((0, 1, 2, 3, 29), 31, None),
        # Exactly when it would have ended, a new run begins.
        ((0, 1, 2, 3, 30), 30.5, 30),
        # After a gap: those of the old run count, if they are young enough.
        ((0, 20, 21, 22, 40), 41, 40),
        ((0, 1, 2, 3, 40, 41, 42), 43, None),
        ((0, 1, 2, 3, 40, 41, 42, 43), 43, 43),
    ],
)
def test_support_load(days: tuple[float, ...], now: float, since: float | None) -> None:
    start = at("2026-03-01 12:00")
    found = seen(start + round(now * 86_400_000), client(*opened(*days)))
    expected = None if since is None else start + round(since * 86_400_000)
    assert found.states.get("CS16") == expected
    assert found.fields["ticket_count"] == str(len(days))


def test_the_end_of_the_load_is_a_time_to_look_again() -> None:
    one = client(*opened(0, 1, 2, 3))
    ends = at("2026-03-31 12:00")
    assert "CS16" in seen(ends - 1, one).states
    assert seen(ends - 1, one).until == ends
    assert "CS16" not in seen(ends, one).states


def step(name: str, hours: int, **data: str) -> Event:
    moment = at("2026-03-02 12:00") + hours * 3_600_000
    return Event(moment, f"ticket_{name}", {"ticket": "t0", **data})


@pytest.mark.parametrize(
    ("steps", "unresolved"),
    [
        ([], "true"),
        ([step("updated", 1)], "true"),
        ([step("updated", 1, status="pending")], "true"),
        ([step("updated", 1, status="hold")], "true"),
        ([step("solved", 1)], "false"),
        ([step("solved", 1), step("updated", 2)], "false"),
        ([step("solved", 1), step("reopened", 2)], "true"),
        ([step("solved", 1), step("closed", 2)], "false"),
    ],
)
def test_unresolved(steps: list[Event], unresolved: str) -> None:
    found = seen("2026-03-05 12:00", client(*opened(0), *steps)).fields
    assert (found["unresolved_ticket"], found["ticket_count"]) == (unresolved, "1")


def test_a_deleted_ticket_never_was() -> None:
    told = [*opened(0, 1, 2, 3), step("deleted", 200)]
    assert "CS16" in seen("2026-03-10 12:00", client(*told)).states
    found = seen("2026-03-12 12:00", client(*told))
    assert ("CS16" in found.states, found.fields["ticket_count"]) == (False, "3")


KYC = [
    event("2026-03-02 09:00", "kyc_started", attempt=1),
    event("2026-03-04 09:00", "kyc_submitted", attempt=1),
]


@pytest.mark.parametrize(
    ("told", "date"),
    [
        ([], ""),
        (KYC[:1], "2026-03-02"),
        (KYC, "2026-03-02"),
        # Once it is decided, nobody tells any more when the documents came.
        ([*KYC, event("2026-03-06 09:00", "kyc_approved", attempt=1)], "2026-03-02"),
        (
            [
                *KYC,
                event("2026-03-06 09:00", "kyc_rejected", attempt=1, final=False, reason="x"),
                event("2026-03-07 09:00", "kyc_submitted", attempt=2),
            ],
            "2026-03-07",
        ),
        ([PAID], "2026-03-02"),
        # An attempt nobody ended ended after 30 minutes: the next day in Nicosia.
        (
            [
                event(
                    "2026-03-03 21:45", "deposit_attempted", payment="1", amount="5", currency="USD"
                )
            ],
            "2026-03-04",
        ),
        ([account("2026-03-02 09:00"), trade("2026-03-05 22:00:01")], "2026-03-06"),
        (
            [
                event("2026-03-03 09:00", "withdrawal_requested", payment="2", amount="1",
                      currency="USD"),
                event("2026-03-08 09:00", "withdrawal_rejected", payment="2"),
            ],
            "2026-03-08",
        ),
        ([account("2026-03-02 09:00"), booking("2026-03-09 09:00", "bonus", "5.00")], "2026-03-09"),
        ([account("2026-03-02 09:00"), booking("2026-03-09 09:00", "credit", "5.00")], ""),
        ([account("2026-03-02 09:00"), booking("2026-03-09 09:00", "wire", "5.00")], "2026-03-09"),
        (opened(4), "2026-03-05"),
        ([sent("A"), flagged("2026-03-09 10:50", "exposure")], ""),
    ],
)  # fmt: skip
def test_the_last_meaningful_event(told: list[Event], date: str) -> None:
    found = seen("2026-03-20 12:00", client(*told))
    assert found.fields["last_activity_date"] == date


def test_records_of_a_merged_client_are_the_survivors() -> None:
    """Its account, trades, bookings, payouts and tickets."""
    one = client(sent("A"))
    two = client(
        event("2026-03-02 08:00", "registered", email="b@example.com"),
        account("2026-03-02 09:00"),
        trade("2026-03-03 10:00", commission="-9.00"),
        booking("2026-03-04 10:00", "bonus", "2.00"),
        *opened(3),
        event("2026-03-06 08:00", "merged", into="1001"),
        id="1002",
    )
    names = ("first_trade_date", "bonus_used", "ticket_count", "net_revenue", "affiliate_id")
    before = seen("2026-03-06 07:59:59", one, two).fields
    assert [before[n] for n in names] == ["", "0.00", "0", "0.00", "A"]
    after = seen("2026-03-06 08:00", one, two).fields
    assert [after[n] for n in names] == ["2026-03-03", "2.00", "1", "7.00", "A"]
    assert world(one, two).merges == {"alpha:1001": ["alpha:1002"]}
