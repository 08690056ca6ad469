"""The hub's names of properties, and Salesforce's API names.

A property of the hub is a custom field: ``brokerage_kyc_status`` is ``brokerage_kyc_status__c``.
Salesforce compares API names whatever their case, so a describe may show another spelling. The
contact's standard fields go by the names every CRM has for them; an admin may write any other API
name (``Department``, ``Branch__c``) as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.destination import CrmObject
from mapping.errors import ConfigError

CUSTOM = "__c"
_LONGEST = 40  # documented: characters of a custom field's name before its __c

STANDARD: Mapping[str, str] = {
    "email": "Email",
    "firstname": "FirstName",
    "lastname": "LastName",
    "phone": "Phone",
    "mobilephone": "MobilePhone",
    "country": "MailingCountry",
    "city": "MailingCity",
    "zip": "MailingPostalCode",
    "date_of_birth": "Birthdate",
    "hubspot_owner_id": "OwnerId",
}
"""Names that rule sets use for standard fields of a contact -> API names."""

TASK: Mapping[str, str] = {
    "subject": "Subject",
    "body": "Description",
    "owner": "OwnerId",
    "priority": "Priority",
    "status": "Status",
}
"""The hub's words for a task. ``due`` is three fields: see :mod:`connectors.salesforce.tasks`."""


class Names:
    """Between the hub's names and those of one object, by its describe.

    Args:
        api_names: all fields that the integration user sees.
    """

    def __init__(self, obj: CrmObject, api_names: Iterable[str]) -> None:
        self._standard = {} if obj is CrmObject.TASK else STANDARD
        self._spelled = {name.lower(): name for name in api_names}
        self._back = {api.lower(): ours for ours, api in self._standard.items()}
        self._found: dict[str, str] = {}  # asked for each field of each record

    def api(self, name: str) -> str:
        """Salesforce's name of a property, as the org spells it if it has it."""
        if name not in self._found:
            self._found[name] = self._api(name)
        return self._found[name]

    def _api(self, name: str) -> str:
        wanted = self._standard.get(name) or name
        for tried in (wanted, f"{wanted}{CUSTOM}"):
            if tried.lower() in self._spelled:
                return self._spelled[tried.lower()]
        return self._standard.get(name) or custom(name)

    def ours(self, api_name: str) -> str:
        """The hub's name of a field."""
        lower = api_name.lower()
        return self._back.get(lower) or lower.removesuffix(CUSTOM)


def custom(name: str) -> str:
    """The API name of a property that the hub creates.

    Raises:
        ConfigError: Salesforce takes no such name.
    """
    plain = name.removesuffix(CUSTOM)
    if len(plain) > _LONGEST or "__" in plain or plain.endswith("_") or not plain[:1].isalpha():
        raise ConfigError(
            f"Salesforce takes no field named {plain}: at most {_LONGEST} letters, digits and "
            f"single underscores, beginning with a letter. Rename the field in the rule set."
        )
    return f"{plain}{CUSTOM}"
