"""Put a hub together from its configuration: the only reader of ``config``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config import settings as config
from config import yaml_file
from connectors.base import Boundary, ConnectorSettings, Context, Source, no_boundary
from connectors.clock import Clock, SystemClock
from connectors.destination import Destination
from mapping.calendars import Calendar
from mapping.errors import ConfigError
from mapping.money import Rates, exponent
from mapping.policy import BrandPolicy, Scope, Team
from mapping.ruleset import RuleSet, RuleSetError
from mapping.ruleset import load as load_rules
from state.store import Store
from sync.hub import Hub

# Where each connector lives; imported only when a configuration names it.
SOURCES = {
    "registry": ("connectors.registry.source", "RegistrySource"),
    "sumsub": ("connectors.sumsub.source", "SumsubSource"),
    "paymentiq": ("connectors.paymentiq.source", "PaymentIqSource"),
}
DESTINATIONS = {"hubspot": ("connectors.hubspot", "HubSpotDestination")}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A checked configuration: the settings and the file they came from."""

    settings: config.Settings
    file: yaml_file.YamlFile
    folder: Path


def configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Raises:
        ConfigError: every problem, with its line.
    """
    file = yaml_file.with_secrets(yaml_file.read(path))
    return Configuration(config.load(file), file, path.parent)


def build(
    found: Configuration,
    clock: Clock | None = None,
    boundary: Boundary = no_boundary,
    *,
    connect: bool = True,
) -> Hub:
    """A hub ready to run; its database is migrated.

    Args:
        clock: where time comes from; the machine's clock unless a demo or test injects its own.
        connect: False leaves sources and destinations out (for commands that only read).

    Raises:
        ConfigError: what an admin must change, with its line.
    """
    settings, clock = found.settings, clock or SystemClock()
    store = Store(settings.database.get_secret_value(), boundary)
    store.migrate()
    destinations = _destinations(found, clock, boundary) if connect else {}
    sources = _sources(found, clock, boundary) if connect else []
    return Hub(
        store=store,
        clock=clock,
        brands={n: _policy(settings, n) for n in sorted(settings.brands)},
        sources=sources,
        destinations=destinations,
        rules=rules(found),
        rates=_rates(found),
        prefix=settings.property_prefix,
        rules_source=rules_file(found).name,
        in_flight=settings.in_flight,
        retention_days=settings.retention_days,
    )


# --- connectors --------------------------------------------------------------------------------


def _class(table: Mapping[str, tuple[str, str]], kind: str, type_: object, where: str) -> Any:
    if not isinstance(type_, str) or type_ not in table:
        known = ", ".join(sorted(table))
        raise ConfigError(
            f"{where}: {kind} type {str(type_)[:40]!r} is not known; there is: {known}"
        )
    module, name = table[type_]
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where}: {type_} needs the package {error.name!r}: install it"
        ) from None


def _checked(
    settings_type: type[ConnectorSettings], raw: Mapping[str, Any], found: Configuration, path: str
) -> ConnectorSettings:
    try:
        return settings_type.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(config.problems(error, found.file, path))) from None


def _brands(raw: dict[str, Any], found: Configuration, path: str, multi: bool) -> dict[str, str]:
    """The brands a connection serves, with their zones; takes the keys out of ``raw``."""
    brands = found.settings.brands
    one, many = raw.pop("brand", None), raw.pop("brands", None)
    if one is not None and many is not None:
        raise ConfigError(f"{found.file.where(path)}: {path}: give `brand` or `brands`, not both")
    names = [one] if one is not None else list(many or brands)
    unknown = [n for n in names if n not in brands]
    if unknown:
        known = ", ".join(sorted(brands))
        raise ConfigError(
            f"{found.file.where(path)}: {path}: no such brand {unknown[0]!r}; there is: {known}"
        )
    if len(names) > 1 and not multi:
        raise ConfigError(
            f"{found.file.where(path)}: {path}: this connection serves one brand; set `brand`"
        )
    return {n: brands[n].zone for n in names}


def _sources(found: Configuration, clock: Clock, boundary: Boundary) -> list[Source[Any]]:
    built: list[Source[Any]] = []
    for name, raw in found.settings.connections.items():
        path = f"connections.{name}"
        values = dict(raw)
        class_ = _class(SOURCES, "source", values.pop("type", None), found.file.where(path))
        brands = _brands(values, found, path, class_.manifest.multi_brand)
        checked = _checked(class_.settings_type, values, found, path)
        built.append(class_(checked, Context(name, brands, clock, boundary)))
    # Clients first, so that what refers to them finds them.
    order = {"registry": 0}
    return sorted(built, key=lambda s: (order.get(s.manifest.family, 1), s.name))


def _destinations(found: Configuration, clock: Clock, boundary: Boundary) -> dict[str, Destination]:
    built: dict[str, Destination] = {}
    for name, raw in found.settings.destinations.items():
        path = f"destinations.{name}"
        values = dict(raw)
        where = found.file.where(path)
        class_ = _class(DESTINATIONS, "destination", values.pop("type", None), where)
        brands = {n: b.zone for n, b in found.settings.brands.items() if b.destination == name}
        checked = _checked(class_.settings_type, values, found, path)
        built[name] = class_(checked, Context(name, brands, clock, boundary))
    return built


def families(found: Configuration, brand: str) -> set[str]:
    """Source families connected for a brand."""
    connected = set()
    for name, raw in found.settings.connections.items():
        path = f"connections.{name}"
        class_ = _class(SOURCES, "source", raw.get("type"), found.file.where(path))
        if brand in _brands(dict(raw), found, path, class_.manifest.multi_brand):
            connected.add(class_.manifest.family)
    return connected


# --- meaning -----------------------------------------------------------------------------------


def rules_file(found: Configuration) -> yaml_file.YamlFile:
    """The rule set's file."""
    path = found.settings.rules
    return yaml_file.read(found.folder / path if path else config.DEFAULT_RULES)


