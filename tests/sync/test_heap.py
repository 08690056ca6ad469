"""Garbage in circles does not pile up, however often a loop sets the heap aside."""

from __future__ import annotations

import gc
import weakref

from sync.heap import steady


class Knot:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.own = self
        self.ballast = [[n] for n in range(50)]


def test_garbage_is_found_though_each_loop_sets_it_aside() -> None:
    alive: weakref.WeakSet[Knot] = weakref.WeakSet()
    most = 0
    for _ in range(100):
        knots = [Knot() for _ in range(200)]
        alive.update(knots)
        with steady():  # they are set aside, and nobody's before it ends
            knots.clear()
        most = max(most, len(alive))
    assert most < 100 * 200 / 2, "it piled up"


def test_the_heap_is_as_it_was_afterwards() -> None:
    usual = gc.get_threshold()
    with steady():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > usual
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == usual


def test_loops_that_overlap_end_with_the_last() -> None:
    usual = gc.get_threshold()
    pull, push = steady(), steady()
    pull.__enter__()
    push.__enter__()
    pull.__exit__(None, None, None)
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() > usual
    push.__exit__(None, None, None)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == usual
