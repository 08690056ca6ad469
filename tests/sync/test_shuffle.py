"""The order of arrival means nothing: shuffled and repeated versions give the same profiles.

The versions are those the vendors' own connectors yielded while a small world went on; their
stamps are kept. Each case takes them in another order, some of them several times, in pages cut
anywhere, and then computes everybody once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors.base import ListSource, Reread, no_boundary
from mapping.money import Money
from mapping.payloads import Payment
from mapping.records import Record
from mapping.words import Kind
from simulator.grow import grow
from simulator.story import World
from state import intake, schema, sources
from sync.hub import Hub
from sync.project import Projector
from tests.clock import WorldClock
from tests.rig import ALL, OPENED, Rig, rig

SEED, CLIENTS, DAYS = 44, 14, 30
CASES = 250
ONE_IN = 25  # so many of the reads that say nothing new are kept
# Read again and again, and journalled only where they differ: which version is the first of equal
# ones depends on the order.
POLLED = {
    Kind.KYC_CASE, Kind.LINK, Kind.TRADING_ACCOUNT, Kind.TRADING_DAY, Kind.BALANCE,
    Kind.ATTRIBUTION, Kind.PAYOUT, Kind.PARTNER, Kind.RISK_FLAG,
}  # fmt: skip
SECOND_MS = 1000
COMPUTED = (
    "client", *schema.CURRENT, "milestone", "identity_link", "fact", "profile", "episode",
    "contact_member", "desired",
)  # fmt: skip


class Bench:
    """One database in memory, a hub over it, and the versions of a world."""

    def __init__(self, folder: Path) -> None:
        world = grow(SEED, CLIENTS, DAYS)
        one = rig(world, "sqlite://", folder, live_from=world.start_ms, families=ALL)
        one.install = False
        self.hub: Hub = one.hub()
        OPENED.remove(self.hub.store)  # it lives as long as the module's tests
        self.versions = list(dict.fromkeys(_telling(_versions(one))))
        self.now = world.story_ms + 60 * SECOND_MS
        self.expected = self.computed([[r] for r in self.versions])

    def computed(self, pages: Sequence[Sequence[Record]]) -> dict[str, Any]:
        """Everything that follows from the pages, in an empty database."""
        store = self.hub.store
        with store.transaction("test.empty") as connection:
            for table in schema.metadata.sorted_tables:
                connection.execute(sa.delete(table))
            for source in self.hub.sources:
                brands = sorted(source.context.brands)
                sources.register(connection, source.name, source.families, brands)
                sources.advance(connection, source.name, "end", self.now, 0, self.now)
        for page in pages:
            with store.transaction("test.page") as connection:
                intake.take(connection, intake.prepare(page, _price), self.now)
        Projector(self.hub, 1, 1, lambda connection: None).project(self.now)
        with store.reading() as connection:
            found: dict[str, Any] = {name: _rows(connection, name) for name in COMPUTED}
            carried = {row[1:3] for row in connection.execute(_addresses())}
            # The link of an address that no record carries any more may have been kept: it is
            # right, and leads nobody anywhere.
            found["identity_link"] = [
                row
                for row in found["identity_link"]
                if row[1] != "email" or (row[0], row[2]) in carried
            ]
            journal = schema.journal
            stamped = sa.select(
                journal.c.source, journal.c.kind, journal.c.external_id, journal.c.version_at,
                journal.c.hash,
            ).where(journal.c.kind.not_in(sorted(POLLED)))  # fmt: skip
            found["journal"] = sorted(tuple(row) for row in connection.execute(stamped))
        return found


def _price(brand: str, amount: Money, base: Money | None, at: int) -> int | None:
    """Any price will do; one currency has none."""
    return None if amount.currency == "KWD" else amount.minor


def _addresses() -> sa.CompoundSelect[Any]:
    """(table, brand, address) of every record that means its client by an address."""
    return sa.union_all(
        *[
            sa.select(sa.literal(t.name), t.c.brand, t.c.ref_value).where(t.c.ref_kind == "email")
            for t in schema.CURRENT.values()
        ]
    )


def _rows(connection: sa.Connection, name: str) -> list[tuple[Any, ...]]:
    table = schema.metadata.tables[name]
    rows = [tuple(row) for row in connection.execute(sa.select(table))]
    assert rows, f"{name} is empty: nothing is compared"
    return sorted(rows, key=repr)


def _versions(one: Rig) -> Iterator[Record]:
    """What the connectors yield when they are asked soon after everything that happens."""
    world, cursors = one.world, dict[str, str]()
    connectors = one._sources(WorldClock(world), no_boundary)
    happened = {e.visible_at + SECOND_MS: c.key for c in world.clients.values() for e in c.events}
    for at in sorted(happened):
        one.advance_to(at)
        for source in connectors:
            if isinstance(source, ListSource):
                for page in source.pull(cursors.get(source.name)):
                    assert not page.rejects
                    cursors[source.name] = page.cursor or cursors.get(source.name, "")
                    yield from page.records
            else:
                yield from source.reread(_asked(world, source, happened[at], at)).records


def _telling(versions: Iterator[Record]) -> Iterator[Record]:
    """Versions that say something new, and some of the reads that do not.

    What a vendor without deletions says it lacks is no version of the vendor's: it is what one read
    did not find, and means nothing before what another one found.
    """
    last: dict[tuple[str, str, str, str], str] = {}
    for n, record in enumerate(versions):
        if record.polled and record.deleted:
            continue
        key = record.source, record.kind, record.brand, record.external_id
        said = record.content_hash()
        if not record.polled or last.get(key) != said or n % ONE_IN == 0:
            last[key] = said
            yield record


def _asked(world: World, source: Any, key: str, at: int) -> list[Reread]:
    """The client something happened to, and another for whom it is just time."""
    keys = [k for k in sorted(world.clients) if k.split(":")[0] in source.context.brands]
    asked = {key} & set(keys) | {keys[at // SECOND_MS % len(keys)]}
    clients = [world.clients[k] for k in sorted(asked) if world.clients[k].visible(at)]
    return [Reread(c.id, c.brand, c.events[0].at) for c in clients]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("shuffle"))
    yield made
    made.hub.store.close()


def test_the_versions_are_worth_shuffling(bench: Bench) -> None:
    by_object: dict[tuple[str, Kind, str, str], list[Record]] = defaultdict(list)
    for record in bench.versions:
        by_object[record.source, record.kind, record.brand, record.external_id].append(record)
    kinds = {kind for _, kind, _, _ in by_object}
    assert kinds == set(Kind)
    payments = [rows for rows in by_object.values() if isinstance(rows[0].payload, Payment)]
    assert max(len({r.payload.status for r in rows}) for rows in payments) >= 3  # type: ignore[union-attr]
    assert any(r.kind is Kind.PROFILE and r.payload.merged_into for r in bench.versions)  # type: ignore[union-attr]
    assert any(_comes_back(rows) for rows in by_object.values()), "no polled A, B, A"
    assert 300 <= len(bench.versions) <= 1_500


def _comes_back(rows: Sequence[Record]) -> bool:
    """Whether a polled object was one thing, then another, then the first again."""
    polled = [r.payload for r in sorted(rows, key=lambda r: r.version_at) if r.polled]
    steps = [a for a, b in pairwise(polled) if a != b] + polled[-1:]
    return len(set(steps)) < len(steps)


@st.composite
def _pages(draw: st.DrawFn, count: int) -> list[list[int]]:
    """Numbers of all versions in any order, some repeated, cut into pages anywhere."""
    order = draw(st.permutations(range(count)))
    again = draw(st.lists(st.integers(0, count - 1), max_size=40))
    places = draw(st.lists(st.integers(0, count), min_size=len(again), max_size=len(again)))
    for number, place in zip(again, places, strict=True):
        order.insert(place, number)
    cuts = sorted({0, *draw(st.lists(st.integers(1, len(order) - 1), max_size=12)), len(order)})
    return [order[a:b] for a, b in pairwise(cuts)]


def test_any_order_gives_the_same(bench: Bench) -> None:
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(_pages(len(bench.versions)))
    def check(pages: list[list[int]]) -> None:
        found = bench.computed([[bench.versions[n] for n in page] for page in pages])
        for name, rows in bench.expected.items():
            assert found[name] == rows, name

    check()


def test_backwards_one_by_one_gives_the_same(bench: Bench) -> None:
    assert bench.computed([[r] for r in reversed(bench.versions)]) == bench.expected


def test_everything_twice_in_one_page_gives_the_same(bench: Bench) -> None:
    assert bench.computed([[*reversed(bench.versions), *bench.versions]]) == bench.expected
