"""A whole hub over in-process fakes of one world: real connectors, real database, virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.base import Boundary, Context, no_boundary
from connectors.cellxpert.settings import CellxpertSettings
from connectors.cellxpert.source import CellxpertSource
from connectors.destination import CrmObject
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.mt5_sql.source import Mt5SqlSource
from connectors.paymentiq.settings import PaymentIqSettings
from connectors.paymentiq.source import PaymentIqSource
from connectors.registry.settings import RegistrySettings
from connectors.registry.source import RegistrySource
from connectors.sumsub.settings import SumsubSettings
from connectors.sumsub.source import SumsubSource
from connectors.zendesk.settings import ZendeskSettings
from connectors.zendesk.source import ZendeskSource
from mapping.calendars import Calendar
from mapping.money import Rates, exponent
from mapping.policy import BrandPolicy, Team
from mapping.ruleset import RuleSet, load
from simulator.cellxpert import CellxpertFake, FakePartner
from simulator.hubspot import HubSpotFake
from simulator.metatrader.fake import MetaTrader
from simulator.paymentiq import PaymentIQFake
from simulator.registry import RegistryTable
from simulator.story import World
from simulator.sumsub import SumsubFake
from simulator.zendesk import ZendeskFake
from state import schema
from state.store import Store
from sync.crm_schema import wanted
from sync.cycle import Cycle, sync_once
from sync.hub import Hub
from tests.clock import WorldClock
from tests.crms import Crm
from tests.crms.hubspot import HubSpotCrm
from tests.crms.salesforce import SalesforceCrm
from tests.transport import FakeTransport

MODES = {"CS3": "tasks", "CS5": "tasks", "CS6": "tasks", "CS8": "tasks", "*": "fields"}
BASE = frozenset({"registry", "kyc", "psp"})
ALL = BASE | {"trading", "ledger", "affiliate", "helpdesk"}
"""Families of sources."""
OPENED: list[Store] = []
"""What the hubs of the running test opened; closed after it."""
LEDGER_RULES = (
    {"kind": "wire", "action": 2, "comment": "^Wire"},
    {"kind": "transfer", "action": 2, "comment": "transfer"},
)


@dataclass(slots=True)
class Rig:
    """A world, its fakes, and a hub that sees nothing but their answers."""

    world: World
    database: str
    folder: Path
    live_from: int
    modes: Mapping[str, str]
    crm: Crm
    registry: RegistryTable
    vendors: dict[str, Any]
    install: bool = True
    psp: Mapping[str, Any] = field(default_factory=dict)
    families: frozenset[str] = ALL
    servers: list[MetaTrader] = field(default_factory=list)

    @property
    def portal(self) -> HubSpotFake:
        """HubSpot itself, for tests of what only HubSpot has."""
        assert isinstance(self.crm, HubSpotCrm)
        return self.crm.fake

    def hub(self, boundary: Boundary = no_boundary) -> Hub:
        """A fresh hub over the same database, as after a restart."""
        clock = WorldClock(self.world)
        store = Store(self.database, boundary)
        OPENED.append(store)
        store.migrate()
        hub = Hub(
            store=store,
            clock=clock,
            brands={n: self._policy(n) for n in self.world.brands},
            sources=self._sources(clock, boundary),
            destinations={self.crm.name: self.crm.destination(self._zones, clock, boundary)},
            rules=self._rules(),
            rates={n: self._rates(n) for n in self.world.brands},
            in_flight=1,
        )
        if self.install:
            destination = hub.destinations[self.crm.name]
            for obj, properties in wanted(hub, self.crm.name).items():
                destination.install(obj, properties)
        return hub

    def _rules(self) -> dict[str, Any]:
        brands = self.world.brands.items()
        return {n: _ruleset(exponent(b.base_currency), self.families) for n, b in brands}

    def _rates(self, brand: str) -> Rates:
        base = self.world.brands[brand].base_currency
        fixed = {c: Decimal(r) for (b, c), r in self.world.rates.items() if b == base}
        return Rates(base, {}, fixed)

    def _policy(self, name: str) -> BrandPolicy:
        brand = self.world.brands[name]
        calendars = {"payments": Calendar(always=True), "support": Calendar(always=True)}
        teams = {
            n: Team(n, calendars.get(n, Calendar()), t.queue or "", t.members)
            for n, t in self.crm.teams.items()
        }
        return BrandPolicy(
            name, brand.zone, brand.base_currency, self.crm.name, {"*": self.live_from}, self.modes,
            teams, brand.entity,
        )  # fmt: skip

    def _sources(self, clock: WorldClock, boundary: Boundary) -> list[Any]:
        brands = self._zones
        url = f"sqlite:///{self.folder / 'registry.db'}"
        sources: list[Any] = [
            RegistrySource(RegistrySettings(url=url), Context("registry", brands, clock, boundary))
        ]
        # Some payments of the cast are older than the story.
        start = datetime.fromtimestamp(self.world.start_ms / 1000, UTC) - timedelta(days=90)
        for name, brand in self.world.brands.items():
            psp = PaymentIqSettings(
                base_url="http://127.0.0.1:1", client_id="hub", client_secret="psp-secret",
                merchant_id=brand.merchant_id, start_at=start, **self.psp,
            )  # fmt: skip
            kyc = SumsubSettings(
                base_url="http://127.0.0.1:1", app_token="sbx:token", secret_key="kyc-secret"
            )
            one = {name: brand.zone}
            sources.append(
                PaymentIqSource(psp, Context(f"paymentiq-{name}", one, clock, boundary),
                                FakeTransport(self.vendors[f"paymentiq-{name}"].handle))
            )  # fmt: skip
            sources.append(
                SumsubSource(kyc, Context(f"sumsub-{name}", one, clock, boundary),
                             FakeTransport(self.vendors[f"sumsub-{name}"].handle))
            )  # fmt: skip
            sources += self._further(name, start, clock, boundary)
        return sources

    def _further(
        self, name: str, start: datetime, clock: WorldClock, boundary: Boundary
    ) -> list[Any]:
        """A brand's sources that not every broker has."""
        one, found = {name: self.world.brands[name].zone}, []
        if "trading" in self.families:
            mt5 = Mt5SqlSettings.model_validate({
                "url": server_url(self.folder, name), "server": f"live-{name}",
                "server_tz": "NY+7", "client_column": "ID", "ledger_rules": LEDGER_RULES,
                "ledger": "ledger" in self.families, "balance_every_s": 0,
            })  # fmt: skip
            found.append(Mt5SqlSource(mt5, Context(f"mt5-{name}", one, clock, boundary)))
        if "affiliate" in self.families:
            cellxpert = CellxpertSettings(
                base_url="https://cellxpert.example", admin_url=name, user="hub",
                password="affiliate-secret", currency="USD", start_at=start, step_days=40,
            )  # fmt: skip
            found.append(
                CellxpertSource(cellxpert, Context(f"cellxpert-{name}", one, clock, boundary),
                                FakeTransport(self.vendors[f"cellxpert-{name}"].handle))
            )  # fmt: skip
        if "helpdesk" in self.families:
            fake = self.vendors[f"zendesk-{name}"]
            zendesk = ZendeskSettings(
                base_url="https://desk.example", start_at=start, **fake.settings()
            )
            found.append(
                ZendeskSource(zendesk, Context(f"zendesk-{name}", one, clock, boundary),
                              FakeTransport(fake.handle))
            )  # fmt: skip
        return found

    @property
    def _zones(self) -> dict[str, str]:
        return {n: b.zone for n, b in self.world.brands.items()}

    def advance_to(self, instant_ms: int) -> None:
        """Let the story go on, in the databases too."""
        self.world.advance_to(instant_ms)
        self.registry.refresh()
        for server in self.servers:
            server.refresh()

    def sync(self, hub: Hub) -> Cycle:
        """One cycle that must end well."""
        cycle = sync_once(hub)
        assert not cycle.errors, [(n, e.admin, e.log) for n, e in cycle.errors]
        return cycle


