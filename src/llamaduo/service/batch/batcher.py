"""Questions into batches, and their replies back: behind the service LLM's one ``ask``.

A batch that is submitted outlives this process. What an earlier life of the run left under way is
found in the ledger, and its questions wait for it instead of being bought again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from llamaduo.records import Question
from llamaduo.service import address
from llamaduo.service.batch.desk import Desk, custom_id, desk_of
from llamaduo.service.batch.gathering import Delivery, Gathering, Seat
from llamaduo.service.batch.journal import BatchJournal, OpenBatch
from llamaduo.service.batch.offers import is_offered, notice
from llamaduo.service.batch.voyages import Hooks, Voyage, Voyages
from llamaduo.service.ledger import Attempt, Ledger
from llamaduo.service.settings import ServiceSettings

if TYPE_CHECKING:
    from pydantic_ai.models import Model

BATCHES_AT_ONCE = 2
"""How many full batches of questions may be in flight, so that one fills while another runs."""


@asynccontextmanager
async def batching(
    settings: ServiceSettings, ledger: Ledger, model: Model, *, seeded: bool
) -> AsyncIterator[Batcher | None]:
    """The batcher of ``model`` while the block lasts; None where there is nothing for it to do.

    It is there in mode ``calls`` too when an earlier life of the run left a batch under way.
    Batches that are under way when the block ends stay so, to be collected by the next life.
    """
    journal = BatchJournal(ledger, settings.model)
    await journal.clean()
    left = journal.open()
    if settings.mode == "batch" and not is_offered(settings):
        ledger.warn(notice(settings))
    desk = desk_of(model) if left or is_offered(settings) else None
    if desk is None:
        yield None
        return
    batcher = Batcher(settings, ledger, journal, model, desk, seeded=seeded)
    try:
        batcher.resume(left)
        yield batcher
    finally:
        await batcher.close()


class Batcher:
    """Gathers questions, sends them off in batches, and hands over what became of each."""

    def __init__(
        self,
        settings: ServiceSettings,
        ledger: Ledger,
        journal: BatchJournal,
        model: Model,
        desk: Desk,
        *,
        seeded: bool,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._journal = journal
        self._name = f"gathering-{secrets.token_hex(4)}"
        self._in_care = {self._name}
        ledger.in_care.add(self._name)
        self._model = model
        self._seeded = seeded
        self._offered = is_offered(settings)
        hooks = Hooks(self._absent, self._crowded, self._say)
        self._voyages = Voyages(settings, ledger, journal, model, desk, hooks)
        self._gathering = Gathering(
            self._depart,
            most=min(settings.batch.largest, model.batch_max_requests or 1),
            most_bytes=model.batch_max_bytes or 1,
            quiet=settings.batch.gather_seconds,
        )
        self._left: dict[str, tuple[Attempt, asyncio.Future[Delivery]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def gathering(self) -> str | None:
        """What an attempt has for its batch until it is in one; None where none goes in one."""
        return self._name if self._offered else None

    @property
    def concurrency(self) -> int:
        """How many questions may be in flight; the settings' own where none goes in a batch."""
        if not self._offered:
            return address.in_flight(self._settings)
        return self._settings.batch.largest * BATCHES_AT_ONCE

    def left(self, key: str) -> Attempt | None:
        """The attempt at ``key`` that an earlier life of the run left in a batch."""
        found = self._left.get(key)
        return found[0] if found else None

    async def result_of_left(self, key: str) -> Delivery:
        """What became of the attempt that :meth:`left` names; raises as :meth:`result` does."""
        delivery = await asyncio.shield(self._left[key][1])
        del self._left[key]  # not after an error: then it may still be under way
        return delivery

    async def result(self, attempt: Attempt, question: Question) -> Delivery:
        """What became of ``question``, whose row and whose hold are there. May take a day.

        Raises:
            ServiceRefused: the provider will not take the batch, or not let us look at it.
            ServiceUnavailable: it could not be reached until the deadline. What it was given
                stays with it.
            RunIncompatible: an earlier batch is at another address than the settings have.
        """
        if not self._offered:  # only now has the server said so
            await self._journal.release([attempt])
            return None
        encoded = await self._model.batch_encode(self._request(attempt, question))
        size = self._model.batch_request_size(encoded)
        seat = Seat(attempt, encoded, size, question.about)
        self._gathering.add(seat)
        return await seat.delivery

    def resume(self, batches: Sequence[OpenBatch]) -> None:
        """Look after what an earlier life left under way."""
        loop = asyncio.get_running_loop()
        for batch in batches:
            attempts = {custom_id(one.key, one.number): one for one in batch.attempts}
            waiting: dict[str, asyncio.Future[Delivery]] = {
                id_: loop.create_future() for id_ in attempts
            }
            self._left |= {one.key: (one, waiting[id_]) for id_, one in attempts.items()}
            voyage = Voyage(batch.id, attempts, waiting)
            self._start(batch.id, self._voyages.resume(voyage, batch))

    async def close(self) -> None:
        """Stop looking. What is under way at the provider stays under way."""
        self._gathering.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ledger.in_care -= self._in_care

    # --- departures -----------------------------------------------------------------------

    def _request(self, attempt: Attempt, question: Question) -> Any:
        from pydantic_ai.models.batch import BatchRequest

        from llamaduo.service.providers import messages_of, parameters_of, settings_of

        return BatchRequest(
            custom_id=custom_id(attempt.key, attempt.number),
            messages=messages_of(question),
            model_settings=settings_of(self._model, question, seeded=self._seeded),
            model_request_parameters=parameters_of(self._model, question),
        )

    def _depart(self, seats: list[Seat]) -> None:
        if len(seats) < self._settings.batch.smallest or not self._offered:
            self._start(self._name, self._let_go(seats))
            return
        groups: dict[str, list[Seat]] = {}
        for seat in seats:  # more than one only where options differ between questions
            groups.setdefault(seat.encoded.group, []).append(seat)
        for group in groups.values():
            attempts = {seat.encoded.custom_id: seat.attempt for seat in group}
            waiting = {seat.encoded.custom_id: seat.delivery for seat in group}
            voyage = Voyage(secrets.token_hex(8), attempts, waiting)
            self._start(voyage.id, self._voyages.begin(voyage, group))

    async def _let_go(self, seats: list[Seat]) -> None:
        """Have them asked with ordinary calls: too few for a batch."""
        await self._journal.release(seat.attempt for seat in seats)
        for seat in seats:
            if not seat.delivery.done():
                seat.delivery.set_result(None)

    def _start(self, id_: str, life: Coroutine[Any, Any, None]) -> None:
        self._in_care.add(id_)
        self._ledger.in_care.add(id_)
        task = asyncio.get_running_loop().create_task(life)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what a voyage tells --------------------------------------------------------------

    def _absent(self, what: str) -> None:
        if self._offered:
            self._offered = False
            self._say(
                f"{self._settings.model} at {address.host(self._settings)} has no batch API"
                f" ({what}): its questions are ordinary calls, at full price."
            )

    def _crowded(self, what: str, half: int) -> None:
        self._gathering.most = max(1, self._settings.batch.smallest, half)
        self._say(f"{self._settings.model}: {what}. Smaller batches follow.")

    def _say(self, text: str) -> None:
        self._ledger.warn(text)
