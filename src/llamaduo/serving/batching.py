"""Continuous batching on transformers. Imports torch: load lazily.

One thread steps the model. Requests join between two steps as soon as there is a place for
them, and leave when they end or their client goes; each row draws its own random numbers, so an
answer does not depend on what else is in the batch.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import torch

from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.inference.constraint import Grammars, Held
from llamaduo.inference.engine import keep_to
from llamaduo.inference.sampling import choose
from llamaduo.inference.stepping import Rows, Stepper, end_tokens
from llamaduo.serving.jobs import Cancel, Deliver, Failed, Job, Load
from llamaduo.serving.line import Entry, Line
from llamaduo.serving.writer import Writer

_log = logging.getLogger("llamaduo.serving")
_BROKEN_DOWN = "The model's thread has failed: the server must be started again."
_NOT_A_NUMBER = "The model computed what is not a number: its weights are damaged or overflow."


@dataclass(frozen=True, slots=True)
class Voice:
    """One of the models that share weights: its tokenizer, and its adapter if there are several."""

    tokenizer: Any
    adapter: str | None = None


@dataclass(slots=True)
class _Batch:
    """The rows of one model: ``chosen`` are their latest tokens, not yet appended to ``rows``."""

    voice: Voice
    ends: frozenset[int]
    writers: list[Writer] = field(default_factory=list)
    rows: Rows | None = None
    chosen: torch.Tensor | None = None
    grammars: Grammars | None = None
    tried: bool = False
    """To make them, which is done when the first request with a schema comes."""


class BatchingEngine:
    """An :class:`~llamaduo.serving.jobs.Engine` of one model, or several adapters of one base.

    Adapters have a batch each, stepped in turn. Takes the model over: nobody else may step it.

    Args:
        voices: by the name that a :class:`Job` gives as its model.
        places: how many choices are written at once, over all adapters. A job of more choices
            than that runs alone.
        most_waiting: how many jobs may wait.
    """

    kind = "transformers"

    def __init__(
        self, model: Any, voices: Mapping[str, Voice], *, places: int, most_waiting: int
    ) -> None:
        self._model = model
        self._stepper = Stepper(model)
        self._batches = {
            name: _Batch(voice, frozenset(end_tokens(model, voice.tokenizer)))
            for name, voice in voices.items()
        }
        self._places = places
        self._line = Line(most_waiting, places)
        self._active: str | None = None
        self._thread = Thread(target=self._work, name="llamaduo-batching", daemon=True)
        self._thread.start()

    # --- from the HTTP side ---------------------------------------------------------------

    @property
    def load(self) -> Load:
        return self._line.load

    def check_room(self) -> None:
        self._line.check_room()

    def submit(self, job: Job, deliver: Deliver) -> Cancel:
        entry = self._line.join(job, deliver)
        return lambda: self._line.cancel(entry)

    def stop(self, failure: Failed, *, waiting_only: bool = False) -> None:
        self._line.close(failure, waiting_only=waiting_only)

    def close(self) -> None:
        self.stop(Failed("The server is shutting down.", "shutting_down", 503))
        self._thread.join()
        self.__dict__.pop("_model")
        self.__dict__.pop("_stepper")
        self._batches = {}
        gc.collect()  # the parts of a model refer to each other

    # --- the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with torch.inference_mode():
                while self._line.wait(busy=any(batch.writers for batch in self._batches.values())):
                    self._turn()
        except Exception:  # noqa: BLE001 - else everybody would wait for ever
            _log.exception(_BROKEN_DOWN)
            self._line.close(Failed(_BROKEN_DOWN))

    def _turn(self) -> None:
        for batch in self._batches.values():
            self._guarded(self._let_go, batch, of=batch)
        self._admit()
        for batch in self._batches.values():
            if batch.writers:
                self._guarded(self._step, batch, of=batch)

    def _let_go(self, batch: _Batch) -> None:
        """Drop the rows whose job is over."""
        going = [i for i, writer in enumerate(batch.writers) if not writer.entry.over]
        for writer in batch.writers:
            if writer.entry.over:
                self._line.leave(writer.entry)
        if len(going) < len(batch.writers):
            _keep(batch, going)

    def _admit(self) -> None:
        """Take from the line what has a place, and read it."""
        taken: dict[str, list[Entry]] = {}
        used = sum(len(batch.writers) for batch in self._batches.values())

        def fits(job: Job) -> bool:
            alone = not self._stepper.joinable and bool(self._batches[job.model].writers)
            return not alone and (used == 0 or used + job.choices <= self._places)

        while entry := self._line.take(fits):
            taken.setdefault(entry.job.model, []).append(entry)
            used += entry.job.choices
        for name, entries in taken.items():
            # Rows that can join later are read one prompt at a time: the first is answered first.
            together = [[entry] for entry in entries] if self._stepper.joinable else [entries]
            for group in together:
                self._guarded(self._read, self._batches[name], group, entries=group)

    def _guarded(
        self,
        step: Any,
        *arguments: Any,
        of: _Batch | None = None,
        entries: Sequence[Entry] = (),
    ) -> None:
        """Do ``step``; when it fails, so do the jobs of the batch that it is a step ``of``, and
        ``entries``, and the thread goes on with the next ones."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - the next request may pass
            message = "The model failed while it was writing this answer."
            if isinstance(error, torch.OutOfMemoryError | MemoryError):
                message = "The model ran out of memory; start the server with a smaller --batch."
            _log.exception(message)
            for entry in {*entries, *(writer.entry for writer in (of.writers if of else ()))}:
                self._line.fail(entry, Failed(message))
            if of:
                of.writers, of.rows, of.chosen = [], None, None

    def _read(self, batch: _Batch, entries: Sequence[Entry]) -> None:
        """Read prompts, choose the first token of each choice, and let them join the batch."""
        left = {entry for entry in entries if entry.over}  # while others were read
        for entry in left:
            self._line.leave(entry)
        entries = [entry for entry in entries if entry not in left]
        if not entries:
            return
        self._activate(batch)
        new = _Batch(batch.voice, batch.ends)
        new.rows = self._stepper.read(
            [entry.job.tokens for entry in entries], [entry.job.choices for entry in entries]
        )
        new.writers = [
            Writer(entry, choice, batch.voice.tokenizer, batch.ends, self._held(batch, entry.job))
            for entry in entries
            for choice in range(entry.job.choices)
        ]
        self._write(new)
        if new.writers:  # half a join would spoil the rows that are there
            self._guarded(_join, batch, new, of=batch, entries=entries)

    def _held(self, batch: _Batch, job: Job) -> Held | None:
        """What holds an answer to the schema of ``job``; None without one, and where llguidance
        is not there, or does not know the schema or the tokenizer: the check of the whole answer
        is left."""
        if job.schema is None:
            return None
        if not batch.tried:
            batch.tried = True
            size = self._model.get_output_embeddings().weight.shape[0]
            with suppress(ExtraMissing, ModelError):
                batch.grammars = Grammars(batch.voice.tokenizer, size, sorted(batch.ends))
        if batch.grammars is None or batch.grammars.shortfall(job.schema) is not None:
            return None
        return batch.grammars.start(job.schema)

    def _step(self, batch: _Batch) -> None:
        self._activate(batch)
        self._stepper.advance(batch.rows, batch.chosen)  # type: ignore[arg-type]  # has rows
        self._write(batch)

    def _activate(self, batch: _Batch) -> None:
        adapter = batch.voice.adapter
        if adapter is not None and adapter != self._active:
            self._model.set_adapter(adapter, inference_mode=True)
            self._active = adapter

    def _write(self, batch: _Batch) -> None:
        """Choose a token for every row, deliver what it says, and drop the rows that end."""
        logits = batch.rows.logits  # type: ignore[union-attr]  # has rows
        broken = ~logits.amax(dim=-1).isfinite()
        batch.chosen = _choose(logits.masked_fill(broken[:, None], 0.0), batch.writers)
        sound = (~broken).tolist()
        going = []
        for row, token in enumerate(batch.chosen.tolist()):
            writer = batch.writers[row]
            if writer.entry.over:
                self._line.leave(writer.entry)
            elif not sound[row]:
                self._line.fail(writer.entry, Failed(_NOT_A_NUMBER))
            elif finish := writer.write(token):
                self._line.end_choice(writer.entry, writer.ended(finish))
            else:
                going.append(row)
        if len(going) < len(batch.writers):
            _keep(batch, going)


