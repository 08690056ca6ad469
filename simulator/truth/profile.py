"""Stage, states and fields of a client at an instant (domain §§2-4, decisions 0002 and 0015)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.story import Client, World
from simulator.truth.facts import DAY, HOUR, MINUTE, known
from simulator.truth.fields import fields
from simulator.truth.sources import SOURCES, checked
from simulator.truth.tickets import load_begun, load_ends
from simulator.truth.view import View


@dataclass(slots=True)
class Profile:
    """What the hub must have worked out; instants in ms, field values canonical text.

    ``undated`` names what began with a risk flag ("stage" for ``since``, "CS14"): no source says
    when a flag was raised, so who polls knows it as the first poll at or after the true instant.
    ``counts_from``: state -> the instant from which its task's due time counts, where that is not
    its begin.
    ``until`` is the next instant at which time alone could change the profile (a superset of
    the true ones), so that a ledger need not look at every client at every sync.
    """

    stage: str
    since: int
    states: dict[str, int]
    fields: dict[str, str]
    person: dict[str, str] = field(default_factory=dict)
    undated: frozenset[str] = frozenset()
    counts_from: dict[str, int] = field(default_factory=dict)
    until: int | None = None


def profile(
    world: World, client: Client, at_ms: int, sources: frozenset[str] = SOURCES
) -> Profile | None:
    """The client's profile; None before it is known and once it is merged into another.

    Args:
        sources: the families that are connected.
    """
    facts = known(world, client, at_ms, checked(sources))
    if facts is None or facts.merged_into is not None:
        return None
    view = View(world, world.brands[client.brand], facts, at_ms)
    stage, since = _stage(view)
    states = {} if stage == "LS0" else dict(_states(view))
    values = fields(view, client, sources)
    values["lifecycle_stage"] = stage
    values["lifecycle_stage_since"] = str(since)
    values["client_states"] = ";".join(sorted(states, key=lambda s: int(s[2:])))
    names = ("email", "first_name", "last_name", "phone")
    person = {name: facts.row.get(name) or "" for name in names}
    flagged = {"stage"} if stage == "LS12" else set()
    undated = (flagged | {"CS14"} & states.keys()) if view.flagged_first else set()
    counts_from = {"CS6": view.funded_at} if "CS6" in states and view.funded_at else {}
    return Profile(
        stage, since, states, values, person, frozenset(undated), counts_from, _until(view)
    )


def _stage(view: View) -> tuple[str, int]:
    """The first that fits, in the order of 0015."""
    facts, kyc, first = view.facts, view.facts.kyc, view.first_withdrawal
    excluded = [] if facts.closed_at is None else [facts.closed_at]
    if kyc.status == "rejected_final":
        excluded.append(kyc.status_at)
    if excluded:
        return "LS0", min(excluded)
    if view.risk_since is not None:
        return "LS12", view.risk_since
    if first and (first.settled is None or not view.passed(first.settled + 7 * DAY)):
        return "LS8", first.opened
    traded = _stage_by_trades(view)
    if traded:
        return traded
    if len(view.counted) >= 2:
        return "LS9", view.counted[1].status_at
    if view.funded_at is not None:
        return "LS5", view.funded_at
    if view.last_failed_at is not None:
        return "LS4", view.last_failed_at
    if kyc.status == "approved":
        return "LS3", kyc.status_at
    if kyc.status != "not_started":
        return "LS2", kyc.step_at
    return "LS1", facts.registered


def _stage_by_trades(view: View) -> tuple[str, int] | None:
    if view.high_value_since is not None:
        return "LS11", view.high_value_since
    if view.funded_at is not None and view.active is False:
        return "LS10", view.last_activity + 30 * DAY
    if view.not_back_at is not None and view.passed(view.not_back_at):
        return "LS7", view.not_back_at
    if view.untraded_since is not None and view.passed(view.untraded_since[1]):
        return "LS6", view.untraded_since[1]
    return None


def _states(view: View) -> Iterator[tuple[str, int]]:
    yield from _states_of_kyc(view)
    yield from _states_of_payments(view)
    yield from _states_of_trades(view)
    touched, tickets = view.facts.affiliation, view.facts.tickets
    if touched is not None:
        if touched.disputed:
            yield "CS13", min(touched.disputed)
        elif touched.at is not None and _under_review(view, touched.affiliate):
            yield "CS13", touched.at
    if tickets is not None:
        begun = load_begun([t.opened for t in tickets], view.at)
        if begun is not None:
            yield "CS16", begun


def _under_review(view: View, affiliate: str) -> bool:
    partners = view.world.partners.get(view.brand.id, ())
    return any(p.id == affiliate and p.status == "review" for p in partners)


def _states_of_kyc(view: View) -> Iterator[tuple[str, int]]:
    kyc = view.facts.kyc
    if view.funded_at is None and kyc.status == "not_started":
        begun = [instant for instant in view.cs1_instants if view.passed(instant)]
        if begun:
            yield "CS1", min(begun)
    if kyc.status == "started" and view.passed(kyc.step_at + DAY):
        yield "CS2", kyc.step_at + DAY
    if kyc.status == "rejected_retry":
        yield "CS3", kyc.status_at
    if kyc.status == "approved" and not view.deposits and view.passed(kyc.status_at + 4 * HOUR):
        yield "CS4", kyc.status_at + 4 * HOUR


def _states_of_payments(view: View) -> Iterator[tuple[str, int]]:
    first = view.first_withdrawal
    if view.last_failed_at is not None and not view.passed(view.last_failed_at + 14 * DAY):
        yield "CS5", view.last_failed_at
    if first and first.settled is None:
        yield "CS8", first.opened
    paid = max((p.status_at for p in view.paid), default=None)
    again = paid is not None and any(p.status_at > paid for p in view.counted)
    if paid is not None and not again and view.passed(paid + 7 * DAY):
        yield "CS9", paid + 7 * DAY
    if view.risk_since is not None:
        yield "CS14", view.risk_since
    alone = view.uncredited_since
    if alone is not None and view.passed(alone + 15 * MINUTE):
        yield "CS15", alone + 15 * MINUTE


def _states_of_trades(view: View) -> Iterator[tuple[str, int]]:
    if view.untraded_since is not None and view.passed(view.untraded_since[0]):
        yield "CS6", view.untraded_since[0]
    if view.not_back_at is not None and view.passed(view.not_back_at):
        yield "CS7", view.not_back_at
    if view.high_value_since is not None:
        yield "CS10", view.high_value_since
    if view.active is False:
        yield "CS11", view.last_activity + 30 * DAY
    if view.bonus_heavy_since is not None:
        yield "CS12", view.bonus_heavy_since


def _until(view: View) -> int | None:
    """The next of all instants at which some rule above looks at the clock."""
    kyc, trading = view.facts.kyc, view.facts.trading
    instants = [*view.cs1_instants, kyc.step_at + DAY, kyc.status_at + 4 * HOUR]
    instants += [p.opened + 30 * MINUTE for p in view.deposits]
    instants += [p.status_at + 7 * DAY for p in view.withdrawals]
    if view.last_failed_at is not None:
        instants.append(view.last_failed_at + 14 * DAY)
    if trading is not None:
        instants += [view.last_activity + 30 * DAY, *view.windows(), *(view.untraded_since or ())]
        instants += [i for i in (view.not_back_at, trading.closes_at) if i is not None]
    if view.uncredited_since is not None:
        instants.append(view.uncredited_since + 15 * MINUTE)
    ends = load_ends([t.opened for t in view.facts.tickets or ()])
    if ends is not None:
        instants.append(ends)
    return min((i for i in instants if i > view.at), default=None)
