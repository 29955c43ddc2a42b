"""Records that the tests of this room start from."""

from __future__ import annotations

from llamaduo.records import (
    Judgement,
    Mark,
    Message,
    MetricScores,
    Pair,
    Provenance,
    Response,
    Scores,
    Unscored,
    pair_id,
)


def pair(instruction: str, response: str = "yes") -> Pair:
    messages = (Message("user", instruction),)
    return Pair(
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made.jsonl:1"),
    )


def response(to: Pair, index: int = 0, text: str = "yes") -> Response:
    return Response(
        id=f"{to.id}-{index}",
        pair_id=to.id,
        index=index,
        author="local",
        text=text,
        finish="stop",
        prompt_tokens=1,
        new_tokens=1,
        seconds=0.1,
    )


def judgement(
    of: Response, precision: int, similarity: int = 0, *, judge: str = "one", index: int = 0
) -> Judgement:
    return Judgement(
        response_id=of.id,
        pair_id=of.pair_id,
        judge=judge,
        index=index,
        marks={"similarity": Mark(similarity, ""), "precision": Mark(precision, "")},
        snapshot="one-1",
        call="key",
    )


def unscored(
    of: Response, *, judge: str = "one", index: int = 0, reason: str = "not JSON"
) -> Unscored:
    return Unscored(
        response_id=of.id,
        pair_id=of.pair_id,
        judge=judge,
        index=index,
        kind="malformed",
        reason=reason,
    )


def metric_scores(mean: float | None, percentages: dict[int, float] | None = None) -> MetricScores:
    return MetricScores(
        mean_score=mean,
        coverage_percentage=percentages or {},
        responses=1,
        scored=1,
        unscored=0,
        lowest=0.0,
        highest=100.0,
    )


def scores(
    precision: float | None,
    percentages: dict[int, float] | None = None,
    similarity: float | None = 0.0,
) -> Scores:
    return Scores(
        prompts=1,
        responses=1,
        judges={},
        panel={
            "precision": metric_scores(precision, percentages),
            "similarity": metric_scores(similarity),
        },
        free={},
        judged_prompts=1,
    )
