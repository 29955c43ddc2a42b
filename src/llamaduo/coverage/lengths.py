"""How long the pairs are, in tokens of the local LLM, before anything is spent.

The counting itself is passed in: this room knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from llamaduo.records import Lengths, Pair

_BAR = 40  # characters of the longest bar


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
