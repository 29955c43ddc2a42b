"""What this machine has to train on. Importing this imports no torch; asking does."""

from __future__ import annotations

import importlib.util
import os
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Device = Literal["cpu", "cuda"]

CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The devices of one kind that training can use."""

    device: Device
    name: str
    count: int
    """Devices; 1 for the processor, whatever cores it has."""
    memory_bytes: int
    """Of one device, whoever uses it."""
    free_bytes: int
    """Of one device, now."""
    cores: int
    bf16: bool
    """It multiplies 16-bit numbers of the kind that training uses at full speed."""
    quantizes: bool
    """bitsandbytes is installed."""
    flops: float = 0.0
    """The peak of a plain matrix product in the type that training uses; 0: not known."""
    kernels: tuple[str, ...] = ()
    """Of flash_attention_2 and liger, those that are installed and run here."""


def this_machine() -> Machine:
    """The GPUs of this machine, or its processor where there is none that CUDA or ROCm runs on."""
    import torch

    return _gpus(torch) if torch.cuda.is_available() else _processor()


# --- kinds of devices -----------------------------------------------------------------------


def _gpus(torch: Any) -> Machine:
    torch.cuda.empty_cache()  # what an inference in this process has left is free
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    memory = [torch.cuda.mem_get_info(i) for i in range(len(devices))]
    smallest = min(devices, key=lambda device: int(device.total_memory))
    bf16 = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return Machine(
        device="cuda",
        name=str(smallest.name),
        count=len(devices),
        memory_bytes=min(total for _, total in memory),
        free_bytes=min(free for free, _ in memory),
        cores=_cores(),
        bf16=bf16,
        quantizes=_installed("bitsandbytes"),
        flops=_known_peak(str(smallest.name)) or _measured_peak("cuda", bf16),
        # FlashAttention 2 begins with Ampere, which is where bf16 begins too.
        kernels=tuple(
            kernel
            for kernel, package in (("flash_attention_2", "flash_attn"), ("liger", "liger_kernel"))
            if bf16 and _installed(package)
        ),
    )


def _processor() -> Machine:
    memory = _memory()
    return Machine(
        device="cpu",
        name=f"{_cores()} CPU cores",
        count=1,
        memory_bytes=memory,
        free_bytes=memory,  # the system takes it from others
        cores=_cores(),
        bf16=False,  # three times slower than 32 bits, without units for it
        quantizes=_installed("bitsandbytes"),
        flops=_measured_peak("cpu", False),
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- memory of the processor ----------------------------------------------------------------


def _memory() -> int:
    """The machine's bytes, or the container's where that has less."""
    import psutil

    limits = [_number(CONTROL_GROUPS / name) for name in _LIMITS]
    total: int = psutil.virtual_memory().total
    return min([total, *filter(None, limits)])


_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Of control groups, version 2 and 1."""


def _number(path: Path) -> int | None:
    """The number in a file; None where there is no file, or ``max`` in it."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


# --- speed ----------------------------------------------------------------------------------

_PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "A40": 150e12,
    "RTX 6000 Ada": 364e12,
    "RTX A6000": 155e12,
    "RTX 5090": 209e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    # Before Ampere, which has no bf16: in 32 bits.
    "V100": 15.7e12,
    "T4": 8.1e12,
}
"""FLOPS of dense matrix products in bf16, from NVIDIA's data sheets. The first name that is in
the device's decides."""


def _known_peak(name: str) -> float:
    whole_words = (peak for known, peak in _PEAKS.items() if re.search(rf"\b{known}\b", name))
    return next(whole_words, 0.0)


_PRODUCTS, _SIDE = 10, 1024


@cache
def _measured_peak(device: Device, bf16: bool) -> float:
    """FLOPS of a plain matrix product on ``device``. The best of some: the first one starts
    threads and loads kernels, and others may have to wait for a busy machine."""
    import torch

    square = torch.ones(
        (_SIDE, _SIDE), device=device, dtype=torch.bfloat16 if bf16 else torch.float32
    )
    best = float("inf")
    for _ in range(_PRODUCTS):
        begun = time.perf_counter()
        (square @ square)[0, 0].item()  # which waits for a GPU to be done
        best = min(best, time.perf_counter() - begun)
    return 2 * _SIDE**3 / best
