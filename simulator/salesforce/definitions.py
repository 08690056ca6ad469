"""The standard objects a broker meets, as data.

Recorded: names, types and flags that describe shows (a choice of them: a real Contact has some 70
more). Key prefixes beyond Account, Contact, Lead and User are assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulator.salesforce.fields import (
    Field,
    fixed,
    flag,
    link,
    moment,
    number,
    picklist,
    spaced,
    text,
)

OWNERS = ("Group", "User")
TASK_STATUSES = (
    "Not Started", "In Progress", "*Completed", "Waiting on someone else", "Deferred",
)  # fmt: skip
TASK_PRIORITIES = ("*High", "Normal", "Low")
LEAD_STATUSES = (
    "Open - Not Contacted", "Working - Contacted", "*Closed - Converted", "Closed - Not Converted",
)  # fmt: skip
SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")


class Standard(NamedTuple):
    """One object."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: tuple[Field, ...]


def _own(*more: Field) -> tuple[Field, ...]:
    """An object's own fields, between its id and what the system keeps."""
    return (
        *fixed(Field("Id", "id", label="Record ID", length=18, nillable=False, id_lookup=True)),
        *more,
        *fixed(
            flag("IsDeleted"),
            moment("CreatedDate", nillable=False),
            link("CreatedById", ["User"], nillable=False),
            moment("LastModifiedDate", nillable=False),
            link("LastModifiedById", ["User"], nillable=False),
            moment("SystemModstamp", nillable=False),
        ),
    )


def _owner(*references: str) -> Field:
    return link("OwnerId", references, nillable=False, defaulted=True)


def _address(prefix: str) -> tuple[Field, ...]:
    return (
        text(f"{prefix}Street", kind="textarea"),
        text(f"{prefix}City", 40),
        text(f"{prefix}State", 80),
        text(f"{prefix}PostalCode", 20),
        text(f"{prefix}Country", 80),
    )


_NAMES = (
    text("LastName", 80, nillable=False),
    text("FirstName", 40),
    picklist("Salutation", "Mr.", "Ms.", "Mrs.", "Dr.", "Prof."),
)
_FULL_NAME = fixed(text("Name", 121, label="Full Name", nillable=False))

CONTACT = Standard("Contact", "003", "Contact", "Contacts", _own(
    *fixed(link("MasterRecordId", ["Contact"], relationship="MasterRecord")),
    link("AccountId", ["Account"]),
    *_NAMES,
    *_FULL_NAME,
    *_address("Other"),
    *_address("Mailing"),
    text("Phone", 40, "phone", label="Business Phone"),
    text("MobilePhone", 40, "phone"),
    text("HomePhone", 40, "phone"),
    text("Email", 80, "email", id_lookup=True),  # recorded: no external id, and not unique
    text("Title", 128),
    text("Department", 80),
    picklist("LeadSource", *SOURCES),
    moment("Birthdate", "date"),
    text("Description", 32000, "textarea", label="Contact Description"),
    _owner("User"),
    flag("HasOptedOutOfEmail", label="Email Opt Out"),
    flag("DoNotCall"),
))  # fmt: skip

LEAD = Standard("Lead", "00Q", "Lead", "Leads", _own(
    *fixed(link("MasterRecordId", ["Lead"], relationship="MasterRecord")),
    *_NAMES,
    *_FULL_NAME,
    text("Title", 128),
    text("Company", 255, nillable=False),
    *_address(""),
    text("Phone", 40, "phone"),
    text("MobilePhone", 40, "phone"),
    text("Email", 80, "email", id_lookup=True),
    text("Website", 255, "url"),
    text("Description", 32000, "textarea"),
    picklist("LeadSource", *SOURCES),
    picklist("Status", *LEAD_STATUSES, default=LEAD_STATUSES[0], nillable=False, defaulted=True),
    picklist("Rating", "Hot", "Warm", "Cold"),
    _owner(*OWNERS),
    flag("HasOptedOutOfEmail", label="Email Opt Out"),
    flag("DoNotCall"),
    *fixed(
        flag("IsConverted", label="Converted"),
        moment("ConvertedDate", "date"),
        link("ConvertedAccountId", ["Account"]),
        link("ConvertedContactId", ["Contact"]),
        text("ConvertedOpportunityId", 18),
    ),
))  # fmt: skip

