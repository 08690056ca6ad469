"""One engine a database: whoever lost the role commits nothing and pushes nothing any more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mapping.errors import RetryableError
from sync.cycle import sync_once
from tests.sync.scenes import Rows, Scene, chosen, later, small_steps


class Thief:
    """Takes the role for another engine when a boundary is reached, and remembers what stood.

    Within a transaction it would wait for itself, so it takes the next boundary outside of one.
    """

    def __init__(self, scene: Scene, at: int) -> None:
        self.scene, self.at = scene, at
        self.rows: Rows = {}
        self.calls = 0
        self._passed = 0
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        """A boundary is reached."""
        with self._lock:
            self._passed += not name.startswith("commit:") or self._passed < self.at
            mine = self._passed == self.at + 1 and not name.startswith("commit:")
        if mine:
            self.rows = self.scene.take_over()
            self.calls = self.scene.rig.crm.calls


def test_who_lost_the_role_commits_and_pushes_nothing(database_url: str, tmp_path: Path) -> None:
    with small_steps():
        scene = later(database_url, tmp_path)
        names = scene.boundaries
        # Within a transaction the other engine would have to wait.
        places = [n for n in chosen(names) if names[n].startswith(("before:", "http:before:"))]
        places.remove(names.index("before:cycle.start"))  # who starts takes the role itself
        for at in places[:: 1 if "sqlite" in database_url else 4]:
            _check_stolen(scene, at)
        scene.check_next_sync("the engine that has the role goes on")


def _check_stolen(scene: Scene, at: int) -> None:
    name = f"{at}: {scene.boundaries[at]}"
    scene.restore()
    thief = Thief(scene, at)
    with scene.hub(thief) as hub, pytest.raises(RetryableError, match="taken over"):
        sync_once(hub)
    assert scene.dump() == thief.rows, name
    if not scene.boundaries[at].startswith("http"):  # what is on its way cannot be called back
        assert scene.rig.crm.calls == thief.calls, name


def test_batches_on_their_way_are_not_acknowledged(tmp_path: Path) -> None:
    with small_steps():
        scene = later(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)
        scene.in_flight = 4
        names = scene.boundaries
        exchanges = [n for n, b in enumerate(names) if b == "before:push.hubspot.exchange"]
        place = exchanges[1]  # the first has nothing to store yet
        for at in range(place - 3, place + 1):
            scene.restore()
            thief = Thief(scene, at)
            with scene.hub(thief) as hub, pytest.raises(RetryableError, match="taken over"):
                sync_once(hub)
            assert scene.dump() == thief.rows, names[at]
        scene.check_next_sync("the engine that has the role goes on")
