"""What the access token may do, as far as HubSpot tells."""

from __future__ import annotations

from connectors.destination import Scopes
from connectors.hubspot.client import HubSpotClient, reading
from connectors.hubspot.errors import RefusalError
from mapping.errors import ConfigError, ProtocolError

NEEDED = (
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.objects.owners.read",
)
"""Scopes of a sync. Documented: tasks ride on those of contacts."""
TO_INSTALL = ("crm.schemas.contacts.write",)
COMPANIES = (
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.schemas.companies.read",
    "crm.schemas.companies.write",
)
"""For brokers with partners; the last one for an installation only. Others may have them ready."""
_OF_EVERY_TOKEN = ("oauth",)
_INFO = "/oauth/v2/private-apps/get/access-token-info"


def scopes(client: HubSpotClient) -> Scopes | None:
    """The token's scopes against those that are needed; None where HubSpot does not tell.

    Documented for private apps; whether it answers for service keys is not known.

    Raises:
        RetryableError: see :class:`connectors.hubspot.client.GuardedPool`.
    """
    try:
        answer = client.post(_INFO, client.token_body())
        with reading("access-token-info"):
            granted = {str(scope) for scope in answer["scopes"]}
    except (RefusalError, ConfigError, ProtocolError):
        return None
    known = {*NEEDED, *TO_INSTALL, *COMPANIES, *_OF_EVERY_TOKEN}
    return Scopes(
        missing=tuple(s for s in NEEDED if s not in granted),
        to_install=tuple(s for s in TO_INSTALL if s not in granted),
        excess=tuple(sorted(granted - known)),
        companies=tuple(s for s in COMPANIES if s not in granted),
    )
