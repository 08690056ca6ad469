"""Write the tables of the docs from the code: settings, facts, CRM fields, commands, connectors.

``python -m docs.generate`` replaces what stands between ``<!-- begin: NAME -->`` and
``<!-- end: NAME -->``; tests/test_docs.py fails where page and code differ.
"""

from __future__ import annotations

import importlib
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from brokersync import bootstrap
from brokersync.cli import app
from config import settings, yaml_file
from mapping.facts import CATALOGUE

PAGES = Path(__file__).parent
_MARKED = re.compile(r"(<!-- begin: ([a-z0-9_.]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
_TYPES = {
    SecretStr: "secret", str: "text", int: "whole number", float: "number", Decimal: "number",
    bool: "yes or no", datetime: "instant", time: "time of day", Path: "path",
}  # fmt: skip
_NAMED = [
    (settings.Instant, "instant"), (settings.Name, "name"), (settings.Currency, "currency"),
    (settings.Rate, "number"), (settings.Span, "time span"),
    (settings.Hours, "`24/7` or settings"), (dict[str, Any], "settings"),
]  # fmt: skip
_FAMILIES = {
    "registry": "registry", "kyc": "verification", "psp": "payments", "trading": "trading",
    "ledger": "bookings", "affiliate": "affiliates", "helpdesk": "helpdesk",
}  # fmt: skip


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(_cell(c) for c in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def of_settings(model: type[BaseModel]) -> str:
    """One row a setting."""
    rows = [
        (f"`{name}`", shown_type(field.annotation), _default(field), _help(field))
        for name, field in model.model_fields.items()
    ]
    return table(("setting", "type", "default", "meaning"), rows)


def shown_type(annotation: Any) -> str:
    """A type in words."""
    for named, words in _NAMED:
        if annotation == named:
            return words
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return shown_type(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(shown_type(a) for a in arguments if a is not type(None))
    if origin in (list, tuple):
        return f"list of {shown_type(arguments[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"{shown_type(arguments[0])} -> {shown_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(f"`{m.value}`" for m in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "settings"
    return _TYPES.get(annotation, "any")


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "**required**"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or isinstance(value, BaseModel) or (not value and value not in (0, False)):
        return ""
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    if isinstance(value, time):
        return f"`{value:%H:%M}`"
    if isinstance(value, dict):
        return ", ".join(f"`{k}`: `{v}`" for k, v in value.items())
    if isinstance(value, tuple | list):
        return f"`{_plain(value)}`"
    return f"`{value}`"


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(_plain(v) for v in value)}]"
    return str(value)


def _help(field: FieldInfo) -> str:
    title = field.title or (_annotated(field.annotation).__doc__ or "").split("\n")[0]
    return f"{title.rstrip('.')}. {field.description}" if field.description else title


def _annotated(annotation: Any) -> Any:
    return annotation if isinstance(annotation, type) else object


def facts() -> str:
    """One row a fact."""
    rows = []
    for definition in CATALOGUE:
        fact = definition.fact
        type_ = fact.type.value
        if fact.values:
            type_ += ": " + ", ".join(f"`{v}`" for v in fact.values)
        blank = "may be blank" if fact.nullable else f"`{fact.default}`"
        if not fact.nullable and fact.default == "":
            blank = "empty"
        if fact.type.value == "bool":
            blank = "no"
        if fact.type.value == "time" and not fact.nullable:
            blank = "never missing"
        rows.append((f"`{fact.name}`", type_, _FAMILIES[fact.family], blank, fact.help))
    return table(("fact", "type", "source", "without a record", "meaning"), rows)


def fields() -> str:
    """One row a mapped CRM property."""
    prefix = settings.Settings.model_fields["property_prefix"].default
    rows = []
    for row in _rules()["fields"]:
        theirs = row.get("native") or row.get("existing")
        name = row["property"] if theirs else f"{prefix}{row['property']}"
        value = f"`{row['value']}`" if "value" in row else f"kept by the hub: `{row['from']}`"
        rows.append((f"`{name}`", row["label"], row["type"], value))
    return table(("property", "label", "type", "value"), rows)


def stages() -> str:
    """One row a shipped stage, in order."""
    rows = [(s["id"], s["label"], f"`{s['when']}`", s["team"]) for s in _rules()["stages"]]
    return table(("id", "stage", "rule", "team"), rows)


def playbooks() -> str:
    """One row a shipped state."""
    rows = [(s["id"], s["label"], s["owner"], s["due"], s["action"]) for s in _rules()["states"]]
    return table(("id", "state", "owner", "due", "next action"), rows)


def _rules() -> dict[str, Any]:
    return yaml_file.read(settings.DEFAULT_RULES).data


def connectors() -> dict[str, Any]:
    """Type -> class of every source and destination."""
    places = {**bootstrap.SOURCES, **bootstrap.DESTINATIONS}
    return {t: getattr(importlib.import_module(m), n) for t, (m, n) in places.items()}


def sources() -> str:
    """One row a connector."""
    rows = []
    for type_, class_ in connectors().items():
        manifest = class_.manifest
        kinds = ", ".join(manifest.kinds) or "written to: contacts, tasks, companies"
        link = f"[README](../{manifest.docs})"
        family = ", ".join((manifest.family, *manifest.also))
        rows.append((f"`{type_}`", manifest.title, family, kinds, link))
    return table(("type", "what", "family", "records", "more"), rows)


def commands() -> str:
    """One row a command."""
    rows = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))
        if words and not hasattr(command, "commands"):
            options = [o for p in command.params for o in p.opts if o.startswith("--")]
            shown = " ".join(f"`{o}`" for o in options if o != "--help")
            first = (command.help or "").strip().split("\n")[0]
            rows.append((f"`brokersync {' '.join(words)}`", first, shown))

    walk(typer.main.get_command(app), ())
    return table(("command", "does", "options"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "settings": lambda: of_settings(settings.Settings),
    "settings.brand": lambda: of_settings(settings.BrandSettings),
    "settings.scope": lambda: of_settings(settings.ScopeSettings),
    "settings.team": lambda: of_settings(settings.TeamSettings),
    "settings.hours": lambda: of_settings(settings.HoursSettings),
    "settings.owners": lambda: of_settings(settings.OwnersSettings),
    "settings.rates": lambda: of_settings(settings.RatesSettings),
    "settings.schedule": lambda: of_settings(settings.ScheduleSettings),
    "settings.registry": lambda: of_settings(connectors()["registry"].settings_type),
    "settings.sumsub": lambda: of_settings(connectors()["sumsub"].settings_type),
    "settings.paymentiq": lambda: of_settings(connectors()["paymentiq"].settings_type),
    "settings.mt5_sql": lambda: of_settings(connectors()["mt5_sql"].settings_type),
    "settings.cellxpert": lambda: of_settings(connectors()["cellxpert"].settings_type),
    "settings.zendesk": lambda: of_settings(connectors()["zendesk"].settings_type),
    "settings.hubspot": lambda: of_settings(connectors()["hubspot"].settings_type),
    "settings.salesforce": lambda: of_settings(connectors()["salesforce"].settings_type),
    "facts": facts,
    "fields": fields,
    "stages": stages,
    "playbooks": playbooks,
    "sources": sources,
    "commands": commands,
}


def generated(page: str) -> str:
    """The page with its tables written anew (``KeyError`` for a part that does not exist)."""
    return _MARKED.sub(lambda m: f"{m[1]}\n{PARTS[m[2]]()}\n{m[3]}", page)


def parts_of(page: str) -> list[str]:
    """Names of the generated parts of a page."""
    return [match[2] for match in _MARKED.finditer(page)]


def main() -> None:
    """Write every page that differs."""
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (written := generated(page)) != page:
            path.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
