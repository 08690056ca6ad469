"""Pull: read each source; a page, its cursor and its touched clients are stored together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from connectors.base import ListSource, Page, Reject, Reread, RereadSource, Source
from mapping.calendars import local_date
from mapping.errors import BrokersyncError, ProtocolError, RecordError
from mapping.money import Money
from mapping.records import Record
from state import intake, sources
from sync.hub import Hub

_RETRY_BATCH = 500
_MOST_REREADS = 200_000
Guard = Callable[[Any], None]


@dataclass(slots=True)
class Pulled:
    """What a pull of all sources did. ``failed`` maps a source to the admin text of its error."""

    records: int = 0
    journalled: int = 0
    rejects: int = 0
    failed: dict[str, BrokersyncError] = field(default_factory=dict)


def pull(hub: Hub, guard: Guard) -> Pulled:
    """Pull every source once. One that fails is named and stops none of the others.

    Args:
        guard: called with each transaction's connection; refuses when the engine role is lost.
    """
    done = Pulled()
    for source in hub.sources:
        _register(hub, source, guard)
        try:
            _retry_set_aside(hub, source, done, guard)
            pages = _pages(hub, source, guard)
            for page in _ahead(pages) if _threads(hub, source) else pages:
                _take(hub, source, page, done, guard)
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
        sources.register(connection, source.name, source.manifest.family, brands)
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


def _ahead(pages: Iterable[Page]) -> Iterator[Page]:
    """The pages, each asked for while the one before is being stored; all in one other thread."""
    reading = iter(pages)
    with ThreadPoolExecutor(1, thread_name_prefix="pull") as pool:
        try:
            following = pool.submit(next, reading, None)
            while (page := following.result()) is not None:
                following = pool.submit(next, reading, None)
                yield page
        finally:
            # What the source holds open is given back by the thread that opened it.
            pool.submit(getattr(reading, "close", int)).result()


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


def _take(hub: Hub, source: Source[Any], page: Page, done: Pulled, guard: Guard) -> None:
    now = hub.clock.now_ms()
    with hub.store.transaction(f"pull.{source.name}.page") as connection:
        guard(connection)
        taken = intake.take(connection, page.records, now, _price(hub))
        _set_aside(connection, source, page.rejects, now)
        sources.passed(connection, "intake", source.name, [r.external_id for r in page.records])
        _reschedule(connection, source, page)
        sources.advance(
            connection, source.name, page.cursor, page.complete_until, taken.journalled, now
        )
    done.records += len(page.records)
    done.journalled += taken.journalled
    done.rejects += len(page.rejects)
    if isinstance(source, ListSource):
        hub.progress("pull", source.name, done.records, None)


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
    with hub.store.transaction(f"pull.{source.name}.retry") as connection:
        guard(connection)
        taken = intake.take(connection, records, now, _price(hub))
        _set_aside(connection, source, rejects, now)
        sources.passed(connection, "intake", source.name, passed)
    done.records += len(records)
    done.journalled += taken.journalled


def _price(hub: Hub) -> intake.Price:
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
