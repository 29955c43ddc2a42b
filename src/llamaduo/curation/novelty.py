"""Step 4 of ψ: a pair must be new. What it is compared by, and why it is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from llamaduo.curation.reading import LONG_RESPONSE, Reading, only
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.stems import stemmed
from llamaduo.likeness.texts import Texts, joined

Compared = Literal["instruction", "response", "both"]

ALIKE: Final[Mapping[Compared, str]] = {
    "instruction": "instruction too close to another pair's",
    "response": "response too close to another pair's",
    "both": "instruction and response too close to another pair's",
}


def compared(reading: Reading, settings: CurationSettings) -> tuple[Texts, Texts]:
    """Of every known and raw pair the words that novelty compares: outside frames, and all.

    Responses count from :data:`LONG_RESPONSE` words on; shorter ones are left out.
    """
    count = reading.known + reading.raw
    instruction, response = reading.instruction, reading.response
    long = response.remaining.part(0, count).sizes() >= LONG_RESPONSE
    views = []
    for asked, answered in (
        (instruction.remaining, response.remaining),
        (instruction.whole, response.whole),
    ):
        if settings.novelty_field == "instruction":
            view = asked.part(0, count)
        elif settings.novelty_field == "response":
            view = only(answered.part(0, count), long)
        else:
            view = joined(asked.part(0, count), only(answered.part(0, count), long))
        views.append(stemmed(view, reading.vocabulary) if settings.stemming else view)
    return views[0], views[1]
