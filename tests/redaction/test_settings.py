"""Patterns of the user's own: what can be searched for in any text, and nothing else."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from llamaduo.config import parse_config
from llamaduo.errors import ConfigError
from llamaduo.redaction.patterns import check_pattern
from llamaduo.redaction.settings import RedactionSettings


@pytest.mark.parametrize(
    "expression",
    [
        r"CUST-\d{4,8}",
        r"[A-Z]{1,8}-\d{1,8}(?:-\d{1,4})?",
        r"(?i)\bkd-?nr\.? {0,2}\d{6}\b",
        r"(?<=room )\d\d",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        r"(?:[A-Z]\d{1,9}+){2,4}",
        r"(?:Mr|Mrs|Ms)\. [A-Z][a-z]{1,20}",
        r"(?>[A-Z]{2,4})-\d{3}",
        r"(?P<year>20\d\d)/\d{5}(?!\d)",
        r"\d{8}+(?=-)",
    ],
)
def test_bounded_expressions_are_taken(expression: str) -> None:
    assert check_pattern(expression) == ""


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("(", "is not a regular expression"),
        ("[z-a]", "is not a regular expression"),
        ("a{5,2}", "is not a regular expression"),
        ("", "the empty text"),
        ("a?", "the empty text"),
        (r"\b", "the empty text"),
        ("(a|)", "the empty text"),
        (r"CUST-\d+", "without an upper bound"),
        ("x.*y", "without an upper bound"),
        ("(a+)+$", "without an upper bound"),
        (r"a{3,}", "without an upper bound"),
        (r"a{3,}+", "without an upper bound"),
        (r"(?:a{1,9}){1,9}b", "could be slow"),
        (r"(?:a|a){1,30}b", "could be slow"),
        (r"(?:a?){1,30}b", "could be slow"),
        (r"\d{1,50}\d{1,50}x", "could be slow"),
        (r"(?=(?:a{1,9}){1,9}b)x", "could be slow"),
        (r"(a)\1", "refers back"),
        (r"(?P<q>'|\")x(?P=q)", "refers back"),
        ("a{600}", "can match more than 500 characters"),
        ("a" * 501, "is longer than 500 characters"),
    ],
)
def test_others_are_refused_with_the_reason(expression: str, problem: str) -> None:
    assert problem in check_pattern(expression)


def test_a_text_that_fits_nowhere_is_searched_in_bounded_steps() -> None:
    """The slowest that are taken, over texts made to be slow: a second each, not a day."""
    for expression, text in (
        (r"(?:a{1,3}){1,5}b", "a" * 20_000),
        (r"\d{1,40}\d{1,40}x", "1" * 20_000),
    ):
        assert check_pattern(expression) == "", expression
        assert re.search(expression, text) is None


@pytest.mark.parametrize("name", ["email", "Customer", "", "my-kind", "x" * 40, "1st"])
def test_a_name_must_be_one_of_its_own(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be a pattern's name"):
        RedactionSettings(patterns={name: r"\d{6}"})


def test_a_bad_pattern_is_a_problem_of_the_configuration_with_its_line() -> None:
    text = "coverage: {data: x.jsonl}\nredaction:\n  patterns:\n    customer: 'CUST-\\d+'\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "llamaduo.yaml")
    (problem,) = caught.value.problems
    assert problem.place.startswith("llamaduo.yaml, line ")
    assert problem.what.startswith("redaction.patterns: customer: 'CUST-")
    assert "write {1,20} for +" in problem.what


def test_on_is_what_it_is_without_a_word() -> None:
    assert parse_config("coverage: {data: x.jsonl}", "x").redaction == RedactionSettings(mode="on")
