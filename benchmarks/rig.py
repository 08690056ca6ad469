"""A real hub over seeded sources and a CRM behind HTTP; what a benchmark measures with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.crm import TOKEN
from benchmarks.seed import BRANDS, DAY_MS, NOW_MS, Broker
from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.base import ConnectorSettings, Context, ListSource, Manifest, Page
from connectors.destination import Destination
from connectors.hubspot import HubSpotDestination, HubSpotSettings
from connectors.paymentiq.settings import PaymentIqSettings
from connectors.paymentiq.source import PaymentIqSource
from mapping.calendars import Calendar
from mapping.money import Rates, exponent
from mapping.policy import BrandPolicy, Team
from mapping.records import Record
from mapping.ruleset import load
from simulator.portal import TEAMS
from state.store import Store
from sync.crm_schema import wanted
from sync.hub import Hub

Batches = Callable[[], Iterable[list[Record]]]
_RATES = {"EUR": "1.08", "USD": "0.92", "GBP": "1.17", "JPY": "0.0061", "KWD": "3.0"}
_FASTEST = 1000  # calls per 10 s, the most the settings allow
NOBODY = "http://127.0.0.1:1"
FAMILIES = ("registry", "kyc", "psp")


class Clock:
    """Stands at an instant of the seed's day, so that time alone changes nobody; or runs."""

    def __init__(self, *, runs: bool = False) -> None:
        self._began = time.monotonic()
        self._runs = runs
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        passed = round((time.monotonic() - self._began) * 1000) if self._runs else 0
        return NOW_MS + self.ahead_ms + passed

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`."""
        time.sleep(seconds)


class Seeded(ListSource[ConnectorSettings]):
    """A source that yields pages from memory: intake without a vendor's HTTP.

    Args:
        batches: the records of each page; asked anew at every pull.
        also: further families of the same data.
    """

    settings_type = ConnectorSettings

    def __init__(
        self, context: Context, family: str, batches: Batches, also: tuple[str, ...] = ()
    ) -> None:
        super().__init__(ConnectorSettings(), context)
        self.manifest = Manifest(family, family, family, (), "", True, also)  # type: ignore[misc]
        self.batches = batches

    @property
    def families(self) -> tuple[str, ...]:
        """See :class:`connectors.base.Source`."""
        return (self.manifest.family, *self.manifest.also)

    def check(self) -> None:
        """See :class:`connectors.base.Source`."""

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`."""
        raise NotImplementedError

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        del cursor
        for records in self.batches():
            yield Page(records, cursor="more")
        yield Page(cursor="done", complete_until=self.clock.now_ms())


def paged(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Pages of ``size`` records."""
    left = iter(records)
    while page := list(islice(left, size)):
        yield page


def paymentiq(brand: str, clock: Clock) -> PaymentIqSource:
    """The real connector of a brand's PSP; nothing listens at its address."""
    settings = PaymentIqSettings(
        base_url=NOBODY,
        client_id="hub",
        client_secret="bench",
        merchant_id=BRANDS[brand][2],
        start_at="2024-01-01T00:00:00Z",
    )  # type: ignore[arg-type]
    context = Context(f"paymentiq-{brand}", {brand: BRANDS[brand][0]}, clock)
    return PaymentIqSource(settings, context)


def sources(broker: Broker, clock: Clock, first: int = 0) -> list[Seeded]:
    """All that is known of a broker's clients from ``first`` on, in pages as vendors send them."""
    zones = {n: b[0] for n, b in BRANDS.items()}

    def profiles() -> Iterator[list[Record]]:
        return paged((broker.profile(i) for i in broker.indexes(first=first)), 1000)

    found = [Seeded(Context("registry", zones, clock), "registry", profiles)]
    for brand, zone in zones.items():
        one = {brand: zone}
        found += [
            Seeded(Context(f"sumsub-{brand}", one, clock), "kyc", _cases(broker, brand, first)),
            Seeded(
                Context(f"paymentiq-{brand}", one, clock),
                "psp",
                _payments(broker, brand, first, clock),
            ),
        ]
    return found