ACCOUNT = Standard("Account", "001", "Account", "Accounts", _own(
    *fixed(link("MasterRecordId", ["Account"], relationship="MasterRecord")),
    text("Name", 255, label="Account Name", nillable=False),
    link("ParentId", ["Account"]),
    picklist("Type", "Prospect", "Customer - Direct", "Channel Partner", "Other"),
    *_address("Billing"),
    text("Phone", 40, "phone", label="Account Phone"),
    text("Website", 255, "url"),
    text("AccountNumber", 40),
    text("Description", 32000, "textarea", label="Account Description"),
    number("NumberOfEmployees", "int", 8),
    number("AnnualRevenue", "currency"),
    _owner("User"),
))  # fmt: skip

PERSON = (
    *fixed(flag("IsPersonAccount")),
    *fixed(link("PersonContactId", ["Contact"])),
    text("LastName", 80),  # describe cannot say that a person needs it
    *_NAMES[1:],
    text("PersonEmail", 80, "email", label="Email", id_lookup=True),
    text("PersonMobilePhone", 40, "phone", label="Mobile"),
    text("PersonHomePhone", 40, "phone", label="Home Phone"),
    text("PersonTitle", 80, label="Title"),
    moment("PersonBirthdate", "date", label="Birthdate"),
    *_address("PersonMailing"),
    flag("PersonHasOptedOutOfEmail", label="Email Opt Out"),
    link("RecordTypeId", ["RecordType"], defaulted=True),
)
"""What person accounts add to Account (documented; the choice is ours)."""

SHADOWED = {
    "LastName": "LastName", "FirstName": "FirstName", "Salutation": "Salutation",
    "PersonEmail": "Email", "PersonMobilePhone": "MobilePhone", "PersonHomePhone": "HomePhone",
    "PersonTitle": "Title", "PersonBirthdate": "Birthdate", "Phone": "Phone",
    "PersonHasOptedOutOfEmail": "HasOptedOutOfEmail", "OwnerId": "OwnerId",
    **{f"PersonMailing{part}": f"Mailing{part}"
       for part in ("Street", "City", "State", "PostalCode", "Country")},
}  # fmt: skip
"""Fields of a person account -> the same of its contact."""

TASK = Standard("Task", "00T", "Task", "Tasks", _own(
    link("WhoId", ["Contact", "Lead"], label="Name ID"),
    link("WhatId", ["Account"], label="Related To ID"),
    text("Subject", 255, "combobox"),
    moment("ActivityDate", "date", label="Due Date"),
    picklist("Status", *TASK_STATUSES, default="Not Started", nillable=False, defaulted=True),
    picklist("Priority", *TASK_PRIORITIES, default="Normal", nillable=False, defaulted=True),
    _owner(*OWNERS),
    text("Description", 32000, "textarea"),
    picklist("Type", "Call", "Email", "Other"),
    moment("ReminderDateTime"),
    flag("IsReminderSet", label="Reminder Set"),
    *fixed(
        flag("IsHighPriority", label="High Priority"),
        flag("IsClosed", label="Closed"),
        link("AccountId", ["Account"]),
        moment("CompletedDateTime"),
        flag("IsArchived"),
    ),
))  # fmt: skip

USER = Standard("User", "005", "User", "Users", _own(
    text("Username", 80, nillable=False, unique=True, id_lookup=True),
    *_NAMES[:2],
    *_FULL_NAME,
    text("Email", 128, "email", nillable=False, id_lookup=True),
    text("Alias", 8, defaulted=True),
    flag("IsActive", default=True, label="Active"),
    picklist("UserType", "Standard", "AutomatedProcess", default="Standard", defaulted=True),
    text("TimeZoneSidKey", 40, defaulted=True),
    text("FederationIdentifier", 512),
))  # fmt: skip

