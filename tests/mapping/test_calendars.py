"""Due times, worked out by hand, in open time and across changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mapping.calendars import Calendar, Term, local_date

OFFICE = Calendar()
ALWAYS = Calendar(always=True)
NICOSIA, LONDON, NEW_YORK = "Europe/Nicosia", "Europe/London", "America/New_York"


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("calendar", "begin", "term", "zone", "due"),
    [
        # Round the clock, minutes are minutes.
        (ALWAYS, "2026-03-07T23:58", Term(minutes=5), NICOSIA, "2026-03-08T00:03"),
        # A Saturday: Monday 9:00 in Nicosia (UTC+2) and an hour.
        (OFFICE, "2026-03-07T10:00", Term(minutes=60), NICOSIA, "2026-03-09T08:00"),
        # Friday 17:30 local: half an hour on Friday, half an hour on Monday.
        (OFFICE, "2026-03-06T15:30", Term(minutes=60), NICOSIA, "2026-03-09T07:30"),
        # Before opening.
        (OFFICE, "2026-03-09T05:00", Term(minutes=15), NICOSIA, "2026-03-09T07:15"),
        # Exactly until closing is today, a minute more is tomorrow.
        (OFFICE, "2026-03-09T15:00", Term(minutes=60), NICOSIA, "2026-03-09T16:00"),
        (OFFICE, "2026-03-09T15:01", Term(minutes=60), NICOSIA, "2026-03-10T07:01"),
        # London is on summer time from Sunday 29 March: Monday 9:00 is 8:00 UTC.
        (OFFICE, "2026-03-27T18:30", Term(minutes=30), LONDON, "2026-03-30T08:30"),
        # Same day is the end of the first open day; next day the end of the one after.
        (OFFICE, "2026-03-09T10:00", Term(days=0), NICOSIA, "2026-03-09T16:00"),
        (OFFICE, "2026-03-09T16:00", Term(days=0), NICOSIA, "2026-03-10T16:00"),
        (OFFICE, "2026-03-06T10:00", Term(days=1), NICOSIA, "2026-03-09T16:00"),
        (OFFICE, "2026-03-07T10:00", Term(days=2), NICOSIA, "2026-03-11T16:00"),
        # Round the clock a day ends at local midnight; 8 March 2026 has 23 hours in New York.
        (ALWAYS, "2026-03-08T06:00", Term(days=0), NEW_YORK, "2026-03-09T04:00"),
    ],
)
def test_due(calendar: Calendar, begin: str, term: Term, zone: str, due: str) -> None:
    assert calendar.due(ms(begin), term, zone) == ms(due)


def test_days_are_cut_in_the_zone() -> None:
    assert local_date(ms("2026-03-04T22:30"), NICOSIA).isoformat() == "2026-03-05"
    assert local_date(ms("2026-03-04T21:30"), NICOSIA).isoformat() == "2026-03-04"


def test_urgent_is_within_the_hour() -> None:
    assert Term(minutes=60).urgent
    assert not Term(minutes=61).urgent
    assert not Term(days=0).urgent
