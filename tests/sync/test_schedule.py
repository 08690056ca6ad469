"""When a source is due: intervals, cron lines, jitter, missed ticks, backing off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sync.schedule import Schedule, Timer

START = 1_772_323_217_000  # 2026-03-01T00:00:17Z
MINUTE = 60_000
HOUR = 60 * MINUTE


def ms(text: str) -> int:
    """An instant."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def after_success(timer: Timer, started: int, took: int = 0) -> int:
    """When the next read is due after one that went well."""
    timer.ended(started, started + took, failed=False)
    return timer.due_ms


def test_an_interval_starts_at_once_and_keeps_its_ticks() -> None:
    timer = Timer("psp", Schedule(every_s=60), START, None)
    assert timer.due_ms == START
    due = START
    for tick in range(1, 500):
        due = after_success(timer, due, took=900)
        late = due - (START + tick * MINUTE)
        assert 0 <= late < 6000, "a tenth of the interval is the most"


def test_jitter_is_spread_and_always_the_same() -> None:
    def lateness(name: str) -> list[int]:
        timer = Timer(name, Schedule(every_s=600), START, None)
        ticks = [START + n * 10 * MINUTE for n in range(300)]
        return [after_success(timer, tick) - tick - 10 * MINUTE for tick in ticks]

    assert lateness("psp") == lateness("psp")
    assert lateness("psp") != lateness("kyc")
    assert all(0 <= late < 30_000 for late in lateness("psp")), "half a minute is the most"
    assert len(set(lateness("psp"))) > 250
    assert 12_000 < sum(lateness("psp")) / 300 < 18_000


def test_ticks_missed_meanwhile_become_one_read_at_once() -> None:
    timer = Timer("psp", Schedule(every_s=60), START, None)
    took = 3 * MINUTE + 10_000
    assert after_success(timer, START, took) == START + took
    # Back on the ticks after that one: 3:10 + 1 s, so the next is the fourth.
    assert 0 <= after_success(timer, START + took, 1000) - (START + 4 * MINUTE) < 6000


def test_failures_are_left_alone_longer_and_longer() -> None:
    timer = Timer("psp", Schedule(every_s=60), START, None)
    now, waits = START, []
    for _ in range(9):
        timer.ended(now, now, failed=True)
        waits.append((timer.due_ms - now) // 1000)
        now = timer.due_ms
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900, 900]
    after_success(timer, now)
    timer.ended(now, now, failed=True)
    assert timer.due_ms - now == 30_000, "one success, and it begins anew"


def test_a_vendor_that_asks_for_time_gets_it() -> None:
    timer = Timer("psp", Schedule(every_s=60), START, None)
    timer.ended(START, START, failed=True, retry_after_s=7200)
    assert timer.due_ms == START + 2 * HOUR
    timer.hurry(START + 1000)
    assert timer.due_ms == START + 2 * HOUR, "and nobody hurries it"


def test_a_clock_set_back_stops_nobody() -> None:
    timer = Timer("psp", Schedule(every_s=60), START, None)
    after_success(timer, START)
    back = START - 5 * HOUR
    assert not timer.is_due(back)
    assert back < timer.due_ms <= back + MINUTE + 6000


CRON = {
    "every five minutes": ("*/5 * * * *", "UTC", "2026-03-01T00:05:00"),
    # Nicosia is two hours ahead of UTC in winter, three in summer (from 29 March).
    "at night, there": ("30 3 * * *", "Europe/Nicosia", "2026-03-01T01:30:00"),
    "a weekday by number": ("0 12 * * 1", "UTC", "2026-03-02T12:00:00"),
    "Sunday is 0": ("0 12 * * 0", "UTC", "2026-03-01T12:00:00"),
    "and 7": ("0 12 * * 7", "UTC", "2026-03-01T12:00:00"),
    "a span over Sunday": ("0 12 * * fri-mon", "UTC", "2026-03-01T12:00:00"),
    "working days": ("0 12 * * 1-5", "UTC", "2026-03-02T12:00:00"),
    "a day of the month": ("0 0 2 * *", "UTC", "2026-03-02T00:00:00"),
}


@pytest.mark.parametrize("case", CRON)
def test_a_cron_line_waits_for_its_time(case: str) -> None:
    line, zone, first = CRON[case]
    timer = Timer("table", Schedule(cron=line, zone=zone), START, last_ms=START - 1000)
    assert 0 <= timer.due_ms - ms(first) < 30_000


def test_a_cron_line_follows_the_clock_of_its_zone() -> None:
    schedule = Schedule(cron="30 5 * * *", zone="Europe/Nicosia")
    timer = Timer("table", schedule, ms("2026-03-28T03:40:00"), ms("2026-03-28T03:30:00"))
    assert 0 <= timer.due_ms - ms("2026-03-29T02:30:00") < 30_000, "an hour earlier: summer time"


def test_an_hour_that_does_not_exist_is_not_lost() -> None:
    schedule = Schedule(cron="30 3 * * *", zone="Europe/Nicosia")  # skipped on 29 March
    timer = Timer("table", schedule, ms("2026-03-28T02:00:00"), ms("2026-03-28T01:30:00"))
    assert 0 <= timer.due_ms - ms("2026-03-29T01:30:00") < 30_000
    following = after_success(timer, timer.due_ms, 5000)
    assert 0 <= following - ms("2026-03-30T00:30:00") < 30_000


def test_a_time_that_passed_while_nobody_ran_is_made_up_for_once() -> None:
    schedule = Schedule(cron="0 3 * * *")
    timer = Timer("table", schedule, START, last_ms=START - 72 * HOUR)
    assert timer.due_ms == START
    assert 0 <= after_success(timer, START, 5000) - ms("2026-03-01T03:00:00") < 30_000
    assert Timer("table", schedule, START, last_ms=None).due_ms == START, "never read yet"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("* * * *", "five parts"),
        ("61 * * * *", "61"),
        ("x * * * *", "minute"),
        ("0 0 30 2 *", "no such day"),
        ("0 0 1 * 1", "not both"),
        ("0 0 * * 8", "weekday"),
        ("0 0 * * 1/x", "number of days"),
    ],
)
def test_a_line_that_is_none_is_refused(line: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Schedule(cron=line).trigger(START)


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        (Schedule(every_s=1800), 0.5),
        (Schedule(cron="15 6 * * *"), 24),
        (Schedule(cron="0 9-17 * * *"), 16),  # the night
        (Schedule(cron="0 8 * * mon-fri"), 72),  # the weekend
        (Schedule(cron="30 2 * * *", zone="Europe/Nicosia"), 24),
    ],
)
def test_the_longest_gap_between_reads(schedule: Schedule, hours: float) -> None:
    wednesday = 1_772_625_600_000  # 2026-03-04T12:00Z
    assert schedule.longest_gap_ms(wednesday) == hours * 3_600_000
