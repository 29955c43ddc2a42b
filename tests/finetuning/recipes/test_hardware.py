"""What this machine has: read, not guessed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from llamaduo.finetuning.recipes import hardware
from llamaduo.finetuning.recipes.hardware import this_machine


def test_the_machine_that_the_tests_run_on() -> None:
    machine = this_machine()
    assert machine.device in {"cpu", "cuda"}
    assert machine.count >= 1
    assert 0 <= machine.free_bytes <= machine.memory_bytes
    assert machine.memory_bytes > 10**9
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert 1e9 < machine.flops < 1e17
    assert this_machine().flops == machine.flops, "measured once"


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA A10", 125),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165),
        ("Tesla T4", 8.1),
        ("NVIDIA T400 4GB", 0),
        ("A GPU of next year", 0),
    ],
)
def test_known_peaks(name: str, tera: float) -> None:
    assert hardware._known_peak(name) == tera * 1e12


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1000000000\n"}, 10**9),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "2000000000"}, 2 * 10**9),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ({}, None),
    ],
)
def test_a_containers_limit_is_the_machines(
    files: dict[str, str],
    limit: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(hardware, "CONTROL_GROUPS", tmp_path)
    assert hardware._memory() == (limit or psutil.virtual_memory().total)


def test_reading_settings_and_recipes_imports_no_torch() -> None:
    program = (
        "import sys\n"
        "import llamaduo.finetuning.recipes.recipe, llamaduo.config\n"
        "import llamaduo.finetuning.recipes.sizes\n"
        "print(sorted({'torch', 'transformers', 'safetensors', 'psutil'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
