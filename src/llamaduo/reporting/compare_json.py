"""A comparison for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llamaduo.records import Metric
from llamaduo.reporting.compare import Comparison, PromptChange, Side, difference
from llamaduo.storage.jsonl import dump_record


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison for a program; the sides are in the order in which they were named."""
    return {
        "same_prompts": comparison.same_prompts,
        "same_split": _same_split(comparison),
        "warnings": list(comparison.warnings),
        "sides": [_side_as_json(side) for side in (comparison.left, comparison.right)],
        "differences": {
            metric: found
            for metric in comparison.metrics
            if (found := _differences(comparison, metric))
        },
        "free": _free_differences(comparison),
        "paired": [
            {"judge": figure.judge or None, "metric": figure.metric, "threshold": zeta}
            | _plain(found)
            for (figure, zeta), found in comparison.paired.items()
        ],
        "settings": [_plain(one) for one in comparison.settings],
        "prompts": {metric: _plain(one) for metric, one in comparison.tallies.items()},
        "changes": [_change_as_json(one) for one in comparison.changes],
    }


def _change_as_json(change: PromptChange) -> dict[str, Any]:
    return {
        "pair_id": change.pair_id,
        "prompt": change.prompt,
        "left": dict(change.left.scores),
        "right": dict(change.right.scores),
        "difference": change.difference,
    }


def _same_split(comparison: Comparison) -> bool | None:
    splits = comparison.left.split, comparison.right.split
    return splits[0].sha256 == splits[1].sha256 if splits[0] and splits[1] else None


def _side_as_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "rehearsed": side.setup.llamaduo.rehearsed,
        "split": _plain(side.split),
        "scores": _plain(side.scores),
        "inference": _plain(side.inference),
        "training": _plain(side.training),
        "verdict": _plain(side.verdict),
        "usd": side.usd,
    }


def _differences(comparison: Comparison, metric: Metric) -> Mapping[str, float | None]:
    """The panel's, right minus left, in points."""
    sides = comparison.left.scores, comparison.right.scores
    if not sides[0] or not sides[1]:
        return {}
    if metric not in sides[0].panel or metric not in sides[1].panel:
        return {}
    left, right = (scores.panel[metric] for scores in sides if scores)
    shares = sorted(left.coverage_percentage.keys() & right.coverage_percentage.keys())
    found = {
        str(zeta): right.coverage_percentage[zeta] - left.coverage_percentage[zeta]
        for zeta in shares
    }
    return {"mean_score": difference(left.mean_score, right.mean_score), **found}


def _free_differences(comparison: Comparison) -> dict[str, float | None]:
    """Of the metrics that cost nothing, right minus left."""
    left, right = (s.scores.free if s.scores else {} for s in (comparison.left, comparison.right))
    return {name: difference(left[name].value, right[name].value) for name in left if name in right}


def _plain(record: object) -> Any:
    return None if record is None else json.loads(dump_record(record))
