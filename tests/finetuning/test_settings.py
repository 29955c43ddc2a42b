"""What the settings of this room refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llamaduo.finetuning.settings import FinetuningSettings


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_what_every_generator_takes(seed: int) -> None:
    with pytest.raises(ValidationError):
        FinetuningSettings(seed=seed)
    assert FinetuningSettings(seed=2**32 - 1).seed == 2**32 - 1


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_number_is_finite(odd: float) -> None:
    for name in ("epochs", "learning_rate"):
        with pytest.raises(ValidationError):
            FinetuningSettings.model_validate({name: odd})
