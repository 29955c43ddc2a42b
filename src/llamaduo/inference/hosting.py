"""Have a server run a checkpoint: one that we start and end, or one that stays and is told.

A GPU that training needs, too, is free of the server meanwhile: it has ended, or it sleeps.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from llamaduo.errors import ServiceUnavailable, StageFailed, UsageError
from llamaduo.inference import keeper
from llamaduo.inference.served import RequestRefused, Served, Server
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint

_POLL_SECONDS = 0.5
_UNKNOWN = (404, 405)
"""What a server says to a path that it does not have."""
_SLEEP = "/sleep?level=1"
"""The weights wait in the machine's memory. Of one that sleeps already nothing comes."""
_SGLANG = "sglang"
"""What its models are owned by."""
LORA_PATHS = (
    ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"),  # vLLM
    ("/load_lora_adapter", "/unload_lora_adapter"),  # SGLang
)


# --- a server that is started for a checkpoint ------------------------------------------------


@contextmanager
def started(settings: InferenceSettings, model: Path, name: str, log: Path) -> Iterator[Served]:
    """A server of the folder ``model`` as ``name``, by ``settings.serve_command``. What it
    prints goes into ``log``. It ends with this process, even when that is killed.

    Raises:
        StageFailed: it ended, or did not answer in time; or another has its address.
        UsageError: the command is not there, or it serves no such model.
    """
    served = Served(_url(settings), name, token_of(settings))
    _require_free(served, log)
    command = [_filled(part, model, name) for part in settings.serve_command]
    if shutil.which(command[0]) is None:
        raise UsageError(
            f"inference.serve_command: {command[0]} is not there, or is no program.",
            hint="Give its whole path, or install it where this process finds it.",
        )
    with _kept(command, log) as process:
        _wait(process, served, settings.start_seconds, log)
        yield served


