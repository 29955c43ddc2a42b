"""GGUF files on llama.cpp, which batches by itself: a thread for each of its slots feeds it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from threading import Thread
from typing import Any

from llamaduo.inference.llamacpp import LlamaCpp, completion
from llamaduo.records import FinishReason
from llamaduo.serving.jobs import Cancel, Deliver, Ended, Failed, Job, Load, Piece
from llamaduo.serving.line import Entry, Line

_log = logging.getLogger("llamaduo.serving")
_FAILED = "llama.cpp failed while it was writing this answer."


class LlamaCppEngine:
    """An :class:`~llamaduo.serving.jobs.Engine` of one GGUF file. Takes ``server`` over.

    Prompts go to llama.cpp as the tokens of our own chat template, so that no text of a message
    becomes a special token. Each choice takes a slot. llama.cpp looks at a cancellation when it
    has something to say, so a request that is cancelled while its prompt is read keeps its slot
    until then. What is written at the same time changes llama.cpp's sums in their last bits: now
    and then a sampled answer of one seed comes out otherwise, which on transformers it does not.

    Args:
        server: what :func:`llamaduo.inference.llamacpp.load_gguf` gave.
        slots: how many it has.
        most_waiting: how many jobs may wait.
    """

    kind = "xllamacpp"

    def __init__(self, server: LlamaCpp, *, slots: int, most_waiting: int) -> None:
        self._server = server
        self._line = Line(most_waiting, slots)
        self._threads = [
            Thread(target=self._work, name=f"llamaduo-slot-{i}", daemon=True) for i in range(slots)
        ]
        for thread in self._threads:
            thread.start()

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
        for thread in self._threads:
            thread.join()
        self._server.close()

    # --- the threads ----------------------------------------------------------------------

    def _work(self) -> None:
        while taken := self._line.take_choice():
            entry, choice = taken
            try:
                self._write(entry, choice)
            except Exception:  # noqa: BLE001 - the next request may pass
                _log.exception(_FAILED)
                self._line.fail(entry, Failed(_FAILED))

    def _write(self, entry: Entry, choice: int) -> None:
        answer = _Answer(entry, choice)
        self._server.handle_completions(_request(entry.job, choice), answer.hear)
        if entry.over:
            self._line.leave(entry)
        elif answer.ended is not None:
            self._line.end_choice(entry, answer.ended)
        else:
            _log.error("%s %s", _FAILED, answer.error)
            self._line.fail(entry, Failed(_FAILED))


class _Answer:
    """What llama.cpp says about one choice. It swallows exceptions: they are kept."""

    def __init__(self, entry: Entry, choice: int) -> None:
        self._entry = entry
        self._choice = choice
        self.ended: Ended | None = None
        self.error = "It ended without a word."

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Take one event. True ends the answer: its client has gone, or it cannot go on."""
        try:
            self._hear(event)
        except Exception as error:  # noqa: BLE001 - llama.cpp would swallow it
            self.error = repr(error)
            return True
        return self._entry.over

    def _hear(self, event: Mapping[str, Any]) -> None:
        if "error" in event:
            self.error = str(event["error"].get("message", ""))
            return
        told = event["choices"][0]
        if told["text"]:
            self._entry.send(Piece(self._choice, told["text"]))
        if told["finish_reason"] is not None:
            tokens = event["usage"]["completion_tokens"]
            finish: FinishReason = "stop" if told["finish_reason"] == "stop" else "length"
            self.ended = Ended(self._choice, finish, tokens)


def _request(job: Job, choice: int) -> dict[str, Any]:
    request = completion(
        job.tokens,
        limit=job.limit,
        temperature=job.sampling.temperature,
        top_p=job.sampling.top_p,
        seed=seed_of(job, choice),
        schema=job.schema,
    )
    return request | {"stop": list(job.stops), "stream": True}


def seed_of(job: Job, choice: int) -> int:
    """A seed below 2³² − 1, which would mean a random one."""
    digest = hashlib.sha256(f"{job.seed}/{choice}".encode()).digest()
    return int.from_bytes(digest[:4]) % (2**32 - 1)
