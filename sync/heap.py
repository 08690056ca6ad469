"""Long loops over many short-lived objects, and Python's garbage collector."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GROWTH, _LEAST = 1.25, 20_000
_EVERY = 40  # counting the objects takes as long as a small sync's push
_SELDOM = (20_000, 20, 1000)  # what such a loop makes dies young, and holds itself in no circles


class _Heap:
    """How many objects the last look for garbage left, and loops since they were counted."""

    lock = threading.Lock()
    within = 0  # loops that run now: a pull beside a push, say
    usual = (0, 0, 0)
    clean = 0
    loops = _EVERY


@contextmanager
def steady() -> Iterator[None]:
    """Within it, what existed before is not looked at for garbage, and the rest seldom.

    The program's own objects (libraries, rules, compiled statements) are hundreds of thousands
    and stay; walking over them again and again costs 16 us a pushed record, and looking at each
    700 new ones another 10 (measured). Afterwards they are collectable as before. What is set
    aside like this counts as old at once, and Python looks at old objects only when a quarter of
    them is new by its own count, which starts anew each time: so garbage is looked for here, when
    there are a quarter more objects.
    """
    with _Heap.lock:
        _Heap.within += 1
        if _Heap.within == 1:
            _begin()
    try:
        yield
    finally:
        with _Heap.lock:
            _Heap.within -= 1
            if _Heap.within == 0:
                gc.set_threshold(*_Heap.usual)
                gc.unfreeze()


def _begin() -> None:
    gc.freeze()
    _Heap.loops += 1
    if _Heap.loops >= _EVERY:
        _Heap.loops = 0
        _tidy()
    _Heap.usual = gc.get_threshold()
    gc.set_threshold(*_SELDOM)


def _tidy() -> None:
    if gc.get_freeze_count() > _Heap.clean * _GROWTH + _LEAST:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _Heap.clean = gc.get_freeze_count()
