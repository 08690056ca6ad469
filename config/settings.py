"""Settings of a hub: brokersync.yaml, with BROKERSYNC_* environment variables over it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from config.problems import ENV_PREFIX, place, problems
from config.yaml_file import YamlFile
from mapping.errors import ConfigError, RecordError
from mapping.fields import Clash
from mapping.money import exponent
from mapping.ruleset import TEAMS

DEFAULT_RULES = Path(__file__).parent / "defaults" / "rules.yaml"
ROUND_THE_CLOCK = ("payments", "support")
# With the longest terms of a rule set, every due time falls within a year.
MIN_OPEN_MINUTES = 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SPAN = re.compile(r"([1-9][0-9]{0,5}) ?(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MIN_EVERY_S, MAX_EVERY_S = 10, 7 * 86400
_CLOCK_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("a name is up to 40 letters, digits, - and _; it is part of CRM keys")
    return value


def _zone(value: object) -> str:
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError(f"{str(value)[:40]!r} is no IANA time zone, such as Europe/Nicosia")
    return value


def _currency(value: object) -> str:
    try:
        exponent(str(value)[:40])
    except RecordError as error:
        raise ValueError(error.admin) from None
    return str(value)


def _clock_time(value: object) -> time:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and (match := _CLOCK_TIME.fullmatch(value)):
        return time(int(match[1]), int(match[2]))
    raise ValueError("write a time of day such as 09:00, at most 23:59")


def _instant(value: object) -> int:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    if isinstance(value, str):
        try:
            return _instant(datetime.fromisoformat(value.replace("Z", "+00:00")))
        except ValueError:
            pass
    raise ValueError("write an instant such as 2026-03-01T00:00:00Z")


def _span(value: object) -> int:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not MIN_EVERY_S <= seconds <= MAX_EVERY_S:
        raise ValueError("write a time span such as 90s, 5m or 2h: 10 seconds to 7 days")
    return seconds


Name = Annotated[str, BeforeValidator(_name)]
Span = Annotated[int, BeforeValidator(_span)]
Zone = Annotated[str, BeforeValidator(_zone)]
Currency = Annotated[str, BeforeValidator(_currency)]
Instant = Annotated[int, BeforeValidator(_instant)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Rate = Annotated[Decimal, Field(gt=0)]
Mode = Literal["observe", "fields", "tasks"]


class ScopeSettings(_Strict):
    """Where tasks may open; empty means everywhere."""

    countries: list[str] = Field(default=[], title="ISO country codes")
    teams: list[str] = Field(default=[], title="Teams")


class BrandSettings(_Strict):
    """One brand."""

    zone: Zone = Field(title="Time zone in which the brand's dates are cut")
    base_currency: Currency = Field("USD", title="Currency of totals")
    entity: str = Field("", title="Regulatory entity")
    destination: str = Field(title="Name of the brand's CRM under `destinations`")
    live_from: dict[str, Instant] = Field(
        default={},
        title="From when reasons open tasks, by playbook id; `*` for all others. None: no tasks",
    )
    modes: dict[str, Mode] = Field(
        default={"CS3": "tasks", "CS5": "tasks", "CS6": "tasks", "CS8": "tasks", "*": "fields"},
        title="observe, fields or tasks, by playbook id; `*` for all others",
    )
    scope: ScopeSettings = ScopeSettings()
    market: Literal["fx", "always"] = Field(
        "fx", title="When clients can trade: Sunday to Friday 17:00 New York, or always (crypto)"
    )
    high_value: int = Field(
        10_000, gt=0, title="Net deposits of a high-value client, whole units of base_currency"
    )


class HoursSettings(_Strict):
    """Open hours of a team, in the brand's zone."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default=["mon", "tue", "wed", "thu", "fri"], min_length=1, title="Open days"
    )
    opens: ClockTime = Field(time(9), title="Opening time")
    closes: ClockTime = Field(time(18), title="Closing time")

    @model_validator(mode="after")
    def _some_time(self) -> HoursSettings:
        minutes = (self.closes.hour - self.opens.hour) * 60 + self.closes.minute - self.opens.minute
        if minutes < MIN_OPEN_MINUTES:
            raise ValueError(
                f"`closes` must be at least {MIN_OPEN_MINUTES} minutes after `opens`, the same day"
            )
        return self

    @property
    def weekdays(self) -> frozenset[int]:
        """0 = Monday."""
        return frozenset(_WEEKDAYS.index(d) for d in self.days)


def _hours_form(value: object) -> str:
    return "open" if isinstance(value, dict | HoursSettings) else "always"


