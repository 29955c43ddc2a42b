"""What an API is to the service: where its requests come, and how to read, answer and refuse one.

Nothing here knows of HTTP beyond paths and statuses, so a line of a batch is answered like a
request of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llamaduo.rehearsal.asked import Asked, Refusal, Refused
from llamaduo.rehearsal.replies import Draft, UnreadableData, draft_reply
from llamaduo.wire.mistakes import first_mistake

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API, under the name that llamaduo has for the provider.

    ``paths`` are Starlette's patterns; one with ``{model}`` has the model in the address.
    ``read`` makes an :class:`Asked` of a body and that model, ``render`` the body of a reply, and
    ``refuse`` the body of an error. ``prompt`` is the field that the prompt is in.
    """

    name: str
    paths: tuple[str, ...]
    prompt: str
    read: Callable[[Mapping[str, Any], str | None], Asked]
    render: Callable[[Asked, Draft], Body]
    refuse: Callable[[Refusal], Body]

    def parse(self, body: object, model: str | None = None) -> Asked:
        """What ``body`` asks for; ``model`` is the one in the address.

        Raises:
            Refused: the body is not of the API's shape, or asks for what is not served.
        """
        if not isinstance(body, Mapping):
            raise Refused(Refusal(status=400, message="The body is not a JSON object."))
        try:
            return self.read(body, model)
        except ValidationError as error:
            wrong = first_mistake(error)
            raise Refused(Refusal(status=400, message=str(wrong), field=wrong.field)) from error
        except RecursionError as error:
            raise Refused(Refusal(status=400, message="The body is nested too deep.")) from error

    def draft(self, asked: Asked) -> Draft:
        """The reply before it is put into the API's shape.

        Raises:
            Refused: it cannot be written from what the request holds.
        """
        try:
            return draft_reply(asked)
        except UnreadableData as problem:
            raise Refused(Refusal(status=400, message=str(problem), field=self.prompt)) from problem

    def answer(self, body: object, model: str | None = None) -> tuple[Body, int]:
        """The whole way: the body of the reply or of the error, and its HTTP status."""
        try:
            asked = self.parse(body, model)
            return self.render(asked, self.draft(asked)), 200
        except Refused as error:
            return self.refuse(error.refusal), error.refusal.status
