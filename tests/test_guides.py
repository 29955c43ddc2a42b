"""The guides have every setting of the sections that they are about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from llamaduo.finetuning.settings import FinetuningSettings, LocalSettings
from llamaduo.inference.settings import InferenceSettings

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("section", "guide"),
    [
        (FinetuningSettings, "finetuning.md"),
        (InferenceSettings, "inference.md"),
        (LocalSettings, "inference.md"),
    ],
)
def test_every_setting_is_named(section: type[BaseModel], guide: str) -> None:
    text = (DOCS / guide).read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`|```[^`]+```", text))))
    assert set(section.model_fields) <= named
