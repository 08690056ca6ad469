"""Settings of one HubSpot portal."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.base import ConnectorSettings

WINDOW_S = 10.0  # documented: the burst limit counts calls of the last 10 seconds


class HubSpotSettings(ConnectorSettings):
    """How to reach the portal, and how much of its allowance the hub may take."""

    access_token: SecretStr = Field(
        title="Access token",
        description="Service key (Settings > Integrations > Service Keys) or private app token.",
    )
    base_url: str = Field("https://api.hubapi.com", title="API base URL")
    path_version: Literal["v3", "2026-09"] = Field(
        "v3",
        title="API path version",
        description="v3 and v4 paths end in 2027; dated paths enforce more of the portal's rules.",
    )
    connect_timeout_s: float = Field(10.0, gt=0, le=300, title="Seconds to wait for a connection")
    read_timeout_s: float = Field(60.0, gt=0, le=300, title="Seconds to wait for an answer")
    max_attempts: int = Field(5, ge=1, le=20, title="Tries of one request before giving up")
    in_flight: int = Field(8, ge=1, le=32, title="Most calls at the same time")
    requests_per_10s: int = Field(
        190,
        ge=20,
        le=1000,
        title="The portal's limit, calls per 10 seconds",
        description="190 on Professional and Enterprise, 100 below, 250 with the API add-on.",
    )
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        title="The hub's share of that limit",
        description="Lower it if other programs use the same token.",
    )
    searches_per_second: int = Field(
        5,
        ge=3,
        le=20,
        title="The portal's limit, searches per second",
        description="Documented: 5 an account, whatever the program. The hub keeps 2 below.",
    )
    daily_limit: int = Field(
        650_000,
        ge=1000,
        title="The portal's calls a day, for forecasts",
        description="250,000 on Starter, 650,000 on Professional, 1,000,000 on Enterprise.",
    )
    burst: int = Field(4, ge=1, le=50, title="Calls that may start at once")
    headroom: int = Field(
        4,
        ge=0,
        le=100,
        title="Calls per 10 seconds kept free",
        description="Delays on the way "
        "act like extra burst: with 4 free calls none of 1,500 was refused (measured).",
    )
    property_group: str = Field(
        "brokerage", pattern=r"^[a-z][a-z0-9_]{0,99}$", title="Group of the hub's properties"
    )
    property_group_label: str = Field("Brokerage", min_length=1, title="Label of that group")
    contact_key: str = Field(
        "broker_client_id", pattern=r"^[a-z][a-z0-9_]{0,99}$", title="Contacts' unique key property"
    )
    task_key: str = Field(
        "broker_task_key", pattern=r"^[a-z][a-z0-9_]{0,99}$", title="Tasks' unique key property"
    )
    company_key: str = Field(
        "broker_partner_key",
        pattern=r"^[a-z][a-z0-9_]{0,99}$",
        title="Companies' unique key property",
    )

    @field_validator("base_url")
    @classmethod
    def _reachable_safely(cls, value: str) -> str:
        """The token must not travel in the clear: plain http only to this machine."""
        url = urlsplit(value)
        local = url.hostname in ("localhost", "127.0.0.1", "::1")
        if url.scheme != "https" and not (url.scheme == "http" and local):
            raise ValueError("must begin with https:// (http:// only for this machine)")
        if url.path.strip("/") or url.query or url.username:
            raise ValueError("must be scheme and host only, like https://api.hubapi.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _room_left(self) -> HubSpotSettings:
        if self.calls_per_window < 1:
            raise ValueError("share leaves no calls after burst and headroom: raise share")
        return self

    @property
    def calls_per_window(self) -> int:
        """Steady calls per 10 s: the hub's share less burst and headroom."""
        return int(self.requests_per_10s * self.share) - self.burst - self.headroom
