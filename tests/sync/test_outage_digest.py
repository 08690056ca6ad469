"""After an outage of two days: what began meanwhile is one ranked digest for each team.

Whatever is expected here comes from the world's truth: which reasons began while the vendor was
away and could not be known at the time, who owns them, what their clients are worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from brokersync import explain
from connectors.base import Page
from mapping.errors import RetryableError
from simulator.grow import grow
from simulator.portal import TEAMS
from simulator.story import DAY_MS, HOUR_MS, Client, World
from simulator.truth import TASK_STATES, Task, TaskLedger, profile
from simulator.truth.facts import MINUTE, known
from simulator.truth.ledger import owner_of
from simulator.truth.money import in_base
from simulator.truth.view import View
from state import schema
from sync.cycle import pull_once, sync_once
from sync.hub import Hub
from sync.plan import plan
from tests.rig import ALL, Rig, rig
from tests.sync.test_outage import silent

SEED, CLIENTS = 17, 900
INSTALLED, AWAY_FROM, AWAY_DAYS = 44, 46, 2
STEP_MS = PATIENCE_MS = 2 * HOUR_MS
WORDS = {"paymentiq-alpha": "payments", "mt5-alpha": "account bookings and trades"}
DATED = {"paymentiq-alpha": {"CS5", "CS6", "CS8"}, "mt5-alpha": {"CS6"}}
"""Which reasons cannot be dated without the source. A first trade is due after a deposit."""
LINE = re.compile(r"(\d+)\. (CS\d+) .+, client (\S+), deposits (\S+) USD, since (.+)")


@dataclass(slots=True)
class Lived:
    """A hub that has lived through an outage, and the truth beside it.

    Args:
        away: ms, when the source was last read to its end.
        back: ms, when it was again.
        told: ms, when the sync began that saw it; the portal takes its time before.
        seen: the tasks as they would stand, had nobody been away.
        unseen: the same for somebody who looked away meanwhile.
        before: keys of the tasks from before the outage.
    """

    rig: Rig
    hub: Hub
    source: str
    away: int
    seen: TaskLedger
    unseen: TaskLedger
    before: set[str] = field(default_factory=set)
    back: int = 0
    told: int = 0

    @property
    def world(self) -> World:
        """Whose truth."""
        return self.rig.world

    def vendor(self) -> Any:
        """The source itself."""
        return next(s for s in self.hub.sources if s.name == self.source)

    def returns(self, at: int) -> None:
        """The story goes on to when the source will have been read to its end."""
        self.back = at
        self.rig.advance_to(at)
        self.seen.observe(at)
        self.unseen.observe(at)

    def sync(self) -> None:
        """The hub sees that the source is back."""
        self.told = self.rig.sync(self.hub).started_at
        assert self.back <= self.told < self.back + MINUTE

    def missed(self) -> list[Task]:
        """What began in the outage and nobody could know of before its end."""
        mine = [
            t for t in self.unseen.tasks.values()
            if t.key not in self.before and t.client.startswith("alpha:")
            and t.state in DATED[self.source] and t.begin >= self.away
        ]  # fmt: skip
        if self.source.startswith("paymentiq"):
            mine = [t for t in mine if t.state != "CS6" or not self._funded_before(t)]
        return mine

    def _funded_before(self, task: Task) -> bool:
        """Whether the deposit was known: it is from before, or was booked by the other server."""
        client = self.world.clients[task.client]
        first = _view(self.world, client, self.back).counted[0]
        return first.wire or first.status_at <= self.away

    def old(self) -> list[Task]:
        """Those for the digests, the most valuable first."""
        mine = [t for t in self.missed() if t.begin < self.back - PATIENCE_MS]
        return sorted(mine, key=self._rank)

    def _rank(self, task: Task) -> tuple[Decimal, Decimal, int, str]:
        client = self.world.clients[task.client]
        facts = known(self.world, client, self.back)
        assert facts is not None
        base = self.world.brands["alpha"].base_currency
        deposits = [p.data for p in facts.payments if not p.withdrawal]
        amounts = [in_base(self.world, base, d["amount"], d["currency"]) for d in deposits]
        tried = max((a for a in amounts if a is not None), default=Decimal(0))
        return -self.worth(task), -tried, -task.begin, task.key

    def worth(self, task: Task) -> Decimal:
        """What the client has deposited."""
        true = profile(self.world, self.world.clients[task.client], self.back)
        assert true is not None
        return Decimal(true.fields["total_deposit_amount"] or 0)

    def tasks(self) -> dict[str, dict[str, str]]:
        """As the portal shows them."""
        return self.rig.portal.tasks("broker_task_key")

    def digests(self) -> dict[str, dict[str, str]]:
        """By team."""
        return {k.split(":")[2]: t for k, t in self.tasks().items() if ":digest:" in k}


def _view(world: World, client: Client, at: int) -> View:
    facts = known(world, client, at)
    assert facts is not None
    return View(world, world.brands[client.brand], facts, at)


def lived(database: str, folder: Path, source: str, **psp: Any) -> Lived:
    """Installed on day 44; from day 46 the source is away for two days. It is not back yet."""
    world = grow(SEED, CLIENTS, 60)
    start, away = (world.start_ms + day * DAY_MS for day in (INSTALLED, AWAY_FROM))
    one = rig(world, database, folder, live_from=start, families=ALL)
    one.psp = psp
    one.advance_to(start - HOUR_MS)
    hub = one.hub()
    ledgers = TaskLedger(world, start), TaskLedger(world, start)
    found = Lived(one, hub, source, away, *ledgers)
    for at in range(start, away + 1, 6 * HOUR_MS):
        one.advance_to(at)
        for ledger in ledgers:
            ledger.observe(at)
        one.sync(hub)
    found.before = set(found.seen.tasks)
    usual = silent(found.vendor())
    for at in range(away + STEP_MS, away + AWAY_DAYS * DAY_MS + 1, STEP_MS):
        one.advance_to(at)
        found.seen.observe(at)
        assert [name for name, _ in sync_once(hub).errors] == [source]
    assert found.digests() == {}
    found.vendor().pull = usual
    return found


def _check(found: Lived) -> None:
    """Digests and tasks are those of the world's truth."""
    old = found.old()
    assert found.digests().keys() == {TASK_STATES[t.state].team for t in old}
    for team, task in found.digests().items():
        _check_digest(found, team, task, [t for t in old if TASK_STATES[t.state].team == team])
    own = {k for k in found.tasks() if ":digest:" not in k}
    mine = {t.key for t in found.missed()}
    assert own & mine == mine - {t.key for t in old}, "fresh reasons open tasks, old ones none"
    usual = {k for k in found.seen.tasks if not _concerned(found, k)}
    assert {k for k in own if not _concerned(found, k)} == usual, "others are as they ever are"


