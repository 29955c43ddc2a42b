"""Several adapters over one base: each answers as it does alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.serving.made import Running, adapter_bundle, body, serving

NAMES = ("one", "two")
YES_OR_NO = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"enum": ["yes", "no"]}},
}


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [adapter_bundle(base, folder / name, name, seed=i) for i, name in enumerate(NAMES)]


def answers(running: Running, name: str) -> list[str]:
    asked = [body(model=name, max_tokens=20, seed=seed, n=2) for seed in range(3)]
    asked += [one | {"temperature": 1.2} for one in asked]
    return [
        choice["message"]["content"]
        for one in asked
        for choice in running.post(one).json()["choices"]
    ]


def test_they_share_the_base_and_answer_as_they_do_alone(
    adapters: list[Path], bundle: Path
) -> None:
    alone = {}
    for name, folder in zip(NAMES, adapters, strict=True):
        with serving([folder]) as running:
            alone[name] = answers(running, name)
    assert alone["one"] != alone["two"]
    with serving([*adapters, bundle]) as running:
        assert [one.name for one in running.served] == ["one", "two", "tiny"]
        engines = [one.engine for one in running.served]
        assert engines[0] is engines[1] is not engines[2]
        start = threading.Barrier(2)

        def together(name: str) -> list[str]:
            start.wait()
            return answers(running, name)

        with ThreadPoolExecutor(2) as pool:
            assert dict(zip(NAMES, pool.map(together, NAMES), strict=True)) == alone
        assert answers(running, "tiny") not in alone.values()
        running.wait_for(running=0, queued=0)
        if find_spec("llguidance"):
            for name in NAMES:
                reply = running.post(body(model=name, response_format=YES_OR_NO)).json()
                assert reply["choices"][0]["message"]["content"] in ('"yes"', '"no"')
