"""Backlog: reasons from before go-live or an outage, admitted on request, the best first."""

from __future__ import annotations

from mapping.errors import ConfigError
from mapping.policy import Backlog, BrandPolicy
from mapping.ruleset import RuleSet
from state import episodes
from sync.hub import Guard, Hub


def check(hub: Hub, backlog: Backlog) -> None:
    """Refuse what could admit nothing.

    Raises:
        ConfigError: no such brand or playbook, or one that opens no tasks anywhere.
    """
    if backlog.brand and backlog.brand not in hub.brands:
        raise ConfigError(
            f"--brand {backlog.brand}: there is no such brand; brands: {', '.join(hub.brands)}"
        )
    brands = _brands(hub, backlog)
    if not any(_known(hub.rules[b], backlog.playbook) for b in brands):
        known = sorted({s.id for r in hub.rules.values() for s in r.states}, key=_by_number)
        raise ConfigError(
            f"--backlog {backlog.playbook}: there is no such playbook (or its source is not "
            f"connected); playbooks: {', '.join(known)}"
        )
    if not any(_opens(hub.brands[b], backlog.playbook) for b in brands):
        raise ConfigError(
            f"--backlog {backlog.playbook}: it opens no tasks yet; set the mode of "
            f"{backlog.playbook} to `tasks` for the brand first"
        )


def _brands(hub: Hub, backlog: Backlog) -> list[str]:
    return [backlog.brand] if backlog.brand else sorted(hub.brands)


def _known(rules: RuleSet, playbook: str) -> bool:
    return rules.state(playbook) is not None


def _opens(brand: BrandPolicy, playbook: str) -> bool:
    return brand.mode(playbook) == "tasks"


def _by_number(state: str) -> tuple[int, str]:
    return len(state), state


def take(hub: Hub, guard: Guard, backlog: Backlog) -> frozenset[str]:
    """Choose the old reasons of each brand and have their clients looked at again.

    Returns:
        Keys of the episodes to be admitted.
    """
    chosen: list[str] = []
    with hub.store.transaction("project.backlog") as connection:
        guard(connection)
        for brand in _brands(hub, backlog):
            chosen += episodes.old(connection, brand, backlog.playbook, backlog.most)
        episodes.touch(connection, chosen)
    return frozenset(chosen)
