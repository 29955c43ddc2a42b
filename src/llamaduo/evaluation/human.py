"""A person's scores of some responses, to hold the judges against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.errors import DataError
from llamaduo.records import Metric

_FORM = '{"response_id": ID, "precision": NUMBER from 0 to 100, ...}'
_HINT = (
    f"Write one object a line, {_FORM}, or null for what is not scored; `llamaduo judges --sheet`"
    ' writes lines to fill in. With the response\'s text under "response" a line counts for that'
    " text alone."
)
TO_READ = ("prompt", "reference")
"""What a line has for the person alone."""
NO_METRICS = ("response_id", "response", *TO_READ)
"""The keys of a line that are no metric's."""


@dataclass(frozen=True, slots=True)
class HumanScore:
    """What a person gave one response: 0 to 100 for each metric that was scored. ``response`` is
    its text, where that was given: the ids are the same in every cycle."""

    response_id: str
    scores: Mapping[Metric, float]
    response: str | None = None

    def is_about_one_of(self, texts: Mapping[str, str]) -> bool:
        """Whether it is about one of the responses whose ``texts`` these are, by id."""
        text = texts.get(self.response_id)
        return text is not None and self.response in (None, text)


@dataclass(frozen=True, slots=True)
class HumanScores:
    """A person's scores, and how many responses of the sheet have none yet."""

    scores: tuple[HumanScore, ...] = ()
    unfilled: int = 0


def read_human_scores(path: Path) -> HumanScores:
    """Read JSON Lines of a person's scores, ``judging.human_scores``.

    Every key but :data:`NO_METRICS` is a metric. A metric that is null is not scored; a line
    without any score is counted and skipped, a blank one skipped.

    Raises:
        DataError: the file cannot be read, a line has another form, a response is scored twice,
            or nothing is scored. The message names file and line.
    """
    scores: dict[tuple[str, str | None], HumanScore] = {}
    unfilled = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        score = _score(line, f"{path}, line {number}")
        if not score.scores:
            unfilled += 1
            continue
        place = score.response_id, score.response
        if place in scores:
            raise DataError(
                f"{path}, line {number}: {score.response_id} is scored a second time.",
                hint="Keep one line for each response.",
            )
        scores[place] = score
    if not scores:
        lines = f": none of its {unfilled} lines is filled in" if unfilled else ""
        raise DataError(f"{path} has no scores{lines}.", hint=_HINT)
    return HumanScores(tuple(scores.values()), unfilled)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}.",
            hint="Check judging.human_scores, or leave it out.",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text.", hint=_HINT) from error


def _score(line: str, place: str) -> HumanScore:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON.", hint=_HINT) from error
    if not isinstance(found, dict) or not isinstance(found.get("response_id"), str):
        raise DataError(f"{place}: no object with a response_id.", hint=_HINT)
    response_id, response = found.pop("response_id"), found.pop("response", None)
    if not isinstance(response, str | None):
        raise DataError(f"{place}: response is not a text.", hint=_HINT)
    for key in TO_READ:
        found.pop(key, None)
    if not found:
        raise DataError(f"{place}: no score for any metric.", hint=_HINT)
    given = {metric: value for metric, value in found.items() if value is not None}
    for metric, value in given.items():
        # A bool is an int to Python. NaN is in no range.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            raise DataError(f"{place}: {metric} is not a number from 0 to 100.", hint=_HINT)
    return HumanScore(response_id, given, response)
