"""Machines and models of the sizes that people have, for arithmetic: nothing is built."""

from __future__ import annotations

from dataclasses import replace

from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.sizes import ModelSize

GB = 10**9


def shape(
    layers: int,
    hidden: int,
    intermediate: int,
    heads: tuple[int, int, int],
    vocabulary: int,
    *,
    tied: bool = False,
) -> ModelSize:
    """A model of the Llama kind. ``heads``: of queries, of keys, and the width of one."""
    queries, keys = heads[0] * heads[2], heads[1] * heads[2]
    attention = ((queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries))
    block = ((intermediate, hidden), (intermediate, hidden), (hidden, intermediate))
    linears = (attention + block) * layers
    embeddings = vocabulary * hidden * (1 if tied else 2)
    inner = sum(rows * columns for rows, columns in linears)
    return ModelSize(
        parameters=inner + embeddings + (2 * layers + 1) * hidden,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads[0],
        query_width=queries,
        key_width=keys,
        vocabulary=vocabulary,
        linears=linears,
    )


SMOLLM2 = shape(30, 576, 1536, (9, 3, 64), 49_152, tied=True)
GEMMA_2B = shape(18, 2048, 16_384, (8, 1, 256), 256_000, tied=True)
GEMMA_7B = shape(28, 3072, 24_576, (16, 16, 256), 256_000, tied=True)
LLAMA_7B = shape(32, 4096, 11_008, (32, 32, 128), 32_000)
LLAMA_33B = shape(60, 6656, 17_920, (52, 52, 128), 32_000)
LLAMA_65B = shape(80, 8192, 22_016, (64, 64, 128), 32_000)
MISTRAL_7B = shape(32, 4096, 14_336, (32, 8, 128), 32_000)
LLAMA3_8B = shape(32, 4096, 14_336, (32, 8, 128), 128_256)
LLAMA3_70B = shape(80, 8192, 28_672, (64, 8, 128), 128_256)

CPU = Machine(
    device="cpu",
    name="2 CPU cores",
    count=1,
    memory_bytes=24 * GB,
    free_bytes=20 * GB,
    cores=2,
    bf16=False,
    quantizes=True,
    flops=2.5e11,
)
H100 = Machine(
    device="cuda",
    name="NVIDIA H100 80GB HBM3",
    count=1,
    memory_bytes=80 * GB,
    free_bytes=80 * GB,
    cores=16,
    bf16=True,
    quantizes=True,
    flops=989e12,
)


def gpu(gigabytes: float) -> Machine:
    size = int(gigabytes * GB)
    return replace(H100, name=f"a GPU of {gigabytes} GB", memory_bytes=size, free_bytes=size)
