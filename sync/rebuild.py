"""Facts of everybody, range by range, ahead of the steps that judge by them.

A server works on several ranges at once, each on a connection of its own. SQLite has one writer:
there each step works out the facts it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from state import facts_sql, statistics, sweep
from state.fact_calendar import Figures
from sync.hub import Guard, Hub

RANGE = 5000
_AT_ONCE = 2
_LEAST = 10_000  # fewer are as quickly worked out in the steps


def rebuild(
    hub: Hub, guard: Guard, psp: Mapping[str, int], figures: Mapping[str, Figures]
) -> frozenset[str]:
    """Work out the facts of all who are left of the brands that are swept.

    Whoever has news meanwhile is touched, as ever, and is worked out again. If the hub stops on the
    way nothing is lost: what was worked out will be worked out again.

    Args:
        guard: called with each transaction's connection, from several threads.
        psp: brand -> ms up to which its payments are complete; other brands wait.
        figures: what of each brand's policy facts depend on.

    Returns:
        The brands of which all facts are as of these horizons, but for whoever is touched.
    """
    if not hub.store.several_writers:
        return frozenset()
    with hub.store.reading() as connection:
        places = sweep.begun(connection, sorted(psp))
        if not places or sweep.left(connection) < _LEAST:
            return frozenset()
        ranges = {b: list(sweep.ranges(connection, b, a, RANGE)) for b, a in places.items()}
    with hub.store.transaction("project.statistics") as connection:
        guard(connection)
        statistics.refresh(connection)

    def work(brand: str, first: str, last: str) -> int:
        with hub.store.beside("project.facts") as connection:
            guard(connection)
            return facts_sql.compute_range(
                connection, brand, first, last, psp[brand], figures[brand]
            )

    done = 0
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="facts") as pool:
        steps: list[Future[int]] = [
            pool.submit(work, brand, first, last)
            for brand, some in ranges.items()
            for first, last in some
        ]
        try:
            for step in steps:
                done += step.result()
                hub.progress("project", "facts", done, None)
        finally:
            pool.shutdown(cancel_futures=True)
    return frozenset(ranges)
