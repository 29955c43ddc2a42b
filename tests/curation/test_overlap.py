"""What is found, and in which order, is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.curation.overlap import OverlapIndex

SEEDS = ("0", "1", "2", "3", "4", "5", "6", "7")

INDEX = """
from llamaduo.curation.overlap import OverlapIndex
index = OverlapIndex()
for number in range(12):
    index.add({f"word{number}", f"word{(number + 5) % 12}", "all"})
print(index.overlaps({f"word{number}" for number in range(12)}))
"""

NEAREST = """
from fractions import Fraction
from llamaduo.curation.duplicates import NearDuplicates
from llamaduo.curation.reading import reader_of
from tests.curation.making import pair
reader, step = reader_of([], 0.05), NearDuplicates(Fraction("0.5"))
words = [f"word{number}" for number in range(40)]
near = [pair(" ".join([*words[:n], "other", *words[n + 5 :]])) for n in (2, 10, 18, 26, 34)]
for each in near:
    step.admit(reader.read(each))
objection = step.objection(reader.read(pair(" ".join(words))))
print([each.id for each in near].index(objection.lost_to))
"""
"""A pair that is as near to one as to another."""


def printed(script: str, seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("script", [INDEX, NEAREST], ids=["index", "nearest"])
def test_the_hash_seed_changes_nothing(script: str) -> None:
    assert len({printed(script, seed) for seed in SEEDS}) == 1


@given(st.lists(st.sets(st.integers(0, 8)), max_size=8), st.sets(st.integers(0, 8)))
def test_overlaps_are_the_sizes_of_the_intersections_largest_first(
    sets: list[set[int]], sought: set[int]
) -> None:
    index = OverlapIndex()
    for elements in sets:
        index.add(elements)
    expected: Iterable[tuple[int, int]] = ((n, len(s & sought)) for n, s in enumerate(sets))
    expected = sorted((e for e in expected if e[1]), key=lambda e: -e[1])
    assert index.overlaps(sought) == expected
