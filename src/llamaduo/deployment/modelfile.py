"""The ``Modelfile`` with which Ollama serves a GGUF file as it was judged.

Ollama does not run a model's Jinja chat template: it wants one in Go's language, or guesses.
A Go template is written only where rendering probe conversations shows that the Jinja template
is one of the two shapes that we have in Go: ChatML, with or without a system prompt of its own,
and Llama 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llamaduo.deployment.chat_template import ChatTemplate, read_chat
from llamaduo.deployment.gguf_vocabulary import adds_bos
from llamaduo.records import Message
from llamaduo.storage.atomic import write_atomic

_CHATML = """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
_CHATML_SYSTEM = """{{- range $i, $m := .Messages }}{{ if and (eq $i 0) (ne $m.Role "system") }}\
<|im_start|>system
%s<|im_end|>
{{ end }}<|im_start|>{{ $m.Role }}
{{ $m.Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
_LLAMA3 = """%s{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

"""
_PROBES = tuple(
    tuple(Message(role, content) for role, content in chat)  # type: ignore[arg-type]
    for chat in (
        (("user", "Hello."),),
        (("user", "  {{ .Role }} \"quoted\" 'and' é日本😀 \n\n"),),
        (
            ("system", "Be brief."),
            ("user", "Hello."),
        ),
        (("user", "One."), ("assistant", " Two.\n"), ("user", "Three.")),
        (("system", ""), ("user", "One."), ("assistant", ""), ("user", "Three.")),
        (("user", "One."), ("user", "Two.")),
        (("user", "One."), ("system", "Be brief."), ("user", "Two.")),
    )
)
_TRIMMED = """\
# The model's own template takes spaces and line breaks off both ends of a message; Ollama's
# templates cannot: leave none there.
"""
_NO_TEMPLATE = """\
# No TEMPLATE: the model's chat template is not one that we can write in Go and prove equal.
# Ollama then chooses one by the template inside the GGUF file: check what it renders.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How Ollama answers. ``window`` and ``max_new_tokens`` are in tokens."""

    temperature: float
    top_p: float
    max_new_tokens: int
    window: int


def write_modelfile(model: Path, gguf: str, sampling: Sampling, into: Path) -> Path:
    """Write the ``Modelfile`` of a model folder to the file ``into``, and return it.

    Args:
        model: the merged model folder that ``gguf`` was made from.
        gguf: the name of the GGUF file beside ``into``.
        sampling: how Ollama is to answer.
        into: the file.

    Raises:
        ModelError: a file of the tokenizer is not JSON.
    """
    chat = read_chat(model)
    write_atomic(into, modelfile(gguf, chat, sampling, bos_added=adds_bos(model, chat)))
    return into


def modelfile(gguf: str, chat: ChatTemplate, sampling: Sampling, *, bos_added: bool) -> str:
    """The text of a ``Modelfile``. ``bos_added``: llama.cpp puts bos before a prompt itself."""
    lines = [f"FROM ./{gguf}", "", *_parameters(chat, sampling), ""]
    found = go_template(chat, bos_added=bos_added)
    if found is None:
        return "\n".join(lines) + _NO_TEMPLATE
    note = _TRIMMED if found.trims else ""
    return "\n".join(lines) + f'{note}TEMPLATE """{found.text}"""\n'


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A chat template for Ollama. ``trims``: the model's own strips messages, this one does not."""

    text: str
    trims: bool = False


def go_template(chat: ChatTemplate, *, bos_added: bool) -> GoTemplate | None:
    """The chat template in Go's language, if it can be proved equal on the probes."""
    default = _default_system(chat)
    if _is(chat, partial(_chatml, default=default)):
        return GoTemplate(_CHATML if default is None else _CHATML_SYSTEM % default)
    begin = chat.bos or ""
    for trims in (False, True):
        if _is(chat, partial(_llama3, begin=begin, trims=trims)):
            return GoTemplate(_LLAMA3 % ("" if bos_added else begin), trims)
    return None


def _is(chat: ChatTemplate, shape: Callable[[Sequence[Message]], str]) -> bool:
    """Whether the template renders every probe that it does not refuse in this shape."""
    found = [(probe, chat.render(probe)) for probe in _PROBES]
    return found[0][1] is not None and all(
        text is None or text == shape(probe) for probe, text in found
    )


def _default_system(chat: ChatTemplate) -> str | None:
    """The system prompt that the template writes where a conversation has none."""
    head, _, tail = (chat.render(_PROBES[0]) or "").partition("<|im_end|>\n<|im_start|>user\n")
    begin = "<|im_start|>system\n"
    default = head.removeprefix(begin)
    in_go = not any(mark in default for mark in ("{{", "}}", '"""'))
    return default if tail and head.startswith(begin) and in_go else None


def _chatml(messages: Sequence[Message], default: str | None) -> str:
    if default is not None and messages[0].role != "system":
        messages = (Message("system", default), *messages)
    turns = (f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)
    return "".join(turns) + "<|im_start|>assistant\n"


def _llama3(messages: Sequence[Message], *, begin: str, trims: bool) -> str:
    turns = (
        f"<|start_header_id|>{m.role}<|end_header_id|>\n\n"
        f"{m.content.strip() if trims else m.content}<|eot_id|>"
        for m in messages
    )
    return begin + "".join(turns) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def _parameters(chat: ChatTemplate, sampling: Sampling) -> Iterator[str]:
    yield f"PARAMETER temperature {sampling.temperature:g}"
    yield f"PARAMETER top_p {sampling.top_p:g}"
    yield f"PARAMETER num_predict {sampling.max_new_tokens}"
    yield f"PARAMETER num_ctx {sampling.window}"
    yield "# Ollama's own defaults for these would change the answers."
    yield "PARAMETER top_k 0"
    yield "PARAMETER min_p 0"
    yield "PARAMETER repeat_penalty 1"
    for stop in dict.fromkeys(filter(None, (chat.end_of_turn(), chat.eos))):
        quotes = '"""' if '"' in stop else '"'
        yield f"PARAMETER stop {quotes}{stop}{quotes}"
