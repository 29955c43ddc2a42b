"""What is left to be done of a run, and what it will take: read from its configuration, its
data and what its directory has, before there is a directory and in the middle of the loop.

Nothing is asked, trained or written here. The arithmetic is in :mod:`llamaduo.reporting.cost`
and :mod:`llamaduo.reporting.local_work`; the speed of this machine comes from
:mod:`llamaduo.probe`, or from stages that are finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from llamaduo.config import Config, read_resolved
from llamaduo.coverage.importing import import_pairs
from llamaduo.coverage.splitting import split
from llamaduo.errors import RunError
from llamaduo.inference import answers
from llamaduo.records import Pair, Question, Split
from llamaduo.remaining import Plan, TokenCounter, approximate, lengths_of, spread
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
    total,
)
from llamaduo.reporting.local_work import Lengths, LocalStage, Speed
from llamaduo.reporting.standing import Standing
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.tokens import approximate_tokens
from llamaduo.stages import read_split
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.synthesis import seeds
from llamaduo.tasks.templates import (
    COMPARISON_SCHEMA,
    COMPARISON_SHAPE,
    JUDGEMENT_SHAPE,
    PAIRS_SCHEMA,
    PAIRS_SHAPE,
    compare_messages,
    judge_messages,
    judgement_schema,
    synthesis_messages,
)

BYTES_PER_TOKEN = 8
"""How many bytes of a request a token of the local LLM takes at most, on average."""
JUDGEMENT_TOKENS = 120
"""Two scores with a sentence of reasons each."""
PAIR_FRAME_TOKENS = 16
"""What JSON puts around a synthesized pair."""


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
    plan = Plan(config, Standing(directory), divided)
    lengths = lengths_of(config, plan.split, count or approximate)
    return Estimate(
        calls=(
            *([_answer_calls(plan)] if config.judging.service_responses else []),
            *_judge_calls(plan, lengths),
            _synthesis_calls(plan),
        ),
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


# --- calls ----------------------------------------------------------------------------------


def _answer_calls(plan: Plan) -> Calls:
    """The service LLM's own answers to the held-out prompts."""
    service, times = plan.config.service, plan.config.judging.service_responses
    left = total(prompts for _, prompts in plan.ceilings("answer")) * times
    begun = plan.standing.useful(answers.STAGE, service.model) - plan.answered
    under_way = max(0, begun)
    calls = Span(max(0, left.expected - under_way), max(0, left.at_most - under_way))
    asked = [
        Question(stage=answers.STAGE, messages=pair.messages, max_tokens=service.max_output_tokens)
        for pair in spread(plan.split.test.pairs)
    ]
    replies = fmean(approximate_tokens(pair.response) for pair in spread(plan.split.test.pairs))
    size = plan.standing.typical(answers.STAGE, service.model, sampled_size(asked, 0, replies))
    return priced(answers.STAGE, service, calls, size)


def _judge_calls(plan: Plan, lengths: Lengths) -> Iterator[Calls]:
    judging_of, (behind, judgements) = plan.config.judging, plan.standing.judged
    repeats = judging_of.judgements_per_response
    most = plan.answers_per_prompt * repeats
    asked = sum(map(len, behind.values())) / judgements if judgements else None
    usual = most if asked is None else min(most, asked * _configured(plan.config))
    adaptive = judging_of.stopping == "adaptive"
    early = min(usual, 1.0) if adaptive else usual  # one for every prompt decides most verdicts
    of_service = judging_of.service_responses * repeats
    for settings in plan.config.judges:
        done = len(behind.get(settings.model, ())) + plan.standing.checked.get(settings.model, 0)
        under_way = plan.standing.useful("judge", settings.model) - done
        sets = [Answers(stage, prompts, {}) for stage, prompts in plan.sets("judge")]
        if sets:
            sets[0] = replace(sets[0], judged={settings.model: max(0, under_way)})
        ceilings = [Answers(stage, prompts, {}) for stage, prompts in plan.ceilings("judge")]
        size = _judge_size(plan, settings, lengths)
        for one in sets:
            expected = usual if one.stage == "judge: final" else early  # final is judged whole
            yield from judging([one], settings, size, Span(expected, most))
        yield from judging(ceilings, settings, size, Span(of_service, of_service))
        yield priced("judge: controls", settings, _controls(plan), size)
        if judging_of.pairwise:
            yield from _comparisons(plan, settings, lengths, most)