def rules(found: Configuration) -> dict[str, RuleSet]:
    """The rule set, checked for each brand.

    Raises:
        ConfigError: every problem, with file and line.
    """
    file = rules_file(found)
    built = {}
    for name, brand in sorted(found.settings.brands.items()):
        try:
            built[name] = load_rules(
                file.data, families(found, name), exponent(brand.base_currency)
            )
        except RuleSetError as error:
            lines = [f"{file.where(path)}: {path}: {message}" for path, message in error.problems]
            raise ConfigError("\n".join(lines)) from None
    return built


def _policy(settings: config.Settings, name: str) -> BrandPolicy:
    brand = settings.brands[name]
    teams = {n: _team(n, t, brand.destination) for n, t in settings.teams.items()}
    return BrandPolicy(
        id=name,
        zone=brand.zone,
        base_currency=brand.base_currency,
        destination=brand.destination,
        live_from=brand.live_from,
        modes=brand.modes,
        teams=teams,
        entity=brand.entity,
        scope=Scope(frozenset(brand.scope.countries), frozenset(brand.scope.teams)),
    )


def _team(name: str, team: config.TeamSettings, destination: str) -> Team:
    owners = team.owners.get(destination, config.OwnersSettings())
    if isinstance(team.hours, config.HoursSettings):
        hours = team.hours
        calendar = Calendar(False, hours.weekdays, hours.opens, hours.closes)
    else:
        calendar = Calendar(always=True)
    return Team(name, calendar, owners.queue, tuple(owners.members))


def _rates(found: Configuration) -> dict[str, Rates]:
    daily = config.read_rates(found.settings.rates, found.folder)
    built = {}
    for name, brand in found.settings.brands.items():
        base = brand.base_currency
        by_day = {(c, day): rate for (b, c, day), rate in daily.items() if b == base}
        built[name] = Rates(base, by_day, found.settings.rates.fixed.get(base, {}))
    return built
