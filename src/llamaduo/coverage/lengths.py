"""How long the pairs are, in tokens of the local LLM, before anything is spent.

The counting itself is passed in: this room knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, pstdev

from llamaduo.records import Lengths, Pair, TokenStatistics

_BAR = 40  # characters of the longest bar


TokenCounter = Callable[[Pair], tuple[int, int]]
"""Gives the tokens of a pair's prompt and of its response."""


def measure_lengths(
    splits: Mapping[str, Sequence[Pair]], count_tokens: TokenCounter, window: int
) -> Lengths:
    """Measure every pair of ``splits``: all together, and the statistics of each by its name."""
    of_split = {name: [count_tokens(pair) for pair in pairs] for name, pairs in splits.items()}
    counts = [count for of_one in of_split.values() for count in of_one]
    totals = [prompt + response for prompt, response in counts]
    return Lengths(
        pairs=len(counts),
        fits=sum(total <= window for total in totals),
        longest_prompt=max((prompt for prompt, _ in counts), default=0),
        longest_response=max((response for _, response in counts), default=0),
        histogram=_histogram(totals),
        window=window,
        longest_train_response=max((response for _, response in of_split["train"]), default=0),
        tokens={name: _statistics(of_one) for name, of_one in of_split.items() if of_one},
    )


def measure_tokens(pairs: Sequence[Pair], count_tokens: TokenCounter) -> TokenStatistics:
    """Table 4's figures of ``pairs``, of which there is at least one."""
    return _statistics([count_tokens(pair) for pair in pairs])


def _statistics(counts: Sequence[tuple[int, int]]) -> TokenStatistics:
    totals = [prompt + response for prompt, response in counts]
    return TokenStatistics(
        pairs=len(totals),
        shortest=min(totals),
        longest=max(totals),
        mean=fmean(totals),
        deviation=pstdev(totals),
    )


def _histogram(totals: Iterable[int]) -> tuple[tuple[int, int], ...]:
    exponents = Counter(max(total - 1, 0).bit_length() for total in totals)
    if not exponents:
        return ()
    return tuple((2**e, exponents[e]) for e in range(min(exponents), max(exponents) + 1))


def describe(lengths: Lengths) -> str:
    """The histogram as text, with the share that fits the window."""
    most = max((pairs for _, pairs in lengths.histogram), default=0)
    fits = f"{lengths.fits} of {lengths.pairs} pairs fit into {lengths.window:,} tokens"
    prompt, response = f"{lengths.longest_prompt:,}", f"{lengths.longest_response:,}"
    lines = [f"{fits} ({lengths.share:.1%}); longest prompt {prompt}, longest response {response}."]
    for bound, pairs in lengths.histogram:
        bar = "█" * round(_BAR * pairs / most)
        lines.append(f"  up to {bound:>6,} tokens {pairs:>6,} {bar}".rstrip())
    return "\n".join(lines)
