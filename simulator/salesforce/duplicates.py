"""Duplicate rules at work, and the error they answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.salesforce.problems import SalesforceError
from simulator.salesforce.requests import Caller
from simulator.salesforce.rules import DuplicateRule
from simulator.salesforce.store import Table, Values

if TYPE_CHECKING:
    from simulator.salesforce.org import Org


def check(org: Org, caller: Caller, table: Table, new: Values, old: Values) -> None:
    """Ask the duplicate rules.

    Raises:
        SalesforceError: a duplicate that may not be saved.
    """
    for rule in org.rules.duplicates:
        if rule.sobject != table.name or (old and not rule.on_update):
            continue
        if all(new.get(name) == old.get(name) for name in rule.fields):
            continue  # assumed: only a change of the compared fields is looked at
        if caller.allow_save and not rule.block:
            continue
        matches = [
            (target, row_id)
            for target in rule.targets
            for row_id in _matches(org.table(target), rule, new)
            if row_id != old.get("Id")
        ]
        if matches:
            raise _detected(org, rule, matches)


def _matches(table: Table, rule: DuplicateRule, new: Values) -> list[str]:
    wanted = {name: str(new[name]).casefold() for name in rule.fields if new.get(name) is not None}
    if len(wanted) < len(rule.fields):
        return []  # assumed: a blank is nobody's duplicate
    keyed = next((name for name in rule.fields if name in table.keys), None)
    rows = (
        [table.rows[i] for i in table.find(table.fields[keyed.lower()], new[keyed])]
        if keyed
        else table.live()
    )
    return [
        row["Id"]
        for row in rows
        if all(str(row.get(name, "")).casefold() == value for name, value in wanted.items())
    ]


def _detected(org: Org, rule: DuplicateRule, matches: list[tuple[str, str]]) -> SalesforceError:
    """Recorded (v54): the whole body, one result for each object compared with."""
    results = [
        _result(target, [row_id for kind, row_id in matches if kind == target])
        for target in rule.targets
    ]
    details = {
        "allowSave": not rule.block,
        "duplicateRule": rule.label,
        "duplicateRuleEntityType": rule.sobject,
        "errorMessage": rule.message,
        "matchResults": [result for result in results if result["size"]],
    }
    return SalesforceError(
        "DUPLICATES_DETECTED", rule.message, extra={org.choices.duplicate_key: details}
    )


def _result(target: str, ids: list[str]) -> dict[str, Any]:
    return {
        "entityType": target,
        "errors": [],
        "matchEngine": "FuzzyMatchEngine",
        "matchRecords": [
            {
                "additionalInformation": [],
                "fieldDiffs": [],
                "matchConfidence": 100.0,
                "record": {
                    "attributes": {
                        "type": target,
                        "url": f"/services/data/v54.0/sobjects/{target}/{row_id}",
                    },
                    "Id": row_id,
                },
            }
            for row_id in ids
        ],
        "rule": f"Standard_{target}_Match_Rule_v1_1",
        "size": len(ids),
        "success": True,
    }
