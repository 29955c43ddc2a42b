"""What the settings of this room refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llamaduo.inference.settings import InferenceSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", -1), ("seed", 2**32), ("temperature", float("nan")), ("top_p", float("nan"))],
)
def test_what_no_generator_takes_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        InferenceSettings.model_validate({name: value})
