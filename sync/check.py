"""Does a connection do what a sync will ask of it? Looked at, and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connectors.base import ListSource, Reread, RereadSource, Source
from connectors.destination import CrmObject, Destination, Owner
from mapping.errors import BrokersyncError, RetryableError
from mapping.payloads import Profile
from mapping.policy import BrandPolicy, Team
from mapping.records import Record
from sync.crm_schema import KEY, TASK_KEY, SchemaPlan, plan_schema
from sync.hub import Hub
from sync.partners import wanted

SKEW_WARNING_S, SKEW_PROBLEM_S = 10, 60
"""Sumsub refuses requests signed 60 s off; a few seconds are the way and the header's roundness."""
_SAMPLES = 3
_QUOTA_LOW = 0.1


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. Neither text holds a secret or personal data.

    Args:
        where: what was looked at: ``database``, ``source clients``, ``destination hubspot``.
        what: the aspect: ``access``, ``owners``.
        todo: what an admin should do, unless the text says it.
    """

    where: str
    what: str
    level: Level
    text: str
    todo: str = ""


Action = Callable[[], Iterator[Finding]]


class Look:
    """Looks at one thing, aspect by aspect; one that fails stops none of the others.

    What is away, or fails in the same words as before, is not asked again and again.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._away = ""
        self._said: set[str] = set()

    def finding(self, what: str, level: Level, text: str, todo: str = "") -> Finding:
        """A finding about this thing."""
        return Finding(self.where, what, level, text, todo)

    def at(self, what: str, action: Action) -> Iterator[Finding]:
        """The findings of one aspect."""
        if self._away:
            yield self.finding(what, Level.WARNING, f"not checked, see {self._away}")
            return
        try:
            yield from action()
        except BrokersyncError as error:
            if isinstance(error, RetryableError):
                self._away = what
            if error.admin in self._said:
                yield self.finding(what, Level.WARNING, "not checked, for the same reason")
                return
            self._said.add(error.admin)
            yield self.finding(what, Level.PROBLEM, error.admin)


def skew(look: Look, seconds: float | None) -> Iterator[Finding]:
    """Whether our clock and theirs agree."""
    if seconds is None:
        return
    off = f"this machine's clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
    todo = "set the clock (NTP)"
    if abs(seconds) >= SKEW_PROBLEM_S:
        yield look.finding("clock", Level.PROBLEM, off, todo)
    elif abs(seconds) >= SKEW_WARNING_S:
        yield look.finding("clock", Level.WARNING, off, todo)
    else:
        yield look.finding("clock", Level.OK, "agrees")


# --- sources ------------------------------------------------------------------------------------


def source(one: Source[Any], known: Sequence[Reread]) -> Iterator[Finding | Reread]:
    """Access, a first page, and the clock of a source.

    Args:
        known: clients by whom a source without a list can be asked.

    Yields:
        Also the first clients of a client registry, for the sources that come after it.
    """
    look = Look(f"source {one.name}")
    yield from look.at("access", lambda: _access(look, one.check))
    found: list[Record] = []
    yield from look.at("first page", lambda: _page(look, one, known, found))
    for brand in one.context.brands:
        clients = [r for r in found if r.brand == brand and isinstance(r.payload, Profile)]
        for record in clients[:_SAMPLES]:
            assert isinstance(record.payload, Profile)  # noqa: S101 - says to mypy what they are
            yield Reread(record.external_id, brand, record.payload.registered_at)
    yield from skew(look, one.clock_skew_s)


def _access(look: Look, check: Callable[[], None]) -> Iterator[Finding]:
    check()
    yield look.finding("access", Level.OK, "address, credentials and rights are good")


