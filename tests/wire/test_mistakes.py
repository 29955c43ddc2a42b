"""What is wrong with a body, said in the client's own words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from llamaduo.wire.mistakes import first_mistake


class Part(BaseModel):
    text: str


class Body(BaseModel):
    content: str | list[Part]
    count: int = 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"content": "x", "count": "many"}, "count: Input should be a valid integer"),
        ({"content": [{"text": "x"}, {}]}, "content[1].text: Field required"),
        ({"content": [{"text": 1}]}, "content[0].text: Input should be a valid string"),
        ({}, "content: Field required"),
        ([], "The request: Input should be a valid dictionary"),
    ],
)
def test_it_names_the_field_that_is_deepest(wrong: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(wrong)
    assert str(first_mistake(caught.value)).startswith(said)
