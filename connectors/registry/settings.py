"""Settings of a registry connection."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

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
    """What an admin sets: a ``url`` or a ``file``."""

    url: SecretStr | None = Field(
        None,
        title="SQLAlchemy URL",
        description="postgresql+psycopg://..., mysql+pymysql://..., sqlite:///... ; a user that may"
        " only read. This or `file`.",
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
    file: str = Field(
        "",
        title="File of all clients instead of a database",
        description="A path, from the configuration's folder; with * the newest file that fits.",
    )
    format: Literal["csv", "jsonl"] = Field(
        "csv", title="Form of the file", description="CSV with a header, or one JSON object a line."
    )
    encoding: str = Field("utf-8", title="Encoding of the file", description="Such as cp1252.")
    delimiter: str = Field(
        ",", title="What stands between the fields of a CSV", description="One character, or `tab`."
    )
    decimal_comma: bool = Field(
        False,
        title="Numbers are written with a decimal comma",
        description="Times as epoch seconds are the only ones.",
    )
    date_format: str = Field(
        "",
        title="How the file writes times",
        description="As strptime has it (%d.%m.%Y %H:%M:%S); blank: ISO 8601 or epoch.",
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
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            known = codecs.lookup(value)
        except (LookupError, ValueError):
            raise ValueError(f"unknown encoding {value[:40]!r}; common are utf-8, cp1252") from None
        if not getattr(known, "_is_text_encoding", True):
            raise ValueError(f"{value[:40]!r} is no encoding of texts")
        return value

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if value != "tab" and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError("a delimiter is one character such as ; or the word tab")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> RegistrySettings:
        if (self.url is None) is (not self.file):
            raise ValueError("give `url` (a database) or `file`, not both")
        blank = [name for name in self.needed() if self.columns.get(name) == ""]
        if blank:
            raise ValueError(f"there is no doing without the column {', '.join(blank)}")
        return self

    def needed(self) -> tuple[str, ...]:
        """Our names of the columns there must be. A file has a time of its own for updates."""
        if not self.file:
            return NEEDED
        return tuple(n for n in NEEDED if n != "updated_at" or self.columns.get("updated_at") != "")

    @property
    def delimiter_char(self) -> str:
        """The delimiter itself."""
        return "\t" if self.delimiter == "tab" else self.delimiter

    def names(self) -> dict[str, str]:
        """Our name -> the column's name, for the columns there are."""
        named = {name: self.columns.get(name, name) for name in COLUMNS}
        return {ours: theirs for ours, theirs in named.items() if theirs}
