"""How long the pairs are, in tokens of the local LLM, before anything is spent.

The counting itself is passed in: this room knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from llamaduo.records import Pair


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in tokens. A pair fits when prompt and response together do not exceed ``window``.

    ``histogram`` holds (upper bound in tokens, pairs): the bounds are powers of two, each
    bar counts the pairs above the bound before it, and empty bars between others are kept.
    """

    pairs: int
    fits: int
    longest_prompt: int
    longest_response: int
    histogram: tuple[tuple[int, int], ...]
    window: int

    @property
    def share(self) -> float:
        """The share of pairs that fit, 0 to 1."""
        return self.fits / self.pairs if self.pairs else 0.0


def measure_lengths(
    pairs: Sequence[Pair], count_tokens: Callable[[Pair], tuple[int, int]], window: int
) -> Lengths:
    """Measure every pair; ``count_tokens`` gives the tokens of its prompt and its response."""
    counts = [count_tokens(pair) for pair in pairs]
    totals = [prompt + response for prompt, response in counts]
    return Lengths(
        pairs=len(counts),
        fits=sum(total <= window for total in totals),
        longest_prompt=max((prompt for prompt, _ in counts), default=0),
        longest_response=max((response for _, response in counts), default=0),
        histogram=_histogram(totals),
        window=window,
    )


def _histogram(totals: Iterable[int]) -> tuple[tuple[int, int], ...]:
    exponents = Counter(max(total - 1, 0).bit_length() for total in totals)
    if not exponents:
        return ()
    return tuple((2**e, exponents[e]) for e in range(min(exponents), max(exponents) + 1))