GROUP = Standard("Group", "00G", "Group", "Group", _own(
    text("Name", 40, nillable=False),
    text("DeveloperName", 80, defaulted=True),
    picklist("Type", "Queue", "Regular", default="Regular", defaulted=True, nillable=False),
    text("Email", 255, "email"),
    flag("DoesSendEmailToMembers"),
))  # fmt: skip

QUEUE_SOBJECT = Standard("QueueSobject", "03g", "Queue Sobject", "Queue Sobject", _own(
    link("QueueId", ["Group"], nillable=False),
    text("SobjectType", 40, nillable=False),
))  # fmt: skip

ORGANIZATION = Standard("Organization", "00D", "Organization", "Organizations", _own(
    *fixed(
        text("Name", 80, nillable=False),
        text("OrganizationType", 40),
        text("InstanceName", 5),
        text("NamespacePrefix", 15),
        text("TimeZoneSidKey", 40),
        text("DefaultLocaleSidKey", 40),
        text("LanguageLocaleKey", 40),
        flag("IsSandbox"),
    ),
))  # fmt: skip

USER_PERMISSIONS = (
    "ApiEnabled", "ViewSetup", "CustomizeApplication", "ManageProfilesPermissionsets",
    "AssignPermissionSets", "ViewAllData", "ModifyAllData", "ManageUsers", "AuthorApex",
    "BulkApiHardDelete", "DataExport",
)  # fmt: skip
"""Rights of a permission set: fields ``Permissions...`` (documented; a choice of some 200)."""

PERMISSION_SET = Standard("PermissionSet", "0PS", "Permission Set", "Permission Sets", _own(
    text("Name", 80, nillable=False, unique=True),
    text("Label", 80, nillable=False),
    text("Description", 255),
    flag("IsOwnedByProfile"),
    *(flag(f"Permissions{name}", label=spaced(name)) for name in USER_PERMISSIONS),
))  # fmt: skip

FIELD_PERMISSIONS = Standard(
    "FieldPermissions", "01k", "Field Permissions", "Field Permissions", _own(
    link("ParentId", ["PermissionSet"], nillable=False),
    text("SobjectType", 40, nillable=False),
    text("Field", 255, nillable=False),
    flag("PermissionsRead"),
    flag("PermissionsEdit"),
))  # fmt: skip

PERMISSION_SET_ASSIGNMENT = Standard(
    "PermissionSetAssignment", "0Pa", "Permission Set Assignment", "Permission Set Assignments",
    _own(
    link("PermissionSetId", ["PermissionSet"], nillable=False),
    link("AssigneeId", ["User"], nillable=False),
))  # fmt: skip

RECORD_TYPE = Standard("RecordType", "012", "Record Type", "Record Types", _own(*fixed(
    text("Name", 80),
    text("DeveloperName", 80),
    text("SobjectType", 40),
    flag("IsActive"),
    flag("IsPersonType"),
)))  # fmt: skip


def _statuses(name: str, prefix: str, *more: Field) -> Standard:
    common = (text("MasterLabel"), text("ApiName"), flag("IsDefault"), number("SortOrder", "int"))
    return Standard(name, prefix, name, name, _own(*fixed(*common, *more)))


CUSTOM_FIELD = Standard("CustomField", "00N", "Custom Field", "Custom Fields", _own(*fixed(
    text("DeveloperName", 40),
    text("TableEnumOrId", 40),
    text("NamespacePrefix", 15),
)))  # fmt: skip
"""Of the Tooling API only."""

STANDARDS: Sequence[Standard] = (
    CONTACT, LEAD, ACCOUNT, TASK, USER, GROUP, QUEUE_SOBJECT, ORGANIZATION, PERMISSION_SET,
    FIELD_PERMISSIONS, PERMISSION_SET_ASSIGNMENT, RECORD_TYPE,
    _statuses("TaskStatus", "01o", flag("IsClosed")),
    _statuses("TaskPriority", "01q", flag("IsHighPriority")),
    _statuses("LeadStatus", "01p", flag("IsConverted")),
)  # fmt: skip

READ_ONLY = frozenset(("Organization", "RecordType", "TaskStatus", "TaskPriority", "LeadStatus"))
"""Objects nobody creates or deletes rows of."""
