"""Step 2 of ψ: quality rules. Each is one function that returns a reason or None.

A reason begins with the same words for every pair that breaks the rule; what is particular to
one pair stands in brackets at its end. :data:`RULES` lists them for people: the first line of a
function says what it drops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Final, NamedTuple

from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from llamaduo.curation.duplicates import normalised
from llamaduo.curation.habits import PLACEHOLDERS
from llamaduo.curation.languages import scripts_in
from llamaduo.curation.loops import quick_words
from llamaduo.curation.norms import FIELDS, Field, Norms, label_of
from llamaduo.curation.objection import Objection
from llamaduo.records import Pair

FOREIGN_LETTERS = 0.2
"""Share of a text's letters that may belong to scripts which no train pair uses there."""

_BLOCK = 1000
_MOST_MADE_OF_ONE = 4  # characters, by lower case and Unicode's composition; a word has one
_KNOWN_SCHEMAS = 256
_NO_SCHEMA = (AttributeError, TypeError, ValueError, UnknownType, re.error)
"""What jsonschema raises where ``$schema`` is no address, or a reference leads to no schema: its
own check sees neither."""


class Draft(NamedTuple):
    """What a rule looks at of a pair."""

    instruction: str
    response: str
    json_schema: dict[str, Any] | None

    def texts(self) -> tuple[tuple[Field, str], tuple[Field, str]]:
        return ("instruction", self.instruction), ("response", self.response)


Check = Callable[[Sequence[Draft], Norms], Iterable[str | None]]
"""The reason against each draft, None where there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: ``check``, why there is one, and the setting that is its dial, if it has one."""

    check: Check
    why: str
    setting: str = ""

    @property
    def name(self) -> str:
        return self.check.__name__.replace("_", " ")

    @property
    def drops(self) -> str:
        """What it drops, in a line."""
        return (self.check.__doc__ or "").partition("\n")[0]


def broken_rules(raw: Sequence[Pair], norms: Norms) -> list[Objection | None]:
    """For each pair the first of :data:`RULES` that it breaks."""
    found: list[Objection | None] = []
    for first in range(0, len(raw), _BLOCK):
        block = raw[first : first + _BLOCK]
        found += _first_objections(
            [Draft(p.instruction, p.response, p.json_schema) for p in block], norms
        )
    return found


def _first_objections(drafts: Sequence[Draft], norms: Norms) -> list[Objection | None]:
    found: list[Objection | None] = [None] * len(drafts)
    standing = list(range(len(drafts)))
    for rule in RULES:
        reasons = rule.check([drafts[i] for i in standing], norms)
        for i, reason in zip(standing, reasons, strict=True):
            if reason is not None:
                found[i] = Objection(reason)
        standing = [i for i in standing if found[i] is None]
    return found


