"""What a batch inference measured, from its responses alone: a resumed run counts in full."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llamaduo.records import InferenceFigures, Response


def measure(
    batches: Sequence[Sequence[Response]], *, too_long: int, greedy: bool
) -> InferenceFigures:
    """The figures of all ``batches``, those stored by an earlier, cut-off run included.

    ``seconds`` sums the batches' wall time, model loading left out. The percentiles are of
    what a caller would have waited: for the response's own request, or else for the batch that
    it came in. Of the equal ``greedy`` responses to a prompt one was generated, so only its
    tokens count. Which engine it was is not in the responses: that is left open.
    """
    responses = [response for batch in batches for response in batch]
    waits = sorted(r.seconds if r.latency is None else r.latency for r in responses)
    return InferenceFigures(
        prompts=len({response.pair_id for response in responses}),
        responses=len(responses),
        too_long=too_long,
        new_tokens=sum(r.new_tokens for r in responses if r.index == 0 or not greedy),
        seconds=sum(batch[0].seconds for batch in batches if batch),
        p50_seconds=percentile(waits, 50),
        p95_seconds=percentile(waits, 95),
        truncated=sum(response.finish == "length" for response in responses),
        empty=sum(not response.text.strip() for response in responses),
        constrained=sum(response.unconstrained is not None for response in responses),
        peak_memory_bytes=max(
            (r.memory_bytes for r in responses if r.memory_bytes is not None), default=None
        ),
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value with ``percent`` of all at or below it (nearest rank); 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
