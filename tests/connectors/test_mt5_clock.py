"""The trading server's clock: both changes of 2026 under both rules, and the measured rule.

Days and instants are worked out by hand from the dates of the changes: in the United States on
8 March and 1 November (07:00 and 06:00 UTC), in the European Union on 29 March and 25 October
(01:00 UTC). A server on either is two hours ahead of UTC in winter, three in summer.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.mt5_sql.measure import Place, decide, disagreeing
from connectors.mt5_sql.server_time import ServerTime, of_filetime, to_filetime
from mapping.errors import ConfigError
from mapping.words import Kind
from simulator.metatrader.tables import Shape
from simulator.story import Client, Event
from tests.connectors.mt5_rig import ENGINES, OPENED, SERVER, Hub, Mt5Rig
from tests.contracts.world import at, client, event

US, EU = "NY+7", "Europe/Athens"

# (UTC instant, the server's day by the American rule, by the European rule)
INSTANTS = [
    ("2026-03-07 21:59", "2026-03-07", "2026-03-07"),
    ("2026-03-07 22:30", "2026-03-08", "2026-03-08"),
    ("2026-03-08 06:59", "2026-03-08", "2026-03-08"),
    ("2026-03-08 07:01", "2026-03-08", "2026-03-08"),
    ("2026-03-08 20:59", "2026-03-08", "2026-03-08"),
    ("2026-03-08 21:30", "2026-03-09", "2026-03-08"),
    ("2026-03-15 21:30", "2026-03-16", "2026-03-15"),
    ("2026-03-27 21:30", "2026-03-28", "2026-03-27"),
    ("2026-03-28 22:30", "2026-03-29", "2026-03-29"),
    ("2026-03-29 00:59", "2026-03-29", "2026-03-29"),
    ("2026-03-29 01:01", "2026-03-29", "2026-03-29"),
    ("2026-03-29 21:30", "2026-03-30", "2026-03-30"),
    ("2026-07-01 20:59", "2026-07-01", "2026-07-01"),
    ("2026-07-01 21:00", "2026-07-02", "2026-07-02"),
    ("2026-10-24 21:30", "2026-10-25", "2026-10-25"),
    ("2026-10-25 00:30", "2026-10-25", "2026-10-25"),
    ("2026-10-25 01:30", "2026-10-25", "2026-10-25"),
    ("2026-10-25 21:30", "2026-10-26", "2026-10-25"),
    ("2026-10-25 22:00", "2026-10-26", "2026-10-26"),
    ("2026-10-31 21:00", "2026-11-01", "2026-10-31"),
    ("2026-11-01 05:30", "2026-11-01", "2026-11-01"),
    ("2026-11-01 06:30", "2026-11-01", "2026-11-01"),
    ("2026-11-01 21:30", "2026-11-01", "2026-11-01"),
    ("2026-11-01 22:00", "2026-11-02", "2026-11-02"),
]


def url_of(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> str:
    """An empty database of an engine."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'clock.db'}"
    return str(request.getfixturevalue(engine))


def trader() -> Client:
    """Trades and pays at every instant of the table."""
    events = [OPENED]
    for when, _, _ in INSTANTS:
        events.append(event(when, "traded", login=1000, profit="1.00"))
        events.append(event(when, "ledger_deposit", login=1000, amount="1.00"))
    return client("C-1", *events)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("profile", ["mt5", "mt4"])
