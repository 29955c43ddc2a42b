"""A service LLM for tests of what asks one: it answers by a rule, in a shuffled order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from llamaduo.records import FinishReason, Question, Reply

Rule = Callable[[Question], str | Reply | Exception]


def reply(text: str, *, finish: FinishReason = "stop", key: str = "key") -> Reply:
    return Reply(
        key=key,
        text=text,
        finish=finish,
        snapshot="scripted-2026-01-01",
        input_tokens=1,
        output_tokens=1,
        usd=0.0,
        replayed=False,
    )


class ScriptedService:
    """Follows :class:`~llamaduo.service.protocol.ServiceLLM`. ``rule`` gives each answer;
    ``asked`` keeps the questions in the order of arrival, ``peak`` how many were in flight."""

    def __init__(
        self, rule: Rule, *, name: str = "scripted:one", concurrency: int = 4, seed: int = 0
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        self.asked: list[Question] = []
        self.finished = 0
        self.peak = 0
        self._rule = rule
        self._random = Random(seed)

    def leave(self) -> None:
        """Nothing here is waited for."""

    async def ask(self, question: Question) -> Reply:
        self.asked.append(question)
        self.peak = max(self.peak, len(self.asked) - self.finished)
        try:
            for _ in range(self._random.randint(1, 6)):
                await asyncio.sleep(0)
            answer = self._rule(question)
        finally:
            self.finished += 1
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else reply(answer, key=f"key-{len(self.asked)}")
