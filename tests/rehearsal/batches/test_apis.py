"""The batch APIs as the official SDKs see them, beyond what llamaduo itself uses of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError

from tests.canary import CANARY
from tests.service.batch.rehearsed import rehearsing

LINE = {
    "custom_id": "one",
    "method": "POST",
    "url": "/v1/responses",
    "body": {"model": "m", "input": "Hello\u2028there"},
}


async def test_openai_s_files_and_a_batch_that_is_cancelled(tmp_path: Path) -> None:
    with rehearsing(tmp_path, seconds=60) as service:
        async with AsyncOpenAI(api_key=CANARY, base_url=f"{service.address}/v1") as client:
            content = json.dumps(LINE, ensure_ascii=False).encode()
            file = await client.files.create(file=("b.jsonl", content), purpose="batch")
            assert (await client.files.content(file.id)).content == content
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
            )
            assert batch.status == "in_progress"
            await client.batches.cancel(batch.id)
            gone = await client.batches.retrieve(batch.id)
            assert (gone.status, gone.output_file_id) == ("cancelled", None)
            lines = (await client.files.content(gone.error_file_id or "")).content
            assert json.loads(lines)["error"]["code"] == "batch_cancelled"
            await client.files.delete(file.id)
            with pytest.raises(NotFoundError):
                await client.files.content(file.id)
    assert service.bought().total() == 0


async def test_anthropic_s_batch_that_is_cancelled(tmp_path: Path) -> None:
    from anthropic import AsyncAnthropic

    params: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with rehearsing(tmp_path, seconds=60) as service:
        async with AsyncAnthropic(api_key=CANARY, base_url=service.address) as client:
            batches = client.messages.batches
            made = await batches.create(requests=[{"custom_id": "one", "params": params}])
            assert made.request_counts.processing == 1
            await batches.cancel(made.id)
            assert (await batches.retrieve(made.id)).processing_status == "ended"
            results = [one async for one in await batches.results(made.id)]
    assert [(one.custom_id, one.result.type) for one in results] == [("one", "canceled")]
