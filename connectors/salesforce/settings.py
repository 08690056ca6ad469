"""Settings of one Salesforce org."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from connectors.base import ConnectorSettings

LOCAL = ("localhost", "127.0.0.1", "::1")
"""This machine: where a simulated org is."""
NEEDS = {
    "jwt": ("consumer_key", "username", "private_key"),
    "client_credentials": ("consumer_key", "consumer_secret"),
    "refresh_token": ("consumer_key", "consumer_secret", "refresh_token"),
    "password": ("consumer_key", "consumer_secret", "username", "password"),
}
"""The settings each way of signing in needs."""


class SalesforceSettings(ConnectorSettings):
    """How to reach the org, how to sign in, and how much of its allowance the hub may take."""

    base_url: str = Field(
        title="My Domain URL",
        description="Setup > My Domain, like https://acme.my.salesforce.com.",
    )
    auth: Literal["jwt", "client_credentials", "refresh_token", "password"] = Field(
        "jwt",
        title="How the hub signs in",
        description="An External Client App in Setup > External Client App Manager. password is "
        "legacy: Salesforce retires it in summer 2027.",
    )
    consumer_key: SecretStr = Field(title="Consumer key of the External Client App")
    consumer_secret: SecretStr | None = Field(None, title="Its consumer secret")
    username: str = Field("", title="The integration user", repr=False)
    private_key: SecretStr | None = Field(
        None, title="Private key (PEM) of the certificate uploaded to the External Client App"
    )
    audience: str = Field(
        "https://login.salesforce.com",
        title="Audience of the signed assertion",
        description="https://test.salesforce.com for a sandbox.",
    )
    refresh_token: SecretStr | None = Field(None, title="Stored refresh token")
    refresh_token_file: Path | None = Field(
        None,
        title="File in which the hub keeps the refresh token",
        description="Needed where the app rotates tokens: each is good once, and the hub writes "
        "its successor here. While the file is missing, refresh_token is the first.",
    )
    password: SecretStr | None = Field(None, title="Password with security token (legacy)")
    api_version: str = Field(
        "62.0", pattern=r"^[3-9][0-9]\.0$", title="API version", description="46.0 or newer."
    )
    object_model: Literal["contact", "person_account", "lead_then_contact"] = Field(
        "contact",
        title="What stands for a client in the org",
        description="A contact, a person account, or a lead until your people convert it and its "
        "contact from then on. Choose once.",
    )
    person_record_type: str = Field(
        "",
        title="Developer name of the record type of new person accounts",
        description="Where the org has several.",
    )
    connect_timeout_s: float = Field(10.0, gt=0, le=300, title="Seconds to wait for a connection")
    read_timeout_s: float = Field(120.0, gt=0, le=600, title="Seconds to wait for an answer")
    max_attempts: int = Field(5, ge=1, le=20, title="Tries of one request before giving up")
    in_flight: int = Field(4, ge=1, le=20, title="Most calls at the same time")
    max_bytes: int = Field(100_000_000, gt=0, title="Largest answer accepted, bytes")
    bulk_above: int = Field(
        2000,
        ge=0,
        title="Contacts to write above which Bulk API 2.0 is used",
        description="Below it, 200 a call are cheaper. 0: never.",
    )
    bulk_rows: int = Field(
        4_000,
        ge=201,
        le=10_000,
        title="Contacts of one bulk job",
        description="10,000 take fewer calls and about 60 MB of memory more.",
    )
    bulk_wait_s: float = Field(
        3600.0,
        gt=0,
        le=86_400,
        title="Seconds a bulk job may take before it is aborted",
        description="What it has not done stays pending.",
    )
    daily_limit: int = Field(
        100_000,
        ge=1000,
        title="The org's calls a day, for forecasts",
        description="Until Salesforce itself says: 100,000 and more on Enterprise, 15,000 on "
        "Developer.",
    )
    share: float = Field(
        0.8,
        gt=0,
        le=1,
        title="The used part of the daily limit at which the hub pauses",
        description="All programs of the org count: the rest is left to them.",
    )

    @field_validator("base_url", "audience")
    @classmethod
    def _reachable_safely(cls, value: str) -> str:
        """Credentials must not travel in the clear: plain http only to this machine."""
        url = urlsplit(value)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOCAL):
            raise ValueError("must begin with https:// (http:// only for this machine)")
        if url.path.strip("/") or url.query or url.username:
            raise ValueError("must be scheme and host only, like https://acme.my.salesforce.com")
        if (url.hostname or "").endswith(".lightning.force.com"):
            # Reported by many: sessions are not valid there.
            raise ValueError("is the user interface: take the host that ends in .my.salesforce.com")
        return value.rstrip("/")

    @field_validator("api_version")
    @classmethod
    def _new_enough(cls, value: str) -> str:
        if float(value) < 46:
            raise ValueError("must be 46.0 or newer: older versions have no upsert of many records")
        return value

    @field_validator("bulk_rows")
    @classmethod
    def _reachable(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("bulk_above", 0):
            raise ValueError("must be greater than bulk_above (which 0 turns off)")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SalesforceSettings:
        missing = [name for name in NEEDS[self.auth] if not getattr(self, name)]
        if self.refresh_token_file is not None and self.refresh_token_file.exists():
            missing = [name for name in missing if name != "refresh_token"]
        if missing:
            raise ValueError(f"auth: {self.auth} needs {', '.join(missing)}")
        return self