Hours = Annotated[
    Annotated[Literal["24/7"], Tag("always")] | Annotated[HoursSettings, Tag("open")],
    Discriminator(_hours_form),
]


class OwnersSettings(_Strict):
    """Who owns a team's tasks in one CRM."""

    queue: str = Field("", title="CRM id of the team's queue")
    members: list[str] = Field(default=[], title="CRM owner ids, in order")


class TeamSettings(_Strict):
    """One team: its hours, and its owners in each CRM."""

    hours: Hours | None = Field(
        None, title="24/7, or open hours; payments and support: 24/7, others: Mon-Fri 09:00-18:00"
    )
    owners: dict[str, OwnersSettings] = Field(default={}, title="By destination name")


class ScheduleSettings(_Strict):
    """When `run` reads a connection; stands among the connection's own settings."""

    every: Span | None = Field(
        None, title="Time between two reads; paymentiq: 1m, registry and sumsub: 5m"
    )
    cron: str = Field(
        "",
        title="Instead of `every`: minute, hour, day of month, month, weekday. In the zone of the "
        "connection's brands if they share one, else UTC.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> ScheduleSettings:
        if self.every is not None and self.cron:
            raise ValueError("give `every` or `cron`, not both")
        return self


class RatesSettings(_Strict):
    """Daily rates into the brands' base currencies."""

    file: Path | None = Field(None, title="CSV with the columns date,currency,base,rate")
    fixed: dict[Currency, dict[Currency, Rate]] = Field(
        default={}, title="Base currency -> currency -> rate, where the file has no day"
    )


class Settings(BaseSettings):
    """All settings of a hub."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    database: SecretStr = Field(
        SecretStr("sqlite:///brokersync.db"), title="SQLAlchemy URL of the hub's own database"
    )
    brands: dict[Name, BrandSettings] = Field(min_length=1, title="The broker's brands, by name")
    connections: dict[Name, dict[str, Any]] = Field(
        min_length=1,
        title="Sources, by name: each has a `type`, its `brand` or `brands`, and its settings",
        repr=False,
    )
    destinations: dict[Name, dict[str, Any]] = Field(
        min_length=1, title="CRMs, by name: each has a `type` and its settings", repr=False
    )
    teams: dict[str, TeamSettings] = Field(default={}, title="Teams and who is in them")
    rates: RatesSettings = RatesSettings()
    rules: Path | None = Field(None, title="Rule set; the shipped one if not set")
    property_prefix: str = Field(
        "brokerage_", pattern=r"^([a-z][a-z0-9_]*_)?$", title="Prefix of CRM properties"
    )
    property_clashes: dict[str, Clash] = Field(
        default={},
        title="Property of the portal -> what to do where one of ours has its name",
    )
    in_flight: int = Field(4, ge=1, le=16, title="Batches sent to a CRM at the same time")
    retention_days: int = Field(30, ge=1, title="Days raw vendor rows are kept")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load(file: YamlFile) -> Settings:
    """Check a configuration as a whole.

    Raises:
        ConfigError: every problem, with its line.
    """
    try:
        settings = Settings(**file.data)
    except ValidationError as error:
        raise ConfigError("\n".join(problems(error, file, known=_KEYS))) from None
    except SettingsError as error:
        raise ConfigError(f"{_variable_of(error)}: expected JSON") from None
    found = list(_inconsistent(settings, file))
    if found:
        raise ConfigError("\n".join(found))
    return settings


_KEYS = tuple(Settings.model_fields)


def _variable_of(error: SettingsError) -> str:
    """The environment variable pydantic-settings could not read (it names the field only)."""
    name = next((n for n in _KEYS if f'"{n}"' in str(error)), "")
    return f"environment variable {ENV_PREFIX}{name.upper()}"


def _inconsistent(settings: Settings, file: YamlFile) -> Iterator[str]:
    """Names that refer to nothing."""

    def unknown(path: str, what: str, name: str, known: Iterable[str]) -> Iterator[str]:
        if name not in known:
            names = ", ".join(known)
            yield f"{place(file, path)}: {path}: no such {what} {name[:40]!r}; there is: {names}"

    destinations = sorted(settings.destinations)
    for name, brand in settings.brands.items():
        path = f"brands.{name}"
        yield from unknown(f"{path}.destination", "destination", brand.destination, destinations)
        for team in brand.scope.teams:
            yield from unknown(f"{path}.scope.teams", "team", team, TEAMS)
    for name, team_settings in settings.teams.items():
        yield from unknown(f"teams.{name}", "team", name, TEAMS)
        for destination in team_settings.owners:
            path = f"teams.{name}.owners.{destination}"
            yield from unknown(path, "destination", destination, destinations)
