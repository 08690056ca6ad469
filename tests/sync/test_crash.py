"""A crash anywhere costs nothing: the next sync leaves the CRM as if it had not happened.

A scene is a world at an instant with much to do: contacts to create and to change, tasks to open
and to close, a merge. Every boundary of a sync is counted (before, at and after each commit, and
before and after each call to a vendor or the CRM); the hub is killed at one of them, built anew
over the same database, and syncs again at the same instant of the story.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sync.scenes import SCENES, Scene, chosen, first, later, small_steps

SHARDS = 4


PLACES = [
    ("later", "hubspot"),
    ("first", "hubspot"),
    ("later", "salesforce"),
    # It differs from the later scene by what is pulled and computed alone.
    pytest.param(("first", "salesforce"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder, (name, crm) = tmp_path_factory.mktemp("crash"), request.param
    with small_steps():
        yield SCENES[name](f"sqlite:///{folder / 'hub.db'}", folder, crm=crm)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_crash_costs_nothing(scene: Scene, shard: int) -> None:
    """Pulling is crashed in one scene only; the slow test crashes everywhere in all."""
    places = chosen(scene.boundaries)
    if scene.first_sync or scene.rig.crm.name != "hubspot":
        places = [n for n in places if _computes_or_writes(scene.boundaries[n])]
    for at in places[shard::SHARDS]:
        scene.check_crash_at(at)


def _computes_or_writes(name: str) -> bool:
    return any(part in name for part in ("cycle", "project", "push", "hubspot", "salesforce"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_crash_anywhere_costs_nothing(scene: Scene) -> None:
    for at in range(len(scene.boundaries)):
        scene.check_crash_at(at)


def test_a_crash_among_batches_abreast_costs_nothing(tmp_path: Path) -> None:
    """Calls overlap, so which batch dies where differs from run to run; the result does not."""
    with small_steps():
        scene = first(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, in_flight=4)
        start = scene.boundaries.index("after:push.hubspot.sweep")
        for at in range(start, len(scene.boundaries) - 6, 5):
            scene.check_crash_at(at)


def test_a_crash_costs_nothing_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    with small_steps():
        scene = later(postgres_url, tmp_path)
        kept = [n for n in chosen(scene.boundaries) if "http" not in scene.boundaries[n]]
        for at in [n for n in kept if ".register" not in scene.boundaries[n]][::4]:
            scene.check_crash_at(at)


def test_the_scenes_are_worth_it(tmp_path: Path) -> None:
    with small_steps():
        scene = later(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)
    before = {dict(t)["broker_task_key"]: dict(t) for t in scene.before["tasks"]}
    after = {dict(t)["broker_task_key"]: dict(t) for t in scene.crm["tasks"]}
    assert len(after.keys() - before.keys()) >= 2
    closed = [k for k in before if before[k]["hs_task_status"] != after[k]["hs_task_status"]]
    assert len(closed) >= 2
    assert len(scene.crm["contacts"]) > len(scene.before["contacts"])
    assert set(scene.boundaries) >= {
        "before:cycle.start", "commit:pull.registry.page", "after:pull.sumsub-alpha.page",
        "http:before:paymentiq-alpha", "commit:project.step", "http:before:hubspot",
        "http:after:hubspot", "commit:push.hubspot.exchange", "after:cycle.end",
    }  # fmt: skip
    for name in ("project.step", "push.hubspot.exchange"):
        assert scene.boundaries.count(f"commit:{name}") >= 3
