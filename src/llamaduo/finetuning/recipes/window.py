"""How long the pairs are that are trained on, and how long they may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.errors import StageFailed

WINDOWS = (1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384)
"""Table 5's, and what is chosen for longer pairs."""
SHARE_THAT_FITS = 0.995


def window_for(totals: Sequence[int], max_tokens: int | None, model: int) -> int:
    """Tokens that a pair may have: ``max_tokens`` where it is given, else the smallest of
    :data:`WINDOWS` that all but a few of ``totals`` fit into; never more than the ``model`` can
    attend to."""
    if max_tokens is not None:
        return min(max_tokens, model)
    enough = math.ceil(SHARE_THAT_FITS * len(totals))
    for window in WINDOWS:
        if window >= model or sum(total <= window for total in totals) >= enough:
            return min(window, model)
    return min(WINDOWS[-1], model)


def none_fits(totals: Sequence[int], window: int) -> StageFailed:
    """What to say of pairs to train on that have ``totals`` tokens, all more than ``window``."""
    return StageFailed(
        f"None of the {len(totals)} pairs to train on fits into {window} tokens"
        f" (the shortest has {min(totals, default=0)}).",
        hint="Raise finetuning.max_tokens, use a model with a larger window, or shorten the"
        " prompts.",
    )


@dataclass(frozen=True, slots=True)
class Data:
    """The pairs that fit into ``window`` and are not held back for validation, as far as memory
    and time go by them."""

    window: int
    pairs: int
    validation: int
    set_aside: int
    mean: float
    longest: int
    longest_response: int
    response_share: float
    """Response tokens of all tokens, in all but a twentieth of the pairs at most."""
    lengths: tuple[tuple[int, int], ...]
    """Of all that fit: prompt and response tokens."""

    @classmethod
    def of(
        cls, lengths: Sequence[tuple[int, int]], window: int, validation_fraction: float
    ) -> Data:
        """``lengths`` has one pair at least that fits.

        Raises:
            ValueError: it has none.
        """
        fitting = tuple(pair for pair in lengths if sum(pair) <= window)
        if not fitting:
            raise ValueError(f"none of {len(lengths)} pairs fits into {window} tokens")
        validation = held_back(len(fitting), validation_fraction)
        shares = sorted(response / max(1, prompt + response) for prompt, response in fitting)
        return cls(
            window=window,
            pairs=len(fitting) - validation,
            validation=validation,
            set_aside=len(lengths) - len(fitting),
            mean=max(1.0, sum(map(sum, fitting)) / len(fitting)),
            longest=max(1, *map(sum, fitting)),
            longest_response=max(response for _, response in fitting),
            response_share=shares[(len(shares) * 19) // 20],
            lengths=fitting,
        )

    @property
    def tokens(self) -> int:
        """Of one epoch."""
        return round(self.mean * self.pairs)


def held_back(pairs: int, fraction: float) -> int:
    """How many of ``pairs`` are validated with: one at least where any are asked for, and never
    all of them."""
    if not fraction:
        return 0
    return min(max(1, round(fraction * pairs)), pairs - 1)