def _page(
    look: Look, one: Source[Any], known: Sequence[Reread], found: list[Record]
) -> Iterator[Finding]:  # fmt: skip
    if isinstance(one, ListSource):
        pages = one.pull(None)
        try:
            page = next(pages)
        finally:
            getattr(pages, "close", int)()
    elif isinstance(one, RereadSource):
        mine = [k for k in known if k.brand in one.context.brands][: one.batch]
        if not mine:
            text = "nothing was read: no client is known yet to ask about"
            yield look.finding("first page", Level.OK, text)
            return
        page = one.reread(mine)
    else:
        return
    found += page.records
    text = f"{len(page.records)} records read"
    if not page.rejects:
        yield look.finding("first page", Level.OK, text)
        return
    text += f", {len(page.rejects)} would be set aside, the first because: {page.rejects[0].reason}"
    todo = "mend them there, or the connection's settings; `brokersync rejects` lists all"
    yield look.finding("first page", Level.WARNING, text, todo)


# --- destinations -------------------------------------------------------------------------------


def destination(hub: Hub, name: str, crm: Destination) -> Iterator[Finding]:
    """Access, scopes, properties, keys, owners, quota and the clock of a CRM.

    Args:
        hub: its brands, and its rules where they are right (else properties are not looked at).
    """
    look = Look(f"destination {name}")
    lacking: list[str] = []
    yield from look.at("access", lambda: _access(look, crm.check))
    yield from look.at("scopes", lambda: _scopes(look, crm, lacking))
    if hub.rules:
        yield from look.at("properties", lambda: _properties(look, hub, name, crm, lacking))
    else:
        yield look.finding("properties", Level.WARNING, "not checked, see rules")
    yield from look.at("owners", lambda: _owners(look, hub, name, crm))
    yield from _quota(look, crm)
    yield from skew(look, crm.counts.clock_skew_s)


def _scopes(look: Look, crm: Destination, lacking: list[str]) -> Iterator[Finding]:
    """The token's scopes; ``lacking`` takes those that only `crm install` would need."""
    scopes = crm.scopes()
    if scopes is None:
        text = "the CRM does not tell the token's scopes: whether it may too much is not known"
        yield look.finding("scopes", Level.OK, text)
        return
    if scopes.missing:
        text = f"missing: {', '.join(scopes.missing)}"
        yield look.finding("scopes", Level.PROBLEM, text, "give them to the token or its user")
    lacking += scopes.to_install
    if scopes.excess:
        text = f"more than is needed: {', '.join(scopes.excess)}"
        yield look.finding("scopes", Level.WARNING, text, "take them from the token or its user")
    if not (scopes.missing or scopes.excess):
        yield look.finding("scopes", Level.OK, "all that is needed, nothing more")


def _properties(
    look: Look, hub: Hub, name: str, crm: Destination, lacking: Sequence[str]
) -> Iterator[Finding]:  # fmt: skip
    plan = plan_schema(hub, name, crm)
    companies = plan.clash.pop(CrmObject.COMPANY, [])  # they stop nothing else
    for clash in plan.clashes:
        yield look.finding("properties", Level.PROBLEM, clash)
    create = {p.name for some in plan.create.values() for p in some}
    options = sum(len(some) for some in plan.options.values())
    if create or options:
        text = f"{plan.present} are there, {len(create)} are missing, {options} lack options"
        todo = "`brokersync crm plan` shows them, `brokersync crm install` creates them"
        yield look.finding("properties", Level.WARNING, text, todo)
        if lacking:
            text = f"missing for `brokersync crm install`: {', '.join(lacking)}"
            todo = "give it to the token or its user until the properties are there"
            yield look.finding("properties", Level.WARNING, text, todo)
    elif not plan.clashes:
        yield look.finding("properties", Level.OK, f"all {plan.present} are there")
    if KEY.name not in create and crm.keyed(CrmObject.CONTACT):
        yield look.finding("contact key", Level.OK, f"{KEY.name} has unique values")
    if TASK_KEY.name not in create:
        yield look.finding("task key", Level.OK, _task_key(crm))
    if wanted(hub, name):
        yield from _companies(look, plan, crm, companies)


