"""Settings of a registry connection."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator

from connectors.base import ConnectorSettings

NEEDED = ("client_id", "registered_at", "updated_at")
COLUMNS = (
    "client_id",
    "brand",
    "entity",
    "first_name",
    "last_name",
    "email",
    "email_verified",
    "phone",
    "country",
    "language",
    "zone",
    "device",
    "landing_page",
    "source_type",
    "campaign",
    "consents",
    "disposition",
    "registered_at",
    "updated_at",
    "merged_into",
    "deleted",
)


class RegistrySettings(ConnectorSettings):
    """What an admin sets."""

    url: SecretStr = Field(
        title="SQLAlchemy URL",
        description="postgresql+psycopg://..., mysql+pymysql://..., sqlite:///... ; a user that may"
        " only read.",
    )
    table: str = Field("crm_clients", title="Table or view", description="May be schema.table.")
    query: str = Field(
        "",
        title="Own SELECT instead of the table",
        description="One SELECT that returns the columns, without ORDER BY; write a colon before a"
        r" letter as \:, it would be a parameter otherwise.",
    )
    columns: Mapping[str, str] = Field(
        {},
        title="Column names",
        description="Our name -> the column's name, where it differs; a blank name says that there"
        " is no such column.",
    )
    zone: str = Field(
        "UTC", title="Time zone of times without an offset", description="An IANA name."
    )
    page_size: int = Field(1000, ge=1, le=50_000, title="Rows of a page")
    overlap_s: int = Field(
        300, ge=0, le=86_400, title="Seconds read again at each pull (rows committed late)"
    )
    statement_timeout_s: int = Field(
        60, ge=1, le=3600, title="Seconds a statement may run (PostgreSQL, MySQL, MariaDB)"
    )
    max_pages: int = Field(100_000, gt=0, title="Most pages of one pull")

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        unknown = sorted(set(value) - set(COLUMNS))
        if unknown:
            raise ValueError(f"unknown column {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
        blank = [name for name in NEEDED if value.get(name) == ""]
        if blank:
            raise ValueError(f"there is no doing without the column {', '.join(blank)}")
        return value

    def names(self) -> dict[str, str]:
        """Our name -> the column's name, for the columns there are."""
        named = {name: self.columns.get(name, name) for name in COLUMNS}
        return {ours: theirs for ours, theirs in named.items() if theirs}
