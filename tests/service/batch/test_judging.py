"""A whole judge stage in batches: the room knows nothing of it, and a cut changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Judgements
from llamaduo.tasks.settings import TaskSettings
from tests.evaluation.made import pair, response
from tests.service.batch.rehearsed import (
    PROVIDERS,
    Life,
    living,
    rehearsing,
    rows,
    spent,
    until,
)

PAIRS = [pair(f"question {i}") for i in range(40)]
RESPONSES = [response(p, k, f"answer {k} to {p.id}") for p in PAIRS for k in range(3)]
SETTINGS = JudgingSettings.model_validate({"judgements_per_response": 2})


async def judged(life: Life) -> Judgements:
    return await judge(RESPONSES, PAIRS, [life.client], SETTINGS, TaskSettings())


@pytest.mark.proof
@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_judge_stage_in_batches_survives_cuts_expiry_and_errors(
    tmp_path: Path, model: str
) -> None:
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    calm.mkdir()
    rough.mkdir()
    with rehearsing(calm) as service:
        async with living(calm, service.settings(model)) as life:
            undisturbed = await judged(life)
    with rehearsing(rough, seconds=1.5, expired=0.1, errored=0.05, stumbles=2) as service:
        settings = service.settings(model, batch={"largest": 100})
        for cut in (1, 2):
            async with living(rough, settings) as life:
                judging = asyncio.create_task(judged(life))
                await until(lambda cut=cut: len(service.batches()) > cut)  # type: ignore[misc]
                judging.cancel()
                await asyncio.gather(judging, return_exceptions=True)
        async with living(rough, settings) as life:
            disturbed = await judged(life)
            row = spent(life)

    assert len(disturbed.scored) + len(disturbed.unscored) == len(RESPONSES) * 2
    assert disturbed == undisturbed
    assert (row.in_doubt, row.waiting, row.charged) == (0, 0, 0)
    assert row.failed > 0
    answered = rows(rough, "SELECT COUNT(*) FROM attempts WHERE state = 'answered'")
    assert [(service.bought().total(),)] == answered
    states = {state for (state,) in rows(rough, "SELECT state FROM batches")}
    assert states <= {"ended", "lost"}  # lost: cut between its row and its creation
