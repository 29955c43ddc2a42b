"""From a request to the text of a reply, by nothing but the body, whatever the API.

The shape that the request wants tells what to do: ``pairs`` to synthesize, ``judgement`` to
judge, ``comparison`` to compare, anything else an answer to the last user message. A digest of
the body seeds every choice, so the same body always gets the same reply and another ``seed``
another one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from llamaduo.rehearsal.asked import Asked, wanted_metrics
from llamaduo.rehearsal.preference import prefer
from llamaduo.rehearsal.recombine import answer_plainly, mark_overlap, write_pairs
from llamaduo.rehearsal.tasks import task_of, task_of_prompt
from llamaduo.tasks.templates import COMPARISON_SHAPE, JUDGEMENT_SHAPE, PAIRS_SHAPE, read_data

CUT_SHARE: Final = 0.04
"""Share of synthesis replies that end early, with finish reason ``length``."""
MALFORMED_SHARE: Final = 0.01
"""Share of judgements and comparisons that no strict parser should accept. A repair is always
well-formed."""
MOST_PAIRS: Final = 50
CHARACTERS_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
"""Billed for each message of a request on top of its text."""
REFUSE_MARK: Final = "REHEARSAL: REFUSE THIS"
"""A prompt that holds these words is refused, as a model's safety training would refuse it."""
BLOCK_MARK: Final = "REHEARSAL: BLOCK THIS"
"""A prompt that holds these words is stopped by the filter before any model."""

Finish = Literal["stop", "length", "refusal", "blocked"]


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a reply, and why it ended. A refusal's text is what it says for itself; what
    was blocked has none."""

    text: str
    finish: Finish = "stop"


class UnreadableData(ValueError):
    """The request asks for a form that needs data, but has no data block to do it with."""


def tokens(text: str) -> int:
    """How many tokens the service bills for ``text``: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def tokens_read(asked: Asked) -> int:
    """How many tokens the service bills for the prompt."""
    return sum(TOKENS_PER_MESSAGE + tokens(message.content) for message in asked.messages)


def draft_reply(request: Asked) -> Draft:
    """The reply to ``request``.

    Raises:
        UnreadableData: what is to be imitated, judged or compared is not in the request.
    """
    chance = random.Random(int(request.digest, 16))
    if any(BLOCK_MARK in message.content for message in request.messages):
        return Draft("", "blocked")
    if any(REFUSE_MARK in message.content for message in request.messages):
        return Draft("The rehearsal service was told to refuse this.", "refusal")
    if request.shape == PAIRS_SHAPE:
        draft = _synthesize(request, chance)
    elif request.shape == JUDGEMENT_SHAPE:
        draft = _judge(request, chance)
    elif request.shape == COMPARISON_SHAPE:
        draft = _compare(request, chance)
    else:
        draft = _answer(request, chance)
    return _within(_sendable(draft), request.token_limit)


def _synthesize(request: Asked, chance: random.Random) -> Draft:
    data = _data(request)
    seeds, count = _seeds(data), _count(data)
    task = task_of((seed["instruction"], seed["response"]) for seed in seeds)
    pairs = (task.write if task else write_pairs)(seeds, count, chance)
    text = json.dumps({"pairs": pairs}, ensure_ascii=False)
    if chance.random() < CUT_SHARE and not _is_repair(request):
        return Draft(text[: int(len(text) * chance.uniform(0.5, 0.95))], "length")
    return Draft(text)


def _judge(request: Asked, chance: random.Random) -> Draft:
    data = _data(request)
    if not _has_texts(data, "instruction", "reference", "response"):
        raise UnreadableData("The data block lacks instruction, reference or response.")
    task = task_of([(data["instruction"], data["reference"])])
    marks = task.mark(data, chance) if task else mark_overlap(data)
    metrics = wanted_metrics(request)
    return _well_formed_mostly(request, marks.as_json(metrics, chance), chance)


def _compare(request: Asked, chance: random.Random) -> Draft:
    data = _data(request)
    if not _has_texts(data, "instruction", "first", "second"):
        raise UnreadableData("The data block lacks instruction, first or second.")
    return _well_formed_mostly(request, prefer(data, chance).as_json(), chance)


def _well_formed_mostly(request: Asked, text: str, chance: random.Random) -> Draft:
    if chance.random() < MALFORMED_SHARE and not _is_repair(request):
        return Draft(_spoiled(text, chance))
    return Draft(text)


def _answer(request: Asked, chance: random.Random) -> Draft:
    asked = [message.content for message in request.messages if message.role == "user"]
    prompt = asked[-1] if asked else request.messages[-1].content
    task = task_of_prompt(prompt)
    answer = task.answer(prompt, chance) if task else None
    return Draft(answer or answer_plainly(prompt, chance))


def _data(request: Asked) -> dict[str, Any]:
    data = read_data(request.messages)
    if data is None:
        raise UnreadableData(f"The request asks for {request.shape} but has no data block.")
    return data


def _seeds(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    seeds = data.get("seeds")
    if not isinstance(seeds, list) or not seeds:
        raise UnreadableData("The data block has no seeds.")
    for seed in seeds:
        if not isinstance(seed, dict) or not _has_texts(seed, "instruction", "response"):
            raise UnreadableData("A seed lacks its instruction or its response.")
    return seeds


def _count(data: Mapping[str, Any]) -> int:
    count = data.get("count")
    if not isinstance(count, int) or not 1 <= count <= MOST_PAIRS:
        raise UnreadableData(f"count must be a whole number from 1 to {MOST_PAIRS}.")
    return count


def _has_texts(data: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(data.get(key), str) for key in keys)


def _is_repair(request: Asked) -> bool:
    """A repair shows the service its own earlier reply; no other request has such a turn."""
    return any(message.role == "assistant" for message in request.messages)


def _spoiled(text: str, chance: random.Random) -> str:
    """A judgement or comparison as models get them wrong: prose around it, a value that is not
    allowed, an end lost."""
    over = json.loads(text)
    if "better" in over:
        over["better"] = "both"
    else:
        over[next(reversed(over))]["score"] = 105
    return chance.choice(
        [
            f"Here is my assessment:\n\n{text}",
            f"```json\n{text}\n```\nI hope this helps.",
            json.dumps(over),
            text[: len(text) // 2],
        ]
    )


def _sendable(draft: Draft) -> Draft:
    """Half a surrogate pair, which a data block can carry as an escape, has no UTF-8 form."""
    return replace(draft, text=draft.text.encode("utf-8", "replace").decode())


def _within(draft: Draft, limit: int | None) -> Draft:
    if limit is None or tokens(draft.text) <= limit:
        return draft
    return Draft(draft.text[: limit * CHARACTERS_PER_TOKEN], "length")
