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
    f"Write one object a line, {_FORM}; the ids are in responses.jsonl. With the response's text"
    ' under "response" it counts for that text alone.'
)


@dataclass(frozen=True, slots=True)
class HumanScore:
    """What a person gave one response: 0 to 100 for each metric that was scored. ``response`` is
    its text, where that was given: the ids are the same in every cycle."""

    response_id: str
    scores: Mapping[Metric, float]
    response: str | None = None

    def is_about(self, response_id: str, text: str) -> bool:
        return self.response_id == response_id and self.response in (None, text)


def read_human_scores(path: Path) -> tuple[HumanScore, ...]:
    """Read JSON Lines of a person's scores, ``judging.human_scores``.

    Every key but ``response_id`` and ``response`` is a metric; blank lines are skipped.

    Raises:
        DataError: the file cannot be read, a line has another form, a response is scored twice,
            or there is no line. The message names file and line.
    """
    scores: dict[tuple[str, str | None], HumanScore] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        score = _score(line, f"{path}, line {number}")
        place = score.response_id, score.response
        if place in scores:
            raise DataError(
                f"{path}, line {number}: {score.response_id} is scored a second time.",
                hint="Keep one line for each response.",
            )
        scores[place] = score
    if not scores:
        raise DataError(f"{path} has no scores.", hint=_HINT)
    return tuple(scores.values())


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
    for metric, value in found.items():
        # A bool is an int to Python. NaN is in no range.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            raise DataError(f"{place}: {metric} is not a number from 0 to 100.", hint=_HINT)
    if not found:
        raise DataError(f"{place}: no score for any metric.", hint=_HINT)
    return HumanScore(response_id, found, response)
