"""The prompts that llamaduo sends to service LLMs, and the shapes of the replies it accepts.

As in the paper's Appendix A: one template judges a response (Figure 5), one synthesizes pairs
like the seeds (Figures 6 and 7; what differs by task is in :mod:`llamaduo.tasks.guidance`). A
third, which the paper mentions and does not show, compares two responses (Section 3.4).
The wording is our own. Every function is deterministic: equal arguments give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llamaduo.records import METRICS, Message, Pair
from llamaduo.tasks.data_block import data_block, read_data, shortened
from llamaduo.tasks.guidance import JUDGING, SYNTHESIS
from llamaduo.tasks.settings import TaskSettings

__all__ = [
    "COMPARISON_SCHEMA",
    "COMPARISON_SHAPE",
    "JUDGEMENT_SHAPE",
    "MOST_CHARACTERS",
    "PAIRS_SCHEMA",
    "PAIRS_SHAPE",
    "compare_messages",
    "judge_messages",
    "judgement_schema",
    "read_data",
    "repair_messages",
    "synthesis_messages",
]

JUDGEMENT_SHAPE: Final = "judgement"
COMPARISON_SHAPE: Final = "comparison"
PAIRS_SHAPE: Final = "pairs"

MOST_CHARACTERS: Final = 24_000
"""Of a text that is longer, a judge is shown the beginning and the end."""
REPAIR_QUOTE_CHARACTERS: Final = 8_000
"""How much of an unusable reply is shown back when its repair is asked for."""


def _object(**properties: Any) -> dict[str, Any]:
    """A closed JSON Schema object with every property required, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_ASSESSMENT = _object(
    reason={"type": "string"}, score={"type": "integer", "minimum": 0, "maximum": 100}
)
COMPARISON_SCHEMA: Final = _object(
    reason={"type": "string"}, better={"type": "string", "enum": ["first", "second", "tie"]}
)
PAIRS_SCHEMA: Final = _object(
    pairs={
        "type": "array",
        "items": _object(instruction={"type": "string"}, response={"type": "string"}),
    }
)

_JUDGE_ROLE = (
    "You are a strict and fair examiner. You read an instruction, a reference answer and a"
    " response to be marked, and you give it marks with reasons. You reply with one JSON object"
    " and nothing else."
)
_MARKS = """\
Give the text under "response" a mark for each point below, each time a whole number from 0 to \
100. Write the reason before you settle on the number.

similarity: how far the response agrees with the text under "reference".
  100 says the same; 75 agrees but for details; 50 agrees in about half of what matters;
  25 shares little; 0 shares nothing that matters, or says the opposite.
precision: how well the response does what the text under "instruction" asks, given the messages
under "earlier" if there are any. Decide this from the instruction, even where the reference is
imperfect.
  100 is right, complete and in the form asked for; 75 has small flaws; 50 is half right;
  25 is mostly wrong; 0 is wrong, empty, or about something else."""
_FAIRNESS = (
    "Use the whole range. Length and a confident tone earn nothing. A response that is empty, mere"
    " punctuation or filler, or that talks about its own marking instead of the task, gets 0"
    " throughout."
)

_COMPARER_ROLE = (
    "You are a strict and fair examiner. You read an instruction and two responses to it, and you"
    " say which one is better, with a reason. You reply with one JSON object and nothing else."
)
_COMPARE = """\
Decide which text does better what the text under "instruction" asks, given the messages under
"earlier" if there are any: the one under "first" or the one under "second". Correctness comes
first, then completeness, then the form that was asked for. Write the reason before you decide.

Say "tie" when neither is better in a way that matters to whoever asked: the same answer in other
words is a tie, and so are two answers that are equally wrong. Which one stands first, how long
it is and how sure it sounds mean nothing. A response that talks about being compared instead of
doing the task loses."""
_COMPARISON_FORM = (
    'Reply with exactly this form: {"reason": TEXT, "better": "first" or "second" or "tie"}. The'
    " TEXT is one or two sentences. No other keys, no text before or after, no code fence."
)

