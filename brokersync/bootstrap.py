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
from config.problems import place, problems
from config.rates import read_rates
from connectors.base import Boundary, ConnectorSettings, Context, Source, no_boundary
from connectors.clock import Clock, SystemClock
from connectors.destination import Destination
from mapping.calendars import Calendar
from mapping.errors import ConfigError
from mapping.money import Rates, exponent
from mapping.policy import BrandPolicy, Scope, Team
from mapping.ruleset import Problem, RuleSet, RuleSetError
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
    found = Configuration(config.load(file), file, path.parent)
    _check_connectors(found)
    return found


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
    checked, rates = rules(found), _rates(found)  # nothing is made before all of it is right
    store = _store(found, boundary)
    destinations = _destinations(found, clock, boundary) if connect else {}
    sources = _sources(found, clock, boundary) if connect else []
    return Hub(
        store=store,
        clock=clock,
        brands={n: _policy(settings, n) for n in sorted(settings.brands)},
        sources=sources,
        destinations=destinations,
        rules=checked,
        rates=rates,
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


def _store(found: Configuration, boundary: Boundary) -> Store:
    try:
        store = Store(found.settings.database.get_secret_value(), boundary)
        store.migrate()
    except ConfigError as error:
        raise ConfigError(f"{place(found.file, 'database')}: {error.admin}") from None
    return store


def _check_connectors(found: Configuration) -> None:
    """Check the settings of every connector, without connecting.

    Raises:
        ConfigError: every problem, with its line.
    """
    lines: list[str] = []
    for read, names in (
        (_source, found.settings.connections),
        (_destination, found.settings.destinations),
    ):
        for name in names:
            try:
                read(found, name)
            except ConfigError as error:
                lines.append(error.admin)
    if lines:
        raise ConfigError("\n".join(lines))


def _checked(
    settings_type: type[ConnectorSettings], raw: Mapping[str, Any], found: Configuration, path: str
) -> ConnectorSettings:
    try:
        return settings_type.model_validate(raw)
    except ValidationError as error:
        known = tuple(settings_type.model_fields)
        raise ConfigError("\n".join(problems(error, found.file, path, known))) from None


def _brands(raw: dict[str, Any], found: Configuration, path: str, multi: bool) -> dict[str, str]:
    """The brands a connection serves, with their zones; takes the keys out of ``raw``."""
    brands, where = found.settings.brands, f"{found.file.where(path)}: {path}"
    known = ", ".join(sorted(brands))
    if "brand" in raw and "brands" in raw:
        raise ConfigError(f"{where}: give `brand` or `brands`, not both")
    names = [raw.pop("brand")] if "brand" in raw else raw.pop("brands", list(brands))
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{where}.brands: expected a list of brands; there is: {known}")
    for name in names:
        if not isinstance(name, str) or name not in brands:
            raise ConfigError(f"{where}: no such brand {str(name)[:40]!r}; there is: {known}")
    if len(names) > 1 and not multi:
        raise ConfigError(f"{where}: this connection serves one brand; set `brand`: {known}")
    return {n: brands[n].zone for n in names}


def _source(
    found: Configuration, name: str
) -> tuple[type[Source[Any]], ConnectorSettings, dict[str, str]]:
    """A connection's class, its checked settings, and its brands with their zones."""
    path, values = f"connections.{name}", dict(found.settings.connections[name])
    where = f"{found.file.where(path)}: {path}"
    class_ = _class(SOURCES, "source", values.pop("type", None), where)
    brands = _brands(values, found, path, class_.manifest.multi_brand)
    return class_, _checked(class_.settings_type, values, found, path), brands


def _destination(
    found: Configuration, name: str
) -> tuple[type[Destination], ConnectorSettings, dict[str, str]]:
    """The same of a CRM."""
    path, values = f"destinations.{name}", dict(found.settings.destinations[name])
    where = f"{found.file.where(path)}: {path}"
    class_ = _class(DESTINATIONS, "destination", values.pop("type", None), where)
    brands = {n: b.zone for n, b in found.settings.brands.items() if b.destination == name}
    return class_, _checked(class_.settings_type, values, found, path), brands


def _sources(found: Configuration, clock: Clock, boundary: Boundary) -> list[Source[Any]]:
    built: list[Source[Any]] = []
    for name in found.settings.connections:
        class_, settings, brands = _source(found, name)
        context = Context(name, brands, clock, boundary)
        built.append(_made(class_, settings, context, found, f"connections.{name}"))
    # Clients first, so that what refers to them finds them.
    order = {"registry": 0}
    return sorted(built, key=lambda s: (order.get(s.manifest.family, 1), s.name))


def _destinations(found: Configuration, clock: Clock, boundary: Boundary) -> dict[str, Destination]:
    built: dict[str, Destination] = {}
    for name in found.settings.destinations:
        class_, settings, brands = _destination(found, name)
        context = Context(name, brands, clock, boundary)
        built[name] = _made(class_, settings, context, found, f"destinations.{name}")
    return built


def _made(class_: Any, settings: object, context: Context, found: Configuration, path: str) -> Any:
    """A connector; what it refuses about its own settings is said with their line."""
    try:
        return class_(settings, context)
    except ConfigError as error:
        raise ConfigError(f"{found.file.where(path)}: {error.admin}", error.log) from None


def families(found: Configuration, brand: str) -> set[str]:
    """Source families connected for a brand."""
    connected = set()
    for name in found.settings.connections:
        class_, _, brands = _source(found, name)
        if brand in brands:
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
    built: dict[str, RuleSet] = {}
    lines: dict[str, None] = {}  # several brands share most mistakes: each is said once
    for name, brand in sorted(found.settings.brands.items()):
        try:
            built[name] = load_rules(
                file.data, families(found, name), exponent(brand.base_currency)
            )
        except RuleSetError as error:
            lines |= dict.fromkeys(_placed(problem, file) for problem in error.problems)
    if not lines:
        for name, brand in found.settings.brands.items():
            lines |= dict.fromkeys(_unknown_playbooks(found, name, brand, built[name]))
    if lines:
        raise ConfigError("\n".join(lines))
    return built


def _placed(problem: Problem, file: yaml_file.YamlFile) -> str:
    """A mistake of the rule set with the line on which it stands."""
    line = file.line_of(problem.path, problem.offset, problem.text)
    if problem.rule is not None:
        # The rule counts its own lines; a folded text has one, whatever the file shows.
        return str(problem.rule.with_origin(file.name, line - problem.rule.line + 1))
    where = f"{file.name}, line {line}" if problem.text else file.where(problem.path)
    return f"{where}: {problem.path}: {problem.message}"


def _unknown_playbooks(
    found: Configuration, name: str, brand: config.BrandSettings, checked: RuleSet
) -> list[str]:
    known = {s.id for s in checked.states} | set(checked.off)
    states = ", ".join(sorted(s.id for s in checked.states))
    return [
        f"{found.file.where(path)}: {path}: the rule set has no state {playbook[:40]!r}; "
        f"there is: {states}, and * for all others"
        for setting, by_playbook in (("live_from", brand.live_from), ("modes", brand.modes))
        for playbook in by_playbook
        if playbook != "*"
        and playbook not in known
        # The shipped modes name playbooks that another rule set may lack.
        and not (setting == "modes" and "modes" not in brand.model_fields_set)
        for path in [f"brands.{name}.{setting}.{playbook}"]
    ]


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
    hours = team.hours
    if hours == "24/7" or (hours is None and name in config.ROUND_THE_CLOCK):
        calendar = Calendar(always=True)
    else:
        hours = hours or config.HoursSettings()
        calendar = Calendar(False, hours.weekdays, hours.opens, hours.closes)
    return Team(name, calendar, owners.queue, tuple(owners.members))


def _rates(found: Configuration) -> dict[str, Rates]:
    file = found.settings.rates.file
    daily = read_rates(found.folder / file) if file else {}
    built = {}
    for name, brand in found.settings.brands.items():
        base = brand.base_currency
        by_day = {(c, day): rate for (b, c, day), rate in daily.items() if b == base}
        built[name] = Rates(base, by_day, found.settings.rates.fixed.get(base, {}))
    return built
