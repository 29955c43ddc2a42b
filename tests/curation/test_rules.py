"""Step 2: each rule by what breaks it, and by what looks alike and does not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from llamaduo.curation.norms import norms_of
from llamaduo.curation.rules import RULES, broken_rules
from llamaduo.curation.settings import CurationSettings
from llamaduo.records import Pair
from llamaduo.tasks.settings import TaskSettings
from tests.curation.making import pair

TRAIN = [
    pair("Where is the river Ebro?", "In Spain."),
    pair("Who painted the ceiling of the Sistine chapel?", "Michelangelo."),
]
ASK = "What grows in the polders of the north?"


def reason(
    broken: Pair,
    train: list[Pair] = TRAIN,
    task: TaskSettings | None = None,
    **limits: int,
) -> str | None:
    """The reason of the quality rule that ``broken`` breaks, if any."""
    norms = norms_of(train, task or TaskSettings(), CurationSettings(**limits))
    [objection] = broken_rules([broken], norms)
    return objection.reason if objection else None


@pytest.mark.parametrize(
    ("instruction", "response", "expected"),
    [
        ("  \n", "Tulips.", "the instruction is empty"),
        (ASK, " ", "the response is empty"),
        (ASK, ASK.upper() + "\n", "the response repeats the instruction"),
        (ASK, "As an AI language model, I do not garden.", "the response refuses, or speaks"),
        (ASK, "I’m an AI, so I would not know.", "the response refuses, or speaks"),
        (ASK, "I'm sorry, but I can't help with that.", "the response refuses, or speaks"),
        (ASK, "Unfortunately, I am unable to provide this.", "the response refuses, or speaks"),
        (ASK, "Dear [NAME], tulips.", "a placeholder was left in the response (as in [PLACE"),
        (ASK, "Sincerely, [Your Name]", "a placeholder was left in the response"),
        ("Ask about {{ topic }} now", "Tulips.", "a placeholder was left in the instruction"),
        (ASK, "$instruction", "a placeholder was left in the response (as in $placeholder)"),
        (ASK, "Dear <insert name>, tulips.", "a placeholder was left in the response"),
        (ASK, " ...\n…", "a placeholder was left in the response (as in ...)"),
        (ASK, "```python\nprint(1)\n", "a code fence in the response is not closed"),
        (ASK, "and then it rains " * 5, "the response repeats itself over and over"),
        (ASK, "ha" * 60, "the response repeats itself over and over"),
        (ASK, "В польдерах растут тюльпаны", "the response is in a script that no train pair"),
        ("圩田里长什么?", "Tulips.", "the instruction is in a script that no train pair"),
        (ASK, "See https://flowers.example/tulips", "the response has a web address"),
        (ASK, "Use AKIAIOSFODNN7EXAMPLE for it.", "the response has what looks like a key"),
    ],
)
def test_a_broken_pair_is_dropped_with_its_reason(
    instruction: str, response: str, expected: str
) -> None:
    found = reason(pair(instruction, response))
    assert found is not None
    assert found.startswith(expected)


@pytest.mark.parametrize(
    "response",
    [
        "+",
        "As an AI engineer I would plant tulips.",
        "I can't say that tulips bore me.",
        "She is sorry that he cannot help.",
        "[Y]ou will find tulips [1] and [more](below).",
        "It costs $20 in cash.",
        "Tulips... and rain.",
        "```python\nprint(1)\n```",
        "````\n```\n````",
        "```print(1)``` prints a one.",
        "~~~ `\nprint(1)\n~~~",
        "no no no no, tulips",
        "one two three four " * 3,
        "About 5 μm of silt, as the Greek letter says.",
        "Twenty www of them",
    ],
)
def test_what_only_looks_broken_is_kept(response: str) -> None:
    assert reason(pair(ASK, response)) is None


@pytest.mark.parametrize(
    "habit",
    [
        "I'm sorry, but I can't help with that.",
        "Dear [NAME], tulips.",
        "Hello {{name}}",
        "В польдерах растут тюльпаны",
        "See https://flowers.example/tulips",
        "0 1 " * 30,
    ],
)
def test_what_some_train_response_does_is_allowed(habit: str) -> None:
    assert reason(pair(ASK, habit)) is not None
    assert reason(pair(ASK, habit), [*TRAIN, pair("Reply as we do", habit)]) is None


def test_in_a_coding_task_braces_and_brackets_are_syntax() -> None:
    vue = pair("Show a loop in Vue", "<li>{{ item }}</li> logs [INFO]")
    assert reason(vue) is not None
    assert reason(vue, task=TaskSettings(kind="coding")) is None


def test_the_limits_of_length_are_the_settings() -> None:
    three = pair(ASK, "tulips and rain")
    assert reason(three, min_response_words=3, max_response_words=3) is None
    short = reason(three, min_response_words=4)
    assert short == "the response is too short (3 words, at least 4)"
    long = reason(three, max_response_words=2)
    assert long == "the response is too long (3 words, at most 2)"


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"plant": {"type": "string"}},
    "required": ["plant"],
}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ('{"plant": "tulip"}', None),
        ('{"plant": "tulip"', "the response is not JSON"),
        ('{"plant": NaN}', "the response is not JSON"),
        ("[" * 100_000, "the response is not JSON"),
        ('{"plant": 3}', "the response does not satisfy the JSON Schema ($.plant"),
        ("{}", "the response does not satisfy the JSON Schema"),
    ],
)
def test_a_response_must_satisfy_the_tasks_schema(response: str, expected: str | None) -> None:
    found = reason(pair(ASK, response), task=TaskSettings(json_schema=SCHEMA))
    assert bool(found) == bool(expected)
    assert (found or "").startswith(expected or "")


def test_a_schema_elsewhere_is_not_fetched() -> None:
    task = TaskSettings(json_schema={"$ref": "https://schemas.example/plant.json"})
    found = reason(pair(ASK, '{"plant": "tulip"}'), task=task)
    assert (found or "").startswith("the JSON Schema refers to what is not in it")


def test_a_reference_to_nowhere_does_not_repeat_the_schema() -> None:
    schema = {"$ref": "#/nowhere", "description": "plant " * 1000}
    found = reason(replace(pair(ASK, "{}"), json_schema=schema)) or ""
    assert found.startswith("the JSON Schema refers to what is not in it (PointerToNowhere: '/no")
    assert len(found) < 200


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "plant"},
        {"$schema": 5},
        {"$schema": ["plant"]},
        {"$schema": "http://["},
        {"type": "object", "$ref": "#/type"},
        {"x": {"type": "plant"}, "$ref": "#/x"},
        {"x": {"required": 5}, "$ref": "#/x"},
        {"x": {"patternProperties": {"[": {}}}, "$ref": "#/x"},
    ],
)
def test_a_pair_whose_own_schema_is_none_is_dropped(schema: dict[str, Any]) -> None:
    found = reason(replace(pair(ASK, '{"plant": "tulip"}'), json_schema=schema))
    assert (found or "").startswith("the pair's JSON Schema is not one")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "".join(map(str, range(1, 200)))])
def test_a_number_too_large_for_its_schema_is_dropped(number: str) -> None:
    task = TaskSettings(json_schema={"multipleOf": 0.5})
    assert reason(pair(ASK, "1.5"), task=task) is None
    found = reason(pair(ASK, number), task=task)
    assert found == "the response does not satisfy the JSON Schema (a number too large to tell)"


def test_a_label_must_be_one_of_the_tasks() -> None:
    task = TaskSettings(kind="classification", labels=("praise", "complaint"))
    assert reason(pair(ASK, " praise\n"), task=task) is None
    found = reason(pair(ASK, "Praise!"), task=task)
    assert found == "the response is not one of the task's labels (Praise!)"


def labelled(*responses: str) -> list[Pair]:
    return [pair(f"Message number {i} says thing {i}", r) for i, r in enumerate(responses)]


def test_a_closed_set_of_labels_is_learnt_from_the_train_split() -> None:
    task = TaskSettings(kind="classification")
    closed = labelled(*["praise", "complaint"] * 3)
    assert reason(pair(ASK, "praise"), closed, task) is None
    assert reason(pair(ASK, "question"), closed, task) is not None
    assert reason(pair(ASK, "question"), closed) is None, "only for classification"


def test_labels_seen_rarely_or_too_many_are_no_closed_set() -> None:
    task = TaskSettings(kind="classification")
    rare = labelled(*["praise"] * 9, "complaint", "complaint")
    many = labelled(*[f"label {i}" for i in range(51)] * 3)
    assert reason(pair(ASK, "question"), rare, task) is None
    assert reason(pair(ASK, "question"), many, task) is None


def test_the_first_rule_broken_is_named_and_order_is_kept() -> None:
    raw = [
        pair(ASK, "Tulips."),
        pair("", "See https://flowers.example/tulips"),
        pair(ASK, "Reeds."),
        pair(ASK, "Dear [NAME], see https://flowers.example/tulips"),
    ]
    found = broken_rules(raw, norms_of(TRAIN, TaskSettings(), CurationSettings()))
    assert [objection and objection.reason for objection in found] == [
        None,
        "the instruction is empty",
        None,
        "a placeholder was left in the response (as in [PLACEHOLDER])",
    ]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    habit, odd = pair(ASK, "Dear [NAME], tulips."), pair(ASK, "See https://flowers.example/tulips")
    train, raw = [*TRAIN, habit, *TRAIN], [odd, habit, odd]
    for block in (1, 2, 1000):
        monkeypatch.setattr("llamaduo.curation.norms._BLOCK", block)
        monkeypatch.setattr("llamaduo.curation.rules._BLOCK", block)
        found = broken_rules(raw, norms_of(train, TaskSettings(), CurationSettings()))
        assert [objection is None for objection in found] == [False, True, False]


def test_each_rule_says_what_it_drops_and_why() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 14
    for rule in RULES:
        assert rule.drops.endswith("."), rule.name
        assert rule.why.endswith("."), rule.name
    dials = {rule.setting for rule in RULES} - {""}
    assert {dial.partition(".")[2] for dial in dials if dial.startswith("task.")} <= set(
        TaskSettings.model_fields
    )
    assert {dial for dial in dials if "." not in dial} <= set(CurationSettings.model_fields)


def test_schemas_of_the_same_content_are_one_and_others_are_not_mixed_up() -> None:
    number: dict[str, Any] = {"type": "object", "properties": {"plant": {"type": "number"}}}
    raw = [
        replace(pair(ASK, '{"plant": 3}'), json_schema=dict(schema))
        for schema in (SCHEMA, number, SCHEMA, number)
    ]
    found = broken_rules(raw, norms_of(TRAIN, TaskSettings(), CurationSettings()))
    assert [objection is None for objection in found] == [False, True, False, True]


def test_a_response_nested_too_deeply_for_its_schema_is_dropped() -> None:
    nested: dict[str, Any] = {"items": {"$ref": "#"}}
    task = TaskSettings(json_schema=nested)
    assert reason(pair(ASK, "[[[]]]"), task=task) is None
    found = reason(pair(ASK, "[" * 400 + "]" * 400), task=task)
    assert found == "the response does not satisfy the JSON Schema (nested too deeply to tell)"


@pytest.mark.parametrize(
    "response",
    [
        "http://" * 60_000,
        "www." * 60_000,
        "eyJ-" * 60_000,
        "-----BEGIN " * 60_000,
        "{{ a" * 60_000,
        "[AA" + " AA" * 60_000,
        "`" * 300_000,
        " " * 300_000 + "I",
        "a" * 49 + "b" * 49 + "c" * 60_000,
        "word and another word " * 15_000,
    ],
)
def test_a_long_text_takes_no_more_than_its_share_of_time(response: str) -> None:
    """Each took minutes if a pattern read a stretch again from each of its beginnings."""
    started = time.process_time()
    reason(pair(ASK, response), max_response_words=1_000_000)
    assert time.process_time() - started < 5
