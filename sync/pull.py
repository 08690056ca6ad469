"""Pull: read each source; a page, its cursor and its touched clients are stored together."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from connectors.base import ListSource, Page, Reject, Reread, RereadSource, Source
from mapping.calendars import local_date
from mapping.errors import BrokersyncError, ProtocolError, RecordError
from mapping.money import Money
from mapping.records import Record
from state import gone, intake, sources, statistics
from state.kinds import Price
from sync.heap import steady
from sync.hub import Guard, Hub

_RETRY_BATCH = 500
_MANY = 1000
_MOST_REREADS = 200_000
# How long the reading thread may keep the interpreter from the storing one. At Python's 5 ms a
# turn, a server would stand idle after each short statement. SQLite works in our own process, and
# its driver gives way at every row: there, shorter turns only cost.
_TURN_S = 0.0002
Sheets = Sequence[intake.Sheet]
Prepared = tuple[Page, Sheets]


@dataclass(slots=True)
class Pulled:
    """What a pull of all sources did. ``failed`` maps a source to the admin text of its error."""

    records: int = 0
    journalled: int = 0
    rejects: int = 0
    failed: dict[str, BrokersyncError] = field(default_factory=dict)


@steady()
def pull(hub: Hub, guard: Guard) -> Pulled:
    """Pull every source once. One that fails is named and stops none of the others.

    Args:
        guard: called with each transaction's connection; refuses when the engine role is lost.
    """
    done = Pulled()
    with hub.store.reading() as connection:
        some = sources.with_asides(connection)
    for source in hub.sources:
        _register(hub, source, guard)
        try:
            if source.name in some:
                _retry_set_aside(hub, source, done, guard)
            pages = _prepared(hub, _pages(hub, source, guard))
            for page, sheets in _ahead(hub, pages) if _threads(hub, source) else pages:
                _take(hub, source, page, sheets, done, guard)
        except BrokersyncError as error:
            done.failed[source.name] = error
            now = hub.clock.now_ms()
            with hub.store.transaction(f"pull.{source.name}.failed") as connection:
                guard(connection)  # losing the role is no failure of the source
                sources.failed(connection, source.name, error.admin, now)
    return done


def _register(hub: Hub, source: Source[Any], guard: Guard) -> None:
    """Once a process: the hub's database knows its sources and whom they serve."""
    if source.name in hub.registered:
        return
    with hub.store.transaction(f"pull.{source.name}.register") as connection:
        guard(connection)
        brands = sorted(source.context.brands)
        sources.register(connection, source.name, source.families, brands)
    hub.registered.add(source.name)


def _pages(hub: Hub, source: Source[Any], guard: Guard) -> Iterable[Page]:
    if isinstance(source, ListSource):
        with hub.store.reading() as connection:
            cursor = sources.cursor(connection, source.name)
        return source.pull(cursor)
    if isinstance(source, RereadSource):
        return _rereads(hub, source, guard)
    raise ProtocolError(f"{source.name} can neither be listed nor re-read")


def _threads(hub: Hub, source: Source[Any]) -> bool:
    """Whether a page may be read while the last is stored: reading must not use our database."""
    return hub.in_flight > 1 and isinstance(source, ListSource)


def _prepared(hub: Hub, pages: Iterable[Page]) -> Generator[Prepared]:
    """Each page with what is to be stored of it: written out by the thread that reads, so that
    the one that stores waits for the database alone."""
    reading, price = iter(pages), _price(hub)
    try:
        for page in reading:
            yield page, intake.prepare(page.records, price, copied=hub.store.postgres)
    finally:
        getattr(reading, "close", int)()


def _ahead(hub: Hub, pages: Generator[Prepared]) -> Iterator[Prepared]:
    """The pages, each asked for while the one before is being stored; all in one other thread.

    Most pulls have one page, the complete one: a thread would cost more than it spares.
    """
    usual = sys.getswitchinterval()
    first = next(pages, None)
    if first is None:
        return
    if first[0].complete_until is not None:
        yield first
        yield from pages
        return
    sys.setswitchinterval(_TURN_S)
    with hub.store.streaming(), ThreadPoolExecutor(1, thread_name_prefix="pull") as pool:
        try:
            following = pool.submit(next, pages, None)
            yield first
            while (page := following.result()) is not None:
                following = pool.submit(next, pages, None)
                yield page
        finally:
            # In that thread: it may still be reading.
            pool.submit(pages.close).result()
            sys.setswitchinterval(usual)


