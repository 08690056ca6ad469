"""Which source families are late: patience, standing still, being current again."""

from __future__ import annotations

from mapping.freshness import Late, late

HOUR, DAY = 3_600_000, 86_400_000
T = 1_772_700_000_000


def test_it_is_late_after_its_patience_and_named_where_it_stopped() -> None:
    horizons = {"psp": T, "kyc": T + HOUR}
    assert late({}, horizons, T + 2 * HOUR, {}) == {}
    found = late({}, horizons, T + 2 * HOUR + 1, {})
    assert found == {"psp": Late(T, T + 2 * HOUR + 1)}
    assert late({}, horizons, T + 2 * HOUR + 1, {"psp": 3 * HOUR}) == {}
    # Hours later nothing of it has changed.
    assert late(found, horizons, T + 3 * HOUR, {})["psp"] == found["psp"]


def test_one_that_catches_up_is_named_the_same_until_it_is_current() -> None:
    known = {"psp": Late(T, T + 3 * HOUR)}
    now = T + 10 * HOUR
    assert late(known, {"psp": T + 8 * HOUR}, now, {}) == known
    assert late(known, {"psp": now - HOUR - 1}, now, {}) == known
    assert late(known, {"psp": now - HOUR}, now, {}) == {}


def test_one_that_lags_for_good_is_named_anew_once_a_day() -> None:
    known = {"psp": Late(T, T + 3 * HOUR)}
    almost = T + DAY - 1
    assert late(known, {"psp": almost}, almost + 5 * HOUR, {}) == known
    found = late(known, {"psp": T + DAY}, T + DAY + 5 * HOUR, {})
    assert found == {"psp": Late(T + DAY, T + 3 * HOUR)}


def test_one_that_is_complete_to_less_than_was_named_is_named_anew() -> None:
    known = {"psp": Late(T, T + 3 * HOUR)}  # a second source of the family was added
    found = late(known, {"psp": T - DAY}, T + 4 * HOUR, {})
    assert found == {"psp": Late(T - DAY, T + 3 * HOUR)}


def test_one_that_was_never_complete_or_is_gone_is_not_late() -> None:
    assert late({"kyc": Late(T, T)}, {"psp": 0}, T + DAY, {}) == {}
