"""Texts of a digest: many reasons, one reason, clocks that change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mapping.digest import Digest, Line, key, playbook_of
from tests.mapping.test_admission import STATE


def at(day: int, hour: int = 10) -> int:
    """An instant of March 2026 (UTC), as ms."""
    return round(datetime(2026, 3, day, hour, tzinfo=UTC).timestamp() * 1000)


def made(lines: int, rest: dict[str, int], ended_at: int = at(6)) -> Digest:
    """A digest of the PSP's outage."""
    listed = [Line(STATE, f"alpha:{n}", at(5), "12.50 USD") for n in range(lines)]
    psp = frozenset({"psp"})
    return Digest("alpha", "Europe/Nicosia", psp, at(4), ended_at, listed, rest)


def test_the_rest_is_counted_and_can_be_asked_for() -> None:
    found = made(50, {"CS5": 3, "CS8": 9})
    assert found.subject().startswith("62 reasons from the outage of payments, ")
    body = found.body().split("\n")
    assert body[2] == (
        "1. CS5 Failed deposit attempt, client alpha:0, deposits 12.50 USD, "
        "since 2026-03-05 12:00 EET"
    )
    assert body[51].startswith("50. CS5")
    assert body[52:] == [
        "",
        "and 12 more (CS5: 3, CS8: 9): brokersync sync --backlog CS8 --max 50 --brand alpha",
    ]


def test_one_reason_is_one() -> None:
    assert made(1, {}).subject() == (
        "1 reason from the outage of payments, 2026-03-04 12:00 to 2026-03-06 12:00 EET [alpha]"
    )


def test_both_zones_are_named_where_the_clocks_changed() -> None:
    assert "2026-03-04 12:00 EET to 2026-03-30 13:00 EEST" in made(1, {}, at(30)).subject()


@pytest.mark.parametrize(
    ("task", "playbook"),
    [
        (key("alpha", "payments", at(6)), "digest"),
        ("alpha:C1:CS5:2", "CS5"),
        ("alpha:digest:CS5:1", "CS5"),  # a client may be called so
    ],
)
def test_a_key_says_of_which_playbook_its_task_is(task: str, playbook: str) -> None:
    assert playbook_of(task) == playbook
