"""What people do in Salesforce's own pages: edits, merges, conversions, the recycle bin.

Neither limited nor refused by field-level security or ordered faults; each leaves its user's mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from simulator.salesforce import persons, writing
from simulator.salesforce.org import Org
from simulator.salesforce.requests import Caller
from simulator.salesforce.store import Table, Values
from simulator.salesforce.values import shown

_CARRIED = (
    "FirstName", "LastName", "Salutation", "Title", "Phone", "MobilePhone", "Email", "Description",
    "LeadSource", "HasOptedOutOfEmail", "DoNotCall",
)  # fmt: skip
"""Lead fields a conversion carries to the Contact (documented: the standard mapping, a part)."""
_ADDRESS = {part: f"Mailing{part}" for part in ("Street", "City", "State", "PostalCode", "Country")}
"""The lead's address is the contact's mailing address (documented)."""
_CHILDREN = {
    "Contact": (("Task", "WhoId"),),
    "Lead": (("Task", "WhoId"),),
    "Account": (("Task", "WhatId"), ("Contact", "AccountId")),
}
"""What refers to a record, and moves when it is merged or converted."""


class People:
    """One person at work; ``user_id`` marks what she does."""

    def __init__(
        self, org: Org, lock: Callable[[], AbstractContextManager[None]], user_id: str
    ) -> None:
        self._org = org
        self._lock = lock
        self.user_id = user_id

    @property
    def _caller(self) -> Caller:
        return Caller(self.user_id, human=True)

    def by(self, user_id: str) -> People:
        """The same for another user."""
        return People(self._org, self._lock, user_id)

    def create(self, sobject: str, **values: Any) -> str:
        """Create a record; its id."""
        with self._lock():
            return writing.create(self._org, self._caller, self._org.table(sobject), values)

    def load(self, sobject: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Create many records; their ids."""
        with self._lock():
            table = self._org.table(sobject)
            return [writing.create(self._org, self._caller, table, row) for row in rows]

    def edit(self, sobject: str, row_id: str, **values: Any) -> None:
        """Change a record."""
        with self._lock():
            table = self._org.table(sobject)
            writing.update(self._org, self._caller, table, row_id, values)

    def complete(self, task_id: str, status: str = "", **values: Any) -> None:
        """Close a task, with the picklist's first closed status by default."""
        with self._lock():
            choices = self._org.table("Task").fields["status"].values
            told = status or next(c.value for c in choices if c.closed)
            self.edit("Task", task_id, Status=told, **values)

    def reassign(self, sobject: str, row_id: str, owner_id: str) -> None:
        """Give a record to another user or a queue."""
        self.edit(sobject, row_id, OwnerId=owner_id)

    def delete(self, sobject: str, row_id: str) -> None:
        """Put a record into the recycle bin."""
        with self._lock():
            writing.delete(self._org, self._caller, self._org.table(sobject), row_id)

    def undelete(self, sobject: str, row_id: str) -> None:
        """Take a record out of the recycle bin."""
        with self._lock():
            writing.undelete(self._org, self._caller, self._org.table(sobject), row_id)

    def empty_bin(self, sobject: str) -> None:
        """Forget the deleted records of an object for good (documented: after 15 days)."""
        with self._lock():
            table = self._org.table(sobject)
            for row_id in [i for i, row in table.rows.items() if row.get("IsDeleted")]:
                table.put(row_id, None)

    def merge(self, sobject: str, master_id: str, *loser_ids: str, **values: Any) -> None:
        """Merge up to two records into a master (documented).

        The losers are deleted and point to the master; what referred to them refers to it. The
        master keeps its own values but for ``values``, which the person chose.
        """
        with self._lock():
            table = self._org.table(sobject)
            writing.existing(table, master_id)
            for loser_id in loser_ids:
                loser = writing.existing(table, loser_id)
                row = self._org.stamped(loser, self.user_id)
                row |= {"IsDeleted": True, "MasterRecordId": master_id}
                table.put(loser_id, row)
                persons.follow(self._org, table, row)
                self._org.log(table, loser_id, "merge", self.user_id, {})
                self._move(table, loser_id, master_id)
            self.edit(sobject, master_id, **values)

    def convert(
        self,
        lead_id: str,
        *,
        account_id: str = "",
        contact_id: str = "",
        status: str = "",
        carry: Iterable[str] = (),
    ) -> tuple[str, str]:
        """Convert a lead; (contact id, account id).

        Args:
            account_id: an account that is there; else one is made of the lead's company.
            contact_id: a contact that is there; else one is made of the lead.
            status: the converted status; the picklist's first by default.
            carry: custom fields the administrator has mapped to the contact's of the same name
                (documented: none is by itself).
        """
        with self._lock():
            leads, contacts = self._org.table("Lead"), self._org.table("Contact")
            lead = writing.existing(leads, lead_id)
            owner = lead["OwnerId"] if lead["OwnerId"].startswith("005") else self.user_id
            if not account_id:
                told = {"Name": lead["Company"], "OwnerId": owner}
                account_id = self.create("Account", **told)
            if not contact_id:
                told = {n: lead[n] for n in (*_CARRIED, *carry) if n in lead}
                told |= {there: lead[here] for here, there in _ADDRESS.items() if here in lead}
                more = {"AccountId": account_id, "OwnerId": owner}
                contact_id = self.create("Contact", **told, **more)
            else:
                writing.existing(contacts, contact_id)
            statuses = leads.fields["status"].values
            row: Values = {
                **lead,
                "Status": status or next(c.value for c in statuses if c.closed),
                "IsConverted": True,
                "ConvertedDate": shown(self._org.now_ms)[:10],
                "ConvertedAccountId": account_id,
                "ConvertedContactId": contact_id,
            }
            leads.put(lead_id, self._org.stamped(row, self.user_id))
            self._org.log(leads, lead_id, "convert", self.user_id, {})
            self._move(leads, lead_id, contact_id)
            return contact_id, account_id

    def _move(self, table: Table, old_id: str, new_id: str) -> None:
        """Let what referred to one record refer to another; its stamps move (assumed)."""
        for sobject, name in _CHILDREN.get(table.name, ()):
            children = self._org.table(sobject)
            for row in [r for r in children.rows.values() if r.get(name) == old_id]:
                moved = self._org.stamped({**row, name: new_id}, self.user_id)
                children.put(row["Id"], moved)
