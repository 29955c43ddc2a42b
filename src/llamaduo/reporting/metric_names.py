"""What a report calls each metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamaduo.records import Metric
from llamaduo.tasks.showing import visible

AGREEMENT: Final = "Agreement"
"""What similarity is where the references are the service LLM's own replies."""
_FREE: Final[Mapping[str, str]] = {
    "exact_match": "Exact match, %",
    "label_accuracy": "Label accuracy, %",
    "schema_validity": "Schema validity, %",
    "field_accuracy": "Field accuracy, %",
    "unconstrained_validity": "Schema validity unconstrained, %",
    "unconstrained_accuracy": "Field accuracy unconstrained, %",
    "rouge_l": "ROUGE-L",
    "parses": "Parses, %",
}


def title_of(name: Metric, *, agreement: bool = False) -> str:
    """``Precision``, ``Tone of voice`` of ``tone_of_voice``, ``Exact match, %``."""
    if name == "similarity" and agreement:
        return AGREEMENT
    return _FREE.get(name) or visible(name).replace("_", " ").capitalize()


def words_of(name: Metric, *, agreement: bool = False) -> str:
    """The same within a sentence: ``precision``, ``exact match``, ``ROUGE-L``."""
    title = title_of(name, agreement=agreement).removesuffix(", %")
    return title if title.isupper() or "-" in title else title.lower()
