"""Which records of an org stand for the hub's: what differs between the three object models.

A client is a Contact, a person account, or a Lead until people convert it and its Contact from
then on. Everything that depends on the choice is said here, place by place: the sObject, how its
fields are called, where they are made, and what a record needs to be created.

Documented: key prefixes, required fields, IsPersonAccount, PersonContactId, ConvertedContactId,
and that custom fields of persons are made on Contact and show on Account as ``X__pc``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.destination import CrmObject
from connectors.salesforce.names import CONTACT_NAMES, CUSTOM, LEAD_NAMES, PERSON, PERSON_NAMES
from connectors.salesforce.queries import conditions

_LAST_NAME, _COMPANY = 80, 255  # documented lengths


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An sObject, or the part of it, where records of the hub stand.

    Args:
        prefix: the first three characters of its ids.
        key: the hub's name of the unique external id.
        standard: names that rule sets use for standard fields -> API names.
        suffixes: how custom fields are called here, the hub's own first.
        email: the field with the address, where records have one.
        reads: fields that are read of every record.
        only: a checkbox that says whether a record is meant, and how it has to be set. An org
            whose describe has no such field has no other records.
        leads_on: the field with the id of the record that took this one's place, if it did.
        made_on: where custom fields are made, and where they are granted.
        key_on: the same for the key.
        creates: whether the hub makes new records here.
        person: whether records are people, who need a last name.
    """

    sobject: str
    prefix: str
    key: str
    standard: Mapping[str, str] = field(default_factory=dict)
    suffixes: Sequence[str] = (CUSTOM,)
    email: str = ""
    reads: Sequence[str] = ()
    only: tuple[str, bool] | None = None
    leads_on: str = ""
    made_on: tuple[str, str] = ("", "")
    key_on: tuple[str, str] = ("", "")
    creates: bool = True
    person: bool = False

    def home(self, name: str) -> tuple[str, str]:
        """Where the custom field of a property is made, and where it is granted."""
        found = self.key_on if name == self.key else self.made_on
        return found if found[0] else (self.sobject, self.sobject)

    def condition(self, kinds: Mapping[str, str]) -> str:
        """What a query has to ask for to meet the meant records only; blank: nothing.

        Args:
            kinds: the fields the describe shows.
        """
        if self.only is None or self.only[0] not in kinds:
            return ""
        return conditions(f"{self.only[0]} = {str(self.only[1]).lower()}")

    def follower(self, row: Mapping[str, Any]) -> str:
        """The id of the record that took this one's place for good; blank: none did."""
        return str(row.get(self.leads_on) or "") if self.leads_on else ""

    @property
    def completed(self) -> tuple[str, ...]:
        """The fields that :meth:`complete` and the creation of a record may add."""
        if self is LEAD:
            return ("LastName", "Company")
        if self is PERSON_ACCOUNT:
            return ("LastName", "RecordTypeId")
        return ("LastName",) if self.person else ()

    def complete(self, row: dict[str, Any], key: str, *, new: bool) -> None:
        """Add what a person's record needs: a client without a last name is named by its key.

        A lead needs a company, too: a retail client's is the client itself. It is told once, for
        a company is people's to correct.
        """
        if not self.person:
            return
        if not row.get("LastName") and (new or "LastName" in row):
            row["LastName"] = stand_in(key)
        if new and self is LEAD:
            names = (row.get("FirstName"), row["LastName"])
            row.setdefault("Company", " ".join(str(n) for n in names if n)[:_COMPANY])


def stand_in(key: str) -> str:
    """The last name of a client who has none, as the hub names clients without any name."""
    return f"Client {key}"[:_LAST_NAME]


CONTACT = Place(
    "Contact", "003", "broker_client_id", CONTACT_NAMES, email="Email", reads=("Email",),
    person=True,
)  # fmt: skip
LATER_CONTACT = Place(
    "Contact", "003", "broker_client_id", CONTACT_NAMES, email="Email", reads=("Email",),
    person=True, creates=False,
)  # fmt: skip
"""Of the lead model: people make it by converting, or it was there."""
LEAD = Place(
    "Lead", "00Q", "broker_client_id", LEAD_NAMES, email="Email", only=("IsConverted", False),
    reads=("Email", "IsConverted", "ConvertedContactId"), leads_on="ConvertedContactId",
    person=True,
)  # fmt: skip
PERSON_ACCOUNT = Place(
    "Account", "001", "broker_client_id", PERSON_NAMES, suffixes=(PERSON, CUSTOM),
    email="PersonEmail", reads=("PersonEmail",), only=("IsPersonAccount", True),
    made_on=("Contact", "Contact"), key_on=("Account", "Account"), person=True,
)  # fmt: skip
"""The key stands on Account itself: an upsert of accounts by a field of Contact is documented
nowhere, and a key on Contact would be taken by the shadow contacts and by people's own, too."""
TASK = Place("Task", "00T", "broker_task_key", reads=("WhoId",),
             made_on=("Activity", "Task"), key_on=("Activity", "Task"))  # fmt: skip
"""Fields of tasks are made on the object that tasks and events share (documented)."""
COMPANY = Place("Account", "001", "broker_partner_key", only=("IsPersonAccount", False))

CLIENTS: Mapping[str, tuple[Place, ...]] = {
    "contact": (CONTACT,),
    "person_account": (PERSON_ACCOUNT,),
    "lead_then_contact": (LATER_CONTACT, LEAD),
}
"""By the setting ``object_model``: where a client is looked for, in this order; new ones are made
in the last place."""

Places = Mapping[CrmObject, tuple[Place, ...]]


def places(object_model: str) -> Places:
    """Where each object of the hub stands."""
    return {
        CrmObject.CONTACT: CLIENTS[object_model],
        CrmObject.TASK: (TASK,),
        CrmObject.COMPANY: (COMPANY,),
    }
