"""Settings of a hub: brokersync.yaml, with BROKERSYNC_* environment variables over it."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.yaml_file import YamlFile
from mapping.errors import ConfigError, RecordError
from mapping.money import exponent
from mapping.ruleset import TEAMS

DEFAULT_RULES = Path(__file__).parent / "defaults" / "rules.yaml"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Nicosia")
    return value


def _currency(value: str) -> str:
    try:
        exponent(value)
    except RecordError as error:
        raise ValueError(error.admin) from None
    return value


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


Zone = Annotated[str, BeforeValidator(_zone)]
Currency = Annotated[str, BeforeValidator(_currency)]
Instant = Annotated[int, BeforeValidator(_instant)]
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
        default={"CS3": "tasks", "CS5": "tasks", "CS8": "tasks", "*": "fields"},
        title="observe, fields or tasks, by playbook id; `*` for all others",
    )
    scope: ScopeSettings = ScopeSettings()


class HoursSettings(_Strict):
    """Open hours of a team, in the brand's zone."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default=["mon", "tue", "wed", "thu", "fri"], min_length=1, title="Open days"
    )
    opens: time = Field(time(9), title="Opening time")
    closes: time = Field(time(18), title="Closing time")

    @property
    def weekdays(self) -> frozenset[int]:
        """0 = Monday."""
        return frozenset(_WEEKDAYS.index(d) for d in self.days)


class OwnersSettings(_Strict):
    """Who owns a team's tasks in one CRM."""

    queue: str = Field("", title="CRM id of the team's queue")
    members: list[str] = Field(default=[], title="CRM owner ids, in order")


class TeamSettings(_Strict):
    """One team: its hours, and its owners in each CRM."""

    hours: Literal["24/7"] | HoursSettings = Field(HoursSettings(), title="24/7, or open hours")
    owners: dict[str, OwnersSettings] = Field(default={}, title="By destination name")


class RatesSettings(_Strict):
    """Daily rates into the brands' base currencies."""

    file: Path | None = Field(None, title="CSV with the columns date,currency,base,rate")
    fixed: dict[str, dict[str, Decimal]] = Field(
        default={}, title="Base currency -> currency -> rate, where the file has no day"
    )


class Settings(BaseSettings):
    """All settings of a hub."""

    model_config = SettingsConfigDict(env_prefix="BROKERSYNC_", extra="forbid", frozen=True)

    database: SecretStr = Field(
        SecretStr("sqlite:///brokersync.db"), title="SQLAlchemy URL of the hub's own database"
    )
    brands: dict[str, BrandSettings] = Field(min_length=1, title="The broker's brands")
    connections: dict[str, dict[str, Any]] = Field(
        min_length=1, title="Sources: each has a `type`, its `brand` or `brands`, and its settings"
    )
    destinations: dict[str, dict[str, Any]] = Field(
        min_length=1, title="CRMs: each has a `type` and its settings"
    )
    teams: dict[str, TeamSettings] = Field(default={}, title="Teams and who is in them")
    rates: RatesSettings = RatesSettings()
    rules: Path | None = Field(None, title="Rule set; the shipped one if not set")
    property_prefix: str = Field(
        "brokerage_", pattern=r"^([a-z][a-z0-9_]*_)?$", title="Prefix of CRM properties"
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
        raise ConfigError("\n".join(problems(error, file))) from None
    _consistent(settings, file)
    return settings


def problems(error: ValidationError, file: YamlFile, prefix: str = "") -> list[str]:
    """One line a problem: where it stands, what was wrong. Values are not repeated."""
    found = []
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join([p for p in [prefix] if p] + [str(part) for part in item["loc"]])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        elif item["type"] == "missing":
            message = "is missing"
        found.append(f"{file.where(path)}: {path}: {message}")
    return found


def _consistent(settings: Settings, file: YamlFile) -> None:
    found = []
    for name, brand in settings.brands.items():
        if brand.destination not in settings.destinations:
            path = f"brands.{name}.destination"
            known = ", ".join(sorted(settings.destinations))
            found.append(f"{file.where(path)}: {path}: no such destination; there is: {known}")
    for team, value in settings.teams.items():
        if team not in TEAMS:
            path = f"teams.{team}"
            found.append(f"{file.where(path)}: {path}: no such team; teams are: {', '.join(TEAMS)}")
        for destination in value.owners:
            if destination not in settings.destinations:
                path = f"teams.{team}.owners.{destination}"
                found.append(f"{file.where(path)}: {path}: no such destination")
    if found:
        raise ConfigError("\n".join(found))


def read_rates(settings: RatesSettings, folder: Path) -> dict[tuple[str, str, str], Decimal]:
    """(base, currency, ISO date) -> rate, from the rate file.

    Raises:
        ConfigError: the file is missing or a row cannot be read; says which line.
    """
    if settings.file is None:
        return {}
    path = folder / settings.file
    rates: dict[tuple[str, str, str], Decimal] = {}
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            for row in reader:
                rates |= _rate(row, f"{path.name}, line {reader.line_num}")
    except OSError as error:
        raise ConfigError(f"the rate file {path} cannot be read: {type(error).__name__}") from None
    return rates


def _rate(row: dict[str, Any], where: str) -> dict[tuple[str, str, str], Decimal]:
    try:
        day = datetime.strptime(row["date"], "%Y-%m-%d").replace(tzinfo=UTC).date()
        rate = Decimal(row["rate"])
    except (KeyError, TypeError):
        raise ConfigError(f"{where}: needs the columns date,currency,base,rate") from None
    except (ValueError, InvalidOperation):
        raise ConfigError(f"{where}: expected a date YYYY-MM-DD and a decimal rate") from None
    if not rate.is_finite() or rate <= 0:
        raise ConfigError(f"{where}: the rate must be above 0")
    return {(row["base"], row["currency"], day.isoformat()): rate}
