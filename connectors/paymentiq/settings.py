"""Settings of a PaymentIQ connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field, SecretStr

from connectors.base import ConnectorSettings, HttpSettings
from mapping.words import DeclineCategory, PaymentStatus


class Effect(StrEnum):
    """What a transaction type does."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    REFUND = "refund"
    DISPUTE_FILED = "dispute_filed"
    DISPUTE_RESOLVED = "dispute_resolved"
    IGNORED = "ignored"


class TxType(ConnectorSettings):
    """What a transaction type means; ``method`` is blank where it is not a payment."""

    effect: Effect
    method: str = ""


class Status(ConnectorSettings):
    """What a status code means; blank where it cannot occur in that direction."""

    deposit: PaymentStatus | None = None
    withdrawal: PaymentStatus | None = None
    decline: DeclineCategory = DeclineCategory.NONE
    kyc_blocked: bool = False


class PaymentIqSettings(HttpSettings):
    """What an admin sets; the tables of codes and types are shipped beside this file."""

    base_url: str = Field(
        "https://backoffice.paymentiq.io",
        title="API base URL",
        description="Test: https://test-bo.paymentiq.io",
    )
    client_id: str = Field(title="Client id", description="Of an API client of the back office.")
    client_secret: SecretStr = Field(
        title="Client secret", description="The API client needs the role ROLE_MERCHANT_SUPPORT."
    )
    merchant_id: int = Field(title="Merchant id (MID)")
    merchants: Mapping[int, str] = Field(
        {},
        title="Brand of each merchant id",
        description="Only where sub-merchants belong to several brands; else the one brand.",
    )
    start_at: datetime = Field(
        title="Start of the history",
        description="The first sync reads payments last updated since then (UTC).",
    )
    zone: str = Field(
        "UTC",
        title="Time zone of the Admin API's dates",
        description="The API sends no offset; its logs print UTC (assumed).",
    )
    window_days: int = Field(
        7, ge=1, le=366, title="Days of history a request spans", description="Keeps offsets small."
    )
    page_size: int = Field(2000, ge=2, le=10_000, title="Rows of a page")
    overlap_s: int = Field(
        300, ge=0, le=86_400, title="Seconds read again at each pull (rows indexed late)"
    )
    list_key: str = Field(
        "",
        title="Key of the rows in an answer",
        description="Blank: the answer is the array itself (assumed).",
    )
    statuses: Mapping[str, Status] = Field(
        {}, title="Status codes", description="Name or number -> meaning, over the shipped table."
    )
    types: Mapping[str, TxType] = Field(
        {},
        title="Transaction types",
        description="Number or name -> meaning, over the shipped table.",
    )
    methods: Mapping[str, str] = Field(
        {},
        title="Payment methods",
        description="Type name without Deposit or Withdrawal (Creditcard) -> method (card).",
    )
    psps: Mapping[int, str] = Field(
        {}, title="Names of PSPs", description="pspId -> name; else pspAccount is shown."
    )
