"""What a run is going to cost, from its own data and templates, before anything is spent.

Tokens are counted as a quarter of the characters: close for English, low for other scripts.
Answers of the local LLM are taken to be as long as the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from llamaduo.records import Message, Pair, Split
from llamaduo.service.pricing import price_of, usd
from llamaduo.service.settings import ServiceSettings
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import judge_messages, synthesis_messages

CHARACTERS_PER_TOKEN = 4
JUDGEMENT_TOKENS = 120
"""Two scores with a sentence of reasons each."""


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call: how often, and its mean tokens."""

    stage: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    """For all the calls; None when the model's price is not known."""


@dataclass(frozen=True, slots=True)
class Dials:
    """The settings that decide how many calls there are."""

    judgements: int
    """K · M: judgements of one prompt by one judge."""
    cycles: int
    batches: tuple[int, ...]
    """Pairs asked for after each cycle but the last."""
    pairs_per_request: int


def estimate(
    split: Split,
    task: TaskSettings,
    service: ServiceSettings,
    judges: Sequence[ServiceSettings],
    dials: Dials,
) -> tuple[Call, ...]:
    """Every kind of call of a run that uses all its cycles: the most it will make."""
    judged = len(split.test.pairs) * (dials.cycles + 1) + len(split.final.pairs)
    prompts = [judge_messages(task, pair, pair.response) for pair in split.test.pairs]
    judging = [
        _call("judge", j, judged * dials.judgements, _mean_tokens(prompts), JUDGEMENT_TOKENS)
        for j in judges
    ]
    train = split.train.pairs
    asked = [synthesis_messages(task, [pair], dials.pairs_per_request) for pair in train]
    requests = sum(-(-batch // dials.pairs_per_request) for batch in dials.batches)
    reply = dials.pairs_per_request * _pair_tokens(train)
    return (*judging, _call("synthesize", service, requests, _mean_tokens(asked), reply))


def _call(
    stage: str, settings: ServiceSettings, calls: int, input_tokens: int, output_tokens: int
) -> Call:
    known = price_of(settings) is not None
    dollars = usd(settings, calls * input_tokens, calls * output_tokens) if known else None
    return Call(stage, settings.model, calls, input_tokens, output_tokens, dollars)


def _mean_tokens(prompts: Sequence[Sequence[Message]]) -> int:
    lengths = [sum(len(m.content) for m in messages) for messages in prompts]
    return round(fmean(lengths) / CHARACTERS_PER_TOKEN) if lengths else 0


def _pair_tokens(pairs: Sequence[Pair]) -> int:
    lengths = [len(p.instruction) + len(p.response) for p in pairs]
    return round(fmean(lengths) / CHARACTERS_PER_TOKEN) if lengths else 0