def _companies(
    look: Look, plan: SchemaPlan, crm: Destination, clashes: Sequence[str]
) -> Iterator[Finding]:  # fmt: skip
    """Whether partners become companies, beside properties that are only to be installed."""
    scopes = crm.scopes()
    lacking = scopes.companies if scopes else ()
    todo = f"give the token or its user: {', '.join(lacking)}" if lacking else ""
    if why := plan.off or "; ".join(clashes):
        yield look.finding("companies", Level.WARNING, f"off: {why}", todo)
    elif not plan.missing(CrmObject.COMPANY):
        yield look.finding("companies", Level.OK, "partners are told to the CRM as companies")
    elif lacking:
        yield look.finding("companies", Level.WARNING, "off: their properties are missing", todo)


def _task_key(crm: Destination) -> str:
    if crm.keyed(CrmObject.TASK):
        return f"{TASK_KEY.name} has unique values"
    return f"{TASK_KEY.name} takes no unique values here: tasks are made once, then looked up"


def _owners(look: Look, hub: Hub, name: str, crm: Destination) -> Iterator[Finding]:
    there = {owner.crm_id: owner for owner in crm.owners()}
    brands = {n: b for n, b in hub.brands.items() if b.destination == name}
    teams = {t.name: t for b in brands.values() for t in b.teams.values()}
    wrong = [finding for t in teams.values() for finding in _team(look, t, there)]
    wrong += [look.finding("owners", Level.WARNING, *w) for w in _unowned(hub, brands)]
    yield from wrong
    if not wrong:
        count = sum(len(t.members) + bool(t.queue) for t in teams.values())
        text = f"{count} owners of {len(teams)} teams are there and active"
        yield look.finding("owners", Level.OK, text)


def _team(look: Look, team: Team, there: dict[str, Owner]) -> Iterator[Finding]:
    todo = f"change teams.{team.name}.owners in the configuration, or the CRM"
    for crm_id, kind in [*((m, "PERSON") for m in team.members), (team.queue, "QUEUE")]:
        if not crm_id:
            continue
        owner, who = there.get(crm_id), f"owner {crm_id} of team {team.name}"
        if owner is None:
            yield look.finding("owners", Level.PROBLEM, f"{who} is not in the CRM", todo)
        elif not owner.active:
            yield look.finding("owners", Level.PROBLEM, f"{who} is deactivated", todo)
        elif owner.kind != kind:
            is_ = f"is a {owner.kind.lower()}, and stands as a {kind.lower()}"
            yield look.finding("owners", Level.WARNING, f"{who} {is_}", todo)


def _unowned(hub: Hub, brands: dict[str, BrandPolicy]) -> Iterator[tuple[str, str]]:
    """Teams that are to have tasks and have nobody: (what, what to do)."""
    lacking: dict[str, list[str]] = {}
    for name, brand in brands.items():
        for state in hub.rules[name].states if name in hub.rules else ():
            team = brand.teams.get(state.owner)
            if brand.mode(state.id) != "tasks" or (team and (team.queue or team.members)):
                continue
            playbooks = lacking.setdefault(state.owner, [])
            if state.id not in playbooks:
                playbooks.append(state.id)
    for team_name, ids in lacking.items():
        text = f"team {team_name} has no owner: tasks of {', '.join(ids)} are refused"
        yield text, f"name its queue or members under teams.{team_name}.owners"


def _quota(look: Look, crm: Destination) -> Iterator[Finding]:
    most, left = crm.counts.daily_limit, crm.counts.daily_remaining
    if not most or left is None:
        return
    text = f"{left:,} of {most:,} calls are left today"
    if left == 0:
        yield look.finding("quota", Level.PROBLEM, text, "wait for the CRM's midnight")
    elif left < most * _QUOTA_LOW:
        todo = "see which other programs use it; a sync may stop before it is done"
        yield look.finding("quota", Level.WARNING, text, todo)
    else:
        yield look.finding("quota", Level.OK, text)
