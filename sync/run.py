"""The engine unattended: each source on its schedule, and what follows whenever there is a reason.

One thread loops: it looks at the clock and starts jobs at the edge, a pull for each source that is
due and one job for what follows a pull. It never waits for a job or the database itself, so a slow
source delays no other, and neither does a slow CRM.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from connectors.base import RereadSource, Source
from mapping.errors import BrokersyncError, RetryableError, RoleError, StoppingError
from state import agenda, engine, sources
from sync.cycle import Cycle, begin, end, settle, take_up_rules
from sync.edge import Edge, within
from sync.hub import Hub
from sync.pull import Pulled, pull
from sync.role import Role
from sync.schedule import LONGEST_BACKOFF_S, Schedule, Timer, backoff_s

log = logging.getLogger(__name__)

SETTLE_EVERY_S = 300
"""At least so often the CRM is looked after, whatever the sources do; at most so often it is asked
what people did in it."""
PATIENCE_S = 7.0
"""How long a stop waits for jobs that are on their way."""
LEAVING_S = 2.0
NEWCOMERS_S = 60
"""How long new clients wait for what other sources know of them, before they are worked out."""
_LONGEST_NAP_S = 60.0
_SETTLE = "settle"
_NEVER = 1 << 62
DEFAULT = Schedule(every_s=300)
CLIENTS = "registry"


@dataclass(slots=True)
class _Work:
    """A source, or what follows the pulls, as the loop sees it.

    Args:
        after: sources that are to end a pull first; ``alone_ms``: or this instant is to come.
        asks: it asks client by client, so that new clients are a reason to read it.
        awaited: what follows the pulls waits for the end of a pull of it, for a while.
        again: the pull on its way came too early, another one is awaited.
    """

    job: Callable[[], None]
    timer: Timer | None = None
    after: set[str] = field(default_factory=set)
    alone_ms: int = _NEVER
    asks: bool = False
    awaited: bool = False
    again: bool = False
    started_ms: int | None = None
    trouble: str = ""


@dataclass(slots=True)
class _Held:
    """A CRM that refused to work: left alone for a while."""

    failures: int = 0
    until_ms: int = 0
    trouble: str = ""


@dataclass(slots=True)
class _Settling:
    """When what follows a pull is due; what was pulled since it last began, and before."""

    due_ms: int
    awaits_until_ms: int = 0
    failures: int = 0
    again: bool = False
    pulled: Pulled = field(default_factory=Pulled)
    reported: Pulled = field(default_factory=Pulled)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a job tells the loop."""

    name: str
    now: int
    error: BaseException | None = None
    pulled: Pulled | None = None
    work_waits: bool = False
    next_due: int | None = None


