"""When each source is due: interval or cron line, jitter, coalesced ticks, backing off."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

FIRST_BACKOFF_S = 30
LONGEST_BACKOFF_S = 900
_LONGEST_JITTER_MS = 30_000
_TICKS = 30  # enough to meet every gap of a line that names hours and weekdays
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a source is read: an interval, or else a cron line in a time zone.

    Args:
        every_s: seconds between two reads; 0 where there is a cron line.
        cron: minute, hour, day of month, month, day of week.
        zone: IANA name; where the cron line's hours are.
    """

    every_s: int = 0
    cron: str = ""
    zone: str = "UTC"

    def longest_gap_ms(self, start_ms: int) -> int:
        """The longest time between two reads of those that come next."""
        if not self.cron:
            return self.every_s * 1000
        trigger, gap, at = self.trigger(start_ms), 0, start_ms
        for number in range(_TICKS):
            tick = trigger.get_next_fire_time(None, _when(at + 1))
            if tick is None:
                break
            before, at = at, round(tick.timestamp() * 1000)
            gap = max(gap, at - before) if number else 0
        return gap

    def trigger(self, start_ms: int) -> Any:
        """APScheduler's trigger; intervals are counted from ``start_ms``.

        Raises:
            ValueError: the cron line is none; says what is wrong.
        """
        if not self.cron:
            # From the first such tick of all: a clock that is set back must not come before it.
            first = start_ms % (self.every_s * 1000)
            return IntervalTrigger(seconds=self.every_s, start_date=_when(first), timezone=UTC)
        fields = self.cron.split()
        if len(fields) != 5:
            raise ValueError("a cron line has five parts: minute hour day month weekday")
        minute, hour, day, month, weekday = fields
        if day != "*" and weekday != "*":
            raise ValueError("give a day of the month or a weekday, not both: crons differ in it")
        trigger = CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday),
            timezone=ZoneInfo(self.zone),
        )  # fmt: skip
        if trigger.get_next_fire_time(None, _when(start_ms)) is None:
            raise ValueError("no such day ever comes")
        return trigger


def _weekdays(text: str) -> str:
    """By name: cron counts weekdays from Sunday, APScheduler from Monday."""
    if text == "*":
        return text
    found: list[str] = []
    for part in text.lower().split(","):
        days, _, step = part.partition("/")
        first, dash, last = ("0", "-", "6") if days == "*" else days.partition("-")
        start = _weekday(first)
        end = _weekday(last) if dash else start
        if end < start:
            end += 7
        if step and not (step.isascii() and step.isdigit() and int(step)):
            raise ValueError(f"{step[:20]!r} is no number of days")
        found += [_WEEKDAYS[n % 7] for n in range(start, end + 1, int(step or 1))]
    return ",".join(dict.fromkeys(found))


def _weekday(text: str) -> int:
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    if text.isascii() and text.isdigit() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text[:20]!r} is no weekday: write sun to sat, or 0 to 7")


class Timer:
    """When one source is due next.

    Args:
        start_ms: now.
        last_ms: when the source was last read, if it ever was.
    """

    def __init__(self, name: str, schedule: Schedule, start_ms: int, last_ms: int | None) -> None:
        self.name = name
        self.failures = 0
        self._trigger = schedule.trigger(start_ms)
        self._planned_ms = start_ms
        self.due_ms = start_ms
        if schedule.cron and last_ms is not None:
            # Who wrote a cron line meant those hours. One that passed meanwhile is made up for.
            self.due_ms = max(start_ms, self._jittered(self._tick(last_ms)))

    def is_due(self, now_ms: int) -> bool:
        """Whether a read is to start."""
        if now_ms < self._planned_ms:  # the clock was set back: what was planned means nothing
            self._planned_ms = now_ms
            self.due_ms = min(self.due_ms, self._jittered(self._tick(now_ms)))
        return now_ms >= self.due_ms

    def hurry(self, now_ms: int) -> None:
        """Read at once, unless the source is being left alone because it fails."""
        if not self.failures:
            self.due_ms = min(self.due_ms, now_ms)

    def ended(
        self, started_ms: int, now_ms: int, *, failed: bool, retry_after_s: float = 0.0
    ) -> None:
        """A read ended: plan the next.

        Args:
            retry_after_s: how long the vendor asked not to be asked.
        """
        self.failures = self.failures + 1 if failed else 0
        self._planned_ms = now_ms
        if failed:
            self.due_ms = now_ms + round(max(backoff_s(self.failures), retry_after_s) * 1000)
            return
        tick = self._tick(started_ms)
        # Ticks that passed meanwhile become one read, at once.
        self.due_ms = now_ms if tick <= now_ms else self._jittered(tick)

    def _tick(self, after_ms: int) -> int:
        """The first tick past an instant."""
        found: datetime = self._trigger.get_next_fire_time(None, _when(after_ms + 1))
        return round(found.timestamp() * 1000)

    def _jittered(self, tick: int) -> int:
        """A little later, so that not every hub calls at the full minute; always the same."""
        most = min((self._tick(tick) - tick) // 10, _LONGEST_JITTER_MS)
        text = f"{self.name} {tick}".encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        return tick + number % max(1, most)


def backoff_s(failures: int) -> float:
    """How long to leave somebody alone after so many failures in a row: 30 s to 15 minutes."""
    grown = FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20)
    return min(grown, LONGEST_BACKOFF_S)


def _when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
