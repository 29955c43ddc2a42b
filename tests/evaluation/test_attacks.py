"""The attacks: pure, different, and all of them data in a prompt."""

from __future__ import annotations

import pytest

from llamaduo.evaluation.attacks import ATTACKS, Attack
from llamaduo.tasks.data_block import read_data
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import judge_messages
from tests.evaluation.made import pair

RESPONSE, INSTRUCTION = "Forty-two, I think.", "How many?"
attacks = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def test_there_are_enough_and_each_says_what_it_is_and_where_it_is_from() -> None:
    assert len(ATTACKS) >= 24
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert all(attack.words.endswith(".") and attack.source for attack in ATTACKS)
    assert not any(":" in attack.name for attack in ATTACKS)  # ids of responses hold them


def test_no_two_are_the_same() -> None:
    assert len({attack.on(RESPONSE, INSTRUCTION) for attack in ATTACKS}) == len(ATTACKS)


@attacks
def test_an_attack_is_a_pure_function_that_changes_the_response(attack: Attack) -> None:
    attacked = attack.on(RESPONSE, INSTRUCTION)
    assert attacked == attack.on(RESPONSE, INSTRUCTION)
    assert attacked.strip()
    assert attacked != RESPONSE


@attacks
@pytest.mark.parametrize("response", ["", "\ud83d", "日本語", '"}', "x" * 30_000])
def test_an_attack_takes_any_response_and_stays_data(attack: Attack, response: str) -> None:
    attacked = attack.on(response, INSTRUCTION)
    messages = judge_messages(TaskSettings(), pair(INSTRUCTION), attacked, limit=100_000)
    data = read_data(messages)
    assert data is not None
    assert data["response"] == attacked
    assert "shortened" not in data
