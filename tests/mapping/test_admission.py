"""Admission of what began while a vendor was away: what is refused, why, what goes before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mapping.admission import Admitted, Reason, Refusal, admit
from mapping.calendars import Calendar, Term
from mapping.facts import FACTS
from mapping.outage import Outage, old
from mapping.policy import BrandPolicy, Scope, Team
from mapping.rules import Scope as Terms
from mapping.rules import condition, instant
from mapping.ruleset import State

HOUR = 3_600_000


def at(day: int, hour: int = 10) -> int:
    """An instant of March 2026 (UTC), as ms."""
    return round(datetime(2026, 3, day, hour, tzinfo=UTC).timestamp() * 1000)


TERMS = Terms(FACTS)
STATE = State(
    "CS5", "Failed deposit attempt",
    condition("kyc_status = 'approved' and last_attempt_outcome = 'failed'", TERMS),
    instant("last_attempt_ended_at", TERMS),
    "payments", Term(minutes=5), "Offer a route", "Failed deposit", "It failed.",
)  # fmt: skip
BRAND = BrandPolicy(
    "alpha", "Europe/Nicosia", "USD", "hubspot", {"*": at(1)}, {"*": "tasks"},
    {"payments": Team("payments", Calendar(always=True), queue="70110")},
)  # fmt: skip
OVER = Outage(frozenset({"psp"}), at(4), at(6, 8), at(6))


def test_what_began_meanwhile_is_refused_with_its_times() -> None:
    found = admit(STATE, Reason(at(5)), BRAND, "alpha:1:CS5:1", outage=OVER)
    assert isinstance(found, Refusal)
    assert found.code == "outage"
    assert found.why == (
        "the reason began 2026-03-05 10:00 UTC, in the outage of payments "
        "(2026-03-04 10:00 UTC to 2026-03-06 10:00 UTC)"
    )
    assert found.task == Admitted(at(6) + 5 * 60_000, "payments", "70110", "HIGH")


def test_while_it_lasts_only_its_begin_is_known() -> None:
    lasting = replace(OVER, ended_at=None, families=frozenset({"trading", "ledger"}))
    found = admit(STATE, Reason(at(5)), BRAND, "alpha:1:CS5:1", outage=lasting)
    assert isinstance(found, Refusal)
    assert found.why.endswith(
        "in the outage of account bookings and trades (since 2026-03-04 10:00 UTC)"
    )


def test_on_request_it_is_admitted_and_due_from_then() -> None:
    found = admit(STATE, Reason(at(5)), BRAND, "alpha:1:CS5:1", late_at=at(7), outage=OVER)
    assert found == Admitted(at(7) + 5 * 60_000, "payments", "70110", "HIGH")


@pytest.mark.parametrize(
    ("brand", "code"),
    [
        (replace(BRAND, modes={"*": "observe"}), "mode"),
        (replace(BRAND, live_from={"*": at(6)}), "live_from"),
        (replace(BRAND, live_from={}), "live_from"),
        (replace(BRAND, scope=Scope(countries=frozenset({"CY"}))), "scope"),
        (replace(BRAND, teams={}), "no_owner"),
    ],
)
def test_what_would_open_no_task_anyway_is_in_no_digest(brand: BrandPolicy, code: str) -> None:
    found = admit(STATE, Reason(at(5), "DE"), brand, "alpha:1:CS5:1", outage=OVER)
    assert isinstance(found, Refusal)
    assert (found.code, found.task) == (code, None)


@pytest.mark.parametrize(
    ("begin", "is_old"),
    [(at(4) - 1, False), (at(4), True), (at(6, 8) - 1, True), (at(6, 8), False), (at(6), False)],
)
def test_it_is_old_from_when_the_source_was_complete_to_its_patience_before_the_end(
    begin: int, is_old: bool
) -> None:
    assert (old(STATE.dated_by, begin, [OVER]) is OVER) is is_old


def test_only_what_dates_a_reason_can_make_it_old() -> None:
    """Verification that was away keeps nobody from hearing of a failed deposit at once."""
    assert STATE.when.families == {"kyc", "psp"}
    assert STATE.dated_by == {"psp"}
    kyc = replace(OVER, families=frozenset({"kyc"}))
    assert old(STATE.dated_by, at(5), [kyc]) is None
    assert old(STATE.dated_by, at(5), [kyc, OVER]) is OVER
    counted = replace(STATE, counts_from=instant("kyc_approved_at", TERMS))
    assert old(counted.dated_by, at(5), [kyc]) is kyc
