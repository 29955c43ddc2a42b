"""A checkpoint gets onto a server: started for it, or told to load its adapter."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from llamaduo.errors import StageFailed, UsageError
from llamaduo.inference.hosting import rest, started, told
from llamaduo.inference.infer import infer
from llamaduo.inference.served import Served, served_models
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint
from tests.inference.made import pairs
from tests.inference.vllm_like import VllmLike, running

PAIRS = pairs(3)


def at(url: str, **given: Any) -> InferenceSettings:
    fields = {"engine": "openai", "base_url": url, "temperature": 0, "responses_per_prompt": 1}
    return InferenceSettings.model_validate(fields | given)


# --- a server that stays ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_the_adapter_is_loaded_for_its_cycle_and_the_base_answers_for_itself(
    tuned: Checkpoint, tiny: Checkpoint, tmp_path: Path, kind: Literal["vllm", "sglang"]
) -> None:
    state = VllmLike(tiny, "tiny", kind=kind)
    texts = {}
    with running(state) as url:
        for checkpoint, name in ((tiny, "run-base"), (tuned, "run-000")):
            with told(at(url), checkpoint, name) as served:
                found, _ = infer(
                    checkpoint, PAIRS, at(url), max_new_tokens=8, into=tmp_path / name, at=served
                )
            texts[name] = [response.text for response in found]
    assert list(state.loaded) == ["tiny"]  # unloaded
    assert {body["model"] for _, body in state.asked if body and "model" in body} == {
        "tiny",
        "run-000" if kind == "vllm" else "tiny:run-000",
    }
    for checkpoint, name in ((tiny, "run-base"), (tuned, "run-000")):
        plain = InferenceSettings(temperature=0, responses_per_prompt=1)
        ours, _ = infer(checkpoint, PAIRS, plain, max_new_tokens=8, into=tmp_path / f"{name}-ours")
        assert texts[name] == [response.text for response in ours]
    assert texts["run-base"] != texts["run-000"]


def test_an_adapter_that_somebody_serves_under_its_name_stays(
    tuned: Checkpoint, tiny: Checkpoint
) -> None:
    state = VllmLike(tiny, "tiny", has_lora=False)
    state.loaded["run-000"] = tuned.adapter
    with running(state) as url, told(at(url), tuned, "run-000") as served:
        assert served.model == "run-000"
    assert "run-000" in state.loaded


def test_why_an_adapter_was_not_loaded_is_said(
    tuned: Checkpoint, tiny: Checkpoint, tmp_path: Path
) -> None:
    elsewhere = replace(tuned, adapter=str(tmp_path))  # a server that does not see the folder
    with (
        running(VllmLike(tiny, "tiny")) as url,
        pytest.raises(UsageError, match="No adapter found"),
        told(at(url), elsewhere, "run-000"),
    ):
        pass


def test_a_name_that_ollama_has_put_a_tag_to_is_found(tiny: Checkpoint) -> None:
    state = VllmLike(tiny, "tiny", loaded={"other:7b": None})
    state.loaded["tiny:latest"] = state.loaded.pop("tiny")
    with running(state) as url, told(at(url), tiny, "run-base") as served:
        assert served.model == "tiny"


def test_a_server_that_loads_no_adapters_says_how_it_would(
    tuned: Checkpoint, tiny: Checkpoint
) -> None:
    with (
        running(VllmLike(tiny, "tiny", has_lora=False)) as url,
        pytest.raises(UsageError, match="has tiny and did not load the adapter") as refused,
        told(at(url), tuned, "run-000"),
    ):
        pass
    assert "--enable-lora" in refused.value.hint
    assert str(tuned.adapter) in refused.value.hint
    whole = Checkpoint(model="tiny", base=tiny.base, cycle=1, window=256)
    with (
        running(VllmLike(tiny, "tiny")) as url,
        pytest.raises(UsageError, match="all its weights were trained") as refused,
        told(at(url), whole, "run-001"),
    ):
        pass
    assert "serve_command" in refused.value.hint


def test_the_base_model_is_found_by_its_name_or_by_being_alone(tiny: Checkpoint) -> None:
    state = VllmLike(tiny, "other")
    with running(state) as url:
        with told(at(url), tiny, "run-base") as served:
            assert served.model == "other"
        state.loaded["tiny"] = None
        with told(at(url), tiny, "run-base") as served:
            assert served.model == "tiny"
        with told(at(url, model="other"), tiny, "run-base") as served:
            assert served.model == "other"
        with (
            pytest.raises(UsageError, match="no model 'third'; it has other, tiny"),
            told(at(url, model="third"), tiny, "run-base"),
        ):
            pass


def test_it_sleeps_when_nothing_is_asked(tiny: Checkpoint) -> None:
    state = VllmLike(tiny, "tiny", asleep=True)
    with running(state) as url:
        with told(at(url, sleep=True), tiny, "run-base"):
            assert not state.asleep
        assert state.asleep
        state.asleep = False  # started anew
        rest(at(url, sleep=True))
        assert state.asleep
        state.refuses = frozenset({"sleep"})
        with (
            pytest.raises(UsageError, match=r"inference\.sleep") as refused,
            told(at(url, sleep=True), tiny, "run-base"),
        ):
            pass
    assert "VLLM_SERVER_DEV_MODE" in refused.value.hint
    rest(at(url, sleep=True))  # nobody is there, who could hold anything


# --- a server that is started -----------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


STUBBORN = """
import http.server, json, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if os.fork() == 0 else signal.SIG_DFL)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": sys.argv[2]}]}).encode())
http.server.HTTPServer.allow_reuse_port = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server with a worker that does not end when it is asked to, and listens as well."""


def test_a_server_is_started_for_the_checkpoint_and_gone_after_it(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "server.log"
    url = f"http://127.0.0.1:{port}/v1"
    how = at(url, serve_command=[sys.executable, "-c", STUBBORN, str(port), "{name}", "{model}"])
    with started(how, Path("model"), "run-base", log) as served:
        assert served == Served(url, "run-base")
        assert served_models(url) == ("run-base",)
        with (
            pytest.raises(StageFailed, match=r"answers at .* already") as refused,
            started(how, Path("model"), "run-base", log),
        ):
            pass
        assert str(log) in refused.value.hint
    assert not listens(port)


def test_a_server_that_ends_or_is_not_there_is_named(tiny: Checkpoint, tmp_path: Path) -> None:
    url, log = f"http://127.0.0.1:{free_port()}/v1", tmp_path / "server.log"
    dies = [sys.executable, "-c", "import sys; print('no GPU: {model}'); sys.exit(3)"]
    with (
        pytest.raises(StageFailed, match=r"exit code 3 .*no GPU") as failed,
        started(at(url, serve_command=dies), Path(tiny.base), "run-base", log),
    ):
        pass
    assert str(log) in failed.value.hint
    with (
        pytest.raises(UsageError, match="vllm-is-not-here is not there"),
        started(at(url, serve_command=["vllm-is-not-here", "{model}"]), Path(tiny.base), "b", log),
    ):
        pass
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)  # {model}"]
    with (
        pytest.raises(StageFailed, match=r"did not answer within 0\.2 s"),
        started(at(url, serve_command=sleeps, start_seconds=0.2), Path(tiny.base), "run-base", log),
    ):
        pass


HOLDING = """
import sys, time
from pathlib import Path
from llamaduo.inference.hosting import started
from llamaduo.inference.settings import InferenceSettings
port, log, server = sys.argv[1:]
command = [sys.executable, "-c", server, port, "{name}", "{model}"]
url = f"http://127.0.0.1:{port}/v1"
how = InferenceSettings(engine="openai", base_url=url, serve_command=command)
with started(how, Path("model"), "run-base", Path(log)):
    print("answers", flush=True)
    time.sleep(60)
"""


def test_a_server_and_its_workers_end_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "server.log"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(port), str(log), STUBBORN],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"answers\n", log.read_text()
        process.kill()
    deadline = time.monotonic() + 20
    while listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
