"""Person accounts: one Account and the shadow Contact behind it (documented).

Assumed: an Account with a LastName and no record type is a person; a change of the shadow Contact
reaches its Account.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.salesforce.definitions import PERSON, SHADOWED
from simulator.salesforce.derived import full_name
from simulator.salesforce.fields import Field
from simulator.salesforce.problems import SalesforceError, read_only
from simulator.salesforce.store import Table, Values

if TYPE_CHECKING:
    from simulator.salesforce.org import Org

_ONLY_PERSONS = frozenset(f.name for f in PERSON) - {"RecordTypeId"}
_BACK = {contact: account for account, contact in SHADOWED.items()}


def mirrored(definition: Field) -> Field:
    """A custom field of Contact as Account shows it: ``X__pc`` (documented)."""
    name = definition.name.removesuffix("__c") + "__pc"
    return replace(definition, name=name, nillable=True)


def settle(org: Org, table: Table, new: Values, changes: Values) -> None:
    """Work out whether an Account is a person, and hold it to that.

    Raises:
        SalesforceError: fields of the other kind were sent.
    """
    if table.name != "Account" or not org.choices.person_accounts:
        return
    if "IsPersonAccount" not in new:
        kind = org.tables["recordtype"].rows.get(new.get("RecordTypeId", ""), {})
        new["IsPersonAccount"] = bool(kind.get("IsPersonType")) if kind else "LastName" in new
        if not kind:
            new["RecordTypeId"] = _record_type(org, person=new["IsPersonAccount"])
    sent = {name for name, value in changes.items() if value is not None}
    if not new["IsPersonAccount"]:
        wrong = {n for n in sent if n in _ONLY_PERSONS or n.endswith("__pc")}
        if wrong:
            raise read_only(sorted(wrong))
        return
    if "Name" in sent:
        raise read_only(["Name"])
    if new.get("LastName") is None:
        raise SalesforceError(
            "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"]
        )
    new["Name"] = full_name(new)


def _record_type(org: Org, *, person: bool) -> str:
    rows = org.tables["recordtype"].rows.values()
    return next(str(row["Id"]) for row in rows if row["IsPersonType"] is person)


def follow(org: Org, table: Table, row: Values) -> None:
    """Let the other half of a person have what this half has now."""
    if not org.choices.person_accounts:
        return
    if table.name == "Account" and row.get("IsPersonAccount"):
        _to_contact(org, row)
    elif table.name == "Contact" and row.get("IsPersonAccount"):
        _to_account(org, row)


_MARKS = ("LastModifiedDate", "LastModifiedById", "SystemModstamp", "CreatedDate", "CreatedById")


def _to_contact(org: Org, account: Values) -> None:
    contacts = org.tables["contact"]
    contact_id = account.get("PersonContactId") or org.ids.new(contacts.prefix)
    contact = dict(contacts.rows.get(contact_id, {"Id": contact_id, "IsPersonAccount": True}))
    contact["AccountId"] = account["Id"]
    custom = {
        n: n.removesuffix("__pc") + "__c" for n in _names(org, "account") if n.endswith("__pc")
    }
    _copy(account, contact, SHADOWED | custom | {mark: mark for mark in _MARKS})
    contact["Name"] = account["Name"]
    if account.get("IsDeleted"):
        contact["IsDeleted"] = True
    else:
        contact.pop("IsDeleted", None)
    contacts.put(contact_id, contact)
    if "PersonContactId" not in account:
        org.tables["account"].put(account["Id"], account | {"PersonContactId": contact_id})


def _to_account(org: Org, contact: Values) -> None:
    accounts = org.tables["account"]
    account = dict(accounts.rows[contact["AccountId"]])
    custom = {
        n.removesuffix("__pc") + "__c": n for n in _names(org, "account") if n.endswith("__pc")
    }
    _copy(contact, account, _BACK | custom | {mark: mark for mark in _MARKS[:3]})
    account["Name"] = contact["Name"]
    accounts.put(account["Id"], account)


def _names(org: Org, table: str) -> list[str]:
    return [definition.name for definition in org.tables[table].fields.values()]


def _copy(source: Values, into: Values, names: dict[str, str]) -> None:
    for here, there in names.items():
        if here in source:
            into[there] = source[here]
        else:
            into.pop(there, None)
