"""A pair as tokens, in the model's own chat template: the one rendering for training and inference.

Prompt and response are tokenized apart and joined, so the context that a response is trained
on is, token for token, the one that it is generated from. Special tokens are the template's to
write: where a message spells one (``<|im_end|>``) it stays text, and ends no turn. Nothing here
imports transformers: the tokenizer comes from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

from llamaduo.errors import ModelError
from llamaduo.records import Message
from llamaduo.tasks.chat_templates import steady


class ChatTokenizer(Protocol):
    """What this module needs of a transformers tokenizer."""

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]: ...

    @property
    def chat_template(self) -> Any: ...

    def __hash__(self) -> int: ...

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...

    def __call__(self, text: str, **options: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """The token ids of a pair. ``response`` includes the end of the turn.

    ``earlier`` is where responses to earlier turns lie in ``prompt``, from and to, for a
    training on all responses of a conversation.
    """

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    earlier: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


def encode_prompt(tokenizer: ChatTokenizer, messages: Sequence[Message]) -> tuple[int, ...]:
    """The prompt's token ids, up to where the assistant's turn begins.

    Raises:
        ModelError: the chat template refuses these messages.
    """
    return _ids(tokenizer, _render(tokenizer, messages))


def render_prompt(tokenizer: ChatTokenizer, messages: Sequence[Message]) -> str:
    """What the template makes of ``messages``, to measure it before it is tokenized.

    Raises:
        ModelError: the chat template refuses these messages.
    """
    return _render(tokenizer, messages).replace(_SEAM, "")


def encode_pair(
    tokenizer: ChatTokenizer,
    messages: Sequence[Message],
    response: str,
    *,
    loss_on: Literal["last", "all"] = "last",
) -> EncodedPair:
    """The token ids of a prompt and its response.

    With ``loss_on`` "all", the responses to earlier turns are found in the prompt, too.

    Raises:
        ModelError: the chat template refuses these messages, or renders a prompt differently
            once it has been answered, so that no response could be trained in its context.
    """
    prompt = _render(tokenizer, messages)
    answer = _answer(tokenizer, messages, prompt, response)
    if answer is None:
        # Mistral writes the system prompt into the last message, if that is the user's: it is
        # gone once there is an answer. That reads as it does after this message alone.
        last = messages[-1:]
        answer = _answer(tokenizer, last, _render(tokenizer, last), response)
    if answer is None:
        raise ModelError(
            "The model's chat template renders a prompt differently once it has been answered.",
            hint="Use a model, or a chat_template.jinja, that leaves earlier turns as they are.",
        )
    ids = _ids(tokenizer, prompt)
    earlier = tuple(_earlier(tokenizer, messages, ids)) if loss_on == "all" else ()
    return EncodedPair(ids, _ids(tokenizer, answer), earlier)


def _answer(
    tokenizer: ChatTokenizer, messages: Sequence[Message], prompt: str, response: str
) -> str | None:
    """What the template writes behind ``prompt`` for a response, the end of its turn included;
    None where it writes the prompt otherwise then."""
    whole = _render(tokenizer, (*messages, Message("assistant", response)), answered=True)
    return whole[len(prompt) :] if whole.startswith(prompt) else None


def _earlier(
    tokenizer: ChatTokenizer, messages: Sequence[Message], prompt: tuple[int, ...]
) -> Iterator[tuple[int, int]]:
    """From and to of every response in ``prompt``, each with the end of its turn.

    Only what is the same, token for token, as when that turn was the last one is a response in
    its own context: templates append to a conversation's end, or take reasoning out of its past.
    """
    for turn, message in enumerate(messages):
        if message.role == "assistant":
            then = encode_pair(tokenizer, messages[:turn], message.content)
            begin, whole = len(then.prompt), (*then.prompt, *then.response)
            end = next(
                (i for i, (a, b) in enumerate(zip(whole, prompt, strict=False)) if a != b),
                min(len(whole), len(prompt)),
            )
            if not _ends_the_turn(tokenizer, then, end - begin):
                raise ModelError(
                    "The model's chat template renders an earlier response differently once the"
                    " conversation goes on, so it cannot be trained in its context.",
                    hint="Set finetuning.loss_on: last.",
                )
            yield begin, end


def _ends_the_turn(tokenizer: ChatTokenizer, pair: EncodedPair, tokens: int) -> bool:
    """Whether the first ``tokens`` of the response hold all of it, the end of its turn included."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    places = [place for place, token in enumerate(pair.response) if token in special]
    return tokens > places[0] if places else tokens == len(pair.response)


def _render(
    tokenizer: ChatTokenizer, messages: Sequence[Message], *, answered: bool = False
) -> str:
    from jinja2 import TemplateError

    chat = [
        {"role": message.role, "content": _inert(tokenizer, message.content)}
        for message in messages
    ]
    try:
        return str(
            tokenizer.apply_chat_template(
                chat,
                chat_template=_template(tokenizer.chat_template),
                tokenize=False,
                add_generation_prompt=not answered,
            )
        )
    except TemplateError as error:
        roles = ", ".join(message.role for message in messages)
        raise ModelError(
            f"The model's chat template refuses messages from {roles}: {error}.",
            hint="Use a model whose template takes these roles, or take them out of the data.",
        ) from error


@lru_cache(maxsize=8)
def _steady(template: str) -> str:
    return steady(template)


def _template(template: Any) -> str | None:
    """The same on every day; None leaves it to the tokenizer, where it has none or several."""
    return _steady(template) if isinstance(template, str) else None


_SEAM = "\ufdd0"
"""Unicode reserves this character for use inside a program: no text has it."""


def _inert(tokenizer: ChatTokenizer, content: str) -> str:
    """``content`` with a seam inside every special token that it spells."""
    return _special_tokens(tokenizer).sub(lambda found: found[0][0] + _SEAM + found[0][1:], content)


def spells_special_token(tokenizer: ChatTokenizer, messages: Sequence[Message]) -> bool:
    """Whether a message spells a special token, which other software may read as one."""
    special = _special_tokens(tokenizer)
    return any(special.search(message.content) for message in messages)


@lru_cache(maxsize=4)
def _special_tokens(tokenizer: ChatTokenizer) -> re.Pattern[str]:
    special = {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
    longest_first = sorted(special - {""}, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")  # which never matches


def _ids(tokenizer: ChatTokenizer, text: str) -> tuple[int, ...]:
    """The ids of a rendered text, in which the template has written the special tokens already.

    What a seam divides is tokenized apart, so the two halves cannot become one token.
    """
    parts = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in text.split(_SEAM)]
    return tuple(token for part in parts for token in part)
