"""`rules check`: the rule set as an admin wrote it, with every mistake at its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brokersync import bootstrap
from brokersync.output import Output
from mapping.fields import MOST_FIELDS, TOO_MANY
from mapping.rules import lint
from mapping.ruleset import RuleSet


def check(out: Output, config: Path, file: Path | None) -> None:
    """Check the configured rule set, or ``file`` in its place.

    Raises:
        ConfigError: every problem, with file and line.
    """
    found = bootstrap.configuration(config)
    if file is not None:
        settings = found.settings.model_copy(update={"rules": file.resolve()})
        found = replace(found, settings=settings)
    checked = bootstrap.rules(found)
    warnings = {brand: _warnings(rules) for brand, rules in checked.items()}
    if out.as_json:
        out.object(
            {
                brand: {
                    "stages": [s.id for s in rules.stages],
                    "states": [s.id for s in rules.states],
                    "fields": [f.property for f in rules.mapped],
                    "off": dict(rules.off),
                    "warnings": warnings[brand],
                }
                for brand, rules in checked.items()
            }
        )
    for brand, rules in checked.items():
        out.heading(f"Brand {brand}")
        out.line(
            f"{len(rules.stages)} stages, {len(rules.states)} states, {len(rules.mapped)} fields: "
            "no mistake found."
        )
        for name, family in rules.off.items():
            out.line(f"Off: {name} reads the {family} source, which is not connected.")
        if len(rules.mapped) > MOST_FIELDS:
            out.line(f"Note: {TOO_MANY.format(len(rules.mapped))}")
        for warning in warnings[brand]:
            out.line(f"Note: {warning}")


def _warnings(rules: RuleSet) -> list[str]:
    named = [(f"stages.{s.id}.when", s.when) for s in rules.stages]
    named += [(f"states.{s.id}.when", s.when) for s in rules.states]
    return [
        f"{path}: line {w.line}, column {w.column}: {w.message}"
        for path, expr in named
        for w in lint(expr)
    ]
