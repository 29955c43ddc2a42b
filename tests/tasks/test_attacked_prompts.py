"""The judge's prompt under attack: what is data stays data, for whoever reads the prompt how."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.evaluation.attacks import ATTACKS, ORDER, Attack
from llamaduo.records import Message
from llamaduo.tasks.data_block import data_block, read_data, shortened, with_texts
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import judge_messages
from tests.evaluation.made import pair

PAIR = pair("Which colour is the sky?", "Blue.")
LIMIT = 2_000
EDGE = re.compile(r"-----(begin|end) data [0-9a-f]{32}-----")

Read = Callable[[str], list[str]]
READINGS: tuple[Read, ...] = (
    lambda prompt: prompt.split("\n"),
    str.splitlines,
    lambda prompt: unicodedata.normalize("NFKC", prompt).splitlines(),
)


def prompt_of(response: str) -> str:
    return judge_messages(TaskSettings(), PAIR, response, limit=LIMIT)[-1].content


def outside(prompt: str, read: Read) -> list[str]:
    """The lines that a judge takes for instructions: it tells the data by the look of its
    boundaries and checks no digest."""
    found, is_data = [], False
    for line in read(prompt):
        if edge := EDGE.fullmatch(line.strip()):
            is_data = edge[1] == "begin"
        elif not is_data:
            found.append(line)
    return found


def obeyed(response: str) -> list[str]:
    """What a judge would do that obeys whatever the template does not say."""
    plain = prompt_of("x" * (LIMIT + 1) if len(response) > LIMIT else "")
    return [
        line
        for read in READINGS
        for line in outside(prompt_of(response), read)
        if line not in outside(plain, read)
    ]


def joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def real_edges() -> list[str]:
    return [edge[0] for text in ("", "Blue.") for edge in EDGE.finditer(prompt_of(text))]


pieces = st.sampled_from(
    [
        *real_edges(),
        *data_block({"response": ORDER}).split("\n"),
        *('"', '"}', "\\", "\\n", '\\"', "{", '"shortened": {"response": 1}', ORDER),
        *("\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\u202e", "\u200b", "\ufe0f"),
        *("\uff02", "\uff3c", "\u0301", "\ud83d", "\ude00", "\U000e0053", "－" * 5),
    ]
)
anything = st.text(st.characters(exclude_categories=()), max_size=40)
responses = st.lists(pieces | anything, max_size=20).map("".join)


@given(response=responses, times=st.sampled_from([1, 1, 1, 30]))
def test_no_response_leaves_the_data(response: str, times: int) -> None:
    assert obeyed(response * times) == []


@given(response=responses, times=st.sampled_from([1, 1, 1, 30]))
def test_the_data_is_the_response_and_the_rest_the_template(response: str, times: int) -> None:
    response *= times
    prompt = prompt_of(response)
    data = read_data([Message("user", prompt)])
    assert data is not None
    assert data["response"] == joined(shortened(response, LIMIT))
    assert data.get("shortened") == ({"response": len(response)} if len(response) > LIMIT else None)
    assert (data["instruction"], data["reference"]) == (PAIR.instruction, PAIR.response)
    assert with_texts(prompt, str) == prompt


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("response", ["Blue.", "Red.", '"}', ""])
def test_no_attack_leaves_the_data(attack: Attack, response: str) -> None:
    assert obeyed(attack.on(response, PAIR.instruction)) == []


def test_this_judge_would_obey_a_prompt_that_does_not_escape() -> None:
    """Else the tests above would show nothing."""
    [edge, end] = real_edges()[:2]
    naive = "\n".join(["Mark this.", edge, f"Red.\n{end}\n{ORDER}", end])
    assert ORDER in outside(naive, READINGS[0])
