"""Settings of a Cellxpert connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from connectors.base import ConnectorSettings, HttpSettings
from mapping.words import PayoutPlan, RiskKind

# What a row says -> the columns that may say it, the first that is there. READ: the names in four
# brokers' integrations; landing_page, device and sub_id on the broker's side are assumed.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "client": ("User_ID",),
    "affiliate": ("Affiliate_ID", "BTA"),
    "registered": ("Registration_Date",),
    "qualified": ("Qualification_Date",),
    "country": ("Country",),
    "campaign": ("Tracking_Code", "TrackingCode"),
    "sub_id": ("afp",),
    "landing_page": ("Landing_Page",),
    "device": ("Device",),
    "cpa": ("CPA_Commission",),
    "cpl": ("CPL_Commission",),
    "revshare": ("Revshare_Commission", "RevShare_Commission"),
    "sub_affiliate": ("Sub_Affiliate_Commissions",),
    "other": ("Other_Commissions",),
    "fraud": ("fraudStatus",),
}
# READ: AffiliateID, AffiliateName, Username, Status. Assumed: the rest.
PARTNER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("AffiliateID", "Affiliate_ID"),
    "name": ("AffiliateName", "Username"),
    "status": ("Status",),
    "plan": ("Commission_Plan",),
    "country": ("Country",),
    "registered": ("Registration_Date",),
}
# READ. One answer holds its rows under one of them.
LIST_KEYS = ("Registrations", "ManageAffiliatesData", "Report", "PixelLog", "data")


class FraudEffect(StrEnum):
    """What a fraud status does."""

    OPEN = "open"
    CLEARED = "cleared"
    NONE = "none"


class FraudStatus(ConnectorSettings):
    """What a text of fraudStatus means; ``none``: nothing was ever found."""

    effect: FraudEffect
    risk: RiskKind = RiskKind.SUSPICIOUS_PATTERN


# No list of the vendor's texts is known (assumed); any other text is set aside.
FRAUD_STATUSES: Mapping[str, FraudStatus] = {
    "": FraudStatus(effect=FraudEffect.NONE),
    "none": FraudStatus(effect=FraudEffect.NONE),
    "clean": FraudStatus(effect=FraudEffect.NONE),
    "false": FraudStatus(effect=FraudEffect.NONE),
    "0": FraudStatus(effect=FraudEffect.NONE),
    "cleared": FraudStatus(effect=FraudEffect.CLEARED),
    "true": FraudStatus(effect=FraudEffect.OPEN),
    "1": FraudStatus(effect=FraudEffect.OPEN),
    "fraud": FraudStatus(effect=FraudEffect.OPEN),
    "suspected": FraudStatus(effect=FraudEffect.OPEN),
    "duplicate": FraudStatus(effect=FraudEffect.OPEN, risk=RiskKind.DUPLICATE_ACCOUNT),
    "bonus abuse": FraudStatus(effect=FraudEffect.OPEN, risk=RiskKind.BONUS_ABUSE),
}
# Assumed: how the partner list names plans.
PLANS: Mapping[str, PayoutPlan] = {
    "": PayoutPlan.NONE,
    "none": PayoutPlan.NONE,
    "cpa": PayoutPlan.CPA,
    "cpl": PayoutPlan.CPL,
    "revshare": PayoutPlan.REVSHARE,
    "hybrid": PayoutPlan.HYBRID,
}


class CellxpertSettings(HttpSettings):
    """What an admin sets."""

    base_url: str = Field("https://adminapi.cellxpert.com", title="API base URL")
    admin_url: str = Field(
        min_length=1, title="Tenant name", description="As it is typed at the admin login."
    )
    user: str = Field(min_length=1, title="User of the admin API")
    password: SecretStr = Field(title="Password of that user")
    token_minutes: float = Field(
        25, gt=0, le=1440, title="Minutes a token is used", description="Then a new one is fetched."
    )
    currency: str = Field(
        title="Currency of the commissions",
        description="ISO 4217; the reports name none, all amounts are in the tenant's currency.",
    )
    start_at: datetime | None = Field(
        None,
        title="Start of the history",
        description="The first sync reads clients registered since; blank: long_window_days.",
    )
    window_days: int = Field(35, ge=1, le=3660, title="Days of registrations read at each pull")
    long_window_days: int = Field(
        400,
        ge=1,
        le=3660,
        title="Days of registrations read now and then",
        description="A commission or fraud status may change long after the registration.",
    )
    long_every_days: float = Field(7, gt=0, le=366, title="Days between two long windows")
    step_days: int = Field(
        7, ge=1, le=366, title="Days of registrations a request spans", description="For max_bytes."
    )
    page_size: int = Field(2000, ge=1, le=10_000, title="Rows stored at a time")
    zone: str = Field(
        "UTC", title="Time zone of the reports' dates", description="The tenant's (assumed: UTC)."
    )
    date_format: Literal["M/D/YYYY", "D/M/YYYY", "YYYY-MM-DD"] = Field(
        "M/D/YYYY",
        title="Order of the dates",
        description="Both of those sent and of those read; ISO dates are always understood.",
    )
    decimal_comma: bool = Field(
        default=False,
        title="Amounts have a decimal comma",
        description="1.234,50 instead of 1,234.50.",
    )
    download_hosts: tuple[str, ...] = Field(
        (),
        title="Hosts of signed report links",
        description="Large reports come as a link; without a name here only the API's host.",
    )
    csv_delimiter: str = Field(
        ",", min_length=1, max_length=1, title="Delimiter of downloaded CSV reports"
    )
    list_keys: tuple[str, ...] = Field(LIST_KEYS, title="Keys under which answers hold their rows")
    client_prefix_rule: bool = Field(
        default=False,
        title="Client ids have a brand's prefix",
        description="Takes away what stands before the first dash of User_ID.",
    )
    client_prefixes: Mapping[str, str] = Field(
        {},
        title="Brand of each client id prefix",
        description="Prefix -> brand; needed where the connection serves several brands.",
    )
    no_affiliate: tuple[str, ...] = Field(
        ("0",), title="Affiliate ids that mean nobody", description="A blank one always does."
    )
    fraud_statuses: Mapping[str, FraudStatus] = Field(
        {}, title="Fraud statuses", description="Text -> meaning, over the shipped table."
    )
    plans: Mapping[str, PayoutPlan] = Field(
        {}, title="Plans of partners", description="Text -> plan, over the shipped table."
    )
    columns: Mapping[str, str] = Field(
        {},
        title="Columns of the registration report",
        description=f"One of {', '.join(COLUMNS)} -> the tenant's column.",
    )
    partner_columns: Mapping[str, str] = Field(
        {},
        title="Columns of the partner list",
        description=f"One of {', '.join(PARTNER_COLUMNS)} -> the tenant's column.",
    )
    report_params: Mapping[str, str] = Field(
        {},
        title="More parameters of the registration report",
        description="Such as switches that add columns.",
    )
    partner_params: Mapping[str, str] = Field(
        {}, title="More parameters of the partner list", description="Such as status: Approved."
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _checked(value, COLUMNS)

    @field_validator("partner_columns")
    @classmethod
    def _known_of_partners(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _checked(value, PARTNER_COLUMNS)

    @field_validator("download_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not host or set(host) & set("/*@? "):
                raise ValueError("a host is a whole name such as reports.example.com, no pattern")
        return tuple(host.lower() for host in value)


def _checked(value: Mapping[str, str], known: Mapping[str, object]) -> Mapping[str, str]:
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    return value