def _controls(plan: Plan) -> Span:
    """A right and a wrong response to some prompts, in every set of responses."""
    found = NOTHING
    for stage, prompts in (*plan.sets("judge"), *plan.ceilings("judge")):
        held_out = plan.split.final if stage.endswith("final") else plan.split.test
        size = len(held_out.pairs) or 1
        of_set = 2 * min(plan.config.judging.controls, size)
        found += Span(prompts.expected // size * of_set, prompts.at_most // size * of_set)
    return found


def _comparisons(
    plan: Plan, settings: ServiceSettings, lengths: Lengths, most: int
) -> Iterator[Calls]:
    """Both orders of every response beside one of the service LLM's."""
    asked = [
        Question(
            stage="compare",
            messages=compare_messages(plan.config.task, pair, pair.response, pair.response),
            shape=COMPARISON_SHAPE,
            schema=COMPARISON_SCHEMA,
            max_tokens=settings.max_output_tokens,
        )
        for pair in spread(plan.split.test.pairs)
    ]
    longer_by = 2 * lengths.longest_answer * BYTES_PER_TOKEN
    sampled = sampled_size(asked, longer_by, JUDGEMENT_TOKENS / 2)
    size = plan.standing.typical("compare", settings.model, sampled)
    sets = [
        Answers(stage.replace("judge", "compare"), prompts, {})
        for stage, prompts in plan.sets("judge")
    ]
    yield from judging(sets, settings, size, Span(2 * most, 2 * most))


def _configured(config: Config) -> int:
    """K · M, equal answers counted as often as they are made."""
    return config.inference.responses_per_prompt * config.judging.judgements_per_response


def _judge_size(plan: Plan, settings: ServiceSettings, lengths: Lengths) -> CallSize:
    metrics = plan.config.judging.metrics
    asked = [
        Question(
            stage="judge",
            messages=judge_messages(plan.config.task, pair, pair.response, metrics),
            shape=JUDGEMENT_SHAPE,
            schema=judgement_schema(plan.config.judging.all_metrics),
            max_tokens=settings.max_output_tokens,
        )
        for pair in spread(plan.split.test.pairs)
    ]
    longer_by = lengths.longest_answer * BYTES_PER_TOKEN
    replies = JUDGEMENT_TOKENS * (1 + len(metrics) / 2)
    return plan.standing.typical("judge", settings.model, sampled_size(asked, longer_by, replies))


def _synthesis_calls(plan: Plan) -> Calls:
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


def _synthesis_size(plan: Plan) -> CallSize:
    config = plan.config
    asked = [
        Question(
            stage="synthesize",
            messages=synthesis_messages(config.task, one.seeds, one.count),
            shape=PAIRS_SHAPE,
            schema=PAIRS_SCHEMA,
            max_tokens=config.service.max_output_tokens,
        )
        for one in spread(seeds.draw(plan.split.train.pairs, config.synthesis, 0))
    ]
    pair = fmean(map(_tokens, spread(plan.split.train.pairs))) + PAIR_FRAME_TOKENS
    size = sampled_size(asked, 0, config.synthesis.pairs_per_request * pair)
    return plan.standing.typical("synthesize", config.service.model, size)


# --- the local LLM --------------------------------------------------------------------------


def _local_stages(
    plan: Plan, lengths: Lengths, speed: Speed | None
) -> tuple[LocalStage, LocalStage]:
    answers = NOTHING
    for _, prompts in plan.sets("infer"):
        answers += prompts * plan.answers_per_prompt
    epochs = plan.config.finetuning.epochs
    return (
        local_work.finetuning(tuple(plan.fine_tunes()), lengths, epochs, speed),
        local_work.inference(answers, lengths, speed),
    )


def _same_model(config: Config, directory: RunDirectory) -> bool:
    try:
        other, _ = read_resolved(directory.configuration)
    except RunError:
        return False
    return other.local == config.local


def _tokens(pair: Pair) -> int:
    return approximate_tokens(pair.instruction) + approximate_tokens(pair.response)
