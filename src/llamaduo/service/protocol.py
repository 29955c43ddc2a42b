"""The seam behind which every service LLM looks alike."""

from __future__ import annotations

from typing import Protocol

from llamaduo.records import Question, Reply


class ServiceLLM(Protocol):
    """A paid model that answers one question at a time; callers bound how many at once."""

    @property
    def name(self) -> str:
        """The configured model, as in ``openai-chat:gpt-4o``."""

    @property
    def concurrency(self) -> int:
        """How many questions may be in flight at once."""

    def leave(self) -> None:
        """Send nothing more, and wait only for replies that are on their way: :meth:`ask` raises
        ServiceUnavailable where it waits for its turn, for a batch, or to ask again."""

    async def ask(self, question: Question) -> Reply:
        """Answer from the ledger if it was answered before, else ask, record and return.

        Raises:
            QuestionRefused: this question will not be answered, but others may be.
            ServiceRefused: asking again will not help (key, quota, unknown model).
            ServiceUnavailable: no answer before the deadline.
            BudgetExceeded: the call could overshoot the budget, and was not sent.
        """