def _each(rule: Callable[[Draft, Norms], str | None]) -> Check:
    """A rule for one draft, as one for many."""

    @wraps(rule)
    def check(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
        return [rule(draft, norms) for draft in drafts]

    return check


@_each
def empty(draft: Draft, _: Norms) -> str | None:
    """An instruction or a response of nothing but white space."""
    for field, text in draft.texts():
        if not text or text.isspace():
            return f"the {field} is empty"
    return None


@_each
def too_short(draft: Draft, norms: Norms) -> str | None:
    """A response of too few words; one of symbols only counts as one word."""
    least = norms.settings.min_response_words
    if least == 1:
        return None
    count = max(1, len(quick_words(draft.response)))
    return f"the response is too short ({count} words, at least {least})" if count < least else None


@_each
def too_long(draft: Draft, norms: Norms) -> str | None:
    """A response of too many words."""
    most = norms.settings.max_response_words
    if len(draft.response) * _MOST_MADE_OF_ONE <= most:
        return None
    count = len(quick_words(draft.response))
    return f"the response is too long ({count} words, at most {most})" if count > most else None


@_each
def echo(draft: Draft, _: Norms) -> str | None:
    """A response that equals the instruction, up to case and white space."""
    asked, answered = draft.instruction, draft.response
    if _opening(asked) != _opening(answered) or normalised(asked) != normalised(answered):
        return None
    return "the response repeats the instruction"


def refusal(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A response that refuses, or speaks as an AI (in English)."""
    reason = "the {} refuses, or speaks as an AI"
    return _odd(drafts, norms, "refusal", reason, fields=("response",))


def placeholder(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text with a placeholder left in it, such as [NAME], {{topic}} or $instruction."""
    reasons: list[str | None] = [None] * len(drafts)
    for field in FIELDS:
        for kind in PLACEHOLDERS:
            for i in norms.odd(field, _texts(drafts, field), kind):
                reasons[i] = reasons[i] or f"a placeholder was left in the {field} (as in {kind})"
    return reasons


def open_code(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text that opens a code fence and does not close it."""
    return _odd(drafts, norms, "open code", "a code fence in the {} is not closed")


def loop(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text that says the same words or letters over and over."""
    return _odd(drafts, norms, "loop", "the {} repeats itself over and over")


@_each
def wrong_json(draft: Draft, norms: Norms) -> str | None:
    """A response that is not JSON, or not as its schema wants it.

    The pair's own schema goes before the task's. References to other documents are not
    followed: nothing here opens a connection.
    """
    schema = draft.json_schema or norms.json_schema
    if schema is None:
        return None
    try:
        value = json.loads(draft.response, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"the response is not JSON ({error})"
    return _unmet(schema, value)


@_each
def wrong_label(draft: Draft, norms: Norms) -> str | None:
    """A response that is none of the task's labels, or of the closed set the train split uses."""
    if norms.labels is None or (label := label_of(draft.response)) in norms.labels:
        return None
    return f"the response is not one of the task's labels ({label[:60]})"


@_each
def foreign_script(draft: Draft, norms: Norms) -> str | None:
    """A text with more than a fifth of its letters in scripts that no train pair uses there."""
    for field, text in draft.texts():
        if not norms.has_odd_letters(field, text):
            continue
        found = scripts_in(text)
        strange = {s: n for s, n in found.items() if s not in norms.scripts[field]}
        if sum(strange.values()) > FOREIGN_LETTERS * found.total():
            script = max(strange, key=lambda name: strange[name])
            return f"the {field} is in a script that no train pair uses there ({script.title()})"
    return None


def address(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text with a web address, where no train pair has one."""
    return _odd(drafts, norms, "address", "the {} has a web address, and no train pair's has")


def secret(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text with what looks like a key or token.

    The reason does not repeat what was found.
    """
    return _odd(drafts, norms, "secret", "the {} has what looks like a key or token")


def foreign_language(drafts: Sequence[Draft], norms: Norms) -> list[str | None]:
    """A text that is surely in a language which no train pair uses there."""
    reasons: list[str | None] = [None] * len(drafts)
    if norms.tongues is None:
        return reasons
    for field in FIELDS:
        languages = norms.tongues[field].foreign(_texts(drafts, field))
        for i, language in enumerate(languages):
            if language is not None and reasons[i] is None:
                detail = f"in a language that no train pair uses there ({language})"
                reasons[i] = f"the {field} is {detail}"
    return reasons


RULES: Final[tuple[Rule, ...]] = (
    Rule(empty, "There is nothing to learn from it."),
    Rule(too_short, "Stubs teach the model to stop early.", "min_response_words"),
    Rule(too_long, "It would be cut, or drown the others.", "max_response_words"),
    Rule(echo, "It answers nothing."),
    Rule(refusal, "The model would learn to refuse what it is there to do."),
    Rule(placeholder, "A template was not filled in, so it is no text a user would write."),
    Rule(open_code, "The response was cut off."),
    Rule(loop, "The service LLM got stuck, and the model would learn to."),
    Rule(wrong_json, "What reads the responses would fail on it.", "task.json_schema"),
    Rule(wrong_label, "A label that does not exist cannot be right.", "task.labels"),
    Rule(foreign_script, "Synthesis has drifted away from what users write."),
    Rule(address, "The service LLM makes addresses up."),
    Rule(secret, "A model repeats what it was trained on."),
    Rule(foreign_language, "Synthesis has drifted away from what users write.", "languages"),
)
"""In the order in which they are asked: a drop names the first that was broken."""


def _odd(
    drafts: Sequence[Draft],
    norms: Norms,
    habit: str,
    reason: str,
    fields: Sequence[Field] = FIELDS,
) -> list[str | None]:
    """``reason``, with the field in its braces, for each draft that does what the train split
    does not do in that field."""
    reasons: list[str | None] = [None] * len(drafts)
    for field in fields:
        for i in norms.odd(field, _texts(drafts, field), habit):
            reasons[i] = reasons[i] or reason.format(field)
    return reasons


def _texts(drafts: Sequence[Draft], field: Field) -> list[str]:
    if field == "instruction":
        return [draft.instruction for draft in drafts]
    return [draft.response for draft in drafts]


def _opening(text: str) -> str:
    """The first word, normalised: texts that differ in it differ."""
    return normalised("".join(text.split(None, 1)[:1])).partition(" ")[0]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _unmet(schema: dict[str, Any], value: Any) -> str | None:
    try:
        _validator(json.dumps(schema)).validate(value)
    except ValidationError as error:
        detail = f"{error.json_path}: {error.message[:120]}"
        return f"the response does not satisfy the JSON Schema ({detail})"
    except SchemaError as error:
        return f"the pair's JSON Schema is not one ({error.message[:120]})"
    except Unresolvable as error:
        return f"the JSON Schema refers to what is not in it ({_brief(error)})"
    except (RecursionError, OverflowError) as error:  # the latter: 1e999 against a multipleOf
        why = "nested too deeply" if isinstance(error, RecursionError) else "a number too large"
        return f"the response does not satisfy the JSON Schema ({why} to tell)"
    except _NO_SCHEMA as error:
        return f"the pair's JSON Schema is not one ({_brief(error)})"
    return None


def _brief(error: Exception) -> str:
    """What it says, in a line: some say the whole schema."""
    return " ".join(str(error).split())[:120]


@lru_cache(_KNOWN_SCHEMAS)
def _validator(schema: str) -> Validator:
    """What checks a response against ``schema``, which is JSON.

    Raises:
        SchemaError: it is not a JSON Schema.
    """
    content = json.loads(schema)
    kind = validator_for(content)
    kind.check_schema(content)
    return kind(content, registry=Registry())
