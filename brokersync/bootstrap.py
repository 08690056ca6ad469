"""Put a hub together from its configuration: the only reader of ``config``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
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
from mapping.fields import Naming
from mapping.market import Market
from mapping.money import Rates, exponent
from mapping.policy import BrandPolicy, Scope, Team
from mapping.problems import Problem, RuleSetError, near
from mapping.ruleset import RuleSet
from mapping.ruleset import load as load_rules
from state.store import Store
from sync.hub import Hub
from sync.schedule import Schedule

# Where each connector lives; imported only when a configuration names it.
SOURCES = {
    "registry": ("connectors.registry.source", "RegistrySource"),
    "sumsub": ("connectors.sumsub.source", "SumsubSource"),
    "paymentiq": ("connectors.paymentiq.source", "PaymentIqSource"),
    "mt5_sql": ("connectors.mt5_sql.source", "Mt5SqlSource"),
    "cellxpert": ("connectors.cellxpert.source", "CellxpertSource"),
    "zendesk": ("connectors.zendesk.source", "ZendeskSource"),
}
# How often `run` reads a source, in seconds, by family. A failed deposit is worth a task within
# minutes; a client table is small, and Sumsub is asked client by client; an affiliate system has
# no cursor, and its windows are read whole.
EVERY_S = {
    "psp": 60, "registry": 300, "kyc": 300, "trading": 300, "helpdesk": 300, "affiliate": 3600,
}  # fmt: skip
DESTINATIONS = {
    "hubspot": ("connectors.hubspot", "HubSpotDestination"),
    "salesforce": ("connectors.salesforce", "SalesforceDestination"),
}


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
        brands=policies(found),
        sources=sources,
        destinations=destinations,
        rules=checked,
        rates=rates,
        prefix=settings.property_prefix,
        rules_source=rules_file(found).name,
        in_flight=settings.in_flight,
        retention_days=settings.retention_days,
        schedules={n: _source(found, n)[3] for n in settings.connections},
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
) -> tuple[type[Source[Any]], ConnectorSettings, dict[str, str], Schedule]:
    """A connection's class, its checked settings, its brands with their zones, its schedule."""
    path, values = f"connections.{name}", dict(found.settings.connections[name])
    where = f"{found.file.where(path)}: {path}"
    class_ = _class(SOURCES, "source", values.pop("type", None), where)
    brands = _brands(values, found, path, class_.manifest.multi_brand)
    schedule = _schedule(values, found, path, class_.manifest.family, set(brands.values()))
    return class_, _checked(class_.settings_type, values, found, path), brands, schedule


def _schedule(
    raw: dict[str, Any], found: Configuration, path: str, family: str, zones: set[str]
) -> Schedule:
    """When a connection is read; takes the keys out of ``raw``."""
    known = tuple(config.ScheduleSettings.model_fields)
    given = {name: raw.pop(name) for name in known if name in raw}
    try:
        checked = config.ScheduleSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError("\n".join(problems(error, found.file, path, known))) from None
    if not checked.cron:
        return Schedule(every_s=checked.every or EVERY_S.get(family, EVERY_S["registry"]))
    schedule = Schedule(cron=checked.cron, zone=zones.pop() if len(zones) == 1 else "UTC")
    try:
        schedule.trigger(0)
    except ValueError as error:
        where = f"{path}.cron"
        raise ConfigError(f"{found.file.where(where)}: {where}: {error}") from None
    return schedule


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
        class_, settings, brands, _ = _source(found, name)
        context = Context(name, brands, clock, boundary, found.folder)
        built.append(_made(class_, settings, context, found, f"connections.{name}"))
    # Clients first, so that what refers to them finds them.
    order = {"registry": 0}
    return sorted(built, key=lambda s: (order.get(s.manifest.family, 1), s.name))


def _destinations(found: Configuration, clock: Clock, boundary: Boundary) -> dict[str, Destination]:
    built: dict[str, Destination] = {}
    for name in found.settings.destinations:
        class_, settings, brands = _destination(found, name)
        context = Context(name, brands, clock, boundary, found.folder)
        built[name] = _made(class_, settings, context, found, f"destinations.{name}")
    return built


def source_names(found: Configuration) -> list[str]:
    """The connections, client registries first: others ask about the clients."""
    families = {n: _source(found, n)[0].manifest.family for n in found.settings.connections}
    return sorted(families, key=lambda n: (families[n] != "registry", n))


def source(found: Configuration, name: str, clock: Clock) -> Source[Any]:
    """One connection's source, by itself.

    Raises:
        ConfigError: it refuses its settings.
    """
    class_, settings, brands, _ = _source(found, name)
    context = Context(name, brands, clock, folder=found.folder)
    built: Source[Any] = _made(class_, settings, context, found, f"connections.{name}")
    return built


def destination(found: Configuration, name: str, clock: Clock) -> Destination:
    """One CRM, by itself.

    Raises:
        ConfigError: it refuses its settings.
    """
    class_, settings, brands = _destination(found, name)
    context = Context(name, brands, clock, folder=found.folder)
    built: Destination = _made(class_, settings, context, found, f"destinations.{name}")
    return built


def store(found: Configuration) -> Store:
    """The hub's database, migrated.

    Raises:
        ConfigError, RetryableError: see :class:`state.store.Store`.
    """
    return _store(found, no_boundary)


def policies(found: Configuration) -> dict[str, BrandPolicy]:
    """What each brand allows."""
    return {n: _policy(found.settings, n) for n in sorted(found.settings.brands)}


def _made(class_: Any, settings: object, context: Context, found: Configuration, path: str) -> Any:
    """A connector; what it refuses about its own settings is said with their line."""
    try:
        return class_(settings, context)
    except ConfigError as error:
        raise ConfigError(f"{found.file.where(path)}: {error.admin}", error.log) from None


def families(found: Configuration, brand: str) -> set[str]:
    """Source families connected for a brand."""
    connected: set[str] = set()
    for name in found.settings.connections:
        class_, settings, brands, _ = _source(found, name)
        if brand in brands:
            connected.update(class_.families_of(settings))
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
    naming = Naming(found.settings.property_prefix, dict(found.settings.property_clashes))
    built: dict[str, RuleSet] = {}
    lines: dict[str, None] = {}  # several brands share most mistakes: each is said once
    for name, brand in sorted(found.settings.brands.items()):
        try:
            built[name] = load_rules(
                file.data, families(found, name), exponent(brand.base_currency), naming, file.where
            )
        except RuleSetError as error:
            lines |= dict.fromkeys(_placed(problem, file) for problem in error.problems)
    if not lines:
        for name, brand in found.settings.brands.items():
            lines |= dict.fromkeys(_unknown_playbooks(found, name, brand, built[name]))
        lines |= dict.fromkeys(_unknown_clashes(found, naming, file))
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
    other = f"; the other one: {file.where(problem.also)}" if problem.also else ""
    return f"{where}: {problem.path}: {problem.message}{other}"


def _unknown_clashes(
    found: Configuration, naming: Naming, file: yaml_file.YamlFile
) -> Iterator[str]:  # fmt: skip
    """Decisions on properties that no row writes (a row that is off may have one)."""
    ours = {
        naming.name(str(row["property"]))
        for row in file.data["fields"]
        if not (row.get("native") or row.get("existing"))
    }
    for name in naming.clashes:
        if name not in ours:
            path = f"property_clashes.{name}"
            yield (
                f"{place(found.file, path)}: {path}: the rule set has no field of this name (with "
                f"its prefix) that the hub creates{near(name, ours)}"
            )


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
        market=Market(always=brand.market == "always"),
        high_value=brand.high_value,
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
