"""What is left to be done of a run, and what it will take: read from its configuration, its
data and what its directory has, before there is a directory and in the middle of the loop.

Nothing is asked, trained or written here. The arithmetic is in :mod:`llamaduo.reporting.cost`
and :mod:`llamaduo.reporting.local_work`; the speed of this machine comes from
:mod:`llamaduo.probe`, or from stages that are finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from llamaduo.config import Config, read_resolved
from llamaduo.coverage.importing import import_pairs
from llamaduo.coverage.splitting import split
from llamaduo.errors import RunError
from llamaduo.records import Pair, Question, Split
from llamaduo.reporting import local_work
from llamaduo.reporting.cost import (
    NOTHING,
    Answers,
    Calls,
    CallSize,
    Span,
    judging,
    priced,
    sampled_size,
)
from llamaduo.reporting.local_work import CyclePlan, Lengths, LocalStage, Speed
from llamaduo.reporting.standing import Standing
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.tokens import approximate_tokens
from llamaduo.stages import read_split
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.synthesis import seeds
from llamaduo.tasks.templates import (
    JUDGEMENT_SCHEMA,
    JUDGEMENT_SHAPE,
    PAIRS_SCHEMA,
    PAIRS_SHAPE,
    judge_messages,
    synthesis_messages,
)

SAMPLE = 300
"""How many prompts are measured, spread evenly over all of them."""
BYTES_PER_TOKEN = 8
"""How many bytes of a request a token of the local LLM takes at most, on average."""
JUDGEMENT_TOKENS = 120
"""Two scores with a sentence of reasons each."""
PAIR_FRAME_TOKENS = 16
"""What JSON puts around a synthesized pair."""
USUAL_CYCLES = 2
"""Expected: the target is met by the first fine-tune that had synthetic pairs."""

TokenCounter = Callable[[Pair], tuple[int, int]]
"""Gives the tokens of a pair's prompt and of its response."""
Anything = TypeVar("Anything")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left. ``cycles`` is how many the run is expected to have in the end, of the
    ``most_cycles`` that it may have; ``ended`` says that it has a verdict already."""

    calls: tuple[Calls, ...]
    local: tuple[LocalStage, ...]
    speed: Speed | None
    spent_usd: float
    cycles: int
    most_cycles: int
    ended: bool


def estimate(
    config: Config,
    directory: RunDirectory,
    divided: Split,
    *,
    speed: Speed | None = None,
    count: TokenCounter | None = None,
) -> Estimate:
    """Everything that the run in ``directory`` still has to do, or all if there is none.

    ``divided`` comes from :func:`split_of`. ``speed`` is this machine's, where known; ``count``
    counts in tokens of the local LLM, else they are approximated.

    Raises:
        DataError: the train split is empty.
        RunError: a file of the run is missing or damaged.
    """
    plan = _Plan(config, Standing(directory), divided)
    lengths = _lengths(config, plan.split, count or _approximate)
    return Estimate(
        calls=(*_judge_calls(plan, lengths), _synthesis_calls(plan)),
        local=_local_stages(plan, lengths, speed),
        speed=speed,
        spent_usd=sum(row.usd for row in plan.standing.spend),
        cycles=plan.expected_cycles,
        most_cycles=plan.config.limits.cycles,
        ended=plan.standing.ended,
    )


def split_of(config: Config, directory: RunDirectory, root: Path) -> Split:
    """The split of the run, or what it will be. ``root`` is where relative data paths start.

    Raises:
        DataError: the data cannot be read or split.
        RunError: a file of the run is missing or damaged.
    """
    if "split" in Standing(directory).done:
        return read_split(directory.coverage)
    dataset = import_pairs(config.coverage, config.task, root).dataset
    return split(dataset, config.coverage)


def measured_speed(config: Config, directory: RunDirectory) -> Speed | None:
    """What finished stages of the run say about this machine, or those of its rehearsal; None
    where no fine-tune and inference are finished, or the local LLM was another."""
    rehearsal = RunDirectory(directory.root.with_name(f"{directory.root.name}-rehearsal"))
    if found := Standing(directory).speed:
        return Speed(*found, "run")
    if (found := Standing(rehearsal).speed) and _same_model(config, rehearsal):
        return Speed(*found, "rehearsal")
    return None


# --- the plan ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
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


# --- calls ----------------------------------------------------------------------------------


def _judge_calls(plan: _Plan, lengths: Lengths) -> Iterator[Calls]:
    config, (behind, judgements) = plan.config, plan.standing.judged
    most = plan.answers_per_prompt * config.judging.judgements_per_response
    asked = sum(map(len, behind.values())) / judgements if judgements else None
    usual = most if asked is None else min(most, asked * _configured(config))
    for settings in config.judges:
        under_way = plan.standing.useful("judge", settings.model) - len(
            behind.get(settings.model, ())
        )
        sets = [Answers(stage, prompts, {}) for stage, prompts in plan.sets("judge")]
        if sets:
            sets[0] = replace(sets[0], judged={settings.model: max(0, under_way)})
        size = _judge_size(plan, settings, lengths)
        yield from judging(sets, settings, size, Span(usual, most))


def _configured(config: Config) -> int:
    """K · M, equal answers counted as often as they are made."""
    return config.inference.responses_per_prompt * config.judging.judgements_per_response


def _judge_size(plan: _Plan, settings: ServiceSettings, lengths: Lengths) -> CallSize:
    asked = [
        Question(
            stage="judge",
            messages=judge_messages(plan.config.task, pair, pair.response),
            shape=JUDGEMENT_SHAPE,
            schema=JUDGEMENT_SCHEMA,
            max_tokens=settings.max_output_tokens,
        )
        for pair in _spread(plan.split.test.pairs)
    ]
    longer_by = lengths.longest_answer * BYTES_PER_TOKEN
    return plan.standing.typical(
        "judge", settings.model, sampled_size(asked, longer_by, JUDGEMENT_TOKENS)
    )


def _synthesis_calls(plan: _Plan) -> Calls:
    settings, service = plan.config.synthesis, plan.config.service
    left, finished = NOTHING, 0
    for cycle in plan.cycles[:-1]:
        number = seeds.requests(settings, cycle)
        if f"cycles/{cycle:03d}/synthesize" in plan.standing.done:
            finished += number
        else:
            left += Span(number if cycle < plan.expected_cycles - 1 else 0, number)
    begun = max(0, plan.standing.useful("synthesize", service.model) - finished)
    calls = Span(max(0, left.expected - begun), max(0, left.at_most - begun))
    return priced("synthesize", service, calls, _synthesis_size(plan))


def _synthesis_size(plan: _Plan) -> CallSize:
    config = plan.config
    asked = [
        Question(
            stage="synthesize",
            messages=synthesis_messages(config.task, one.seeds, one.count),
            shape=PAIRS_SHAPE,
            schema=PAIRS_SCHEMA,
            max_tokens=config.service.max_output_tokens,
        )
        for one in _spread(seeds.draw(plan.split.train.pairs, config.synthesis, 0))
    ]
    pair = fmean(map(_tokens, _spread(plan.split.train.pairs))) + PAIR_FRAME_TOKENS
    size = sampled_size(asked, 0, config.synthesis.pairs_per_request * pair)
    return plan.standing.typical("synthesize", config.service.model, size)


# --- the local LLM --------------------------------------------------------------------------


def _local_stages(
    plan: _Plan, lengths: Lengths, speed: Speed | None
) -> tuple[LocalStage, LocalStage]:
    answers = NOTHING
    for _, prompts in plan.sets("infer"):
        answers += prompts * plan.answers_per_prompt
    epochs = plan.config.finetuning.epochs
    return (
        local_work.finetuning(tuple(_fine_tunes(plan)), lengths, epochs, speed),
        local_work.inference(answers, lengths, speed),
    )


def _fine_tunes(plan: _Plan) -> Iterator[CyclePlan]:
    """The fine-tunes that are left. A batch that is not curated yet is taken to be kept whole."""
    pairs = len(plan.split.train.pairs)
    for cycle in plan.cycles:
        if f"cycles/{cycle:03d}/finetune" not in plan.standing.done:
            yield CyclePlan(Span(pairs, pairs), cycle < plan.expected_cycles)
        kept = plan.standing.kept(cycle)
        pairs += seeds.wanted(plan.config.synthesis, cycle) if kept is None else kept


def _lengths(config: Config, split: Split, count: TokenCounter) -> Lengths:
    counts = [count(pair) for pair in _spread(split.train.pairs)]
    longest = max((response for _, response in counts), default=0)
    return Lengths(
        pair=fmean(sum(count) for count in counts) if counts else 0.0,
        answer=fmean(response for _, response in counts) if counts else 0.0,
        longest_answer=config.inference.max_new_tokens or math.ceil(1.5 * longest),
    )


def _approximate(pair: Pair) -> tuple[int, int]:
    prompt = sum(approximate_tokens(message.content) for message in pair.messages)
    return prompt, approximate_tokens(pair.response)


def _same_model(config: Config, directory: RunDirectory) -> bool:
    try:
        other, _ = read_resolved(directory.configuration)
    except RunError:
        return False
    return other.local == config.local


def _tokens(pair: Pair) -> int:
    return approximate_tokens(pair.instruction) + approximate_tokens(pair.response)


def _spread(things: Sequence[Anything]) -> Sequence[Anything]:
    """At most :data:`SAMPLE` of them, at even distances."""
    if len(things) <= SAMPLE:
        return things
    return [things[i * len(things) // SAMPLE] for i in range(SAMPLE)]
