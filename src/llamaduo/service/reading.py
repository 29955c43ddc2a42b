"""What comes back for a call, read through the provider's SDK: an answer with its cost, or a
setback. The same for a reply that has just come, was stored, or was brought by a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamaduo.errors import RunIncompatible
from llamaduo.records import Question, Reply
from llamaduo.service import address, pricing, retry, setbacks
from llamaduo.service.ledger import Cost, Ledger
from llamaduo.service.pacing.replies import TOO_MANY
from llamaduo.service.setbacks import Setback
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model


class Reading:
    """Reads the replies of one service LLM."""

    def __init__(self, settings: ServiceSettings, ledger: Ledger, model: Model) -> None:
        self._settings = settings
        self._ledger = ledger
        self._model = model
        self._seeded = address.provider(settings).seeded
        self._priced = pricing.price_of(settings) is not None
        self._free = pricing.most_usd(settings, 1, 1) == 0

    async def of(self, call: Call, question: Question) -> ModelResponse | Setback:
        """One pass through the SDK and our transport."""
        from llamaduo.service.providers import UNREADABLE, check, send

        token = CALL.set(call)
        try:
            response = await send(self._model, question, seeded=self._seeded)
            check(response, call.raw.body if call.raw else b"")
        except UNREADABLE as error:
            return await self._setback(call, error)
        else:
            return response
        finally:
            CALL.reset(token)

    async def _setback(self, call: Call, error: Exception) -> Setback:
        """What went wrong, judged by what the transport saw rather than by the SDK's error."""
        if call.failure is not None:
            raise call.failure from error
        if call.fault:
            return Setback(what=call.fault)
        if call.raw is None or not call.delivered:
            raise error  # it never came to a reply: a bug, not the server's doing
        if call.read_before:  # paid for and sound: never thrown away to be bought again
            raise RunIncompatible(
                f"The stored reply {call.attempt.key[:12]} of {self._settings.model} can no longer"
                " be read.",
                hint="Use the packages that the run was started with (see constraints.txt).",
            ) from error
        if 200 <= call.raw.status < 300:
            what = f"HTTP {call.raw.status} with a body that is not a reply"
            await self._ledger.fail(call.attempt, what, charged=True)
            return Setback(what=what, unreadable=True)
        if retry.is_transient(call.raw):
            asked = retry.seconds_asked(call.retry_after)
            paced = call.turn is not None and call.raw.status == TOO_MANY
            what = setbacks.status_in_words(call.raw)
            return Setback(what=what, retry_after=asked, paced=paced)
        raise setbacks.refused(self._settings, call.attempt.key, call.raw) from error

    def cost(self, response: ModelResponse, *, batched: bool = False) -> Cost:
        used = response.usage
        tokens = pricing.Tokens(
            used.input_tokens,
            used.output_tokens,
            used.cache_read_tokens,
            used.cache_write_tokens,
            used.cache_write_1h_tokens,
        ).plausible()
        measured = self._free or min(tokens.input, tokens.output) > 0
        return Cost(
            response.model_name or self._settings.model,
            int(tokens.input),
            int(tokens.output),
            self._usd(tokens, batched=batched) if measured else None,
            int(tokens.cached),
            measured,
        )

    def _usd(self, tokens: pricing.Tokens, *, batched: bool) -> float | None:
        return pricing.usd_of(self._settings, tokens, batch=batched) if self._priced else None

    def reply(
        self,
        call: Call,
        question: Question,
        response: ModelResponse,
        cost: Cost,
        *,
        replayed: bool = False,
    ) -> Reply:
        """The answer, once it is settled.

        Raises:
            QuestionRefused: it is a refusal, which is stored like an answer and not bought again.
        """
        from llamaduo.service.providers import finish_of, refusal_of, text_of

        if why := refusal_of(response, question):
            raise setbacks.declined(self._settings, call.attempt.key, why)
        return Reply(
            key=call.attempt.key,
            text=text_of(response),
            finish=finish_of(response),
            snapshot=cost.snapshot,
            input_tokens=cost.input_tokens,
            output_tokens=cost.output_tokens,
            usd=cost.usd or 0.0,
            replayed=replayed,
        )