@pytest.mark.parametrize("rule", [US, EU])
def test_02_no_trading_day_is_wrong_in_2026(
    request: pytest.FixtureRequest, tmp_path: Path, rule: str, profile: str, engine: str
) -> None:
    days: dict[str, list[int]] = {}
    for when, american, european in INSTANTS:
        days.setdefault(american if rule == US else european, []).append(at(when))
    rig = Mt5Rig(
        url_of(request, engine, tmp_path), trader(), server_tz=rule, now="2026-12-01 00:00",
        shape=Shape(profile=profile), others=False,
    )  # fmt: skip
    hub = Hub().pull(rig.source())
    found = {d.day: d for d in hub.of(Kind.TRADING_DAY).values()}
    rig.close()
    assert sorted(found) == sorted(days)
    for day, instants in days.items():
        # The hour that happened twice is told apart by the export's own Timestamp.
        if profile == "mt5":
            assert (found[day].first_at, found[day].last_at) == (instants[0], instants[-1]), day
        assert found[day].opened == len(instants)
        assert found[day].profit.minor == 100 * len(instants)
    booked = [e.at for e in hub.of(Kind.LEDGER_ENTRY).values()]
    assert booked == [at(when) for when, _, _ in INSTANTS]


def test_filetime_is_utc_and_counts_from_1601() -> None:
    assert to_filetime(0) == 116_444_736_000_000_000
    assert of_filetime(134_178_246_000_000_000) == at("2026-03-12 21:30")
    assert of_filetime(to_filetime(1_772_409_600_123)) == 1_772_409_600_123


@pytest.mark.parametrize(
    ("rule", "when", "minutes"),
    [
        (US, "2026-03-15 12:00", 180),
        (EU, "2026-03-15 12:00", 120),
        (US, "2026-10-28 12:00", 180),
        (EU, "2026-10-28 12:00", 120),
        ("fixed:+03:00", "2026-01-15 12:00", 180),
        ("fixed:-04:30", "2026-07-15 12:00", -270),
        ("UTC", "2026-07-15 12:00", 0),
    ],
)
def test_the_offset_of_a_rule(rule: str, when: str, minutes: int) -> None:
    assert ServerTime.read(rule, "x").offset_min(at(when)) == minutes


