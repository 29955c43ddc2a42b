"""The inference stage: K responses to every prompt, batch by batch, resumable (Section 3.3)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llamaduo.errors import StageFailed
from llamaduo.inference.batches import Encoded, draws, plan_batches
from llamaduo.inference.engines import Place, open_engine
from llamaduo.inference.figures import measure
from llamaduo.inference.memory import PeakMemory
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
Schema = Mapping[str, Any]


def infer(
    checkpoint: Checkpoint,
    pairs: Sequence[Pair],
    settings: InferenceSettings,
    *,
    max_new_tokens: int,
    into: Path,
    at: Place = None,
    stage: str = "infer",
    as_trained: bool = False,
    notify: Notify = silent,
) -> tuple[tuple[Response, ...], InferenceFigures]:
    """Answer every prompt ``settings.responses_per_prompt`` times.

    ``at``: where the engine has ``checkpoint``, if not in its own folders: a GGUF file, or a
    server. ``as_trained``: with the adapter beside the weights, not merged into them.

    Each finished batch is appended durably to ``into``. When ``into`` holds batches of a run
    that was cut off, they are kept and the rest gives the text that an undisturbed run gives.
    Prompts that leave no room for ``max_new_tokens`` in the window are set aside and counted.
    Answers to pairs with a JSON schema are held to it where ``settings.constrained`` and the
    engine let them; what they are without is kept beside them, out of the figures' time.

    Returns:
        The responses in the order of ``pairs`` and index, and the figures of all of them,
        resumed batches included.

    Raises:
        StageFailed: no prompt fits the window, memory ran out, or a schema cannot be held to
            although it must be.
        ModelError: the model cannot be loaded, or its chat template refuses a prompt.
        ServiceUnavailable: a server does not answer.
    """
    # Closed, because fine-tuning needs the memory.
    with closing(
        open_engine(checkpoint, settings, at, as_trained=as_trained, notify=notify)
    ) as engine:
        prompts = [Encoded(pair.id, engine.encode(pair.messages)) for pair in pairs]
        fitting = _that_fit(prompts, max_new_tokens, checkpoint.window)
        batches = plan_batches(fitting, engine.batch_size)
        asked = {pair.id: pair for pair in pairs}
        memory = None if engine.kind == "openai" else PeakMemory()
        work = _Work(engine, settings, max_new_tokens, checkpoint.author, asked, memory, notify)
        answered = _answer_all(work, batches, into, stage)
    too_long = len(prompts) - len(fitting)
    figures = measure(answered, too_long=too_long, greedy=settings.temperature == 0)
    responses = _in_order(answered, pairs)
    write_records(into, responses)
    return responses, replace(figures, engine=engine.kind)


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
    pairs: Mapping[str, Pair]
    memory: PeakMemory | None
    notify: Notify

    @property
    def repeats(self) -> int:
        return self.settings.responses_per_prompt


def _answer_all(
    work: _Work, batches: Sequence[Batch], into: Path, stage: str
) -> list[tuple[Response, ...]]:
    """The responses of every batch: stored ones as they are, the others generated and stored."""
    total = work.repeats * sum(len(batch) for batch in batches)
    stored = _stored_batches(into, batches, work.repeats)
    missing = [batch for number, batch in enumerate(batches) if number not in stored]
    schemas = _schemas(work, missing, stage)
    answered, done = [], 0
    for number, batch in enumerate(batches):
        responses = stored.get(number)
        if responses is None:
            responses = _answer_batch(work, batch, schemas)
            append_records(into, responses)
        answered.append(responses)
        done += len(responses)
        work.notify(Event(stage, done, total, "responses"))
    return answered


def _schemas(work: _Work, batches: Sequence[Batch], stage: str) -> dict[str, Schema]:
    """By pair, the schemas that answers are held to; the engine is loaded, if it is needed.

    Raises:
        StageFailed: one cannot be, and ``constrained: on`` says that it must.
    """
    longest = max((len(prompt.tokens) for batch in batches for prompt in batch), default=0)
    if not longest:
        return {}
    work.engine.load(longest + work.max_new_tokens)
    wanted = {
        prompt.pair_id: schema
        for batch in batches
        for prompt in batch
        if (schema := work.pairs[prompt.pair_id].json_schema) is not None
    }
    if work.settings.constrained == "off" or not wanted:
        return {}
    reasons: dict[str, str | None] = {}  # of each schema once: a server is asked for it
    for text, schema in {json.dumps(schema): schema for schema in wanted.values()}.items():
        reasons[text] = work.engine.cannot_hold(schema)
    cannot = {i: why for i, schema in wanted.items() if (why := reasons[json.dumps(schema)])}
    if cannot:
        _tell_free(work, cannot, len(wanted), stage)
    return {pair_id: schema for pair_id, schema in wanted.items() if pair_id not in cannot}


def _tell_free(work: _Work, cannot: Mapping[str, str], wanted: int, stage: str) -> None:
    """Say that answers to some of the prompts with a schema are not held to it, or refuse."""
    pair_id, why = next(iter(cannot.items()))
    found = f"{len(cannot)} of {wanted} prompts with a JSON schema: answers cannot be held to it"
    if work.settings.constrained == "on":
        raise StageFailed(
            f"{found} (inference.constrained is on), that of {pair_id} for one: {why}",
            hint="Mend that, or set inference.constrained: auto, which leaves them free.",
        )
    work.notify(Event(stage, 0, None, "warning", f"{found}: {why}"))


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


def _answer_batch(work: _Work, batch: Batch, schemas: Mapping[str, Schema]) -> tuple[Response, ...]:
    begun = time.monotonic()
    prompts = [_prompt(work, prompt, schemas.get(prompt.pair_id)) for prompt in batch]
    answers = _answers(work, prompts)
    seconds = time.monotonic() - begun
    free = _without_schema(work, prompts, answers)
    return tuple(_responses(work, batch, answers, free, seconds))


def _prompt(work: _Work, prompt: Encoded, schema: Schema | None) -> Prompt:
    """With numbers for each answer. Greedy ones are all the same: one is generated."""
    settings, pair_id = work.settings, prompt.pair_id
    rows = range(1 if settings.temperature == 0 else work.repeats)
    return Prompt(
        tokens=prompt.tokens,
        draws=tuple(draws(settings.seed, pair_id, k, work.max_new_tokens) for k in rows),
        messages=tuple(work.pairs[pair_id].messages),
        seeds=tuple(_seed(settings.seed, pair_id, k) for k in rows),
        schema=schema,
    )


def _seed(seed: int, pair_id: str, index: int) -> int:
    """A seed of one response, below 2³¹: some servers keep it in a signed number."""
    digest = hashlib.sha256(f"{seed}/{pair_id}/{index}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def _answers(work: _Work, prompts: Sequence[Prompt]) -> list[tuple[Answer, ...]]:
    """K answers for each prompt."""
    settings = work.settings
    answers = work.engine.answer(prompts, temperature=settings.temperature, top_p=settings.top_p)
    greedy = settings.temperature == 0
    return [row * work.repeats if greedy else row for row in answers]


def _without_schema(
    work: _Work, prompts: Sequence[Prompt], answers: Sequence[Sequence[Answer]]
) -> list[list[str | None]]:
    """What each answer that was held to a schema is without; None for the others. Those that
    the schema changed nothing in are not generated again."""
    free: list[list[str | None]] = [
        [None if prompt.schema is None else answer.text for answer in row]
        for prompt, row in zip(prompts, answers, strict=True)
    ]
    touched = [
        place
        for place, (prompt, row) in enumerate(zip(prompts, answers, strict=True))
        if prompt.schema is not None and not all(answer.untouched for answer in row)
    ]
    if touched:
        again = _answers(work, [replace(prompts[place], schema=None) for place in touched])
        for place, row in zip(touched, again, strict=True):
            free[place] = [answer.text for answer in row]
    return free


def _responses(
    work: _Work,
    batch: Batch,
    answers: Sequence[Sequence[Answer]],
    free: Sequence[Sequence[str | None]],
    seconds: float,
) -> Iterator[Response]:
    memory = work.memory.bytes() if work.memory else None
    for prompt, row, unconstrained in zip(batch, answers, free, strict=True):
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
                latency=answer.seconds,
                unconstrained=unconstrained[index],
                memory_bytes=memory,
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
