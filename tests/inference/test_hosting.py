"""A checkpoint gets onto a server: started for it, or told to load its adapter."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.errors import StageFailed, UsageError
from llamaduo.inference.hosting import started, told
from llamaduo.inference.infer import infer
from llamaduo.inference.served import served_models
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint
from tests.inference import vllm_like
from tests.inference.made import pairs
from tests.inference.vllm_like import VllmLike, running

PAIRS = pairs(3)
ROOT = Path(__file__).parents[2]


def at(url: str, **given: Any) -> InferenceSettings:
    fields = {"engine": "openai", "base_url": url, "temperature": 0, "responses_per_prompt": 1}
    return InferenceSettings.model_validate(fields | given)


# --- a server that stays ----------------------------------------------------------------------


def test_the_adapter_is_loaded_for_its_cycle_and_the_base_answers_for_itself(
    tuned: Checkpoint, tiny: Checkpoint, tmp_path: Path
) -> None:
    state = VllmLike(tiny, "tiny")
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
        "run-000",
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
        state.refuses = frozenset({"sleep"})
        with (
            pytest.raises(UsageError, match=r"inference\.sleep") as refused,
            told(at(url, sleep=True), tiny, "run-base"),
        ):
            pass
    assert "VLLM_SERVER_DEV_MODE" in refused.value.hint


# --- a server that is started -----------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def command(port: int, name: str = "{name}") -> list[str]:
    script = str(Path(vllm_like.__file__))
    return [sys.executable, script, "--model", "{model}", "--name", name, "--port", str(port)]


@pytest.fixture
def _finds_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")


@pytest.mark.usefixtures("_finds_us")
def test_a_server_is_started_for_the_checkpoint_and_gone_after_it(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    how = at(url, serve_command=command(port))
    log = tmp_path / "server.log"
    with started(how, Path(tiny.base), "run-base", log) as served:
        assert served_models(url) == ("run-base",)
        found, _ = infer(tiny, PAIRS, how, max_new_tokens=8, into=tmp_path / "r", at=served)
        with (
            pytest.raises(StageFailed, match=r"answers at .* already") as refused,
            started(how, Path(tiny.base), "run-base", log),
        ):
            pass
        assert str(log) in refused.value.hint
    ours, _ = infer(
        tiny,
        PAIRS,
        InferenceSettings(temperature=0, responses_per_prompt=1),
        max_new_tokens=8,
        into=tmp_path / "ours",
    )
    assert [r.text for r in found] == [r.text for r in ours]
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        pass  # nobody holds it any more


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
        pytest.raises(UsageError, match="vllm-is-not-here cannot be started"),
        started(at(url, serve_command=["vllm-is-not-here", "{model}"]), Path(tiny.base), "b", log),
    ):
        pass
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)  # {model}"]
    with (
        pytest.raises(StageFailed, match="did not answer within 1 s"),
        started(at(url, serve_command=sleeps, start_seconds=1), Path(tiny.base), "run-base", log),
    ):
        pass
