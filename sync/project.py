"""Project: facts, rules, profiles, episodes and desired CRM state of touched and due clients.

One step handles one work list in one transaction: what was touched is forgotten exactly when what
follows from it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from mapping.money import exponent
from mapping.outage import Outage
from state import (
    facts_sql,
    freshness,
    intake,
    outages,
    outbox,
    partners,
    projection,
    sources,
    statistics,
)
from state.evaluate import Evaluated, evaluator
from state.fact_calendar import Figures
from sync import cards
from sync.cards import CardWriter
from sync.contacts import Groups, regroup
from sync.digests import tell
from sync.freshness import notice
from sync.heap import steady
from sync.hub import Guard, Hub
from sync.outages import notice_outages
from sync.partners import want_companies
from sync.reasons import Reasons
from sync.rebuild import rebuild
from sync.tasks import task_bodies

STEP = 2000


@dataclass(slots=True)
class Projected:
    """What a projection did. ``waiting``: brands left alone -> source families never read whole."""

    clients: int = 0
    stage_changes: int = 0
    tasks_opened: int = 0
    tasks_closed: int = 0
    refused: int = 0
    contacts: int = 0
    tasks: int = 0
    companies: int = 0
    waiting: dict[str, list[str]] = field(default_factory=dict)


class Projector:
    """One run's projection: rule sets are compiled once and stay the same to the end of the run.

    Args:
        guard: called with each transaction's connection; refuses when the engine role is lost.
    """

    def __init__(self, hub: Hub, run: int, rule_version: int, guard: Guard) -> None:
        self.hub = hub
        self.run = run
        self.rule_version = rule_version
        self.guard = guard
        self.done = Projected()
        self.cards = CardWriter(hub, {})
        self.late: frozenset[str] = frozenset()  # old episodes that are to be admitted now
        self.outages: Mapping[str, Sequence[Outage]] = {}

    @steady()
    def project(self, now: int) -> Projected:
        """Work until nothing is touched or due at ``now`` (ms)."""
        self._partners(now)
        with self.hub.store.reading() as connection:
            horizons = sources.horizons(connection, [s.name for s in self.hub.sources])
            before, spells = freshness.known(connection), outages.untold(connection)
        if any(cards.wanted(rules) for rules in self.hub.rules.values()):
            late = notice(self.hub, self.guard, now, horizons, before)
            self.cards = CardWriter(self.hub, late)
        self.outages = notice_outages(self.hub, self.guard, now, horizons, spells)
        # A source that was never read to its end must not look like a fact ("no KYC", say).
        self.done.waiting = {
            brand: sorted(f for f, until in own.items() if until == 0)
            for brand, own in horizons.items()
            if 0 in own.values()
        }
        psp = {
            b: min(now, h.get("psp", 0)) for b, h in horizons.items() if b not in self.done.waiting
        }
        brands = {b: figures(self.hub, b) for b in psp if b in self.hub.rules}
        ready = {b: until for b, until in psp.items() if b in brands}
        computed = rebuild(self.hub, self.guard, ready, brands)
        while True:
            with self.hub.store.transaction("project.step") as connection:
                self.guard(connection)
                statistics.refresh(connection)
                size = projection.fill_work(connection, STEP, now, psp, computed)
                if size:
                    self._step(connection, now, horizons)
            if size == 0:
                return self.done
            self.hub.progress("project", "clients", self.done.clients, None)

    def tell(self, now: int) -> None:
        """Once all is worked out: the digests of the outages that are over."""
        told = tell(self.hub, self.guard, now, self.done.waiting)
        self.done.tasks_opened += told.made
        self.done.tasks_closed += told.closed
        self.done.tasks += told.tasks

    def _partners(self, now: int) -> None:
        """What is told of a partner concludes nothing, so it waits for no other source."""
        with self.hub.store.reading() as connection:
            touched = int(partners.waiting(connection))
        while touched:
            with self.hub.store.transaction("project.partners") as connection:
                self.guard(connection)
                touched, changed = want_companies(connection, self.hub, now)
            self.done.companies += changed

    def _step(
        self, connection: Connection, now: int, horizons: Mapping[str, Mapping[str, int]]
    ) -> None:
        gone = projection.gone(connection)
        rows: list[Evaluated] = []
        for brand in projection.work_brands(connection):
            if brand in self.hub.rules:
                own = horizons.get(brand, {})
                facts_sql.compute(
                    connection, brand, min(now, own.get("psp", 0)), figures(self.hub, brand)
                )
                rows += evaluator(self.hub.rules[brand]).rows(connection, brand, now, own)
        self.done.stage_changes += projection.save_profiles(
            connection, rows, now, self.rule_version, self.run
        )
        self.done.clients += len(rows)
        projection.remove_profiles(connection, gone)
        groups = regroup(connection, self.hub, rows, gone)
        reasons = Reasons(self.hub, self.rule_version, groups, now)
        reasons.late, reasons.outages = self.late, self.outages
        reasons.load(connection)
        for row in rows:
            reasons.judge(row)
        reasons.close_gone(gone)
        reasons.store(connection)
        self._want(connection, rows, groups, reasons, now)

    def _want(
        self, connection: Connection, rows: Sequence[Evaluated], groups: Groups,
        reasons: Reasons, now: int,
    ) -> None:  # fmt: skip
        self.done.tasks_opened += len(reasons.admitted)
        self.done.tasks_closed += len(reasons.tasks_closed)
        self.done.refused += reasons.refused
        tasks = task_bodies(connection, self.hub, reasons)
        self.cards.load(connection)
        contacts = groups.bodies(self.hub, rows, reasons, self.cards, now)
        for name in self.hub.destinations:
            outbox.unwant(connection, name, "contact", groups.dropped(name))
            self.done.tasks += outbox.want(connection, name, tasks.get(name, []), now)
            self.done.contacts += outbox.want(connection, name, contacts.get(name, []), now)


def figures(hub: Hub, brand: str) -> Figures:
    """What of a brand's policy facts depend on."""
    policy = hub.brands[brand]
    high_value = policy.high_value * 10 ** exponent(policy.base_currency)
    return Figures(policy.market, high_value, "trading" in hub.rules[brand].connected)


def touch_all(hub: Hub, guard: Guard) -> None:
    """Every client is to be computed again."""
    with hub.store.transaction("project.touch_all") as connection:
        guard(connection)
        intake.touch_all(connection)