_AUTHOR_ROLE = (
    "You write training pairs for a small language model: realistic instructions with correct"
    " responses. You reply with one JSON object and nothing else."
)
_PAIRS_FORM = (
    'Reply with exactly this form: {"pairs": [{"instruction": TEXT, "response": TEXT}, ...]}. No'
    " other keys, no text before or after, no code fence."
)


def judgement_schema(metrics: Iterable[str] = METRICS) -> dict[str, Any]:
    """The shape of a judgement: for each metric, in this order, a reason and a whole score."""
    return _object(**dict.fromkeys(metrics, _ASSESSMENT))


def judge_messages(
    task: TaskSettings,
    pair: Pair,
    response: str,
    metrics: Mapping[str, str] | None = None,
    limit: int = MOST_CHARACTERS,
) -> tuple[Message, ...]:
    """Ask for similarity and precision of ``response`` (Section 3.4, Figure 5), and for each of
    ``metrics`` besides: a name, and what earns how much.

    The reference is ``pair.response``. The data block has ``instruction``, ``reference``,
    ``response`` and, where the prompt is longer than one message, ``earlier``; of a text of more
    than ``limit`` characters the beginning and the end, and ``shortened`` says which.
    """
    data = _prompt(pair) | {"reference": pair.response, "response": response}
    shown, cut = _within(data, limit)
    schema = pair.json_schema or task.json_schema
    parts = (
        data_block(shown),
        _MARKS,
        *(f"{name}: {rubric}" for name, rubric in (metrics or {}).items()),
        _FAIRNESS,
        cut,
        JUDGING[task.kind],
        _required_form(task, schema, "A response"),
        _judgement_form((*METRICS, *(metrics or {}))),
    )
    return _conversation(_JUDGE_ROLE, parts)


def compare_messages(
    task: TaskSettings, pair: Pair, first: str, second: str, limit: int = MOST_CHARACTERS
) -> tuple[Message, ...]:
    """Ask which of two responses to ``pair``'s prompt is the better (Section 3.4).

    The data block has ``instruction``, ``first``, ``second`` and, where the prompt is longer than
    one message, ``earlier``. The reference is not shown: likeness to it is no merit here.
    """
    shown, cut = _within(_prompt(pair) | {"first": first, "second": second}, limit)
    schema = pair.json_schema or task.json_schema
    parts = (
        data_block(shown),
        _COMPARE,
        cut,
        JUDGING[task.kind],
        _required_form(task, schema, "A response"),
        _COMPARISON_FORM,
    )
    return _conversation(_COMPARER_ROLE, parts)


def _judgement_form(metrics: Sequence[str]) -> str:
    marks = ", ".join(f'"{name}": {{"reason": TEXT, "score": NUMBER}}' for name in metrics)
    return (
        f"Reply with exactly this form: {{{marks}}}. Each TEXT is one or two sentences. No other"
        " keys, no text before or after, no code fence."
    )


def _within(data: Mapping[str, Any], limit: int) -> tuple[dict[str, Any], str]:
    """``data`` with its long texts shortened, and the sentence that says so if any was."""
    turns = data.get("earlier", [])
    texts = {name: text for name, text in data.items() if isinstance(text, str)}
    sizes = {name: len(text) for name, text in texts.items()}
    sizes["earlier"] = max((len(turn["content"]) for turn in turns), default=0)
    long = {name: size for name, size in sizes.items() if size > limit}
    if not long:
        return dict(data), ""
    shown = dict(data) | {name: shortened(text, limit) for name, text in texts.items()}
    if turns:
        cut = [turn | {"content": shortened(turn["content"], limit)} for turn in turns]
        shown["earlier"] = cut
    return shown | {"shortened": long}, _SHORTENED


_SHORTENED = (
    'The texts named under "shortened" are longer than can be shown: the number is their length in'
    " characters, and a gap in their middle is marked. Judge what is there, and hold neither the"
    " gap nor the length against a response that the task may need to be long."
)


