"""The local LLM on llama.cpp, from a GGUF file: the one place that loads xllamacpp.

xllamacpp always starts llama.cpp's HTTP server as well. Here it listens on a Unix socket in a
folder that only this user can enter, and asks for a key: no port is opened. What is generated
does not pass through it; llama.cpp's own chat template and tokenizer are reached that way.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.inference.protocol import Answer
from llamaduo.records import FinishReason, Message

_MAGIC = b"GGUF"
_LONGEST_SOCKET = 100  # bytes in the path of a Unix socket, with room to spare
_AGAIN = "Export it again: llamaduo deploy."


class LlamaCpp:
    """A loaded GGUF file. Its methods may be called from several threads at once.

    ``handle_completions`` is xllamacpp's: it takes a request in the shape of the OpenAI API (the
    prompt may be a list of token ids), and returns the reply, or hands the events of a stream to
    a callback, which returns True to end it. An error is a reply with ``error`` in it.
    """

    def __init__(self, server: Any, folder: Path, socket: Path, key: str) -> None:
        self.server = server
        self._socket, self._key = socket, key
        self._clean = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def handle_completions(
        self, request: dict[str, Any], callback: Callable[[dict[str, Any]], Any] | None = None
    ) -> dict[str, Any]:
        """Complete a prompt as it stands."""
        return self.server.handle_completions(request, callback)  # type: ignore[no-any-return]

    def ask(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """Post to llama.cpp's HTTP server, over its socket.

        Raises:
            ModelError: llama.cpp refuses the request.
        """
        import httpx2

        # A connection each: one kept open would hold a thread of llama.cpp's server.
        socket = httpx2.HTTPTransport(uds=str(self._socket), verify=False)
        with httpx2.Client(transport=socket, base_url="http://llama.cpp", timeout=60) as client:
            headers = {"Authorization": f"Bearer {self._key}"}
            reply = client.post(path, json=request, headers=headers)
        found: dict[str, Any] = reply.json()
        _require_none(found)
        return found

    def close(self) -> None:
        """Let the weights go, once the calls that run have ended."""
        self.server = None
        self._clean()


def load_gguf(path: Path, *, window: int, slots: int = 1, threads: int | None = None) -> LlamaCpp:
    """Load a GGUF file; llama.cpp prints nothing.

    Args:
        path: the file.
        window: tokens that one conversation may have; llama.cpp rounds up to 256.
        slots: conversations at once, each with a ``window`` of its own.
        threads: of the processor; left to llama.cpp if None.

    Raises:
        ModelError: the file is missing, cut short or no GGUF, or llama.cpp cannot run it.
        ExtraMissing: xllamacpp is not installed.
    """
    xllamacpp = _xllamacpp()
    _require_gguf(path)
    folder = _private_folder()
    socket, key = folder / "llama.sock", secrets.token_hex(16)
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, path, window, slots, threads, socket, key))
    except RuntimeError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ModelError(
            f"llama.cpp cannot load {path} ({path.stat().st_size:,} bytes): it is damaged, of a"
            " kind that it does not know, or larger than the memory.",
            hint=_AGAIN,
        ) from error
    return LlamaCpp(server, folder, socket, key)


def completion(
    tokens: Sequence[int],
    *,
    limit: int,
    temperature: float,
    top_p: float,
    seed: int,
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One answer in llama.cpp's terms, with sampling as ``inference.sampling`` does it.

    ``cache_prompt`` is off: what a slot still holds of the prompt before would change the sums
    in their last bits, and an answer would depend on what was asked before it.
    """
    request: dict[str, Any] = {
        "prompt": list(tokens),
        "max_tokens": limit,
        "samplers": ["temperature", "top_p"],
        "temperature": temperature,
        "top_p": top_p,
        "top_k": 0,
        "min_p": 0.0,
        "seed": seed,
        "cache_prompt": False,
    }
    if schema is not None:
        # White space is free in JSON, and small models then write line ends for ever.
        request["json_schema"] = {**schema, "x-guidance": {"whitespace_flexible": False}}
    return request