@contextmanager
def _kept(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The keeper of ``command``, in a group that Ctrl-C does not reach."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, and no shell
            [sys.executable, "-I", keeper.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()  # until the server has let the GPU go


def _filled(part: str, model: Path, name: str) -> str:
    return part.replace("{model}", str(model)).replace("{name}", name)


def _require_free(served: Served, log: Path) -> None:
    with suppress(ServiceUnavailable), _client(served) as server:
        server.models()
        raise StageFailed(
            f"Something answers at {served.url} already, before inference.serve_command has run.",
            hint=f"End it: a server of a run that was killed, perhaps ({log} is its log). Or"
            " choose another port.",
        )


def _wait(process: subprocess.Popen[bytes], served: Served, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    with _client(served) as server:
        while True:
            if process.poll() is not None:
                raise StageFailed(
                    f"The server of inference.serve_command ended with exit code"
                    f" {process.returncode} before it answered.{_tail(log)}",
                    hint=f"Its log is {log}.",
                )
            with suppress(ServiceUnavailable):
                _require_model(server, served)
                return
            if time.monotonic() > deadline:
                raise StageFailed(
                    f"{served.url} did not answer within {seconds:g} s of inference.serve_command.",
                    hint=f"Its log is {log}. The address must be the one of inference.base_url;"
                    " inference.start_seconds gives it longer.",
                )
            time.sleep(_POLL_SECONDS)


def _require_model(server: Server, served: Served) -> None:
    there = server.models()
    if served.model not in there:
        raise UsageError(
            f"inference.serve_command serves {', '.join(there) or 'no model'} at {served.url},"
            f" not {served.model}.",
            hint="Pass {name} on, as in --served-model-name {name}.",
        )


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f" Its last line: {lines[-1][:300]}" if lines else ""


# --- a server that stays ----------------------------------------------------------------------


@contextmanager
def told(settings: InferenceSettings, checkpoint: Checkpoint, name: str) -> Iterator[Served]:
    """``checkpoint`` on a server that runs its base model. The adapter is loaded as ``name``,
    as vLLM and SGLang do it, and unloaded at the end; one that is there under that name stays.

    Raises:
        UsageError: the base model is not there, or the adapter cannot be loaded.
        ServiceUnavailable: the server does not answer.
    """
    served = Served(_url(settings), name, token_of(settings))
    with _client(served) as server, _awake(server, settings):
        there = server.models()
        if checkpoint.cycle is None:
            yield replace(served, model=_base(settings, checkpoint, there))
            return
        if _SGLANG in there.values():
            # It would take the name alone for one more of its base model's.
            served = replace(served, model=f"{_base(settings, checkpoint, there)}:{name}")
        if name in there:
            yield served
        else:
            unload = _load(server, checkpoint, name, there)
            try:
                yield served
            finally:
                with suppress(ServiceUnavailable):  # the answers are there, that is what counts
                    server.command(unload, {"lora_name": name})


def _base(settings: InferenceSettings, checkpoint: Checkpoint, there: Mapping[str, str]) -> str:
    """What the server calls the base model."""
    if settings.model in there:
        return str(settings.model)
    if settings.model is None:
        if checkpoint.model in there:
            return checkpoint.model
        if len(there) == 1:
            return next(iter(there))
    sought = settings.model or checkpoint.model
    raise UsageError(
        f"{_url(settings)} has no model {sought!r}; it has {', '.join(there) or 'none'}.",
        hint="Set inference.model to what the server calls the base model, or serve it:"
        f" vllm serve {checkpoint.base} --served-model-name {sought}",
    )


def _load(server: Server, checkpoint: Checkpoint, name: str, there: Mapping[str, str]) -> str:
    """Have the server load the adapter; returns the path that unloads it."""
    if checkpoint.adapter is None:
        raise UsageError(
            f"{server.url} cannot be told to load {name}: all its weights were trained, and only"
            " adapters can be loaded into a server that runs.",
            hint="Set inference.serve_command, which starts a server for each checkpoint.",
        )
    refusals = []
    body = {"lora_name": name, "lora_path": str(Path(checkpoint.adapter).resolve())}
    for load, unload in LORA_PATHS:
        try:
            server.command(load, body)
        except RequestRefused as refused:
            refusals.append(refused)
            if refused.status not in _UNKNOWN:
                break
        else:
            return unload
    raise UsageError(
        f"{server.url} has {', '.join(there) or 'no model'} and did not load the adapter of {name}:"
        f" {' And: '.join(refused.message for refused in refusals)}",
        hint="Start vLLM with --enable-lora --max-lora-rank 64 and"
        " VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or SGLang with --enable-lora --max-lora-rank 64"
        " --lora-target-modules all, on a machine that sees the run's folder; or serve"
        f" {json.dumps(body)} under that name yourself and run this again; or set"
        " inference.serve_command.",
    ) from refusals[-1]


def rest(settings: InferenceSettings) -> None:
    """Have the server of ``settings.sleep`` sleep: it may have been started anew, and is awake.

    Raises:
        UsageError: its sleep mode is off.
    """
    served = Served(_url(settings), "", token_of(settings))
    with _client(served) as server, suppress(ServiceUnavailable):  # not there: it holds nothing
        _tell(server, _SLEEP)


@contextmanager
def _awake(server: Server, settings: InferenceSettings) -> Iterator[None]:
    """With ``sleep``: the server awake for the block, and asleep after it."""
    if not settings.sleep:
        yield
        return
    _tell(server, "/wake_up")
    try:
        yield
    finally:
        _tell(server, _SLEEP)


def _tell(server: Server, path: str) -> None:
    try:
        server.command(path)
    except RequestRefused as refused:
        raise UsageError(
            f"inference.sleep: {refused.message}",
            hint="Start vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, or set"
            " inference.sleep: false.",
        ) from refused


# --- both ---------------------------------------------------------------------------------------


def token_of(settings: InferenceSettings) -> str | None:
    """The server's token, if the environment has one."""
    return os.environ.get(settings.token_env) or None


def _url(settings: InferenceSettings) -> str:
    assert settings.base_url is not None  # noqa: S101 - the settings are of engine openai
    return settings.base_url


@contextmanager
def _client(served: Served) -> Iterator[Server]:
    server = Server(served.url, served.token, timeout=60)
    try:
        yield server
    finally:
        server.close()
