"""Step 2 of ψ: quality rules. Each is one function that returns a reason or None.

A reason begins with the same words for every pair that breaks the rule; what is particular to
one pair stands in brackets at its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from llamaduo.curation.duplicates import normalised
from llamaduo.curation.habits import PLACEHOLDERS
from llamaduo.curation.norms import FIELDS, Norms, label_of, scripts_in, text_of
from llamaduo.curation.objection import Objection
from llamaduo.curation.reading import Reading
from llamaduo.records import Pair
from llamaduo.tasks.words import words

Rule = Callable[[Pair, Norms], str | None]

FOREIGN_LETTERS = 0.2
"""Share of a text's letters that may belong to scripts which no train pair uses there."""


class QualityRules:
    """The first of :data:`RULES` that a pair breaks."""

    name = "quality rules"

    def __init__(self, norms: Norms) -> None:
        self._norms = norms

    def objection(self, reading: Reading) -> Objection | None:
        for rule in RULES:
            reason = rule(reading.pair, self._norms)
            if reason is not None:
                return Objection(reason)
        return None

    def admit(self, reading: Reading) -> None:
        """Nothing to remember: each pair is judged by itself."""


def empty(pair: Pair, _: Norms) -> str | None:
    for field in FIELDS:
        if not text_of(pair, field).strip():
            return f"the {field} is empty"
    return None


def too_short(pair: Pair, norms: Norms) -> str | None:
    """A response of symbols only counts as one word."""
    count, least = max(1, len(words(pair.response))), norms.settings.min_response_words
    return f"the response is too short ({count} words, at least {least})" if count < least else None


def too_long(pair: Pair, norms: Norms) -> str | None:
    count, most = len(words(pair.response)), norms.settings.max_response_words
    return f"the response is too long ({count} words, at most {most})" if count > most else None


def echo(pair: Pair, _: Norms) -> str | None:
    same = normalised(pair.response) == normalised(pair.instruction)
    return "the response repeats the instruction" if same else None


def refusal(pair: Pair, norms: Norms) -> str | None:
    odd = norms.is_odd(pair, "response", "refusal")
    return "the response refuses, or speaks as an AI" if odd else None


def placeholder(pair: Pair, norms: Norms) -> str | None:
    for field in FIELDS:
        for kind in PLACEHOLDERS:
            if norms.is_odd(pair, field, kind):
                return f"a placeholder was left in the {field} (as in {kind})"
    return None


def open_code(pair: Pair, norms: Norms) -> str | None:
    for field in FIELDS:
        if norms.is_odd(pair, field, "open code"):
            return f"a code fence in the {field} is not closed"
    return None


def loop(pair: Pair, norms: Norms) -> str | None:
    for field in FIELDS:
        if norms.is_odd(pair, field, "loop"):
            return f"the {field} repeats itself over and over"
    return None


def wrong_json(pair: Pair, norms: Norms) -> str | None:
    """The pair's own schema goes before the task's. References to other documents are not
    followed: nothing here opens a connection."""
    schema = pair.json_schema or norms.json_schema
    if schema is None:
        return None
    try:
        value = json.loads(pair.response, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"the response is not JSON ({error})"
    return _unmet(schema, value)


def wrong_label(pair: Pair, norms: Norms) -> str | None:
    label = label_of(pair.response)
    if norms.labels is None or label in norms.labels:
        return None
    return f"the response is not one of the task's labels ({label[:60]})"


def foreign_script(pair: Pair, norms: Norms) -> str | None:
    for field in FIELDS:
        usual, found = norms.scripts[field], scripts_in(text_of(pair, field))
        strange = {script: n for script, n in found.items() if script not in usual}
        if usual and sum(strange.values()) > FOREIGN_LETTERS * found.total():
            script = max(strange, key=lambda name: strange[name])
            return f"the {field} is in a script that no train pair uses there ({script.title()})"
    return None


def address(pair: Pair, norms: Norms) -> str | None:
    for field in FIELDS:
        if norms.is_odd(pair, field, "address"):
            return f"the {field} has a web address, and no train pair's has"
    return None


def secret(pair: Pair, norms: Norms) -> str | None:
    """The reason does not repeat what was found."""
    for field in FIELDS:
        if norms.is_odd(pair, field, "secret"):
            return f"the {field} has what looks like a key or password"
    return None


RULES: Final[tuple[Rule, ...]] = (
    empty,
    too_short,
    too_long,
    echo,
    refusal,
    placeholder,
    open_code,
    loop,
    wrong_json,
    wrong_label,
    foreign_script,
    address,
    secret,
)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _unmet(schema: dict[str, Any], value: Any) -> str | None:
    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
        kind(schema, registry=Registry()).validate(value)
    except ValidationError as error:
        detail = f"{error.json_path}: {error.message[:120]}"
        return f"the response does not satisfy the JSON Schema ({detail})"
    except SchemaError as error:
        return f"the pair's JSON Schema is not one ({error.message[:120]})"
    except Unresolvable as error:
        return f"the JSON Schema refers to another document ({error})"
    return None