def threads_told() -> int | None:
    """What OMP_NUM_THREADS says, which torch goes by, too; None leaves it to llama.cpp."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) else None


def greedy_chat(server: LlamaCpp, messages: Sequence[Message], max_new_tokens: int) -> Answer:
    """The likeliest answer, through llama.cpp's own chat template and tokenizer.

    As whoever has the file alone gets it: a special token that a message spells is read as one.

    Raises:
        ModelError: llama.cpp refuses the messages, as where they do not fit the window.
    """
    reply = server.handle_completions(
        {
            "prompt": _tokens(server, _template(server, messages), add_special=True),
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "cache_prompt": False,  # so that an answer does not depend on the one before
        }
    )
    return answer_of(reply)


def answer_of(reply: dict[str, Any]) -> Answer:
    """The answer in a whole reply of ``handle_completions``.

    Raises:
        ModelError: it is an error.
    """
    _require_none(reply)
    choice = reply["choices"][0]
    finish: FinishReason = "length" if choice["finish_reason"] == "length" else "stop"
    return Answer(choice["text"], reply["usage"]["completion_tokens"], finish)


def rendered(server: LlamaCpp, messages: Sequence[Message]) -> str:
    """What llama.cpp's template engine makes of the messages, as the model reads it: with the
    token that begins a text, where llama.cpp puts one there.

    Raises:
        ModelError: llama.cpp refuses the messages.
    """
    prompt = _template(server, messages)
    plain, whole = tokenized(server, prompt), _tokens(server, prompt, add_special=True)
    if len(whole) == len(plain):
        return prompt
    return str(server.ask("/detokenize", {"tokens": whole[:1]})["content"]) + prompt


def tokenized(server: LlamaCpp, text: str) -> tuple[int, ...]:
    """llama.cpp's tokens of ``text``, in which special tokens are read as such; none is added."""
    return _tokens(server, text, add_special=False)


def _tokens(server: LlamaCpp, text: str, *, add_special: bool) -> tuple[int, ...]:
    request = {"content": text, "add_special": add_special, "parse_special": True}
    return tuple(server.ask("/tokenize", request)["tokens"])


def _template(server: LlamaCpp, messages: Sequence[Message]) -> str:
    """What llama.cpp hands to its tokenizer, which may put bos before it."""
    chat = [{"role": message.role, "content": message.content} for message in messages]
    return str(server.ask("/apply-template", {"messages": chat})["prompt"])


def _require_none(reply: dict[str, Any]) -> None:
    """No error in ``reply``."""
    if "error" in reply:
        raise ModelError(
            f"llama.cpp refuses a prompt: {reply['error'].get('message', reply['error'])}.",
            hint="It must fit the window, and its roles the chat template in the file.",
        )


def require_llamacpp() -> None:
    """Return when GGUF files can be run here.

    Raises:
        ExtraMissing: xllamacpp is not installed.
    """
    _xllamacpp()


def _xllamacpp() -> Any:
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ExtraMissing(
            "GGUF files are run by xllamacpp, which is not installed.",
            hint="pip install 'llamaduo[gguf]'",
        ) from error


def _require_gguf(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path} is missing.", hint=_AGAIN)
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ModelError(f"{path} is not a GGUF file.", hint=_AGAIN)


def _private_folder() -> Path:
    """A new folder that only this user can enter, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="llamaduo-"))
    if len(str(folder).encode()) + len("/llama.sock") > _LONGEST_SOCKET:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="llamaduo-", dir="/tmp"))
    return folder


def _parameters(
    xllamacpp: Any,
    path: Path,
    window: int,
    slots: int,
    threads: int | None,
    socket: Path,
    key: str,
) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel = window * slots, slots
    parameters.kv_unified = False  # each slot has its own window
    parameters.fit_params = False  # else llama.cpp may shorten the window to what memory is left
    parameters.warmup = False
    parameters.cache_ram_mib = 0  # no copies of earlier prompts beside those in the slots
    if threads is not None:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    # Answers come as they are, with nothing cut out as reasoning or tool calls.
    parameters.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    parameters.force_pure_content_parser = True
    parameters.verbosity = -1
    parameters.hostnames, parameters.api_keys = [str(socket)], [key]
    parameters.ui = parameters.endpoint_slots = False
    parameters.n_threads_http = 2
    return parameters
