"""Notice that a source is away for good, or back: what began meanwhile is for a digest.

See docs/decisions/0019-digest-after-an-outage.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mapping.freshness import PATIENCE_MS
from mapping.outage import Outage
from state import outages, sources
from state.outages import Spell
from sync.freshness import patience
from sync.hub import Guard, Hub

_Horizons = Mapping[str, Mapping[str, int]]


def notice_outages(
    hub: Hub, guard: Guard, now: int, horizons: _Horizons, known: Sequence[Spell]
) -> dict[str, list[Outage]]:
    """The outages of each brand whose digests are not made yet; what is new at ``now`` is kept.

    Args:
        horizons: brand -> family -> ms up to which it is complete.
        known: what was kept.
    """
    # Nearly always everything is current: nobody's schedule need be looked at.
    if not known and not any(_quiet(own, now) for own in horizons.values()):
        return {}
    with hub.store.reading() as connection:
        heard = sources.heard(connection, [s.name for s in hub.sources])
    limits = {brand: patience(hub, brand, now) for brand in {*horizons, *(s.brand for s in known)}}
    lasting = [s for s in known if s.ended_at is None]
    ended = [
        s for s in lasting if now - heard.get(s.brand, {}).get(s.family, now)
        <= limits[s.brand].get(s.family, PATIENCE_MS)
    ]  # fmt: skip
    away = {(s.brand, s.family) for s in lasting}
    begun = [
        Spell(brand, family, now, until, None)
        for brand, own in horizons.items()
        for family, until in own.items()
        if until and (brand, family) not in away
        and now - max(until, heard[brand][family]) > limits[brand].get(family, PATIENCE_MS)
    ]  # fmt: skip
    if begun or ended:
        with hub.store.transaction("project.outage") as writing:
            guard(writing)
            outages.begin(writing, begun)
            outages.end(writing, ended, now)
    over = {(s.brand, s.family, s.noticed_at) for s in ended}
    return _by_brand([*known, *begun], over, limits, now)


def _quiet(own: Mapping[str, int], now: int) -> bool:
    return any(until and now - until > PATIENCE_MS for until in own.values())


def _by_brand(
    spells: Sequence[Spell], over: set[tuple[str, str, int]],
    limits: Mapping[str, Mapping[str, int]], now: int,
) -> dict[str, list[Outage]]:  # fmt: skip
    found: dict[str, list[Outage]] = {}
    for s in spells:
        ended = now if (s.brand, s.family, s.noticed_at) in over else s.ended_at
        fresh = (now if ended is None else ended) - limits[s.brand].get(s.family, PATIENCE_MS)
        outage = Outage(frozenset({s.family}), s.from_at, fresh, ended)
        found.setdefault(s.brand, []).append(outage)
    return found