def _cases(broker: Broker, brand: str, first: int) -> Batches:
    def batches() -> Iterator[list[Record]]:
        cases = (broker.kyc(i) for i in broker.indexes(brand, first))
        return paged((case for case in cases if case is not None), 100)

    return batches


def _payments(broker: Broker, brand: str, first: int, clock: Clock) -> Batches:
    connector = paymentiq(brand, clock)

    def batches() -> Iterator[list[Record]]:
        rows = (row for i in broker.indexes(brand, first) for row in broker.payments(i))
        return paged((connector.parse(row) for row in rows), connector.settings.page_size)

    return batches


def hub(
    database: str, clock: Clock, found: list[Any], url: str = NOBODY,
    families: Sequence[str] = FAMILIES, **crm: Any,
) -> Hub:  # fmt: skip
    """A hub with a HubSpot; its database is migrated."""
    crm.setdefault("requests_per_10s", _FASTEST)
    settings = HubSpotSettings(access_token=TOKEN, base_url=url, **crm)  # type: ignore[arg-type]
    destination = HubSpotDestination(settings, context("hubspot"))
    return hub_to(destination, TEAMS, database, clock, found, families)


def context(name: str) -> Context:
    """A CRM's: limits, latency and pacing are real."""
    return Context(name, {n: b[0] for n, b in BRANDS.items()}, Clock(runs=True))


def hub_to(
    crm: Destination, teams: Mapping[str, Any], database: str, clock: Clock, found: list[Any],
    families: Sequence[str] = FAMILIES,
) -> Hub:  # fmt: skip
    """A hub with the shipped rule set, installed on the seed's day; its database is migrated."""
    store = Store(database)
    store.migrate()
    data = yaml_file.read(DEFAULT_RULES).data
    return Hub(
        store=store,
        clock=clock,
        brands={n: _policy(n, crm.name, teams) for n in BRANDS},
        sources=found,
        destinations={crm.name: crm},
        rules={n: load(data, families, exponent(b[1])) for n, b in BRANDS.items()},
        rates={n: Rates(b[1], {}, _fixed(b[1])) for n, b in BRANDS.items()},
    )


def _fixed(base: str) -> dict[str, Decimal]:
    return {c: Decimal(r) for c, r in _RATES.items() if c != base}


def _policy(name: str, crm: str, people: Mapping[str, Any]) -> BrandPolicy:
    zone, base, _ = BRANDS[name]
    teams = {
        n: Team(n, Calendar(always=n == "payments"), t.queue or "", t.members)
        for n, t in people.items()
    }
    modes = {"CS3": "tasks", "CS5": "tasks", "CS8": "tasks", "*": "fields"}
    return BrandPolicy(name, zone, base, crm, {"*": NOW_MS - DAY_MS}, modes, teams)


def install(built: Hub) -> None:
    """Create what the CRM lacks."""
    for name, destination in built.destinations.items():
        for obj, properties in wanted(built, name).items():
            destination.install(obj, properties)


@dataclass(slots=True)
class Spent:
    """Wall and processor seconds of this process, all threads."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def spending() -> Iterator[Spent]:
    """Measure what happens inside."""
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent.wall_s, spent.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


def machine_us() -> float:
    """Processor microseconds of a fixed piece of work: how fast this machine is just now."""
    row = {f"field_{n}": f"value number {n}" for n in range(28)}
    text, began = json.dumps(row), time.process_time()
    for _ in range(20_000):
        json.dumps(row)
        json.loads(text)
    return (time.process_time() - began) / 20_000 * 1e6


def peak_mb() -> float:
    """Peak resident memory of this process (not of the one it was forked from), MB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status: peak memory is read on Linux only")
