"""The parts of a running hub, put together by ``brokersync/bootstrap.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Connection

from connectors.base import Source
from connectors.clock import Clock
from connectors.destination import Destination
from mapping.fields import property_name
from mapping.money import Rates, exponent
from mapping.policy import Backlog, BrandPolicy
from mapping.ruleset import RuleSet
from state.store import Store
from sync.schedule import Schedule
from sync.stop import Stop

Guard = Callable[[Connection], None]
"""Called with each transaction's connection; refuses when the engine role is lost."""
Progress = Callable[[str, str, int, int | None], None]
"""(phase, what, done so far, total if known): for progress bars."""


def silent(phase: str, what: str, done: int, total: int | None) -> None:
    """No progress is shown."""
    del phase, what, done, total


@dataclass(frozen=True, slots=True)
class Companies:
    """How a CRM stands to companies, as of ``at`` (ms).

    ``off``: why it takes none although there are partners to be told of.
    """

    wanted: bool
    off: str
    at: int

    @property
    def written(self) -> bool:
        """Whether partners are told to it."""
        return self.wanted and not self.off


@dataclass(slots=True)
class Hub:
    """Everything a cycle needs. ``rules`` is by brand: bases and connected families differ."""

    store: Store
    clock: Clock
    brands: Mapping[str, BrandPolicy]
    sources: Sequence[Source[Any]]
    destinations: Mapping[str, Destination]
    rules: Mapping[str, RuleSet]
    rates: Mapping[str, Rates]
    prefix: str = "brokerage_"
    rules_source: str = ""
    in_flight: int = 4
    retention_days: int = 30
    read_back_calls: int = 60
    progress: Progress = field(default=silent)
    registered: set[str] = field(default_factory=set)
    schema_checked: dict[str, bool] = field(default_factory=dict)
    companies: dict[str, Companies] = field(default_factory=dict)  # of CRMs that were asked
    stop: Stop = field(default_factory=Stop)
    backlog: Backlog | None = None  # what the next cycle is to admit of old reasons
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    console_url: str = ""  # where cards link to

    def digits(self, brand: str) -> int:
        """Digits of a brand's base currency."""
        return exponent(self.brands[brand].base_currency)

    def property_name(self, name: str, *, native: bool = False) -> str:
        """A field's property in the CRM: prefixed, unless native or the hub's own key."""
        return _property_name(self.prefix, name, native)

    def close(self) -> None:
        """Give back all connections."""
        for source in self.sources:
            source.close()
        for destination in self.destinations.values():
            destination.close()
        self.store.close()


@lru_cache(maxsize=4096)
def _property_name(prefix: str, name: str, native: bool) -> str:
    # Asked for every field of every contact.
    return property_name(prefix, name, native=native)
