"""The rule of the server's clock, told from rows: their wall-clock time beside their UTC time.

A row that was changed later, or exported late, measures nothing; so it is the mode of many rows
that counts, at places spread over the whole history: the rules a server may follow differ only in
summer and winter, and on the weeks between two dates of switching.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from connectors.mt5_sql.layout import Found, Layout
from connectors.mt5_sql.server_time import ServerTime, of_filetime
from connectors.sql import Reader
from mapping.errors import ConfigError

_LOG = logging.getLogger(__name__)
PLACES, ROWS = 96, 25
# Fewer rows of one offset than this measure nothing, nor does a share below this.
LEAST_ROWS, LEAST_SHARE = 3, 0.6
# Offsets are whole quarters of an hour; a fresh row's Timestamp is this close to its time.
STEP_MIN, NEAR_S = 15, 120
FURTHEST_MIN = 14 * 60
CANDIDATES = ("NY+7", "Europe/Athens", "Europe/London", "UTC")


@dataclass(frozen=True, slots=True)
class Place:
    """What the rows at one place of the history say: each (UTC ms, minutes ahead of UTC)."""

    rows: tuple[tuple[int, int], ...]

    def ahead(self) -> int:
        """The offset of most rows."""
        return Counter(offset for _, offset in self.rows).most_common(1)[0][0]

    def fits(self, clock: ServerTime) -> bool | None:
        """Whether most rows agree with a rule; None where they agree on nothing."""
        off = Counter(offset - clock.offset_min(at) for at, offset in self.rows)
        difference, count = off.most_common(1)[0]
        if count < LEAST_ROWS or count < LEAST_SHARE * len(self.rows):
            return None
        return difference == 0


def measured(reader: Reader, layout: Layout) -> list[Place]:
    """What the export's rows say of the clock."""
    found = layout.tables()
    each = max(8, PLACES // len(found))
    return [place for table in found for place in _places(reader, table, layout.profile, each)]


def decide(places: Sequence[Place], name: str) -> ServerTime:
    """The one rule that all places fit.

    Raises:
        ConfigError: no row measures anything, no rule fits, or several do.
    """
    setting = f"{name}: setting server_tz"
    if not places:
        raise ConfigError(
            f"{setting}: the clock cannot be measured, too few deals are there; set the rule, such"
            " as NY+7, Europe/Athens or fixed:+03:00"
        )
    fixed = [f"fixed:{_offset(ahead)}" for ahead in sorted({p.ahead() for p in places})]
    rules = [ServerTime.read(rule, setting) for rule in (*CANDIDATES, *fixed)]
    fitting = [rule for rule in rules if not disagreeing(places, rule)]
    # UTC is one clock, whichever way it is written.
    names = [r.rule for r in fitting if not (r.rule == "UTC" and len(fitting) > 1)]
    if len(names) == 1:
        return ServerTime.read(names[0], setting)
    offsets = ", ".join(_offset(ahead) for ahead in sorted({p.ahead() for p in places}))
    if not names:
        raise ConfigError(
            f"{setting}: rows measure {offsets} against UTC, which fits no known rule; set the rule"
        )
    raise ConfigError(
        f"{setting}: rows measure {offsets} against UTC, which fits {' and '.join(names)} alike;"
        " set the one that the server follows"
    )


def verify(places: Sequence[Place], clock: ServerTime, name: str) -> None:
    """Compare a configured rule with the rows.

    Raises:
        ConfigError: they disagree; says both.
    """
    if found := disagreement(places, clock):
        raise ConfigError(f"{name}: setting server_tz is {clock.rule}, but {found}; correct it")


def disagreement(places: Sequence[Place], clock: ServerTime) -> str:
    """What the rows measure where they disagree with a rule; blank where they do not."""
    bad = disagreeing(places, clock)
    if not bad:
        return ""
    at = bad[-1].rows[0][0]
    day = datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
    return (
        f"rows of {day} measure {_offset(bad[-1].ahead())} against UTC where that rule has"
        f" {_offset(clock.offset_min(at))}"
    )


def disagreeing(places: Sequence[Place], clock: ServerTime) -> list[Place]:
    """The places that do not fit a rule; none where it is a single one of many."""
    bad = [place for place in places if place.fits(clock) is False]
    return bad if len(bad) > 1 or len(places) < 8 else []


def warn(places: Sequence[Place], clock: ServerTime, name: str) -> None:
    """Log that a configured rule disagrees with the rows, while pulling goes on."""
    if found := disagreement(places, clock):
        _LOG.warning("%s: setting server_tz is %s, but %s", name, clock.rule, found)


def _places(reader: Reader, found: Found, profile: str, count: int) -> Iterator[Place]:
    t = found.alias("t")
    mt4 = profile == "mt4"
    key = t["TICKET"] if mt4 else t["Deal"]
    wall = (t.get("MODIFY_TIME") if mt4 else t["Time"]).label("wall")
    stamp = (t["TIMESTAMP"] if mt4 else t["Timestamp"]).label("stamp")
    low, high = (reader.one(sa.select(f(key))) for f in (sa.func.min, sa.func.max))
    if low is None or (mt4 and not found.has("MODIFY_TIME")):
        return
    step = max(ROWS, (int(high) - int(low)) // count + 1)
    for start in range(int(low), int(high) + 1, step):
        rows = reader.rows(sa.select(wall, stamp).where(key >= start).order_by(key).limit(ROWS))
        told = [_ahead(row["wall"], row["stamp"], mt4=mt4) for row in rows if row["wall"]]
        place = Place(tuple(one for one in told if one is not None))
        counts = Counter(offset for _, offset in place.rows)
        if counts and counts.most_common(1)[0][1] >= LEAST_ROWS:
            yield place


def _ahead(wall: str, stamp: int, *, mt4: bool) -> tuple[int, int] | None:
    """A row's instant and how far its wall clock is ahead, in minutes; None: it tells nothing."""
    at = int(stamp) * 1000 if mt4 else of_filetime(int(stamp))
    shown = datetime.fromisoformat(wall).replace(tzinfo=UTC).timestamp() * 1000
    minutes = round((shown - at) / 60_000 / STEP_MIN) * STEP_MIN
    if abs((shown - at) / 1000 - minutes * 60) > NEAR_S or abs(minutes) > FURTHEST_MIN:
        return None
    return at, minutes


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
