"""What an administrator has set up, and what a test orders, that refuses single records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.salesforce.problems import SalesforceError

Check = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""(the row as it would be, the row as it was; {} for a new one) -> it is refused"""


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A rule of the organisation's own; its text is free (recorded).

    Args:
        refuses: says whether a row is refused.
        field: the field the error is shown at.
        code: another code, for a trigger: CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY, say.
    """

    sobject: str
    refuses: Check
    message: str
    field: str = ""
    code: str = "FIELD_CUSTOM_VALIDATION_EXCEPTION"

    def error(self) -> SalesforceError:
        """The refusal."""
        return SalesforceError(self.code, self.message, [self.field] if self.field else [])


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Records that have the same values in all of ``fields`` are duplicates.

    Args:
        block: nothing gets past it; else ``allowSave`` does (documented header; that a blocking
            rule still refuses is assumed).
        against: objects it compares with (recorded: a rule of Contact can match a Lead).
        on_update: looks at updates, too.
        message: the administrator's words.
    """

    sobject: str
    fields: tuple[str, ...] = ("Email",)
    block: bool = False
    against: tuple[str, ...] = ()
    on_update: bool = True
    name: str = ""
    message: str = (
        "You're creating a duplicate record. We recommend you use an existing record instead."
    )

    @property
    def label(self) -> str:
        """Its API name."""
        return self.name or f"Standard_{self.sobject}_Duplicate_Rule"

    @property
    def targets(self) -> tuple[str, ...]:
        """The objects it compares with."""
        return self.against or (self.sobject,)


@dataclass(slots=True)
class RowFault:
    """The next ``times`` records written (of ``sobject``) fail so."""

    code: str
    message: str
    times: int = 1
    sobject: str = ""
    fields: tuple[str, ...] = ()


class Rules:
    """All that may refuse a record beside its own values."""

    def __init__(self) -> None:
        self.validations: list[ValidationRule] = []
        self.duplicates: list[DuplicateRule] = []
        self.faults: list[RowFault] = []
        self.storage_full = False
        self.unseen: set[str] = set()  # ids of records the user may not refer to

    def strike(self, sobject: str) -> None:
        """Let an ordered fault hit a record.

        Raises:
            SalesforceError: the fault.
        """
        for fault in self.faults:
            if fault.times and fault.sobject in ("", sobject):
                fault.times -= 1
                raise SalesforceError(fault.code, fault.message, fault.fields)

    def validate(self, sobject: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        """Ask the validation rules.

        Raises:
            SalesforceError: one refuses.
        """
        for rule in self.validations:
            if rule.sobject == sobject and rule.refuses(new, old):
                raise rule.error()
