"""Settings of a Zendesk connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field, SecretStr

from connectors.base import HttpSettings
from mapping.words import TicketCategory, TicketStatus


class EmailProof(StrEnum):
    """What proves that a helpdesk user's e-mail address is theirs."""

    USER = "user"
    IDENTITY = "identity"
    NOTHING = "nothing"


class ZendeskSettings(HttpSettings):
    """What an admin sets: exactly one of ``api_token`` (with ``email``) and ``oauth_token``."""

    base_url: str = Field(title="Address of the account, such as https://example.zendesk.com")
    email: str = Field(
        "",
        repr=False,
        title="E-mail of the API token's administrator",
        description="Only with api_token.",
    )
    api_token: SecretStr = Field(
        SecretStr(""),
        title="API token",
        description="Admin Center > Apps and integrations > Zendesk API.",
    )
    oauth_token: SecretStr = Field(
        SecretStr(""),
        title="OAuth access token, instead of email and api_token",
        description="Of an administrator, with the scope read.",
    )
    start_at: datetime = Field(
        title="Start of the history",
        description="The first sync reads tickets changed since then (UTC).",
    )
    users_from: datetime | None = Field(
        None,
        title="Start of the history of users",
        description="Blank: all users, since an old one may open a new ticket.",
    )
    page_size: int = Field(500, ge=1, le=1000, title="Rows of a page")
    max_bytes: int = Field(32_000_000, gt=0, title="Largest answer accepted, bytes")
    requests_per_minute: int = Field(
        10,
        ge=1,
        le=1000,
        title="Requests a minute to the incremental exports",
        description="10 by contract, 30 with the high-volume add-on; shared by the account.",
    )
    metrics: bool = Field(
        default=True,
        title="Ask for ticket metrics (re-openings, time of solution) with the tickets",
    )
    brands: Mapping[int, str] = Field(
        {},
        title="Brand of each Zendesk brand id",
        description="Blank: all tickets are of the one brand. A blank brand is not read.",
    )
    client_prefix: str = Field(
        "",
        title="What stands before the client id in the helpdesk",
        description="An external id without it is no client id.",
    )
    client_prefixes: Mapping[str, str] = Field(
        {},
        title="The same by brand",
        description="Needed where several brands share the account; blank: ids are unique.",
    )
    client_field: int | None = Field(
        None, title="Id of the ticket field that holds the client id, if there is one"
    )
    email_proof: EmailProof = Field(
        EmailProof.USER,
        title="What proves a user's e-mail address",
        description="The user's own mark, the address's identity (asked for too), or nothing.",
    )
    statuses: Mapping[str, TicketStatus] = Field(
        {}, title="Ticket statuses", description="Zendesk's name -> meaning, over the known ones."
    )
    category_field: int | None = Field(None, title="Id of the ticket field that says the category")
    category_values: Mapping[str, TicketCategory] = Field(
        {},
        title="Values of that field",
        description="Value (a list's tag) -> category; the categories' own names are known.",
    )
    forms: Mapping[int, TicketCategory] = Field({}, title="Ticket forms: id -> category")
    tags: Mapping[str, TicketCategory] = Field(
        {}, title="Tags", description="Tag -> category, over the shipped table."
    )
    groups: Mapping[int, TicketCategory] = Field({}, title="Groups: id -> category")
    keywords: Mapping[str, Mapping[TicketCategory, tuple[str, ...]]] = Field(
        {},
        title="Words of subjects",
        description="Language -> category -> words, instead of the shipped ones of the language.",
    )
    complaint_field: int | None = Field(None, title="Id of the ticket field that marks a complaint")
    complaint_values: tuple[str, ...] = Field(
        ("true", "yes", "complaint"), title="Values of that field that mean a complaint"
    )
    complaint_forms: tuple[int, ...] = Field((), title="Ids of ticket forms for complaints")
    complaint_tags: tuple[str, ...] | None = Field(
        None, title="Tags of complaints, instead of the shipped ones"
    )
    complaint_keywords: Mapping[str, tuple[str, ...]] = Field(
        {},
        title="Words of complaints in subjects",
        description="Language -> words, instead of the shipped ones of the language.",
    )
    webhook_secrets: tuple[SecretStr, ...] = Field(
        (),
        max_length=2,
        title="Webhook signing secrets",
        description="Shown on the webhook's page; while rotating: new, then old.",
    )