def _rereads(hub: Hub, source: RereadSource[Any], guard: Guard) -> Iterable[Page]:
    """Batches of what is due at the start; what falls due meanwhile waits for the next pull."""
    start = hub.clock.now_ms()
    brands = sorted(source.context.brands)
    with hub.store.reading() as connection:
        newcomers = sources.newcomers(connection, source.name, brands, start)
    if newcomers:
        with hub.store.transaction(f"pull.{source.name}.enrol") as connection:
            guard(connection)
            sources.enrol(connection, source.name, brands, start)
    with hub.store.reading() as connection:
        due = sources.due_rereads(connection, source.name, start, _MOST_REREADS)
    for at in range(0, len(due), source.batch):
        rows = [Reread(v, b, s) for v, b, s in due[at : at + source.batch]]
        page = source.reread(rows)
        last = at + source.batch >= len(due)
        hub.progress("pull", source.name, min(at + source.batch, len(due)), len(due))
        # Only after the last batch is the source known to be complete up to the start.
        yield Page(page.records, page.rejects, page.cursor, start if last else None, page.rereads)
    if not due:
        yield Page(complete_until=start)


def _take(
    hub: Hub, source: Source[Any], page: Page, sheets: Sheets, done: Pulled, guard: Guard
) -> None:
    if _says_nothing(page):
        return  # its cursor is stored with the next page that says something
    now = hub.clock.now_ms()
    with hub.store.transaction(f"pull.{source.name}.page", repeatable=True) as connection:
        guard(connection)
        whole = [gone.Range(w.kind, source.name, w.first, w.last) for w in page.whole]
        taken = intake.take(connection, sheets, now, whole)
        if taken.journalled >= _MANY:
            statistics.refresh(connection)
        _set_aside(connection, source, page.rejects, now)
        fine = [*(r.external_id for r in page.records), *page.forget]
        sources.passed(connection, "intake", source.name, fine)
        _reschedule(connection, source, page)
        sources.advance(
            connection, source.name, page.cursor, page.complete_until, taken.journalled, now
        )
    done.records += len(page.records)
    done.journalled += taken.journalled
    done.rejects += len(page.rejects)
    if isinstance(source, ListSource):
        hub.progress("pull", source.name, done.records, None)


def _says_nothing(page: Page) -> bool:
    said = (page.records, page.rejects, page.rereads, page.forget, page.whole)
    return page.complete_until is None and not any(said)


def _reschedule(connection: Any, source: Source[Any], page: Page) -> None:
    for brand in source.context.brands:
        sources.reschedule(connection, source.name, brand, page.rereads)


def _set_aside(connection: Any, source: Source[Any], rejects: Iterable[Reject], now: int) -> None:
    rows = [
        sources.Aside("intake", source.name, r.kind, r.external_id, r.brand, r.reason, r.raw,
                      basis(source))
        for r in rejects
    ]  # fmt: skip
    sources.set_aside(connection, rows, now)


def basis(source: Source[Any]) -> str:
    """What rows of a source are judged by: its settings (secrets are masked in their JSON)."""
    text: str = source.settings.model_dump_json()
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _retry_set_aside(hub: Hub, source: Source[Any], done: Pulled, guard: Guard) -> None:
    now = hub.clock.now_ms()
    with hub.store.reading() as connection:
        due = sources.retryable(connection, source.name, basis(source), now, _RETRY_BATCH)
    if not due:
        return
    records: list[Record] = []
    rejects: list[Reject] = []
    passed: list[str] = []
    for external_id, raw in due:
        try:
            records.append(source.parse(json.loads(raw)))
            passed.append(external_id)
        except RecordError as error:
            rejects.append(Reject(external_id, error.admin, raw=raw))
    sheets = intake.prepare(records, _price(hub), copied=hub.store.postgres)
    with hub.store.transaction(f"pull.{source.name}.retry") as connection:
        guard(connection)
        taken = intake.take(connection, sheets, now)
        _set_aside(connection, source, rejects, now)
        sources.passed(connection, "intake", source.name, passed)
    done.records += len(records)
    done.journalled += taken.journalled


def _price(hub: Hub) -> Price:
    """The base amount: the vendor's own if it is in the brand's base, else by the day's rate."""

    def price(brand: str, amount: Money, base: Money | None, at: int) -> int | None:
        policy = hub.brands[brand]
        if amount.currency == policy.base_currency:
            return amount.minor
        if base is not None and base.currency == policy.base_currency:
            return base.minor
        converted = hub.rates[brand].convert(amount, local_date(at, policy.zone))
        return None if converted is None else converted.minor

    return price