class Runner:
    """One engine's life, from taking the role to giving it up.

    Args:
        hub: its ``schedules`` are by source name; :data:`DEFAULT` for those without.
        edge: where jobs run.
    """

    def __init__(self, hub: Hub, edge: Edge, role: Role | None = None) -> None:
        self.hub = hub
        self.edge = edge
        self.role = role or Role(hub, "run")
        self.lost: RoleError | None = None
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._work: dict[str, _Work] = {}
        self._clients: set[str] = set()
        self._version = 0
        self._settling = _Settling(0)
        self._held: dict[str, _Held] = {}
        self._looked_ms = 0
        self._waiting: dict[str, list[str]] = {}

    def run(self) -> bool:
        """Work until ``hub.stop`` is requested.

        Returns:
            Whether every job came to its end; if not, some hang in threads of their own.

        Raises:
            RoleError: a living engine has this database, or another one took over.
            RetryableError: the database is away at the start.
        """
        self._begin()
        self.role.keep(self.edge, self._lost)
        while not self.hub.stop.requested:
            self._take_outcomes()
            self._start_due(self.hub.clock.now_ms())
            self.edge.wait(self._nap_s())
        clean = self._finish()
        if self.lost is not None:
            raise self.lost
        return clean

    def _begin(self) -> None:
        hub, now = self.hub, self.hub.clock.now_ms()
        # Who is asked client by client knows nothing before there are clients.
        self._clients = {s.name for s in hub.sources if CLIENTS in s.families}
        with hub.store.transaction("run.start") as connection:
            self.role.take(connection)
            self._version = take_up_rules(connection, hub)
            last = agenda.last_tries(connection)
            for source in hub.sources:
                brands = sorted(source.context.brands)
                sources.register(connection, source.name, source.families, brands)
                schedule = hub.schedules.get(source.name, DEFAULT)
                timer = Timer(source.name, schedule, now, last.get(source.name))
                work = _Work(self._puller(source, timer), timer)
                if isinstance(source, RereadSource):
                    work.asks, work.after = True, set(self._clients)
                    if source.name in last:
                        work.alone_ms = now + NEWCOMERS_S * 1000
                work.awaited = timer.due_ms <= now
                self._work[source.name] = work
                agenda.pull_planned(connection, source.name, timer.due_ms)
        hub.registered |= {s.name for s in hub.sources}
        # Like a sync, which pulls everything first; but nobody waits for one that hangs.
        self._settling = _Settling(now, now + NEWCOMERS_S * 1000)
        self._work[_SETTLE] = _Work(self._settle)
        log.info("running: %d sources, %d CRMs", len(hub.sources), len(hub.destinations))

    # --- the loop: no waiting, no database ---------------------------------------------------

    def _start_due(self, now: int) -> None:
        for name, work in self._work.items():
            if work.started_ms is None and self._is_due(work, now):
                work.started_ms = now
                self.edge.start(name, work.job)

    def _is_due(self, work: _Work, now: int) -> bool:
        if work.timer is not None:
            return (not work.after or now >= work.alone_ms) and work.timer.is_due(now)
        s = self._settling
        # Planned so far ahead only by a clock that was set back since.
        if self._settle_at() <= now or s.due_ms > now + LONGEST_BACKOFF_S * 1000:
            s.reported, s.pulled = s.pulled, Pulled()
            return True
        return False

    def _settle_at(self) -> int:
        """When what follows the pulls is due; it waits a while for those that are awaited."""
        awaited = any(w.awaited for w in self._work.values())
        return max(self._settling.due_ms, self._settling.awaits_until_ms if awaited else 0)

    def _nap_s(self) -> float:
        """Seconds until something is due; not long, so that a clock set back is noticed."""
        idle = [w for w in self._work.values() if w.started_ms is None]
        due = [
            max(w.timer.due_ms, w.alone_ms if w.after else 0) if w.timer else self._settle_at()
            for w in idle
        ]
        left_ms = min(due, default=_NEVER) - self.hub.clock.now_ms()
        return min(max(0.0, left_ms / 1000), _LONGEST_NAP_S)

    def _take_outcomes(self) -> None:
        while True:
            try:
                outcome = self._outcomes.get_nowait()
            except Empty:
                return
            work = self._work[outcome.name]
            work.started_ms = None
            if isinstance(outcome.error, RoleError):
                self._lost(outcome.error)
            elif isinstance(outcome.error, StoppingError):
                continue
            elif outcome.name == _SETTLE:
                self._settled(work, outcome)
            else:
                self._pulled(work, outcome)

    def _pulled(self, work: _Work, outcome: _Outcome) -> None:
        self._tell(work, outcome.name, outcome.error)
        for other in self._work.values():
            other.after.discard(outcome.name)
        again, work.again = work.again and outcome.error is None, False
        work.awaited = again
        if again and work.timer is not None:
            work.timer.hurry(outcome.now)
        if outcome.pulled is not None:
            _add(self._settling.pulled, outcome.pulled)
            if outcome.name in self._clients and outcome.pulled.journalled:
                self._ask_for_newcomers(outcome.now)
        if outcome.work_waits:
            self._ask_to_settle(outcome.now)

    def _ask_for_newcomers(self, now: int) -> None:
        """Clients are new or changed: ask for them before they are worked out, as a sync does."""
        for work in self._work.values():
            if work.asks and work.timer is not None and not work.timer.failures:
                self._settling.awaits_until_ms = now + NEWCOMERS_S * 1000
                work.awaited = True
                work.again = work.started_ms is not None
                work.timer.hurry(now)

    def _ask_to_settle(self, now: int) -> None:
        if self._work[_SETTLE].started_ms is not None:
            self._settling.again = True
        elif not self._settling.failures:
            self._settling.due_ms = min(self._settling.due_ms, now)

    def _settled(self, work: _Work, outcome: _Outcome) -> None:
        s, now = self._settling, outcome.now
        if outcome.error is not None:
            s.failures += 1
            s.due_ms = now + round(backoff_s(s.failures) * 1000)
            self._tell(work, "what follows the pulls", outcome.error)
            return
        s.failures = 0
        self._tell(work, "what follows the pulls", None)
        due = [now + SETTLE_EVERY_S * 1000, outcome.next_due or _NEVER]
        due += [h.until_ms for h in self._held.values() if h.failures]
        s.due_ms = now if s.again else max(now, min(due))
        s.again = False

    def _tell(self, work: _Work, name: str, error: BaseException | None) -> None:
        """Into the log, once for each trouble; `status` shows it as long as it lasts."""
        trouble = _text(error) if error else ""
        if trouble and trouble != work.trouble:
            log.warning("%s: %s", name, trouble)
            if not isinstance(error, BrokersyncError):
                log.debug("%s", name, exc_info=error)
        elif work.trouble and not trouble:
            log.info("%s: works again", name)
        work.trouble = trouble

    def _lost(self, error: RoleError) -> None:
        self.lost = error
        self.hub.stop.request()
        self.edge.ring()

    # --- jobs: each in a thread of its own ------------------------------------------------------

    def _puller(self, source: Source[Any], timer: Timer) -> Callable[[], None]:
        """The job that reads one source. While it runs, the source's timer is its own."""
        hub = replace(self.hub, sources=[source])

        def pulling() -> None:
            started = hub.clock.now_ms()
            error: BaseException | None = None
            pulled, waits = Pulled(), False
            try:
                self._note_start(source.name)
                pulled = pull(hub, self.role.guard)
                error = pulled.failed.get(source.name)
            except Exception as unexpected:  # noqa: BLE001 (one source's trouble is its own)
                error = unexpected
            if not isinstance(error, RoleError | StoppingError):
                self._plan(timer, started, error)
                try:
                    waits = self._note_end(source.name, error, timer.due_ms)
                except Exception as away:  # noqa: BLE001 (see above)
                    error = away
            now = hub.clock.now_ms()
            self._done(_Outcome(source.name, now, error, pulled, work_waits=waits))

        return pulling

    def _plan(self, timer: Timer, started: int, error: BaseException | None) -> None:
        asked_s = error.retry_after_s if isinstance(error, RetryableError) else None
        now = self.hub.clock.now_ms()
        timer.ended(started, now, failed=error is not None, retry_after_s=asked_s or 0.0)

    def _note_start(self, name: str) -> None:
        with self.hub.store.transaction(f"run.{name}.start") as connection:
            self.role.guard(connection)
            agenda.pull_started(connection, name, self.hub.clock.now_ms())

    def _note_end(self, name: str, error: BaseException | None, due_ms: int) -> bool:
        """Note how a pull ended; whether there is something to project."""
        now = self.hub.clock.now_ms()
        with self.hub.store.transaction(f"run.{name}.end") as connection:
            self.role.hold(connection)
            text = _text(error, for_admin=True) if error else ""
            agenda.pull_ended(connection, name, now, text, due_ms)
            return agenda.work_waits(connection, now)

    def _settle(self) -> None:
        error: BaseException | None = None
        due: int | None = None
        try:
            due = self._close_cycle(self._cycle())
        except Exception as unexpected:  # noqa: BLE001 (the next time may work)
            error = unexpected
        self._done(_Outcome(_SETTLE, self.hub.clock.now_ms(), error, next_due=due))

    def _cycle(self) -> Cycle:
        hub = self.hub
        with hub.store.transaction("cycle.start") as connection:
            self.role.guard(connection)
            cycle = begin(connection, hub, self.role, self._version)
        cycle.pulled = self._settling.reported
        held = {n for n, h in self._held.items() if h.until_ms > cycle.started_at}
        if cycle.started_at - self._looked_ms < SETTLE_EVERY_S * 1000:
            hub = replace(
                hub, read_back_calls=0
            )  # news every minute are no reason to look as often
        else:
            self._looked_ms = cycle.started_at
        try:
            settle(hub, self.role, self._version, cycle, held)
        except StoppingError:
            cycle.interrupted = True
        return cycle

    def _close_cycle(self, cycle: Cycle) -> int | None:
        """Close the line of the run, or take it back if there is nothing to tell."""
        hub = self.hub
        with hub.store.transaction("cycle.end") as connection:
            self.role.hold(connection)
            if cycle.quiet:
                engine.forget_run(connection, cycle.run)
            else:
                end(connection, hub, cycle)
            due = agenda.next_due(connection, cycle.started_at)
        self._note_crms(cycle)
        for brand, families in cycle.waiting.items():
            if self._waiting.get(brand) != families:
                named = ", ".join(families)
                log.info("brand %s waits for its first whole read of: %s", brand, named)
        self._waiting = cycle.waiting
        if not cycle.quiet:
            log.info("run %d %s: %s", cycle.run, cycle.status, cycle.in_words())
        return due

    def _note_crms(self, cycle: Cycle) -> None:
        now = self.hub.clock.now_ms()
        stopped = dict(cycle.errors)
        for name in self.hub.destinations.keys() & (cycle.pushed.keys() | stopped.keys()):
            held = self._held.setdefault(name, _Held())
            error = stopped.get(name)
            trouble = _text(error) if error else ""
            if trouble and trouble != held.trouble:
                log.warning("%s: %s", name, trouble)
            held.trouble = trouble
            held.failures = held.failures + 1 if error else 0
            asked_s = error.retry_after_s if isinstance(error, RetryableError) else None
            wait_s = max(backoff_s(held.failures), asked_s or 0.0) if error else 0.0
            held.until_ms = now + round(wait_s * 1000)

    def _done(self, outcome: _Outcome) -> None:
        self._outcomes.put(outcome)
        self.edge.ring()

    # --- the end --------------------------------------------------------------------------------

    def _finish(self) -> bool:
        """Wait for what is on its way, as long as there is patience; then give the role up."""
        until = self.hub.clock.now_ms() + PATIENCE_S * 1000
        while True:
            self._take_outcomes()
            left_ms = until - self.hub.clock.now_ms()
            hanging = [n for n, w in self._work.items() if w.started_ms is not None]
            if not hanging or left_ms <= 0:
                break
            self.edge.wait(left_ms / 1000)
        if hanging:
            log.warning("stopping without waiting any longer for: %s", ", ".join(sorted(hanging)))
        if self.lost is None and not within(self.edge, self.hub.clock, LEAVING_S, self._leave):
            log.warning("the engine role could not be given up in time: its lease will run out")
        log.info("stopped")
        return not hanging

    def _leave(self) -> None:
        try:
            self.role.abandon("interrupted")
        except RoleError as error:
            self.lost = error
        except BrokersyncError as error:  # then the lease runs out by itself
            log.warning("the engine role could not be given up: %s", error.log)


def _add(total: Pulled, one: Pulled) -> None:
    total.records += one.records
    total.journalled += one.journalled
    total.rejects += one.rejects


def _text(error: BaseException, *, for_admin: bool = False) -> str:
    """Ours says what to do; a stranger's says no more than what it is: it may hold anything."""
    if isinstance(error, BrokersyncError):
        return error.admin if for_admin else error.log
    return f"internal error ({type(error).__name__})"
