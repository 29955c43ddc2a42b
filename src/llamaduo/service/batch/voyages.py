"""The life of one batch, from its row in the ledger to the outcome of its last request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamaduo.errors import LlamaduoError
from llamaduo.service.batch.collecting import Collecting, Gone
from llamaduo.service.batch.desk import Desk, Look, refused
from llamaduo.service.batch.gathering import Delivery, Seat
from llamaduo.service.batch.journal import BatchJournal, OpenBatch
from llamaduo.service.batch.outcomes import Outcome
from llamaduo.service.batch.submitting import (
    NotOffered,
    Submitting,
    Unsure,
    is_surely_not_there,
)
from llamaduo.service.batch.trouble import Trouble, at_the_desk
from llamaduo.service.ledger import Attempt, Ledger
from llamaduo.service.setbacks import Setback
from llamaduo.service.settings import ServiceSettings

if TYPE_CHECKING:
    from pydantic_ai.models import Model

CROWDED_SECONDS = 600.0
"""The longest wait for room after the provider has said that too much is queued."""


class Voyage:
    """A batch of ours on its way: its requests' attempts, and who waits for each, by custom id."""

    def __init__(
        self,
        id_: str,
        attempts: dict[str, Attempt],
        waiting: dict[str, asyncio.Future[Delivery]],
    ) -> None:
        self.id = id_
        self.attempts = attempts
        self._waiting = waiting

    def deliver(self, id_: str, delivery: Delivery) -> None:
        if not self._waiting[id_].done():
            self._waiting[id_].set_result(delivery)

    def deliver_all(self, delivery: Delivery) -> None:
        for id_ in self._waiting:
            self.deliver(id_, delivery)

    def fail(self, error: BaseException) -> None:
        for one in self._waiting.values():
            if isinstance(error, asyncio.CancelledError):
                one.cancel()
            elif not one.done():
                one.set_exception(error)
                one.exception()  # who waits gets it; where nobody does, that is no complaint


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a voyage tells its batcher: that there is no batch API, that batches must be smaller,
    and a sentence for the user."""

    absent: Callable[[str], None]
    crowded: Callable[[str, int], None]
    say: Callable[[str], None]


class Voyages:
    """Takes batches through their lives. Whatever ends one, those who wait for it hear of it."""

    def __init__(
        self,
        settings: ServiceSettings,
        ledger: Ledger,
        journal: BatchJournal,
        model: Model,
        desk: Desk,
        hooks: Hooks,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._journal = journal
        self._desk = desk
        self._hooks = hooks
        self._collecting = Collecting(settings, desk, ledger.notify)
        self._submitting = Submitting(settings, journal, model, desk, self._collecting)
        self._at_provider = 0
        self._one_ended = asyncio.Event()

    @contextmanager
    def _seen_to_the_end(self, voyage: Voyage) -> Iterator[None]:
        try:
            yield
        except LlamaduoError as error:
            voyage.fail(error)
        except BaseException as error:  # a bug, or the end of this life: nobody waits in vain
            voyage.fail(error)
            raise

    async def begin(self, voyage: Voyage, seats: Sequence[Seat]) -> None:
        """Submit ``seats``, and see them through."""
        with self._seen_to_the_end(voyage):
            await self._send(voyage, seats)

    async def resume(self, voyage: Voyage, batch: OpenBatch) -> None:
        """Take up what an earlier life of the run may or may not have submitted."""
        with self._seen_to_the_end(voyage):
            await self._take_up(voyage, batch)

    # --- before the provider has it -------------------------------------------------------

    async def _send(self, voyage: Voyage, seats: Sequence[Seat]) -> None:
        await self._journal.prepare(voyage.id, voyage.attempts.values())
        pairs = tuple(dict.fromkeys(pair for seat in seats for pair in seat.pairs))
        encoded = [seat.encoded for seat in seats]
        try:
            at_provider = await self._submitting.submit(voyage.id, encoded, pairs)
        except NotOffered as absent:
            self._hooks.absent(absent.what)
            await self._journal.dissolve(voyage.id)
            voyage.deliver_all(None)
        except Unsure as unsure:
            await self._give_up(voyage, unsure.what)
        except LlamaduoError as error:
            if is_surely_not_there(error):
                await self._take_back(voyage, error.message)
            raise
        else:
            await self._follow(voyage, at_provider)

    async def _take_up(self, voyage: Voyage, batch: OpenBatch) -> None:
        if batch.handle is not None:
            await self._follow(voyage, await self._submitting.at_provider(batch.handle))
            return
        try:
            found = await self._submitting.search(frozenset(voyage.attempts), batch.created_at)
        except Unsure as unsure:
            await self._give_up(voyage, unsure.what)
            return
        if found is None:
            await self._take_back(voyage, "its batch never reached the provider")
            voyage.deliver_all(Setback(what="its batch never reached the provider"))
            return
        await self._follow(
            voyage, await self._submitting.record(voyage.id, found, len(voyage.attempts))
        )

    # --- under way ------------------------------------------------------------------------

    async def _follow(self, voyage: Voyage, at_provider: str) -> None:
        try:
            look = await self._wait(voyage, at_provider)
            if look.failure:
                await self._refused(voyage, look)
                return
            outcomes = await self._collecting.outcomes(look)
        except Gone:
            await self._give_up(voyage, f"the provider no longer has it as {at_provider}")
            return
        await self._record(voyage, look, outcomes)
        await self._journal.ended(voyage.id)
        with suppress(Trouble):  # what was uploaded expires by itself
            await at_the_desk(self._desk.errors, lambda: self._desk.forget(look))

    async def _wait(self, voyage: Voyage, at_provider: str) -> Look:
        self._at_provider += 1
        try:
            return await self._collecting.wait(voyage.id, at_provider, len(voyage.attempts))
        finally:
            self._at_provider -= 1
            self._one_ended.set()
            self._one_ended = asyncio.Event()

    async def _record(self, voyage: Voyage, look: Look, outcomes: dict[str, Outcome]) -> None:
        """Every outcome into the ledger, each before anyone reads it."""

        async def one(id_: str, attempt: Attempt) -> None:
            voyage.deliver(id_, await self._written(attempt, look, outcomes.get(id_)))

        await asyncio.gather(*(one(*item) for item in voyage.attempts.items()))

    async def _written(self, attempt: Attempt, look: Look, outcome: Outcome | None) -> Delivery:
        if outcome is not None and outcome.raw is not None:
            raw = outcome.raw
            if 200 <= raw.status < 300:
                await self._ledger.answer(attempt, raw)
            else:
                await self._ledger.fail(attempt, f"HTTP {raw.status}", raw=raw, charged=False)
            return raw
        why = outcome.unrun if outcome else look.cut and f"{look.cut} in its batch"
        what = why or "its batch brought no result for it"
        await self._ledger.fail(attempt, what, charged=not why)
        return Setback(what=what)

    # --- ends without a result ------------------------------------------------------------

    async def _refused(self, voyage: Voyage, look: Look) -> None:
        """The provider looked at the batch and ran none of it."""
        await self._take_back(voyage, look.failure)
        if not look.crowded:
            raise refused(self._settings.model, look.failure)
        self._hooks.crowded(look.failure, len(voyage.attempts) // 2)
        with suppress(TimeoutError):
            most = CROWDED_SECONDS if self._at_provider else self._collecting.pause()
            async with asyncio.timeout(most):
                await self._one_ended.wait()
        voyage.deliver_all(Setback(what="too much is queued at the provider"))

    async def _take_back(self, voyage: Voyage, why: str) -> None:
        """None of it was run, and none will be charged."""
        fails = (self._ledger.fail(one, why, charged=False) for one in voyage.attempts.values())
        await asyncio.gather(*fails)
        await self._journal.lost(voyage.id)

    async def _give_up(self, voyage: Voyage, what: str) -> None:
        """It may have been charged, and nobody can find out: what was held for it stays held."""
        self._hooks.say(
            f"Batch {voyage.id[:6]} of {self._settings.model}, {len(voyage.attempts)} requests:"
            f" {what}. It may have been charged and stays in doubt; its questions are asked again."
        )
        await self._journal.lost(voyage.id)
        voyage.deliver_all(Setback(what=f"its batch was lost: {what}"))