def _concerned(found: Lived, key: str) -> bool:
    return key.startswith("alpha:") and key.split(":")[2] in DATED[found.source]


def _check_digest(found: Lived, team: str, task: dict[str, str], old: list[Task]) -> None:
    zone = found.world.brands["alpha"].zone
    key = f"alpha:digest:{team}:{found.told}"
    assert task["broker_task_key"] == key
    n = f"{len(old)} reason{'s' * (len(old) > 1)}"
    span = f"{_local(found.away, zone)[:-4]} to {_local(found.told, zone)}"
    assert task["hs_task_subject"] == (
        f"{n} from the outage of {WORDS[found.source]}, {span} [alpha]"
    )
    lines = [LINE.fullmatch(t) for t in task["hs_task_body"].split("\n")[2:]]
    shown = [(int(m[1]), m[2], m[3], Decimal(m[4]), m[5]) for m in lines if m]
    assert shown == [
        (n, t.state, t.client, found.worth(t), _local(t.begin, zone)) for n, t in enumerate(old, 1)
    ]
    assert len(shown) == len(lines), "nothing else stands in it"
    books = [TASK_STATES[t.state] for t in old]
    due = min(book.count(found.told, book.term, zone) for book in books)
    assert _ms(task["hs_timestamp"]) == due
    urgent = any(book.term <= HOUR_MS for book in books)
    assert task["hs_task_priority"] == ("HIGH" if urgent else "MEDIUM")
    assert task["hubspot_owner_id"] == owner_of(TEAMS[team], key)
    assert task["hs_task_status"] == "NOT_STARTED"
    links = found.rig.portal.associations("broker_task_key", "broker_client_id")
    assert links[key] == [old[0].contact]


