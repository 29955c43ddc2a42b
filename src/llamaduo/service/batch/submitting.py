"""Handing a batch to the provider, and finding out whether it has one.

A request to create a batch whose answer is lost may have created it. So before one is submitted
again, in this life or the next, it is looked for: the ids of its requests were in the ledger
before it left, and a batch of the provider's that has them is ours.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from llamaduo.errors import LlamaduoError, RunIncompatible, ServiceRefused
from llamaduo.service import address, setbacks
from llamaduo.service.batch.collecting import Collecting, Gone
from llamaduo.service.batch.desk import Desk, Look, refused
from llamaduo.service.batch.journal import BatchJournal
from llamaduo.service.batch.trouble import Trouble, at_the_desk
from llamaduo.service.retry import Backoff
from llamaduo.service.setbacks import Setback
from llamaduo.service.settings import ServiceSettings

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.models.batch import Batch, EncodedBatchRequest

_CLOCKS_APART = timedelta(minutes=10)
"""How far the provider's clock may be from ours when it says when a batch was created."""


class NotOffered(Exception):
    """The server has no batch API. ``what`` is what it said."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unsure(Exception):
    """Nobody can find out whether the provider has the batch."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Submitting:
    """Submits batches of one model, each at most once."""

    def __init__(
        self,
        settings: ServiceSettings,
        journal: BatchJournal,
        model: Model,
        desk: Desk,
        collecting: Collecting,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._model = model
        self._desk = desk
        self._collecting = collecting

    async def submit(
        self, batch: str, encoded: Sequence[EncodedBatchRequest], pairs: tuple[str, ...]
    ) -> str:
        """The provider's id of the batch, once that is in the ledger too.

        Raises:
            NotOffered: there is no batch API at that address.
            Unsure: the answer was lost, and the provider does not let us look.
            ServiceRefused: the provider will not take it.
            ServiceUnavailable: it did not take it before the deadline.
        """
        began = datetime.now(UTC)
        ids = frozenset(one.custom_id for one in encoded)
        used, failed = 0.0, 0
        while True:
            try:
                handle = await at_the_desk(
                    self._desk.errors, lambda: self._model.batch_create(encoded), pairs
                )
            except Trouble as trouble:
                if found := await self._after(trouble, ids, began):
                    return await self.record(batch, found, len(ids))
                failed += 1
                wait = Backoff().seconds(failed, None, random.Random())
                used += wait
                if used > self._settings.deadline_seconds:
                    last = Setback(what=trouble.what)
                    raise setbacks.unavailable(self._settings, failed, last) from trouble
                await asyncio.sleep(wait)
            else:
                await self._journal.submitted(batch, _dump(handle))
                return handle.id

    async def search(self, custom_ids: frozenset[str], since: datetime) -> Look | None:
        """The provider's batch of these requests, created at ``since`` or later; None if it
        surely has none.

        Where only its results tell which batch is whose, this waits for those of the same size.

        Raises:
            Unsure: the provider does not let us look.
            ServiceUnavailable: it could not be reached until the deadline.
        """
        known = self._journal.known()
        for again in (False, True):  # one that is being created shows up a moment later
            if again:
                await asyncio.sleep(self._collecting.pause())
            for look in await self._recent(since - _CLOCKS_APART):
                likely = look.id not in known and look.total in (None, len(custom_ids))
                if likely and (found := await self._if_ours(look, custom_ids)):
                    return found
        return None

    async def record(self, batch: str, found: Look, requests: int) -> str:
        """Keep the handle of a batch that was found."""
        await self._journal.submitted(batch, _dump(await self._handle(found, requests)))
        return found.id

    async def at_provider(self, handle: str) -> str:
        """The provider's id in a stored handle.

        Raises:
            RunIncompatible: it was submitted to another address than the settings have now.
        """
        stored = json.loads(handle)
        endpoint = json.loads(stored["group"]).get("endpoint")
        if endpoint != json.loads(await self._group()).get("endpoint"):
            raise RunIncompatible(
                f"The batch {stored['id']} of {self._settings.model} was submitted to another"
                f" address than {address.base_url(self._settings)}.",
                hint="Set service.base_url as it was, and run again to collect it.",
            )
        return str(stored["id"])

    # --- looking for a batch --------------------------------------------------------------

    async def _after(self, trouble: Trouble, ids: frozenset[str], began: datetime) -> Look | None:
        """The batch that was created although its creation failed, if it was."""
        if trouble.is_absence:
            raise NotOffered(trouble.what) from trouble
        if trouble.is_final and trouble.is_refusal:
            raise refused(self._settings.model, trouble.what) from trouble
        return None if trouble.is_refusal else await self.search(ids, began)

    async def _recent(self, since: datetime) -> list[Look]:
        try:
            return await self._collecting.patiently(lambda: self._desk.recent(since))
        except (Gone, ServiceRefused) as error:
            raise Unsure(f"whether it was submitted cannot be found out ({error})") from error

    async def _if_ours(self, look: Look, custom_ids: frozenset[str]) -> Look | None:
        try:
            ours = await self._collecting.patiently(lambda: self._desk.holds(look, custom_ids))
            if ours is None:
                look = await self._collecting.wait(look.id, look.id, len(custom_ids))
                ours = bool(custom_ids & set(await self._collecting.outcomes(look)))
        except (Gone, ServiceRefused):
            return None  # whatever it is, it cannot be collected
        return look if ours else None

    async def _handle(self, found: Look, requests: int) -> Batch:
        from pydantic_ai.models.batch import Batch

        return Batch(
            id=found.id,
            model_name=self._model.model_name,
            provider_name=self._model.system,
            group=await self._group(),
            status="in_progress",
            created_at=found.created_at,
            request_count=requests,
        )

    async def _group(self) -> str:
        """What a batch submitted now would share: the address, the account, the model."""
        from pydantic_ai.messages import ModelRequest
        from pydantic_ai.models.batch import BatchRequest

        probe = BatchRequest(custom_id="-", messages=[ModelRequest.user_text_prompt("-")])
        return (await self._model.batch_encode(probe)).group


def is_surely_not_there(error: LlamaduoError) -> bool:
    """Whether the provider has nothing of a batch whose submission ended with ``error``."""
    return isinstance(error, ServiceRefused)


def _dump(handle: Batch) -> str:
    """As JSON, without the digest of the credentials: who may collect it, the provider knows."""
    from pydantic import TypeAdapter
    from pydantic_ai.models.batch import Batch

    group = json.dumps(json.loads(handle.group) | {"credential": None}, sort_keys=True)
    return TypeAdapter(Batch).dump_json(replace(handle, group=group)).decode()
