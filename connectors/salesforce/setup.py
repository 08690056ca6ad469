"""What an org is set up with: who may own tasks, its statuses, its record types of people."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.destination import Owner
from connectors.salesforce import queries, tasks
from connectors.salesforce.client import SalesforceClient, reading
from mapping.errors import ConfigError

_PERSONS = "WHERE SobjectType = 'Account' AND IsPersonType = true AND IsActive = true"


class Setup:
    """Asked for once, but for the owners.

    Args:
        record_type: developer name of the record type of new person accounts; blank: the only one.
    """

    def __init__(self, client: SalesforceClient, record_type: str) -> None:
        self._client = client
        self._wanted = record_type
        self._statuses: tasks.Statuses | None = None
        self._record_type = ""
        self._nobody = ""

    def nobody(self) -> str:
        """The integration user. Each record has an owner: what nobody took is this one's."""
        if not self._nobody:
            self._nobody = self._client.user_id()
        return self._nobody

    def owners(self) -> Sequence[Owner]:
        """Users who can own tasks, and queues, whose address is their developer name."""
        out: list[Owner] = []
        users = ("Id", "Email", "IsActive")
        for page in queries.select(self._client, "User", users, "WHERE UserType = 'Standard'"):
            with reading("users"):
                out += [
                    Owner(r["Id"], (r["Email"] or "").lower(), "PERSON", bool(r["IsActive"]))
                    for r in page
                ]
        queues = ("Id", "DeveloperName")
        for page in queries.select(self._client, "Group", queues, "WHERE Type = 'Queue'"):
            with reading("queues"):
                out += [Owner(r["Id"], str(r["DeveloperName"]).lower(), "QUEUE") for r in page]
        return out

    def statuses(self) -> tasks.Statuses:
        """The org's names of an open and a closed task."""
        if self._statuses is None:
            names = ("ApiName", "IsClosed", "IsDefault", "SortOrder")
            rows = [r for p in queries.select(self._client, "TaskStatus", names, "") for r in p]
            with reading("TaskStatus"):
                self._statuses = tasks.statuses(rows)
        return self._statuses

    def person_record_type(self) -> str:
        """The id of the record type that makes a new account a person (documented).

        Raises:
            ConfigError: there is none, or several of which none was chosen.
        """
        if not self._record_type:
            names = ("Id", "DeveloperName")
            pages = queries.select(self._client, "RecordType", names, _PERSONS)
            with reading("RecordType"):
                found = {str(r["DeveloperName"]): str(r["Id"]) for page in pages for r in page}
            self._record_type = self._chosen(found)
        return self._record_type

    def _chosen(self, found: dict[str, str]) -> str:
        if not found:
            raise ConfigError(
                "The Salesforce org has no person accounts (no active record type of people that "
                "the integration user sees): choose another object_model, or enable them."
            )
        if self._wanted:
            if self._wanted in found:
                return found[self._wanted]
            problem = f"no record type of people named {self._wanted}"
        elif len(found) == 1:
            return next(iter(found.values()))
        else:
            problem = f"{len(found)} record types of people"
        raise ConfigError(
            f"The Salesforce org has {problem}: set person_record_type of this destination to one "
            f"of {', '.join(sorted(found))}."
        )
