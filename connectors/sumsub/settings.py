"""Settings of a Sumsub connection."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, SecretStr

from connectors.base import HttpSettings
from mapping.words import ReasonCategory

HOURS_A_DAY = 24


class SumsubSettings(HttpSettings):
    """What an admin sets. A schedule is steps of (age below this many hours, hours between reads).

    0 hours between reads means at every pull; a case older than the last step is not read again.
    """

    base_url: str = Field(
        "https://api.sumsub.com",
        title="API base URL",
        description="The app token decides between sandbox (sbx:...) and production.",
    )
    app_token: SecretStr = Field(
        title="App token", description="Dev space > App tokens; needs the right to read applicants."
    )
    secret_key: SecretStr = Field(
        title="Secret key of the app token", description="Shown once, when the token is created."
    )
    webhook_secrets: tuple[SecretStr, ...] = Field(
        (),
        max_length=2,
        title="Webhook secrets",
        description="The webhook's own secret, not the API secret; while rotating: new, then old.",
    )
    allow_sha1: bool = Field(
        default=False,
        title="Accept webhooks signed with HMAC-SHA1",
        description="Only for an old webhook that cannot be switched to SHA-256 or SHA-512.",
    )
    attempt_base: int = Field(
        1,
        ge=0,
        le=1,
        title="Number of the first attempt",
        description="Added to review.attemptCnt, which is counted from 0 (assumed).",
    )
    labels: Mapping[str, ReasonCategory] = Field(
        {}, title="Reject labels", description="Label -> category, over the shipped table."
    )
    gaps: Mapping[str, str] = Field(
        {}, title="Document gaps", description="Button group or reject label -> name of the gap."
    )
    open_schedule: tuple[tuple[float, float], ...] = Field(
        ((48, 0), (7 * HOURS_A_DAY, 6), (180 * HOURS_A_DAY, 24)),
        title="How often an undecided case is read",
        description="Also for clients who have no applicant yet.",
    )
    decided_schedule: tuple[tuple[float, float], ...] = Field(
        ((90 * HOURS_A_DAY, 24),),
        title="How often a decided case is read",
        description="A verdict can be revised: Sumsub may send several final results.",
    )
