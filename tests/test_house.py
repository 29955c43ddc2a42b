"""The house: imports go one way, the public names are what they were, the command is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import llamaduo

REPOSITORY = Path(__file__).resolve().parents[1]


def test_import_contracts() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_exported_names() -> None:
    assert dir(llamaduo) == [
        "Config",
        "CurationSettings",
        "FinalSplit",
        "LlamaduoError",
        "Message",
        "Pair",
        "Provenance",
        "Run",
        "Scores",
        "TaskSettings",
        "TestSplit",
        "TrainSplit",
        "Verdict",
        "__version__",
        "curate",
        "load_config",
        "migrate",
    ]
    for name in dir(llamaduo):
        assert getattr(llamaduo, name) is not None


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from llamaduo.cli.app import main\n"
        "sys.argv = ['llamaduo', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'openai', 'anthropic', 'pydantic_ai', 'altair',"
        " 'datasets', 'pyarrow', 'httpx2', 'numba', 'numpy', 'llamaduo.config', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}
    modules = {path.stem for path in (REPOSITORY / "src").rglob("*.py")}
    assert not modules & drawers
