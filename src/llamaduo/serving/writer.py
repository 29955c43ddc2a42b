"""One answer as it is being written: its random numbers, its text, its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llamaduo.inference.batches import draws
from llamaduo.inference.constraint import Held
from llamaduo.records import FinishReason
from llamaduo.serving.jobs import Ended, Job, Piece
from llamaduo.serving.line import Entry
from llamaduo.serving.text import StopStrings, TokenText


class Writer:
    """One choice of one job, as it is being written; ``held`` to the job's schema, if it can be."""

    def __init__(
        self,
        entry: Entry,
        choice: int,
        tokenizer: Any,
        ends: frozenset[int],
        held: Held | None = None,
    ) -> None:
        job = entry.job
        self.entry = entry
        self.held = held
        self.sampling = job.sampling
        self.written = 0
        self._choice = choice
        self._ends = ends
        self._special = {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
        self._draws = draws_of(job, choice)
        self._text = TokenText(lambda ids: str(_decode(tokenizer, ids)))
        self._stops = StopStrings(job.stops)

    @property
    def draw(self) -> float:
        """The number that picks the next token."""
        return self._draws[self.written]

    def write(self, token: int) -> FinishReason | None:
        """Take the next token and deliver the text that it completes; why the choice ends, if
        it does."""
        self.written += 1
        if token in self._ends:
            self._finish()
            return "stop"
        if token not in self._special:  # those are not shown
            self._show(self._stops.push(self._text.push(token)))
        if not self._stops.stopped and self.written == self.entry.job.limit:
            self._finish()
            return "stop" if self._stops.stopped else "length"
        return "stop" if self._stops.stopped else None

    def ended(self, finish: FinishReason) -> Ended:
        return Ended(self._choice, finish, self.written)

    def _finish(self) -> None:
        self._show(self._stops.push(self._text.rest()))
        if not self._stops.stopped:
            self._show(self._stops.rest())

    def _show(self, text: str) -> None:
        if text:
            self.entry.send(Piece(self._choice, text))


def draws_of(job: Job, choice: int) -> tuple[float, ...]:
    """The random numbers of one choice: they follow from seed, prompt and number alone."""
    prompt = ",".join(map(str, job.tokens))
    return draws(0, f"{job.seed}/{prompt}", choice, job.limit)


def _decode(tokenizer: Any, ids: Sequence[int]) -> Any:
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)