def _choose(logits: torch.Tensor, writers: Sequence[Writer]) -> torch.Tensor:
    """One token for each row, each sampled as its request says."""
    chosen = torch.zeros(len(writers), dtype=torch.long, device=logits.device)
    numbers = [writer.draw for writer in writers]
    uniforms = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
    for sampling in {writer.sampling for writer in writers}:
        alike = [row for row, writer in enumerate(writers) if writer.sampling == sampling]
        rows = torch.tensor(alike, device=logits.device)
        how = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        tokens = choose(logits[rows], uniforms[rows], **how)
        held = [writers[row].held for row in alike]
        if any(held):
            keep_to(held, tokens, logits[rows], uniforms[rows], **how)
        chosen[rows] = tokens
    return chosen


def _keep(batch: _Batch, going: Sequence[int]) -> None:
    batch.writers = [batch.writers[row] for row in going]
    if not going or batch.rows is None or batch.chosen is None:
        batch.rows = batch.chosen = None
        return
    rows = torch.tensor(going, device=batch.chosen.device)
    batch.chosen = batch.chosen[rows]
    batch.rows.keep(rows)
    batch.rows.trim()


def _join(batch: _Batch, new: _Batch) -> None:
    if batch.rows is None or batch.chosen is None or new.rows is None or new.chosen is None:
        batch.rows, batch.chosen = new.rows, new.chosen
    else:
        batch.rows.join(new.rows)
        batch.chosen = torch.cat([batch.chosen, new.chosen])
    batch.writers += new.writers
