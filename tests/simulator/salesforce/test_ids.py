"""The checksum of record ids; expected values worked out by hand from the documented rule."""

from __future__ import annotations

import pytest

from simulator.salesforce.ids import Ids, whole

# Per five characters, a bit for each capital, the first the lowest; A..Z0..5 by number.
PAIRS = [
    ("00D000000000062", "00D000000000062EAA"),  # D is third: 4 = E
    ("003D000000QVYrl", "003D000000QVYrlIAH"),  # D is fourth: 8 = I; Q, V, Y: 7 = H
    ("0015e00000aBcDe", "0015e00000aBcDeAAK"),  # B second, D fourth: 10 = K
    ("ABCDEFGHIJKLMNO", "ABCDEFGHIJKLMNO555"),  # all: 31 = 5
    ("005Az00000zzzzZ", "005Az00000zzzzZIAQ"),  # A fourth: 8 = I; Z fifth: 16 = Q
    ("abcdeabcdeabcde", "abcdeabcdeabcdeAAA"),
]


@pytest.mark.parametrize(("short", "long"), PAIRS)
def test_the_three_characters_behind_an_id(short: str, long: str) -> None:
    assert whole(short) == long
    assert whole(long) == long
    assert whole(long.lower()) == long  # 18 characters are safe in any case
    assert whole(long.upper()) == long


@pytest.mark.parametrize(
    "text", ["", "003", "003D000000QVYrl5AA", "003D000000QVYr-", "003D000000QVYrlIAH1", "ü" * 15]
)
def test_what_is_no_id(text: str) -> None:
    assert whole(text) is None


def test_ids_are_new_and_whole() -> None:
    ids = Ids()
    made = [ids.new("003") for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(len(i) == 18 and i.startswith("003") and whole(i[:15]) == i for i in made)
    assert len({i.lower() for i in made}) == 1000
