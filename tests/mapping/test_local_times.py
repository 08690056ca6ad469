"""Local texts of instants: the same as the slow way gives, in every zone and at every change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.calendars import local_date
from mapping.local_times import LocalTimes

ZONES = (
    "UTC", "Europe/Nicosia", "America/New_York", "Asia/Kolkata", "Pacific/Chatham",
    "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "Pacific/Apia",
)  # fmt: skip
LORD_HOWE = 1_775_314_800_000  # 2026-04-04T15:00Z: half an hour back


@pytest.mark.parametrize("zone", ZONES)
@given(instant=st.integers(0, 4_102_444_800_000), step=st.integers(-90_000_000, 90_000_000))
def test_a_fast_text_is_the_slow_one(zone: str, instant: int, step: int) -> None:
    times = LocalTimes(zone)
    for at in (instant, instant + step, LORD_HOWE + step):
        slow = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))
        assert times.at(at) == slow.strftime("%Y-%m-%d %H:%M %Z")
        assert times.day(at) == local_date(at, zone).isoformat()


def test_a_blank_is_what_it_is_said_to_be() -> None:
    times = LocalTimes("UTC", "not known")
    assert (times.at(None), times.day(None)) == ("not known", "not known")
    assert times.at(0) == "1970-01-01 00:00 UTC"
