"""A run as it is configured and how far it is: which stages are left, and with how much each.

Nothing is read but the data, the configuration and what the run's directory has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TypeVar

from llamaduo.config import Config
from llamaduo.finetuning.recipes.choices import epochs_for
from llamaduo.records import Pair, Split
from llamaduo.reporting.cost import Span
from llamaduo.reporting.local_work import CyclePlan, Lengths
from llamaduo.reporting.standing import Standing
from llamaduo.service.tokens import approximate_tokens
from llamaduo.synthesis import seeds

SAMPLE = 300
"""How many prompts are measured, spread evenly over all of them."""
USUAL_CYCLES = 2
"""Expected: the target is met by the first fine-tune that had synthetic pairs."""

TokenCounter = Callable[[Pair], tuple[int, int]]
"""Gives the tokens of a pair's prompt and of its response."""
Anything = TypeVar("Anything")


@dataclass(frozen=True)
class Plan:
    """The run as it is configured, and how far it is."""

    config: Config
    standing: Standing
    split: Split

    @property
    def cycles(self) -> range:
        return range(self.config.limits.cycles)

    @cached_property
    def expected_cycles(self) -> int:
        judged = sum(f"cycles/{cycle:03d}/judge" in self.standing.done for cycle in self.cycles)
        if self.standing.ended:
            return judged
        return min(len(self.cycles), max(USUAL_CYCLES, judged + 1))

    @cached_property
    def answers_per_prompt(self) -> int:
        """Greedy answers to one prompt are all the same: one is made, and judged."""
        settings = self.config.inference
        return settings.responses_per_prompt if settings.temperature > 0 else 1

    def sets(self, kind: str) -> list[tuple[str, Span]]:
        """The stages of ``kind`` (infer, judge) that are left, each with its prompts."""
        done, test = self.standing.done, len(self.split.test.pairs)
        left = [] if f"base/{kind}" in done else [(f"{kind}: base", Span(test, test))]
        cycles = [c for c in self.cycles if f"cycles/{c:03d}/{kind}" not in done]
        expected = sum(c < self.expected_cycles for c in cycles)
        if cycles:
            left.append((f"{kind}: cycles", Span(expected * test, len(cycles) * test)))
        final = len(self.split.final.pairs)
        has_final = any(s.startswith("final/") and s.endswith(f"/{kind}") for s in done)
        if final and not (has_final and not cycles):  # another cycle may turn out the best
            left.append((f"{kind}: final", Span(0 if has_final else final, final)))
        return left

    def ceilings(self, kind: str) -> list[tuple[str, Span]]:
        """The stages of ``kind`` (answer, judge) about the service LLM's own answers that are
        left, each with its prompts."""
        if not self.config.judging.service_responses:
            return []
        sizes = {
            "service": len(self.split.test.pairs),
            "service-final": len(self.split.final.pairs),
        }
        return [
            (f"{kind}: {where}", Span(prompts, prompts))
            for where, prompts in sizes.items()
            if prompts and f"{where}/{kind}" not in self.standing.done
        ]

    @cached_property
    def answered(self) -> int:
        """Calls behind the service LLM's answers that are finished."""
        sizes = {
            "service": len(self.split.test.pairs),
            "service-final": len(self.split.final.pairs),
        }
        done = sum(n for where, n in sizes.items() if f"{where}/answer" in self.standing.done)
        return done * self.config.judging.service_responses

    def fine_tunes(self) -> Iterator[CyclePlan]:
        """Those that are left. A batch that is not curated yet is taken to be kept whole."""
        pairs = len(self.split.train.pairs)
        for cycle in self.cycles:
            if f"cycles/{cycle:03d}/finetune" not in self.standing.done:
                epochs, _ = epochs_for(pairs)
                yield CyclePlan(Span(pairs, pairs), cycle < self.expected_cycles, epochs)
            kept = self.standing.kept(cycle)
            pairs += seeds.wanted(self.config.synthesis, cycle) if kept is None else kept


def lengths_of(config: Config, split: Split, count: TokenCounter) -> Lengths:
    """The lengths that the work of the local LLM goes by, of a sample of the train split."""
    counts = [count(pair) for pair in spread(split.train.pairs)]
    longest = max((response for _, response in counts), default=0)
    return Lengths(
        pair=fmean(sum(count) for count in counts) if counts else 0.0,
        answer=fmean(response for _, response in counts) if counts else 0.0,
        longest_answer=config.inference.max_new_tokens or math.ceil(1.5 * longest),
    )


def approximate(pair: Pair) -> tuple[int, int]:
    """A :data:`TokenCounter` for where the tokenizer of the local LLM is not at hand."""
    prompt = sum(approximate_tokens(message.content) for message in pair.messages)
    return prompt, approximate_tokens(pair.response)


def spread(things: Sequence[Anything]) -> Sequence[Anything]:
    """At most :data:`SAMPLE` of them, at even distances."""
    if len(things) <= SAMPLE:
        return things
    return [things[i * len(things) // SAMPLE] for i in range(SAMPLE)]