def _local(at: int, zone: str) -> str:
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))
    return local.strftime("%Y-%m-%d %H:%M %Z")


def _ms(shown: str) -> int:
    return round(datetime.fromisoformat(shown.replace("Z", "+00:00")).timestamp() * 1000)


def test_two_days_without_payments(database_url: str, tmp_path: Path) -> None:
    found = lived(database_url, tmp_path, "paymentiq-alpha")
    found.returns(found.away + AWAY_DAYS * DAY_MS + HOUR_MS)
    assert {t.state for t in found.old()} >= {"CS5", "CS6"}
    assert len(found.old()) < len(found.missed()), "something must have begun a moment ago"
    pull_once(found.hub)
    planned = plan(found.hub)["hubspot"].as_json()
    writes = dict(found.rig.portal.writes)
    found.sync()
    _check(found)
    assert planned["new_tasks"]["digest"] == len(found.digests())
    after = dict(found.rig.portal.writes)
    assert after["tasks"] - writes["tasks"] == planned["tasks"]["total"]
    assert after["associations"] - writes["associations"] == planned["associations"]
    found.rig.sync(found.hub)
    assert dict(found.rig.portal.writes) == after, "it is told once"
    _explained(found, found.old()[0])
    found.hub.close()


def _explained(found: Lived, task: Task) -> None:
    shown = explain.client(found.hub, task.client)
    (why,) = [r for r in shown["refused"] if r["state"] == task.state]
    times = [_local(at, "UTC") for at in (task.begin, found.away, found.told)]
    assert why["refused"] == "outage"
    assert why["why"] == (
        f"the reason began {times[0]}, in the outage of payments ({times[1]} to {times[2]})"
    )
    assert why["digest"] == f"alpha:digest:{TASK_STATES[task.state].team}:{found.told}"


def test_two_days_without_the_trading_server(tmp_path: Path) -> None:
    """It tells of trades and of bookings: two families, and one digest."""
    found = lived(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, "mt5-alpha")
    found.returns(found.away + AWAY_DAYS * DAY_MS + HOUR_MS)
    assert {t.state for t in found.old()} == {"CS6"}
    found.sync()
    _check(found)
    found.hub.close()


def test_catching_up_takes_two_runs(tmp_path: Path) -> None:
    found = lived(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, "paymentiq-alpha", page_size=20)
    source, at = found.vendor(), found.away + AWAY_DAYS * DAY_MS + HOUR_MS
    usual = source.pull

    def halting(cursor: str | None) -> Iterator[Page]:
        for n, page in enumerate(usual(cursor)):
            if n == 2:
                raise RetryableError("the server does not answer any more")
            yield page

    source.pull = halting
    found.rig.advance_to(at)
    found.seen.observe(at)
    assert [name for name, _ in sync_once(found.hub).errors] == ["paymentiq-alpha"]
    assert found.digests() == {}
    waiting = _waiting(found)
    assert {e["digest"] for e in waiting} == {""}
    assert all("in the outage of payments (since " in e["why"] for e in waiting)
    source.pull = usual
    found.returns(at + HOUR_MS)
    assert 0 < len(waiting) < len(found.old()), "some were known halfway, and waited"
    found.sync()
    _check(found)
    found.hub.close()


def _waiting(found: Lived) -> list[dict[str, Any]]:
    """What the hub says of reasons that an outage made old."""
    keys = [k for k in found.world.clients if k.startswith("alpha:")]
    with found.hub.store.reading() as connection:
        query = sa.select(schema.episode.c.client_id).where(schema.episode.c.refused == "outage")
        concerned = {f"alpha:{c}" for c in connection.scalars(query)}
    shown = [explain.client(found.hub, k)["refused"] for k in keys if k in concerned]
    return [e for refused in shown for e in refused if e["refused"] == "outage"]
