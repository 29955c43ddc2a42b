"""A model's chat template: read, and rendered in a sandbox as transformers renders it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from llamaduo.deployment.model_files import read_json
from llamaduo.records import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """The template's text and the special tokens that it may name.

    ``special`` has every special token of the tokenizer: the ends of turns are among them.
    """

    text: str | None
    bos: str | None
    eos: str | None
    special: tuple[str, ...] = ()

    def render(self, messages: Sequence[Message], *, answered: bool = False) -> str | None:
        """The messages as the model reads them; None where the template refuses them.

        Args:
            messages: the conversation.
            answered: it ends with the assistant's answer, so none is asked for.
        """
        if self.text is None:
            return None
        chat = [{"role": message.role, "content": message.content} for message in messages]
        tokens = {"bos_token": self.bos, "eos_token": self.eos}
        try:
            return _compiled(self.text).render(
                messages=chat,
                add_generation_prompt=not answered,
                tools=None,
                documents=None,
                **{name: token for name, token in tokens.items() if token is not None},
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError):
            return None  # a template may do anything: whatever it trips over, it refuses

    def begins_with_bos(self) -> bool:
        """Whether it writes the token that begins a text itself."""
        rendered = self.render([Message("user", "a")])
        return bool(self.bos and rendered and rendered.startswith(self.bos))

    def end_of_turn(self) -> str | None:
        """The special token after the assistant's answer, where there is one."""
        question, answer = Message("user", "a"), "\ufdd0"  # no text has this character
        whole = self.render([question, Message("assistant", answer)], answered=True) or ""
        tail = whole.partition(answer)[2]
        places = {tail.find(token): token for token in self.special if token in tail}
        return places[min(places)] if places else None


def read_chat(model: Path) -> ChatTemplate:
    """The chat template of a model folder, with the special tokens of its tokenizer.

    Raises:
        ModelError: a file of the tokenizer is not JSON.
    """
    config = read_json(model / "tokenizer_config.json")
    names = read_json(model / "special_tokens_map.json") | config
    added = read_json(model / "tokenizer.json").get("added_tokens") or ()
    return ChatTemplate(
        text=_text(model, config.get("chat_template")),
        bos=token_text(names.get("bos_token")),
        eos=token_text(names.get("eos_token")),
        special=tuple(token["content"] for token in added if token.get("special")),
    )


def token_text(entry: Any) -> str | None:
    """The text of a token that a configuration names, plainly or with its flags."""
    found = entry.get("content") if isinstance(entry, dict) else entry
    return found if isinstance(found, str) and found else None


def _text(model: Path, configured: Any) -> str | None:
    beside = model / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    if isinstance(configured, list):  # several, by name: as old configurations have them
        named = {entry.get("name"): entry.get("template") for entry in configured}
        configured = named.get("default")
    return configured if isinstance(configured, str) else None


class _Names(Namespace):
    """Jinja's namespace without names that begin with _: those reach into Python."""

    def __init__(*args: Any, **given: Any) -> None:  # no `self`: a template may give one
        self, rest = args[0], args[1:]
        attributes = dict(*rest, **given)
        for name in attributes:
            _refuse_private(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise TemplateError(f"{name} cannot be kept in a namespace")


@lru_cache(maxsize=8)
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


def _environment() -> ImmutableSandboxedEnvironment:
    """What transformers gives a chat template, and no more."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(
        raise_exception=_raise, strftime_now=_now, namespace=_Names, dict=_dict
    )
    return environment


def _tojson(value: Any, **options: Any) -> str:
    """Jinja's own escapes HTML, which no prompt wants."""
    return json.dumps(value, **({"ensure_ascii": False} | options))


def _dict(**entries: Any) -> dict[str, Any]:
    """Not the type itself, whose attributes lead into Python."""
    return entries


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(layout: str) -> str:
    return datetime.now(UTC).strftime(layout)