@pytest.mark.parametrize("rule", ["NY", "NY+7h", "fixed:3", "fixed:+25:00", "EST+2", "Mars/Base"])
def test_a_rule_that_is_none_is_refused(rule: str, tmp_path: Path) -> None:
    rig = Mt5Rig(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(ConfigError, match="setting server_tz"):
        rig.source(server_tz=rule)


def year(rule: str, tmp_path: Path, first: str = "2025-09-01", days: int = 455) -> Mt5Rig:
    """A server with ten deposits a day, which begin at ``first``."""
    start = at(f"{first} 00:00")
    events = [
        Event(start + n * 86_400_000 + k * 8_000_000, "ledger_deposit",
              {"login": 1000, "amount": "1.00"})
        for n in range(days) for k in range(10)
    ]  # fmt: skip
    opened = Event(start, "account_opened", {**OPENED.data})
    nobody = client("C-1")
    rig = Mt5Rig(f"sqlite:///{tmp_path / 'year.db'}", nobody, server_tz=rule, others=False)
    rig.world.start_ms = start
    rig.world.add(Client("alpha", "C-year", [opened, *events]))
    rig.world.advance_to(max(start + days * 86_400_000, rig.world.story_ms))
    rig.again(others=False)
    return rig


@pytest.mark.parametrize("rule", [US, EU, "fixed:+02:00", "Europe/London"])
def test_the_rule_is_measured(rule: str, tmp_path: Path) -> None:
    rig = year(rule, tmp_path)
    source = rig.source(server_tz="measure", page_size=5000)
    source.check()
    pages = list(source.pull(None))
    entries = [r for p in pages for r in p.records if r.kind is Kind.LEDGER_ENTRY]
    assert len(entries) > 4000
    off = [r for r in entries if r.payload.at != r.version_at]  # type: ignore[union-attr]
    assert off == []
    assert f'"tz":"{rule}"' in pages[-1].cursor
    rig.close()


def test_rows_changed_later_do_not_move_the_measure(tmp_path: Path) -> None:
    rig = year(US, tmp_path)
    deals = rig.fake.tables["mt5_deals"]
    with rig.fake.engine.begin() as connection:
        third = sa.update(deals).where(deals.c.Deal % 3 == 0)
        for table in ("mt5_deals", "mt5_deals_2025", "mt5_deals_2026"):
            deals = rig.fake.tables[table]
            third = sa.update(deals).where(deals.c.Deal % 3 == 0)
            connection.execute(third.values(Timestamp=to_filetime(at("2026-11-20 10:00"))))
    rig.source(server_tz="measure").check()
    rig.source(server_tz=US).check()
    rig.close()


def test_one_odd_place_of_many_denies_no_rule() -> None:
    winter = at("2026-01-15 12:00")
    good, odd = Place(((winter, 120),) * 5), Place(((winter, 180),) * 5)
    clock = ServerTime.read(US, "x")
    assert disagreeing([good] * 9 + [odd], clock) == []
    assert disagreeing([good] * 9 + [odd] * 2, clock) == [odd, odd]
    assert disagreeing([odd], clock) == [odd]
    assert decide([good] * 9 + [Place(((at("2026-03-15 12:00"), 180),) * 5)] * 2, "x").rule == US


def test_a_measure_that_fits_two_rules_is_refused(tmp_path: Path) -> None:
    rig = year(US, tmp_path, "2025-12-01", 60)  # winter alone
    for method in (lambda s: s.check(), lambda s: list(s.pull(None))):
        with pytest.raises(ConfigError, match=r"server_tz.*\+02:00.*NY\+7 and Europe/Athens"):
            method(rig.source(server_tz="measure"))
    rig.close()


def test_an_export_without_deals_measures_nothing(tmp_path: Path) -> None:
    rig = Mt5Rig(f"sqlite:///{tmp_path / 'x.db'}", client("C-1", OPENED), others=False)
    with pytest.raises(ConfigError, match=r"server_tz.*cannot be measured"):
        rig.source(server_tz="measure").check()
    rig.source().check()


@pytest.mark.parametrize(
    ("real", "set_to"), [(US, EU), (EU, US), (US, "fixed:+02:00"), (EU, "UTC")]
)
def test_a_configured_rule_that_the_rows_deny_is_refused(
    real: str, set_to: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = year(real, tmp_path)
    source = rig.source(server_tz=set_to, page_size=5000)
    with pytest.raises(ConfigError) as caught:
        source.check()
    assert f"server_tz is {set_to}" in caught.value.admin
    assert "measure +0" in caught.value.admin
    with caplog.at_level(logging.WARNING):
        cursor = list(source.pull(None))[-1].cursor
        list(source.pull(cursor))
    assert [r.getMessage() for r in caplog.records if "server_tz" in r.getMessage()] == [
        caught.value.admin.removesuffix("; correct it")
    ]
    rig.source(server_tz=real).check()
    rig.close()


def test_mt4_measures_by_its_time_of_change(tmp_path: Path) -> None:
    shape = Shape(profile="mt4")
    rig = Mt5Rig(f"sqlite:///{tmp_path / 'x.db'}", trader(), server_tz=EU, now="2026-12-01 00:00",
                 shape=shape, others=False)  # fmt: skip
    rig.source(server_tz=EU).check()
    with pytest.raises(ConfigError, match="server_tz is UTC, but rows of"):
        rig.source(server_tz="UTC").check()
    rig.close()


def test_a_day_that_gained_an_hour_has_its_first_and_last_trade_right(tmp_path: Path) -> None:
    events = [
        event(when, "traded", login=1000) for when in ("2026-11-01 05:40", "2026-11-01 06:20")
    ]
    rig = Mt5Rig(f"sqlite:///{tmp_path / 'x.db'}", client("C-1", OPENED, *events),
                 now="2026-12-01 00:00", others=False)  # fmt: skip
    (day,) = Hub().pull(rig.source()).of(Kind.TRADING_DAY).values()
    # The clock shows 08:40, then 08:20: in UTC the first one is the earlier all the same.
    assert (day.first_at, day.last_at) == (at("2026-11-01 05:40"), at("2026-11-01 06:20"))
    assert SERVER in next(iter(Hub().pull(rig.source()).of(Kind.TRADING_DAY)))
