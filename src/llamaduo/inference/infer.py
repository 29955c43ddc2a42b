"""The inference stage: K responses to every prompt, batch by batch, resumable (Section 3.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llamaduo.errors import StageFailed
from llamaduo.inference.batches import Encoded, draws, plan_batches
from llamaduo.inference.figures import measure
from llamaduo.inference.protocol import Answer, LocalLLM, Prompt
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import (
    Author,
    Checkpoint,
    Event,
    InferenceFigures,
    Notify,
    Pair,
    Response,
    silent,
)
from llamaduo.storage.jsonl import append_records, read_records, write_records

Batch = tuple[Encoded, ...]


def infer(
    checkpoint: Checkpoint,
    pairs: Sequence[Pair],
    settings: InferenceSettings,
    *,
    max_new_tokens: int,
    into: Path,
    stage: str = "infer",
    as_trained: bool = False,
    notify: Notify = silent,
) -> tuple[tuple[Response, ...], InferenceFigures]:
    """Answer every prompt ``settings.responses_per_prompt`` times.

    ``as_trained``: with the adapter beside the weights, not merged into them.

    Each finished batch is appended durably to ``into``. When ``into`` holds batches of a run
    that was cut off, they are kept and the rest gives the text that an undisturbed run gives.
    Prompts that leave no room for ``max_new_tokens`` in the window are set aside and counted.

    Returns:
        The responses in the order of ``pairs`` and index, and the figures of all of them,
        resumed batches included.

    Raises:
        StageFailed: no prompt fits the window, or memory ran out.
        ModelError: the model cannot be loaded, or its chat template refuses a prompt.
    """
    from llamaduo.inference.engine import TransformersEngine

    # Closed, because fine-tuning needs the memory.
    with closing(TransformersEngine(checkpoint, as_trained=as_trained)) as engine:
        prompts = [Encoded(pair.id, engine.encode(pair.messages)) for pair in pairs]
        fitting = _that_fit(prompts, max_new_tokens, checkpoint.window)
        batches = plan_batches(fitting, settings.batch_size)
        work = _Work(engine, settings, max_new_tokens, checkpoint.author)
        answered = _answer_all(work, batches, into, stage, notify)
    too_long = len(prompts) - len(fitting)
    figures = measure(answered, too_long=too_long, greedy=settings.temperature == 0)
    responses = _in_order(answered, pairs)
    write_records(into, responses)
    return responses, figures


def _that_fit(prompts: Sequence[Encoded], max_new_tokens: int, window: int) -> list[Encoded]:
    fitting = [prompt for prompt in prompts if len(prompt.tokens) + max_new_tokens <= window]
    if prompts and not fitting:
        shortest = min(len(prompt.tokens) for prompt in prompts)
        raise StageFailed(
            f"None of the {len(prompts)} prompts fits: the shortest has {shortest} tokens, and"
            f" with {max_new_tokens} new tokens the window of {window} is too small.",
            hint="Lower inference.max_new_tokens, or use a model with a larger window.",
        )
    return fitting


@dataclass(frozen=True, slots=True)
class _Work:
    """What every batch of one stage shares."""

    engine: LocalLLM
    settings: InferenceSettings
    max_new_tokens: int
    author: Author

    @property
    def repeats(self) -> int:
        return self.settings.responses_per_prompt


def _answer_all(
    work: _Work, batches: Sequence[Batch], into: Path, stage: str, notify: Notify
) -> list[tuple[Response, ...]]:
    """The responses of every batch: stored ones as they are, the others generated and stored."""
    total = work.repeats * sum(len(batch) for batch in batches)
    stored = _stored_batches(into, batches, work.repeats)
    answered, done = [], 0
    for number, batch in enumerate(batches):
        responses = stored.get(number)
        if responses is None:
            responses = _answer_batch(work, batch)
            append_records(into, responses)
        answered.append(responses)
        done += len(responses)
        notify(Event(stage, done, total, "responses"))
    return answered


def _stored_batches(
    into: Path, batches: Sequence[Batch], repeats: int
) -> dict[int, tuple[Response, ...]]:
    """The batches that ``into`` holds in full. What it holds of others is taken out."""
    if not into.exists():
        return {}
    read = read_records(into, Response, torn_tail=True)
    found = {response.id: response for response in read}
    stored = {}
    for number, batch in enumerate(batches):
        ids = [response_id(prompt.pair_id, k) for prompt in batch for k in range(repeats)]
        if all(i in found for i in ids):
            stored[number] = tuple(found[i] for i in ids)
    write_records(into, [response for batch in stored.values() for response in batch])
    return stored


def response_id(pair_id: str, index: int) -> str:
    """The id of a prompt's response number ``index``: unique within one set of responses."""
    return f"{pair_id}-{index}"


def _answer_batch(work: _Work, batch: Batch) -> tuple[Response, ...]:
    work.engine.load()
    begun = time.monotonic()
    answers = _answers(work, batch)
    seconds = time.monotonic() - begun
    return tuple(_responses(work, batch, answers, seconds))


def _answers(work: _Work, batch: Batch) -> list[tuple[Answer, ...]]:
    """K answers for each prompt. Greedy ones are all the same: one is generated and repeated."""
    settings = work.settings
    greedy = settings.temperature == 0
    rows = range(1 if greedy else work.repeats)
    prompts = [
        Prompt(
            prompt.tokens,
            tuple(draws(settings.seed, prompt.pair_id, k, work.max_new_tokens) for k in rows),
        )
        for prompt in batch
    ]
    answers = work.engine.answer(prompts, temperature=settings.temperature, top_p=settings.top_p)
    return [row * work.repeats if greedy else row for row in answers]


def _responses(
    work: _Work, batch: Batch, answers: Sequence[Sequence[Answer]], seconds: float
) -> Iterator[Response]:
    for prompt, row in zip(batch, answers, strict=True):
        for index, answer in enumerate(row):
            yield Response(
                id=response_id(prompt.pair_id, index),
                pair_id=prompt.pair_id,
                index=index,
                author=work.author,
                text=answer.text,
                finish=answer.finish,
                prompt_tokens=len(prompt.tokens),
                new_tokens=answer.new_tokens,
                seconds=seconds,
            )


def _in_order(
    answered: Sequence[Sequence[Response]], pairs: Sequence[Pair]
) -> tuple[Response, ...]:
    place = {pair.id: i for i, pair in enumerate(pairs)}
    return tuple(
        sorted(
            (response for batch in answered for response in batch),
            key=lambda response: (place[response.pair_id], response.index),
        )
    )
