"""`doctor`: every connection, right and owner, looked at in order; one line each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from brokersync import bootstrap
from brokersync.bootstrap import Configuration
from brokersync.output import Output
from connectors.base import Reread
from connectors.clock import Clock
from mapping.errors import BrokersyncError
from mapping.ruleset import RuleSet
from state.store import Store
from sync import check
from sync.check import Finding, Level
from sync.hub import Hub

_LITTLE_BYTES, _TOO_LITTLE_BYTES = 2 * 1024**3, 200 * 1024**2
_SHOWN = {Level.OK: "ok", Level.WARNING: "WARNING", Level.PROBLEM: "PROBLEM"}


def doctor(out: Output, path: Path, clock: Clock) -> Level:
    """Look at everything and print as it goes; the worst that was found."""
    found: list[Finding] = []
    for finding in findings(path, clock):
        found.append(finding)
        _print(out, finding)
    counts = {level: sum(f.level is level for f in found) for level in Level}
    if out.as_json:
        lines = [{**asdict(f), "level": f.level.value} for f in found]
        summed = {f"{level.value}s": n for level, n in counts.items() if level is not Level.OK}
        out.object({"checks": lines, **summed})
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    if problems or warnings:
        out.line(f"\n{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}.")
    else:
        out.line("\nAll is well.")
    return Level.PROBLEM if problems else Level.WARNING if warnings else Level.OK


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _print(out: Output, finding: Finding) -> None:
    todo = f" -> {finding.todo}" if finding.todo else ""
    what = f"{finding.where}: {finding.what}" if finding.what else finding.where
    out.line(f"{_SHOWN[finding.level]:8} {what}: {finding.text}{todo}")


def findings(path: Path, clock: Clock) -> Iterator[Finding]:
    """Everything there is to say, in order. What depends on a wrong configuration is left out."""
    try:
        found = bootstrap.configuration(path)
    except BrokersyncError as error:
        yield Finding("configuration", "", Level.PROBLEM, error.admin)
        return
    names = f"{len(found.settings.brands)} brands, {len(found.settings.connections)} connections"
    yield Finding("configuration", "", Level.OK, f"{path} is right: {names}")
    yield from _database(found)
    rules: dict[str, RuleSet] = {}
    broken: list[Finding] = []
    try:
        rules = bootstrap.rules(found)
    except BrokersyncError as error:
        broken.append(Finding("rules", "", Level.PROBLEM, error.admin))
    known: list[Reread] = []
    for name in bootstrap.source_names(found):
        for one in _source(found, name, clock, known):
            if isinstance(one, Reread):
                known.append(one)
            else:
                yield one
    for name in found.settings.destinations:
        yield from _destination(found, name, clock, rules)
    yield from broken or [_rules(found, rules)]


def _rules(found: Configuration, rules: dict[str, RuleSet]) -> Finding:
    off = sorted(
        {f"{name} (no {family})" for r in rules.values() for name, family in r.off.items()}
    )
    text = f"{bootstrap.rules_file(found).name}: no mistake"
    return Finding("rules", "", Level.OK, f"{text}; off: {', '.join(off)}" if off else text)


def _database(found: Configuration) -> Iterator[Finding]:
    look = check.Look("database")
    made: list[Store] = []

    def usable() -> Iterator[Finding]:
        store = bootstrap.store(found)
        made.append(store)
        store.prove_writable()
        kind = "PostgreSQL" if store.postgres else "SQLite"
        yield look.finding("access", Level.OK, f"{kind}, can be read and written")

    yield from look.at("access", usable)
    for store in made:
        if store.file is not None:
            yield _disk(look, store.file)
        store.close()


def _disk(look: check.Look, file: Path) -> Finding:
    free = shutil.disk_usage(file.parent).free
    text = f"{free / 1024**3:.1f} GB free beside {file.name}"
    todo = "make room: a full disk stops every sync (and loses nothing)"
    if free < _TOO_LITTLE_BYTES:
        return look.finding("disk", Level.PROBLEM, text, todo)
    if free < _LITTLE_BYTES:
        return look.finding("disk", Level.WARNING, text, todo)
    return look.finding("disk", Level.OK, text)


def _source(
    found: Configuration, name: str, clock: Clock, known: list[Reread]
) -> Iterator[Finding | Reread]:  # fmt: skip
    try:
        source = bootstrap.source(found, name, clock)
    except BrokersyncError as error:
        yield Finding(f"source {name}", "settings", Level.PROBLEM, error.admin)
        return
    try:
        yield from check.source(source, known)
    finally:
        source.close()


def _destination(
    found: Configuration, name: str, clock: Clock, rules: dict[str, RuleSet]
) -> Iterator[Finding]:  # fmt: skip
    try:
        crm = bootstrap.destination(found, name, clock)
    except BrokersyncError as error:
        yield Finding(f"destination {name}", "settings", Level.PROBLEM, error.admin)
        return
    store = Store("sqlite://")  # nobody asks it: what is looked at is the CRM
    hub = Hub(
        store=store, clock=clock, brands=bootstrap.policies(found), sources=[], destinations={},
        rules=rules, rates={}, prefix=found.settings.property_prefix,
    )  # fmt: skip
    try:
        yield from check.destination(hub, name, crm)
    finally:
        crm.close()
        store.close()
