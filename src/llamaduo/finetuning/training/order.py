"""In which order the rows of an epoch are trained on: a pure function of seed and epoch.

So training that goes on in another process, or with smaller micro-batches, has the same rows in
the same steps without anything being remembered. Rows of like length come together, which saves
padding: within stretches of :data:`STRETCH` steps they are sorted, longest first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from torch.utils.data import Sampler

STRETCH = 50
"""Steps that are sorted together: enough to find like lengths, few enough to stay a shuffle."""


def order(lengths: Sequence[int], per_step: int, *, seed: int, epoch: int) -> list[int]:
    """Each index of ``lengths`` once. The longest row comes first of all, so that memory which
    does not suffice is found in the first step."""
    indices = list(range(len(lengths)))
    random.Random(f"{seed}/{epoch}").shuffle(indices)
    size = per_step * STRETCH
    stretches = [indices[i : i + size] for i in range(0, len(indices), size)]
    ordered = [i for stretch in stretches for i in sorted(stretch, key=lambda i: -lengths[i])]
    if ordered:
        place = max(range(len(ordered)), key=lambda place: lengths[ordered[place]])
        ordered[0], ordered[place] = ordered[place], ordered[0]
    return ordered


class StepOrder(Sampler[int | None]):
    """:func:`order` of the epoch that ``epoch`` names when it is asked, and ``None`` until the
    number can be divided by ``together``: so many rows are taken at once by all processes, and
    accelerate would fill up the last ones with rows that were trained on already."""

    def __init__(
        self,
        lengths: Sequence[int],
        per_step: int,
        *,
        seed: int,
        epoch: Callable[[], int],
        together: int = 1,
    ) -> None:
        self._lengths, self._per_step = lengths, per_step
        self._seed, self._epoch = seed, epoch
        self._missing = -len(lengths) % together

    def __len__(self) -> int:
        return len(self._lengths) + self._missing

    def __iter__(self) -> Iterator[int | None]:
        yield from order(self._lengths, self._per_step, seed=self._seed, epoch=self._epoch())
        yield from [None] * self._missing