def synthesis_messages(
    task: TaskSettings, seeds: Sequence[Pair], count: int
) -> tuple[Message, ...]:
    """Ask for ``count`` new pairs like ``seeds`` (Section 3.5, Figures 6 and 7).

    The data block has ``count`` and ``seeds``, each with ``instruction``, ``response`` and,
    where there are any, ``earlier``. The topic is the task's, else the seeds' own category.
    """
    data = {
        "count": count,
        "seeds": [_prompt(seed) | {"response": seed.response} for seed in seeds],
    }
    schema = task.json_schema or next((s.json_schema for s in seeds if s.json_schema), None)
    parts = (
        data_block(data),
        _assignment(count, _topic(task, seeds)),
        _context_note(seeds),
        SYNTHESIS[task.kind],
        _required_form(task, schema, 'Every "response"'),
        _PAIRS_FORM,
    )
    return _conversation(_AUTHOR_ROLE, parts)


def repair_messages(
    messages: Sequence[Message], reply_text: str, problem: str
) -> tuple[Message, ...]:
    """Show an unusable reply back to its author with what is wrong, and ask for a valid one."""
    shown = reply_text[:REPAIR_QUOTE_CHARACTERS]
    request = (
        f"That reply cannot be used: {problem}\n\nAnswer the request above again, from the start."
        " Send the JSON object alone, in the form given there."
    )
    # Some services refuse an empty turn.
    reply = Message("assistant", shown if shown.strip() else "(empty reply)")
    return (*messages, reply, Message("user", request))


def _conversation(role: str, parts: Sequence[str]) -> tuple[Message, ...]:
    return Message("system", role), Message("user", "\n\n".join(part for part in parts if part))


def _prompt(pair: Pair) -> dict[str, Any]:
    """The prompt as data; ``earlier`` has the system prompt and the turns before the last."""
    earlier = [{"role": m.role, "content": m.content} for m in pair.messages[:-1]]
    return ({"earlier": earlier} if earlier else {}) | {"instruction": pair.instruction}


def _topic(task: TaskSettings, seeds: Sequence[Pair]) -> str:
    categories = sorted({s.metadata["category"] for s in seeds if s.metadata.get("category")})
    return task.topic or ", ".join(categories)


def _assignment(count: int, topic: str) -> str:
    noun = "pair" if count == 1 else "pairs"
    about = f" The topic: {json.dumps(topic, ensure_ascii=False)}." if topic else ""
    return (
        f'Write {count} new {noun} of the same kind as those under "seeds".{about} They should look'
        " as if the same people had sent them on another day: same language, same form, same"
        " spread of length and difficulty, but new content and new wording. Do not copy or merely"
        " reword a seed, and let no two new pairs resemble each other.\n"
        'An "instruction" is the complete message. If all seeds wrap the part that changes in the'
        ' same fixed words, repeat those words exactly. A "response" must be correct, and must'
        " keep the format of the seeds' responses to the letter: punctuation, capitals, layout."
        " Invent names and numbers; leave no placeholder such as [name] or ... to be filled in."
    )


def _context_note(seeds: Sequence[Pair]) -> str:
    if all(len(seed.messages) == 1 for seed in seeds):
        return ""
    return (
        'The messages under "earlier" came before each seed\'s instruction and will come before'
        " the new ones too. They are there for you to understand; do not repeat them."
    )


def _required_form(task: TaskSettings, schema: dict[str, Any] | None, subject: str) -> str:
    """The closed label set and the JSON Schema of the task, where it has them."""
    lines = []
    if task.labels:
        labels = json.dumps(list(task.labels), ensure_ascii=False)
        lines.append(f"{subject} must be one of these labels, exactly as written: {labels}")
    if schema:
        text = json.dumps(schema, ensure_ascii=False)
        lines.append(f"{subject} must be JSON text that satisfies this JSON Schema: {text}")
    return "\n".join(lines)
