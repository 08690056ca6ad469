"""`run` on virtual time: who is read when, who waits for whom, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import ConnectorSettings, Context, ListSource, Manifest, Page
from mapping.errors import RetryableError, RoleError
from mapping.records import Record
from state import engine, schema, sources
from state.engine import Holder
from state.store import Store
from sync import process
from sync import run as run_module
from sync.cycle import settle
from sync.hub import Hub
from sync.process import this_process
from sync.role import Role
from sync.run import Runner
from sync.schedule import Schedule
from tests.virtual import VirtualTime

START = 1_772_323_200_000  # 2026-03-01T00:00:00Z
MINUTE, DAY = 60, 86_400
SECOND_MS = 1000


class Vendor(ListSource[ConnectorSettings]):
    """A source that takes its time, and notes when it was read.

    Args:
        behaves: called with how often it was read before; sleeps, hangs or raises.
    """

    manifest = Manifest("vendor", "Vendor", "psp", (), "")
    settings_type = ConnectorSettings

    def __init__(self, name: str, time: VirtualTime, behaves: Callable[[int], None]) -> None:
        super().__init__(ConnectorSettings(), Context(name, {"north": "UTC"}, time))
        self.time, self.behaves = time, behaves
        self.started: list[int] = []
        self.ended: list[int] = []

    def check(self) -> None:
        """See Source."""

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See Source."""
        raise NotImplementedError

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See ListSource."""
        self.started.append(self.time.now_ms())
        try:
            self.behaves(len(self.started) - 1)
        finally:
            self.ended.append(self.time.now_ms())
        yield Page(cursor="x", complete_until=self.time.now_ms())

    def seconds(self) -> list[float]:
        """When it was read, in seconds since the start."""
        return [(at - START) / 1000 for at in self.started]

    def check_no_overlap(self) -> None:
        """No read began before the last one ended."""
        for ended, following in zip(self.ended, self.started[1:], strict=False):
            assert ended <= following


@dataclass
class Engine:
    """A hub on virtual time, with sources that only a test could love."""

    hub: Hub
    time: VirtualTime
    vendors: dict[str, Vendor] = field(default_factory=dict)

    def add(self, name: str, every_s: int, behaves: Callable[[int], None]) -> Vendor:
        """One more source."""
        vendor = Vendor(name, self.time, behaves)
        self.hub.sources = [*self.hub.sources, vendor]
        self.hub.schedules = {**self.hub.schedules, name: Schedule(every_s=every_s)}
        self.vendors[name] = vendor
        return vendor

    def takes(self, seconds: float) -> Callable[[int], None]:
        """A vendor that needs so long."""
        return lambda _: self.time.sleep(seconds)

    def run(self, seconds: float, role: Role | None = None) -> bool:
        """Run until so many seconds have passed; whether every job came to its end."""

        def stopper() -> None:
            self.time.hang(seconds)
            self.time.request_stop()

        self.time.start("stopper", stopper)
        return Runner(self.hub, self.time, role).run()


def build(database: str, time: VirtualTime) -> Hub:
    """A hub without brands of its own: nothing is worked out, everything is scheduled."""
    store = Store(database)
    if not store.postgres:  # a power cut is not what is tested here
        sa.event.listen(
            store.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF") and None
        )
    store.migrate()
    hub = Hub(
        store=store, clock=time, brands={}, sources=[], destinations={}, rules={}, rates={},
        in_flight=1,
    )  # fmt: skip
    hub.stop = time.stop
    return hub


@contextmanager
def engine_on(database: str) -> Iterator[Engine]:
    """An engine at the beginning of the day."""
    time = VirtualTime(START)
    hub = build(database, time)
    try:
        yield Engine(hub, time)
    finally:
        hub.store.close()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Engine]:
    """An engine on SQLite."""
    with engine_on(f"sqlite:///{tmp_path / 'hub.db'}") as found:
        yield found


def refuses(_: int) -> None:
    """A vendor that is down."""
    raise RetryableError("it does not answer")


def breaks(_: int) -> None:
    """A connector with a bug."""
    raise IndexError("a client's name may stand here")


def a_day(tmp_path: Path, *, dead: bool, seconds: int = DAY - 1) -> dict[str, Vendor]:
    """Three healthy sources of three intervals, one that is too slow, and maybe two dead ones."""
    with engine_on(f"sqlite:///{tmp_path / f'hub-{dead}.db'}") as one:
        one.add("minutely", MINUTE, one.takes(2))
        one.add("five", 5 * MINUTE, one.takes(40))
        one.add("hourly", 60 * MINUTE, one.takes(600))
        one.add("too slow", MINUTE, one.takes(150))
        if dead:
            one.add("failing", MINUTE, refuses)
            one.add("hanging", MINUTE, lambda _: one.time.hang(10 * DAY))
        clean = one.run(seconds)
        assert clean is not dead
        return one.vendors


def test_a_day(tmp_path: Path) -> None:
    found = a_day(tmp_path, dead=True)
    reads = {name: len(vendor.started) for name, vendor in found.items()}
    assert reads == {
        "minutely": 24 * 60,
        "five": 24 * 12,
        "hourly": 24,
        # 150 s each, one after the other: what was missed meanwhile became one read.
        "too slow": DAY // 150,
        # After 0, 30, 90, 210, 450, 930 and 1830 s, then every 15 minutes.
        "failing": 6 + 1 + (DAY - 1 - 1830) // 900,
        "hanging": 1,
    }
    for vendor in found.values():
        vendor.check_no_overlap()
    assert found["failing"].seconds()[:8] == [0, 30, 90, 210, 450, 930, 1830, 2730]
    assert found["too slow"].seconds()[:4] == [0, 150, 300, 450]
    # Each begins within its jitter, which no other source adds to.
    for name, every, most in (("minutely", 60, 6), ("five", 300, 30), ("hourly", 3600, 30)):
        assert all(at % every < most for at in found[name].seconds()), name
    without = a_day(tmp_path, dead=False, seconds=DAY // 4)
    for name, vendor in without.items():
        same = found[name].started[: len(vendor.started)]
        assert vendor.started == same, "dead sources delay nobody, not 1 ms"


def test_a_source_that_recovers_is_read_as_before(one: Engine) -> None:
    vendor = one.add("psp", MINUTE, lambda n: refuses(n) if n < 3 else None)
    one.run(600)
    assert vendor.seconds()[:4] == [0, 30, 90, 210]
    assert all(at % 60 < 6 for at in vendor.seconds()[4:])
    assert len(vendor.seconds()) == 4 + 6, "240, 300, ... 540"


def test_what_a_source_does_is_there_for_status(one: Engine) -> None:
    one.add("ok", MINUTE, one.takes(1))
    one.add("failing", MINUTE, refuses)
    one.add("breaking", MINUTE, breaks)
    one.add("hanging", MINUTE, lambda _: one.time.hang(DAY))
    seen: dict[str, dict[str, Any]] = {}

    def look() -> None:
        one.time.hang(100)
        with one.hub.store.reading() as connection:
            seen.update({row["source"]: row for row in sources.overview(connection)})

    one.time.start("look", look)
    one.run(200)
    assert seen["ok"]["last_error"] == ""
    assert seen["ok"]["failing_since"] is None
    assert START + 120_000 <= seen["ok"]["due_at"] < START + 126_000
    assert seen["failing"]["last_error"] == "it does not answer"
    assert seen["failing"]["failing_since"] == START
    assert seen["failing"]["due_at"] == START + 210_000
    assert seen["breaking"]["last_error"] == "internal error (IndexError)"
    assert seen["hanging"]["started_at"] == START


def settled(monkeypatch: pytest.MonkeyPatch, one: Engine) -> list[float]:
    """Notes when what follows the pulls began, in seconds since the start."""
    begun: list[float] = []

    def noted(*given: Any) -> None:
        begun.append((one.time.now_ms() - START) / 1000)
        settle(*given)

    monkeypatch.setattr(run_module, "settle", noted)
    return begun


def test_the_crm_is_looked_after_at_its_own_interval(
    one: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = settled(monkeypatch, one)
    one.add("psp", MINUTE, one.takes(1))
    one.run(1000)
    assert begun == [1, 301, 601, 901], "once all were read, then every five minutes"
    with one.hub.store.reading() as connection:
        assert engine.runs(connection, 10) == [], "nothing was done, so nothing is told"


def test_a_hanging_source_holds_the_first_look_up_for_a_minute(
    one: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = settled(monkeypatch, one)
    one.add("psp", MINUTE, one.takes(1))
    one.add("hanging", MINUTE, lambda _: one.time.hang(DAY))
    one.run(400)
    assert begun == [60, 360]


def test_a_due_time_is_a_reason(one: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = settled(monkeypatch, one)
    one.add("psp", 60 * MINUTE, one.takes(1))
    with one.hub.store.transaction("test") as connection:
        connection.execute(
            sa.insert(schema.profile).values(
                brand="elsewhere", client_id="1", due_at=START + 140_500, evaluated_at=0
            )
        )
    one.run(500)
    assert begun == [1, 140.5, 440.5]


def test_news_are_a_reason(one: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = settled(monkeypatch, one)

    def touches(n: int) -> None:
        one.time.sleep(1)
        with one.hub.store.transaction("test") as connection:
            if n == 2:
                row = {"brand": "elsewhere", "client_id": "1"}
                connection.execute(sa.insert(schema.touched).values(row))
            elif n == 3:
                connection.execute(sa.delete(schema.touched))

    vendor = one.add("psp", MINUTE, touches)
    one.run(290)
    third = vendor.seconds()[2] + 1
    assert 120 < third < 127
    assert begun == [1, third]


def test_a_slow_crm_delays_no_source(one: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []

    def slow(*_: Any) -> None:
        running.append(1)
        assert len(running) == 1, "never two at a time"
        one.time.sleep(2000)
        running.pop()

    monkeypatch.setattr(run_module, "settle", slow)
    vendor = one.add("psp", MINUTE, one.takes(1))
    one.run(3600)
    assert len(vendor.started) == 60


def test_a_stop_waits_for_what_is_on_its_way(one: Engine) -> None:
    in_a_socket = one.add("in a socket", DAY, lambda _: one.time.hang(104))
    in_a_retry = one.add("in a retry", DAY, one.takes(3600))
    assert one.run(100)
    assert in_a_socket.ended == [START + 104_000]
    assert in_a_retry.ended == [START + 100_000], "a long sleep is broken off at once"
    with one.hub.store.reading() as connection:
        standing = engine.standing(connection)
    assert standing is not None
    assert standing.released_at == START + 104_000


def test_a_stop_leaves_a_hanging_one_behind(one: Engine) -> None:
    one.add("hanging", MINUTE, lambda _: one.time.hang(DAY))
    assert not one.run(100)
    assert one.time.now_ms() == START + (100 + run_module.PATIENCE_S) * 1000
    with one.hub.store.reading() as connection:
        standing = engine.standing(connection)
        (row,) = sources.overview(connection)
    assert standing is not None
    assert standing.released_at == one.time.now_ms()
    assert (row["started_at"], row["due_at"]) == (None, None)


def test_the_lease_is_renewed_while_it_runs(database_url: str) -> None:
    with engine_on(database_url) as one:
        one.add("psp", MINUTE, one.takes(1))
        leases: list[int] = []

        def look() -> None:
            for _ in range(20):
                one.time.hang(20)
                with one.hub.store.reading() as connection:
                    standing = engine.standing(connection)
                assert standing is not None
                leases.append((standing.lease_until - one.time.now_ms()) // 1000)

        one.time.start("look", look)
        one.run(420)
        assert min(leases) >= 45, "60 s, renewed every 15"
        assert max(leases) <= 60


def test_whoever_lost_the_role_stops(database_url: str) -> None:
    with engine_on(database_url) as one:
        vendor = one.add("psp", MINUTE, one.takes(1))

        def thief() -> None:
            one.time.hang(200)
            with one.hub.store.engine.begin() as connection:
                engine.take_role(connection, one.time.now_ms(), Holder("run", "elsewhere"))

        one.time.start("thief", thief)
        with pytest.raises(RoleError, match="taken over"):
            one.run(DAY)
        assert one.time.now_ms() <= START + 215_000, "the heartbeat notices, if nobody else does"
        assert max(vendor.seconds()) < 200
        with one.hub.store.reading() as connection:
            standing = engine.standing(connection)
        assert standing is not None
        assert (standing.holder.host, standing.released_at) == ("elsewhere", None)


ALIVE = Holder("run", "other-host", "another place", 4711, "1")


def test_a_second_engine_is_refused_and_told_why(database_url: str) -> None:
    with engine_on(database_url) as one, one.hub.store.transaction("test") as connection:
        engine.take_role(connection, START - 30_000, ALIVE, START + 30_000)
    with engine_on(database_url) as one:
        one.add("psp", MINUTE, one.takes(1))
        with pytest.raises(RoleError) as caught:
            one.run(DAY)
        for words in ("`run`", "other-host", "4711", "2026-02-28 23:59:30", "2026-03-01 00:00:30"):
            assert words in caught.value.admin
        assert one.vendors["psp"].started == []


def test_a_lease_that_is_over_is_taken(database_url: str) -> None:
    with engine_on(database_url) as one, one.hub.store.transaction("test") as connection:
        before = engine.take_role(connection, START - 90_000, ALIVE, START)
        run = engine.start_run(connection, "run", START - 80_000, before, 1)
    with engine_on(database_url) as one:
        one.run(10)
        with one.hub.store.reading() as connection:
            standing = engine.standing(connection)
            (row,) = engine.runs(connection, 5)
        assert standing is not None
        assert standing.token > before
        assert (row["id"], row["status"]) == (run, "died"), "it cannot say any more how it ended"


@pytest.mark.parametrize(
    ("holder", "free"),
    [
        ({}, True),  # this very process, from an earlier time
        ({"pid": 2**22 + 1}, True),  # beyond the most pids there are: gone
        ({"born": "1"}, True),  # another process had this number
        ({"pid": 1, "born": None}, False),  # alive
        ({"place": "elsewhere", "pid": 2**22 + 1}, False),  # who knows
    ],
)
def test_a_dead_process_of_this_machine_is_known(
    holder: dict[str, Any], free: bool, one: Engine
) -> None:
    if holder.get("born", "") is None:
        holder = {**holder, "born": process._born(1)}
    other = replace(this_process("run"), **holder)
    with one.hub.store.transaction("test") as connection:
        engine.take_role(connection, START, other, START + 60_000)
    if free:
        one.run(5)
    else:
        with pytest.raises(RoleError):
            one.run(5)
