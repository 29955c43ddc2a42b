"""What holds for the settings of every room."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from llamaduo.coverage.settings import CoverageSettings
from llamaduo.curation.settings import CurationSettings
from llamaduo.evaluation.settings import JudgingSettings, LimitSettings
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.inference.settings import InferenceSettings
from llamaduo.synthesis.settings import SynthesisSettings

REQUIRED: dict[type[BaseModel], dict[str, object]] = {CoverageSettings: {"data": "pairs.jsonl"}}
NUMBERS = [
    (CoverageSettings, "near_duplicate"),
    (CurationSettings, "novelty"),
    (FinetuningSettings, "epochs"),
    (FinetuningSettings, "learning_rate"),
    (InferenceSettings, "temperature"),
    (JudgingSettings, "max_unscored"),
    (LimitSettings, "min_gain"),
    (SynthesisSettings, "growth"),
]


def refuses(kind: type[BaseModel], name: str, value: float) -> bool:
    try:
        kind.model_validate(REQUIRED.get(kind, {}) | {name: value})
    except ValidationError as error:
        return [problem["loc"] for problem in error.errors()] == [(name,)]
    return False


@pytest.mark.parametrize(
    "kind", [CoverageSettings, FinetuningSettings, InferenceSettings, SynthesisSettings]
)
def test_a_seed_is_one_that_every_generator_takes(kind: type[BaseModel]) -> None:
    assert refuses(kind, "seed", -1)
    assert refuses(kind, "seed", 2**32)
    assert not refuses(kind, "seed", 2**32 - 1)


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_number_is_finite(kind: type[BaseModel], name: str, odd: float) -> None:
    assert refuses(kind, name, odd)


def test_batches_grow_tenfold_at_most() -> None:
    assert refuses(SynthesisSettings, "growth", 10.1)
    assert not refuses(SynthesisSettings, "growth", 10)
