"""The hub's names of properties, and Salesforce's API names.

A property of the hub is a custom field: ``brokerage_kyc_status`` is ``brokerage_kyc_status__c``,
on a person account ``brokerage_kyc_status__pc``.
Salesforce compares API names whatever their case, so a describe may show another spelling. The
contact's standard fields go by the names every CRM has for them; an admin may write any other API
name (``Department``, ``Branch__c``) as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mapping.errors import ConfigError

CUSTOM, PERSON = "__c", "__pc"
_LONGEST = 40  # documented: characters of a custom field's name before its __c

_EVERYBODY = {
    "firstname": "FirstName",
    "lastname": "LastName",
    "phone": "Phone",
    "hubspot_owner_id": "OwnerId",
}
CONTACT_NAMES: Mapping[str, str] = {
    **_EVERYBODY,
    "email": "Email",
    "mobilephone": "MobilePhone",
    "country": "MailingCountry",
    "city": "MailingCity",
    "zip": "MailingPostalCode",
    "date_of_birth": "Birthdate",
}
"""Names that rule sets use for standard fields of a contact -> API names."""
LEAD_NAMES: Mapping[str, str] = {
    **_EVERYBODY,
    "email": "Email",
    "mobilephone": "MobilePhone",
    "country": "Country",
    "city": "City",
    "zip": "PostalCode",
}
"""The same of a lead, which has no date of birth."""
PERSON_NAMES: Mapping[str, str] = {
    **_EVERYBODY,
    "email": "PersonEmail",
    "mobilephone": "PersonMobilePhone",
    "country": "PersonMailingCountry",
    "city": "PersonMailingCity",
    "zip": "PersonMailingPostalCode",
    "date_of_birth": "PersonBirthdate",
}
"""The same of a person account."""

TASK: Mapping[str, str] = {
    "subject": "Subject",
    "body": "Description",
    "owner": "OwnerId",
    "priority": "Priority",
    "status": "Status",
}
"""The hub's words for a task. ``due`` is three fields: see :mod:`connectors.salesforce.tasks`."""

OWNERS = frozenset({"owner", "hubspot_owner_id", "OwnerId"})
"""Names under which a record's owner is written."""


class Names:
    """Between the hub's names and those of one object, by its describe.

    Args:
        api_names: all fields that the integration user sees.
        standard: names for standard fields -> API names.
        key: a property that is a custom field of the object itself, whatever the suffixes.
        suffixes: how custom fields end here, the hub's own first.
    """

    def __init__(
        self, api_names: Iterable[str], standard: Mapping[str, str], key: str = "",
        suffixes: Sequence[str] = (CUSTOM,),
    ) -> None:  # fmt: skip
        self._standard = standard
        self._key = key
        self._suffixes = suffixes
        self._spelled = {name.lower(): name for name in api_names}
        self._back = {api.lower(): ours for ours, api in self._standard.items()}
        self._found: dict[str, str] = {}  # asked for each field of each record

    def api(self, name: str) -> str:
        """Salesforce's name of a property, as the org spells it if it has it.

        Raises:
            ConfigError: Salesforce takes no such name.
        """
        if name not in self._found:
            self._found[name] = self._api(name)
        return self._found[name]

    def _api(self, name: str) -> str:
        wanted = self._standard.get(name) or name
        suffixes = (CUSTOM,) if name == self._key else self._suffixes
        for tried in (wanted, *(f"{wanted}{suffix}" for suffix in suffixes)):
            if tried.lower() in self._spelled:
                return self._spelled[tried.lower()]
        own = custom(name).removesuffix(CUSTOM) + suffixes[0]
        return self._standard.get(name) or own

    def ours(self, api_name: str) -> str:
        """The hub's name of a field; its own where another field goes by that name."""
        lower = api_name.lower()
        name = self._back.get(lower) or lower.removesuffix(CUSTOM).removesuffix(PERSON)
        return name if self.api(name).lower() == lower else lower


def custom(name: str) -> str:
    """The API name of a property that the hub creates.

    Raises:
        ConfigError: Salesforce takes no such name.
    """
    plain = name.removesuffix(CUSTOM).removesuffix(PERSON)
    if len(plain) > _LONGEST or "__" in plain or plain.endswith("_") or not plain[:1].isalpha():
        raise ConfigError(
            f"Salesforce takes no field named {plain}: at most {_LONGEST} letters, digits and "
            f"single underscores, beginning with a letter. Rename the field in the rule set."
        )
    return f"{plain}{CUSTOM}"
