"""Every call to the CRM in trouble once: the records and tasks are those of a sync without any.

The trouble begins right before the n-th call of a sync: a lost answer, an effect reported as an
error, a busy or absent CRM, a session that ended, calls used up, rows that are locked or refused.
The hub may end that sync early; an hour later everything is as it would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from simulator import hubspot, salesforce
from simulator.story import HOUR_MS
from sync.cycle import sync_once
from tests.crms import Crm
from tests.crms.hubspot import HubSpotCrm
from tests.crms.salesforce import SalesforceCrm
from tests.sync.scenes import Scene, later, small_steps

LATER_MS = HOUR_MS + 60_000  # what was set aside is tried again after an hour
HUBSPOT = {
    "lost answer": hubspot.Fault.lost_answer(),
    "cut before": hubspot.Fault(drop="before"),
    "busy": hubspot.Fault.rate_limited(),
    "away": hubspot.Fault(status=503),
    "proxy": hubspot.Fault(status=502, html=True),
}
SALESFORCE = {
    "lost answer": salesforce.Fault.lost_answer(),
    "cut before": salesforce.Fault(drop="before"),
    "half done": salesforce.Fault.half_done(),
    "away": salesforce.Fault.unavailable(),
    "proxy": salesforce.Fault(status=502, html=True),
    "session ended": salesforce.Fault.lost_session(),
    "calls used up": salesforce.Fault(status=403),
}
ROWS = {
    "one row refused": ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "The branch says no.", 1),
    "a trigger failed": ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Trigger: System.Exception", 2),
    "rows locked": ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", 3),
    "long locked": ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", 100),
    "storage full": ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", 1),
}
"""What befalls rows of a write: code, words and how many."""


def troubles(crm: Crm) -> Mapping[str, Callable[[], None]]:
    """What can befall a call to this CRM."""
    if isinstance(crm, HubSpotCrm):
        return {n: partial(crm.fake.fail_next, [fault]) for n, fault in HUBSPOT.items()}
    assert isinstance(crm, SalesforceCrm)
    fake = crm.fake
    rows = {n: partial(fake.fail_rows, salesforce.RowFault(*told)) for n, told in ROWS.items()}
    return {**{n: partial(fake.fail_next, [f]) for n, f in SALESFORCE.items()}, **rows}


class Before:
    """Counts the calls to the CRM, and does something right before one of them."""

    def __init__(self, crm: Crm, at: int = -1, trouble: str = "") -> None:
        self.crm, self.at, self.trouble = crm, at, trouble
        self.calls = 0

    def __call__(self, name: str) -> None:
        """A boundary is reached."""
        if name == f"http:before:{self.crm.name}":
            if self.calls == self.at:
                troubles(self.crm)[self.trouble]()
            self.calls += 1


class Hour:
    """A scene, and what an untroubled sync and one an hour later make of it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.calls = self.lived(Before(scene.rig.crm))
        self.expected = self.seen()

    def lived(self, before: Before) -> int:
        """A sync with trouble, and one without an hour later; the calls of the first."""
        scene, world = self.scene, self.scene.rig.world
        scene.restore()
        began = world.now_ms
        with scene.hub(before) as hub:
            sync_once(hub)  # whatever it says of its end
        scene.rig.crm.calm()
        with scene.hub() as hub:
            scene.rig.advance_to(began + LATER_MS)
            scene.rig.sync(hub)
            written = scene.rig.crm.writes
            scene.rig.sync(hub)
            assert scene.rig.crm.writes == written, "something was written twice"
        return before.calls

    def seen(self) -> tuple[Any, Any]:
        """The CRM, and the hub's clients and reasons."""
        return self.scene.rig.crm.snapshot(), self.scene.meaning()

    def check(self, at: int, trouble: str) -> None:
        """Trouble at a call makes no difference in the end."""
        where = f"{trouble} at call {at}"
        calls = self.lived(Before(self.scene.rig.crm, at, trouble))
        assert calls > at, f"{where}: it was not reached"
        crm, meaning = self.seen()
        for kind, rows in self.expected[0].items():
            assert crm[kind] == rows, f"{where}: {kind}"
        assert meaning == self.expected[1], where
        self.scene.check_nothing_twice(where)


@pytest.fixture(scope="module", params=["hubspot", "salesforce", "salesforce, unique task keys"])
def hour(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hour]:
    folder = tmp_path_factory.mktemp("faults")
    crm, _, keys = request.param.partition(", ")
    more = {"activity_external_ids": True} if keys else {}
    with small_steps():
        yield Hour(later(f"sqlite:///{folder / 'hub.db'}", folder, crm=crm, **more))


def test_trouble_at_any_call_makes_no_difference(hour: Hour) -> None:
    """Each second call meets one, each in turn; the slow test tries all at all."""
    names = list(troubles(hour.scene.rig.crm))
    assert hour.calls > 20
    for turn, at in enumerate(range(0, hour.calls, 2)):
        hour.check(at, names[turn % len(names)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_any_trouble_at_any_call_makes_no_difference(hour: Hour) -> None:
    for at in range(hour.calls):
        for name in troubles(hour.scene.rig.crm):
            hour.check(at, name)