def vendors(world: World) -> dict[str, Any]:
    """Fresh fakes of the vendors, who have not been asked yet."""
    found: dict[str, Any] = {}
    for name, brand in world.brands.items():
        found[f"sumsub-{name}"] = SumsubFake(world, name, "sbx:token", "kyc-secret")
        found[f"paymentiq-{name}"] = PaymentIQFake(
            world, name, "hub", "psp-secret", brand.merchant_id
        )
        partners = [
            FakePartner(p.id, p.name, p.plan, status=p.status) for p in world.partners.get(name, ())
        ]
        found[f"cellxpert-{name}"] = CellxpertFake(
            world, name, name, "hub", "affiliate-secret", partners=partners
        )
        found[f"zendesk-{name}"] = ZendeskFake(
            world, [name], "ada@broker.example", "helpdesk-secret"
        )
    return found


@lru_cache(maxsize=8)
def _ruleset(digits: int, families: frozenset[str]) -> RuleSet:
    """The shipped rules for a base currency; reading them takes longer than a small sync."""
    return load(yaml_file.read(DEFAULT_RULES).data, sorted(families), digits)


def server_url(folder: Path, brand: str) -> str:
    """Where a brand's trading server exports to."""
    return f"sqlite:///{folder / f'mt5-{brand}.db'}"


def rig(
    world: World,
    database: str,
    folder: Path,
    live_from: int,
    modes: Mapping[str, str] | None = None,
    families: frozenset[str] = BASE,
    crm: str = "hubspot",
    **portal: Any,
) -> Rig:
    """A rig over a world, with every vendor's fake in this process.

    Args:
        portal: how the CRM's fake is set up.
    """
    table = RegistryTable(world, f"sqlite:///{folder / 'registry.db'}")
    table.create()
    kind = HubSpotCrm if crm == "hubspot" else SalesforceCrm
    there: Crm = kind(world, **portal)
    made = Rig(world, database, folder, live_from, modes or MODES, there, table, vendors(world))
    made.families = families
    if "trading" in families:
        for name in world.brands:
            server = MetaTrader(world, server_url(folder, name), brand=name)
            server.create()
            made.servers.append(server)
    return made


def profiles(database: str) -> dict[str, dict[str, Any]]:
    """What the hub stored of each client: profile row by key."""
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(schema.profile)).mappings().all()
    return {f"{r['brand']}:{r['client_id']}": dict(r) for r in rows}


__all__ = ["CrmObject", "Rig", "profiles", "rig", "vendors"]
