"""Recipes: what is chosen from model, data and machine; that what is set is never changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from llamaduo.config import parse_config
from llamaduo.errors import ConfigError, ExtraMissing, StageFailed
from llamaduo.finetuning.recipes.choices import (
    FEWEST_PAIRS,
    MOST_PAIRS,
    MOST_TOKENS,
    STEPS_AN_EPOCH,
    learning_rate_for,
)
from llamaduo.finetuning.recipes.fitting import check_free, usable
from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.recipe import derive, in_words
from llamaduo.finetuning.recipes.sizes import ModelSize
from llamaduo.finetuning.recipes.window import WINDOWS, Data, held_back, window_for
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Recipe
from tests.finetuning.recipes.shapes import (
    CPU,
    GB,
    GEMMA_2B,
    GEMMA_7B,
    H100,
    LLAMA3_8B,
    LLAMA3_70B,
    LLAMA_7B,
    LLAMA_33B,
    LLAMA_65B,
    SMOLLM2,
    gpu,
)

AUTO = FinetuningSettings()
TICKETS = [(60, 13)] * 160


def table_4(count: int) -> list[tuple[int, int]]:
    """Lengths like the paper's: mean 95, deviation about 53, none above 1,024."""
    return [(30 + 7 * (i % 18), 5 + i % 7) if i % 50 else (400, 60) for i in range(count)]


# --- the paper's, and today's -----------------------------------------------------------------


def test_little_data_and_a_small_model_on_a_processor_are_trained_as_the_quickstart_is() -> None:
    recipe = derive(AUTO, SMOLLM2, TICKETS, CPU, 8192)
    assert (recipe.method, recipe.dtype, recipe.lora_dropout) == ("lora", "float32", 0.0)
    assert (recipe.epochs, recipe.learning_rate, recipe.warmup) == (3.0, 1e-3, 0.1)
    assert (recipe.micro_batch, recipe.accumulation, recipe.packing) == (4, 1, False)
    assert (recipe.lora_rank, recipe.lora_alpha, recipe.window) == (8, 16, 1024)
    assert not recipe.activation_checkpointing
    assert recipe.forecast.steps == 120
    assert recipe.forecast.tokens == 3 * 160 * 73


@pytest.mark.parametrize(
    ("pairs", "rank", "epochs"),
    [
        (300, 8, 3.0),
        (16_000, 8, 3.0),
        (16_384, 8, 3.0),
        (16_385, 16, 2.0),
        (32_000, 16, 2.0),
        (64_000, 32, 1.0),
        (256_000, 32, 1.0),
    ],
)
def test_table_5_on_a_gpu(pairs: int, rank: int, epochs: float) -> None:
    recipe = derive(AUTO, GEMMA_2B, [(60, 35)] * pairs, H100, 8192)
    assert (recipe.method, recipe.dtype, recipe.window) == ("qlora", "bfloat16", 1024)
    assert (recipe.lora_rank, recipe.lora_alpha) == (rank, 2 * rank)
    assert recipe.lora_dropout == 0.05
    assert recipe.epochs == epochs


@pytest.mark.parametrize(
    ("size", "rate"),
    [(SMOLLM2, 1e-3), (LLAMA_7B, 2e-4), (LLAMA3_8B, 2e-4), (LLAMA_33B, 1.5e-4), (LLAMA_65B, 1e-4)],
)
def test_the_learning_rate_is_the_sources(size: ModelSize, rate: float) -> None:
    """SmolLM2's as measured; 7 B and 65 B as in the QLoRA paper, which has 1e-4 for 33 B."""
    assert learning_rate_for(size, "lora")[0] == learning_rate_for(size, "qlora")[0] == rate
    assert learning_rate_for(size, "full")[0] == pytest.approx(rate / 10)


@given(st.integers(64, 16_384), st.integers(64, 16_384))
def test_wider_models_never_learn_faster(one: int, other: int) -> None:
    narrow, wide = sorted([one, other])
    rates = [learning_rate_for(replace(SMOLLM2, hidden=h), "lora")[0] for h in (narrow, wide)]
    assert 1e-3 >= rates[0] >= rates[1] > 0


def test_the_papers_largest_experiment_fits_on_one_gpu() -> None:
    lengths = table_4(256_000)
    for size in (GEMMA_2B, GEMMA_7B, LLAMA3_8B):
        recipe = derive(AUTO, size, lengths, H100, 8192)
        assert recipe.packing
        assert recipe.forecast.memory_bytes < 80 * GB
        assert 60 < recipe.forecast.seconds < 3 * 3600


# --- the window -------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 40_000), min_size=1, max_size=400),
    st.none() | st.integers(16, 40_000),
    st.integers(16, 131_072),
)
def test_the_window_is_the_least_that_nearly_all_fit(
    totals: list[int], asked: int | None, model: int
) -> None:
    window = window_for(totals, asked, model)
    assert window <= model
    if asked is not None:
        assert window == min(asked, model)
        return
    assert window == model or window in WINDOWS
    assert window >= min(1024, model)
    fits = sum(total <= window for total in totals) / len(totals)
    assert fits >= 0.995 or window == min(model, 16_384)
    narrower = [w for w in WINDOWS if w < window]
    if narrower:
        assert sum(total <= narrower[-1] for total in totals) / len(totals) < 0.995


def test_one_long_pair_of_a_few_is_not_worth_less_than_one_of_many() -> None:
    assert window_for([100] * 99 + [3000], None, 8192) == 3072
    assert window_for([100] * 999 + [3000], None, 8192) == 1024


def test_what_is_set_aside_is_counted_in_the_reason() -> None:
    lengths = [(100, 20)] * 999 + [(2950, 50)]
    recipe = derive(AUTO, SMOLLM2, lengths, CPU, 8192)
    assert "of the 1,000 pairs, 1 are longer" in recipe.reasons["window"]
    assert recipe.forecast.tokens == 3 * 999 * 120


@given(st.integers(2, 10_000), st.floats(0.0001, 0.9999))
def test_some_but_not_all_pairs_are_held_back(pairs: int, fraction: float) -> None:
    assert 1 <= held_back(pairs, fraction) < pairs
    assert held_back(pairs, 0.0) == 0


def test_validation_takes_its_pairs_from_training() -> None:
    settings = FinetuningSettings(validation_fraction=0.1)
    recipe = derive(settings, SMOLLM2, TICKETS, CPU, 8192)
    assert (recipe.validation_pairs, recipe.patience) == (16, 3)
    assert recipe.forecast.tokens == 3 * 144 * 73
    assert derive(AUTO, SMOLLM2, TICKETS, CPU, 8192).patience == 0


@pytest.mark.parametrize(
    ("settings", "window", "words"),
    [
        (FinetuningSettings(max_tokens=64), 8192, "fits into 64 tokens"),
        (AUTO, 32, "fits into 32 tokens"),
        (AUTO, 131_072, "fits into 16384 tokens"),  # the most that is chosen
    ],
)
def test_pairs_of_which_none_fits(settings: FinetuningSettings, window: int, words: str) -> None:
    lengths = [(60_000, 13)] if window > 16_384 else TICKETS
    with pytest.raises(StageFailed, match=words) as caught:
        derive(settings, SMOLLM2, lengths, CPU, window)
    assert "Raise finetuning.max_tokens" in caught.value.hint


def test_nothing_that_fits_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="none of 1 pairs"):
        Data.of([(5000, 1)], 1024, 0.0)


# --- what is set is never changed -------------------------------------------------------------

GIVEN_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "method": st.sampled_from(["qlora", "lora"]),
    "epochs": st.floats(0.1, 100),
    "learning_rate": st.floats(1e-7, 1.0),
    "warmup": st.floats(0, 1),
    "lora_rank": st.integers(1, 512),
    "lora_alpha": st.integers(1, 1024),
    "lora_dropout": st.floats(0, 0.9),
    "packing": st.booleans(),
    "activation_checkpointing": st.booleans(),
    "attention": st.sampled_from(["sdpa", "flash_attention_2", "eager"]),
    "liger": st.booleans(),
    "micro_batch": st.integers(1, 8),
    "seed": st.integers(0, 2**32 - 1),
}
LENGTHS = st.lists(st.tuples(st.integers(1, 700), st.integers(1, 300)), min_size=1, max_size=300)
MACHINES = st.sampled_from([CPU, H100, gpu(40), gpu(24)])
KERNELS = ("flash_attention_2", "liger")


@given(st.fixed_dictionaries({}, optional=GIVEN_VALUES), LENGTHS, MACHINES)
def test_what_is_set_is_never_changed(
    asked: dict[str, Any], lengths: list[tuple[int, int]], machine: Machine
) -> None:
    machine = replace(machine, kernels=KERNELS)
    try:
        recipe = derive(FinetuningSettings(**asked), GEMMA_2B, lengths, machine, 8192)
    except StageFailed:  # what does not fit is refused, not changed
        assume(False)
    for name, value in asked.items():
        assert getattr(recipe, name) == value
        if name in recipe.reasons and name != "micro_batch":
            assert recipe.reasons[name] == "as configured"


@given(st.integers(1, 64), st.integers(1, 4), LENGTHS, MACHINES)
def test_a_batch_size_is_the_pairs_of_a_step(
    size: int, processes: int, lengths: list[tuple[int, int]], machine: Machine
) -> None:
    size *= processes
    settings = FinetuningSettings(batch_size=size, processes=processes)
    recipe = derive(settings, SMOLLM2, lengths, replace(machine, count=4), 8192)
    assert not recipe.packing
    assert recipe.rows_in_a_step == size


@given(st.integers(1, 40_000), st.none() | st.booleans(), LENGTHS, MACHINES)
def test_a_step_has_about_as_many_tokens_as_asked(
    tokens: int, packing: bool | None, lengths: list[tuple[int, int]], machine: Machine
) -> None:
    settings = FinetuningSettings(batch_tokens=tokens, packing=packing)
    recipe = derive(settings, SMOLLM2, lengths, machine, 8192)
    mean = sum(map(sum, lengths)) / len(lengths)
    row = recipe.window if recipe.packing else mean
    rows = recipe.rows_in_a_step
    assert rows >= 1
    # One more in every part but one, so that the parts are alike.
    off_by = recipe.accumulation - 1 + 0.5
    assert rows == 1 or abs(rows - tokens / row) <= off_by + 1e-6
    assert rows <= max(1.0, 1.5 * tokens / row + 1)


@given(LENGTHS, MACHINES)
def test_a_chosen_step_is_small_for_little_data(
    lengths: list[tuple[int, int]], machine: Machine
) -> None:
    recipe = derive(AUTO, SMOLLM2, lengths, machine, 8192)
    assert recipe.rows_in_a_step == FEWEST_PAIRS
    assert len(lengths) / STEPS_AN_EPOCH <= FEWEST_PAIRS


def test_a_chosen_step_grows_with_the_data_to_a_limit() -> None:
    steps = [derive(AUTO, SMOLLM2, [(40, 40)] * n, CPU, 8192) for n in (400, 1000, 3000)]
    assert [recipe.rows_in_a_step for recipe in steps] == [4, 10, 2]  # at last, packed rows
    assert [recipe.packing for recipe in steps] == [False, False, True]
    large = derive(AUTO, SMOLLM2, [(40, 40)] * 50_000, CPU, 8192)
    assert large.rows_in_a_step * large.window == pytest.approx(MOST_PAIRS * 80, rel=0.2)
    long = derive(AUTO, LLAMA3_8B, [(1500, 500)] * 50_000, H100, 8192)
    assert long.rows_in_a_step * 2000 == pytest.approx(MOST_TOKENS, rel=0.2)


def test_the_adapter_that_is_trained_on_keeps_its_rank() -> None:
    settings = FinetuningSettings(method="lora", lora_rank=2)
    recipe = derive(settings, SMOLLM2, TICKETS, CPU, 8192, adapter=(8, 16))
    assert (recipe.lora_rank, recipe.lora_alpha) == (8, 16)
    anew = derive(AUTO, GEMMA_2B, [(60, 35)] * 20_000, H100, 8192, adapter=(8, 16))
    assert (anew.method, anew.lora_rank, anew.lora_alpha) == ("qlora", 16, 32)
    full = derive(FinetuningSettings(method="full"), SMOLLM2, TICKETS, CPU, 8192, adapter=(8, 16))
    assert (full.lora_rank, full.lora_alpha, full.lora_dropout) == (0, 0, 0.0)


# --- memory -----------------------------------------------------------------------------------


@given(
    st.sampled_from([SMOLLM2, GEMMA_2B, GEMMA_7B, LLAMA3_8B]),
    LENGTHS,
    st.floats(8, 200),
    st.floats(0, 100),
    st.none() | st.integers(1, 60_000),
    st.sampled_from(["auto", "lora", "full"]),
    st.none() | st.booleans(),
)
def test_more_memory_never_gives_fewer_rows_at_once(
    size: ModelSize,
    lengths: list[tuple[int, int]],
    gigabytes: float,
    more: float,
    tokens: int | None,
    method: Any,
    checkpointing: bool | None,
) -> None:
    settings = FinetuningSettings(
        method=method, batch_tokens=tokens, activation_checkpointing=checkpointing
    )
    try:
        small = derive(settings, size, lengths, gpu(gigabytes), 8192)
    except StageFailed:
        assume(False)
    large = derive(settings, size, lengths, gpu(gigabytes + more), 8192)
    assert large.micro_batch >= small.micro_batch
    assert large.activation_checkpointing <= small.activation_checkpointing
    assert small.forecast.memory_bytes <= usable(gpu(gigabytes))


def test_checkpointing_comes_when_memory_is_short_and_only_then() -> None:
    lengths = table_4(4000)
    large, small = (derive(AUTO, LLAMA3_8B, lengths, gpu(g), 8192) for g in (80, 16))
    assert not large.activation_checkpointing
    assert large.reasons["activation_checkpointing"] == "not needed"
    assert small.activation_checkpointing
    assert "without it" in small.reasons["activation_checkpointing"]


def test_a_gpu_that_is_too_small_is_told_what_would_fit() -> None:
    with pytest.raises(StageFailed) as caught:
        derive(FinetuningSettings(method="lora"), LLAMA3_8B, TICKETS, gpu(16), 8192)
    assert "8.0 B parameters do not fit onto a GPU of 16 GB" in caught.value.message
    assert "weights 16.1 GB" in caught.value.message
    assert "finetuning.method: qlora;" in caught.value.hint
    assert "B parameters, all else alike" in caught.value.hint
    # And what it says does fit.
    assert derive(AUTO, LLAMA3_8B, TICKETS, gpu(16), 8192).method == "qlora"


def test_what_would_fit_names_the_extra_and_the_window_where_they_are_needed() -> None:
    bare = replace(gpu(16), quantizes=False)
    long = [*TICKETS, *[(8000, 50)] * 20]
    with pytest.raises(StageFailed) as caught:
        derive(AUTO, LLAMA3_8B, long, bare, 16_384)
    assert "finetuning.method: qlora (pip install 'llamaduo[qlora]')" in caught.value.hint
    with pytest.raises(StageFailed) as caught:
        derive(AUTO, LLAMA3_8B, long, gpu(10), 16_384)
    assert "finetuning.max_tokens: 1536, which sets longer pairs aside" in caught.value.hint
    shorter = FinetuningSettings(max_tokens=1536)
    assert derive(shorter, LLAMA3_8B, long, gpu(10), 16_384).window == 1536
    refused = FinetuningSettings(activation_checkpointing=False, method="qlora")
    with pytest.raises(StageFailed, match="do not fit") as caught:
        derive(refused, LLAMA3_8B, long, gpu(16), 16_384)
    assert "leave finetuning.activation_checkpointing unset" in caught.value.hint
    with pytest.raises(StageFailed, match="do not fit") as caught:
        derive(AUTO, LLAMA3_70B, TICKETS, CPU, 8192)
    assert "a machine with" in caught.value.hint


def test_a_micro_batch_that_was_set_is_tried_though_it_looks_too_large() -> None:
    settings = FinetuningSettings(method="lora", micro_batch=64)
    recipe = derive(settings, LLAMA3_8B, [(700, 300)] * 400, gpu(24), 8192)
    assert (recipe.micro_batch, recipe.activation_checkpointing) == (64, True)
    assert "halved when memory runs out" in recipe.reasons["micro_batch"]


def test_a_gpu_that_another_program_fills_is_named() -> None:
    taken = replace(H100, free_bytes=30 * GB)
    need = derive(AUTO, LLAMA3_8B, TICKETS, taken, 8192).forecast.memory_bytes
    check_free(need, taken)
    with pytest.raises(StageFailed, match=r"only 3\.0 GB are free: another program") as caught:
        check_free(need, replace(H100, free_bytes=3 * GB))
    assert "nvidia-smi" in caught.value.hint
    check_free(200 * GB, H100)  # a micro-batch that was set is tried, and halved
    check_free(need, replace(CPU, free_bytes=GB // 10))  # Linux makes room


# --- what the machine cannot do ---------------------------------------------------------------


def test_quantization_that_the_machine_cannot_do() -> None:
    asked = FinetuningSettings(method="qlora")
    with pytest.raises(ExtraMissing, match="bitsandbytes") as caught:
        derive(asked, GEMMA_2B, TICKETS, replace(H100, quantizes=False), 8192)
    assert "pip install 'llamaduo[qlora]'" in caught.value.hint
    without = derive(AUTO, GEMMA_2B, TICKETS, replace(H100, quantizes=False), 8192)
    assert without.method == "lora"
    assert "llamaduo[qlora]" in without.reasons["method"]
    assert derive(asked, SMOLLM2, TICKETS, CPU, 8192).method == "qlora"


def test_more_processes_than_gpus() -> None:
    asked = FinetuningSettings(processes=2)
    with pytest.raises(StageFailed, match="asks for 2 GPUs, and there are 1") as caught:
        derive(asked, GEMMA_2B, TICKETS, H100, 8192)
    assert "finetuning.processes to 1" in caught.value.hint
    both = derive(asked, GEMMA_2B, TICKETS, replace(H100, count=2), 8192)
    assert both.rows_in_a_step == 4
    assert (both.micro_batch, both.accumulation) == (2, 1)
    assert derive(asked, SMOLLM2, TICKETS, CPU, 8192).processes == 2


def test_kernels_are_used_where_they_are_installed() -> None:
    fast = replace(H100, kernels=KERNELS)
    recipe = derive(AUTO, GEMMA_2B, TICKETS, fast, 8192)
    assert (recipe.attention, recipe.liger) == ("flash_attention_2", True)
    softcapped = replace(GEMMA_2B, softcapped=True)
    assert derive(AUTO, softcapped, TICKETS, fast, 8192).attention == "flash_attention_2"
    assert derive(AUTO, softcapped, TICKETS, H100, 8192).attention == "eager"
    plain = derive(AUTO, GEMMA_2B, TICKETS, H100, 8192)
    assert (plain.attention, plain.liger) == ("sdpa", False)


@pytest.mark.parametrize(
    ("setting", "package"),
    [({"attention": "flash_attention_2"}, "flash-attn"), ({"liger": True}, "liger-kernel")],
)
def test_kernels_that_are_not_there_are_told_before_a_model_is_loaded(
    setting: dict[str, Any], package: str
) -> None:
    asked = FinetuningSettings(**setting)
    with pytest.raises(ExtraMissing, match=f"needs {package}") as caught:
        derive(asked, GEMMA_2B, TICKETS, H100, 8192)
    assert f"pip install {package}" in caught.value.hint
    old = replace(H100, bf16=False, name="Tesla T4")
    for machine in (old, CPU):
        with pytest.raises(StageFailed, match=f"{package} does not run on {machine.name}"):
            derive(asked, GEMMA_2B, TICKETS, machine, 8192)


def test_attention_that_would_train_another_model_is_refused() -> None:
    """sdpa leaves out what Gemma 2 bounds its scores by; on a processor nothing uses sdpa."""
    asked, softcapped = FinetuningSettings(attention="sdpa"), replace(GEMMA_2B, softcapped=True)
    with pytest.raises(StageFailed, match="sdpa cannot bound attention scores") as caught:
        derive(asked, softcapped, TICKETS, H100, 8192)
    assert "eager" in caught.value.hint
    assert derive(asked, softcapped, TICKETS, CPU, 8192).attention == "sdpa"
    assert derive(asked, GEMMA_2B, TICKETS, H100, 8192).attention == "sdpa"


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "full", "lora_rank": 8}, "has no lora_rank"),
        ({"method": "full", "lora_dropout": 0.0}, "has no lora_rank"),
        ({"batch_size": 4, "batch_tokens": 512}, "give one of them"),
        ({"batch_size": 4, "packing": True}, "give batch_tokens"),
        ({"patience": 2}, "set validation_fraction"),
        ({"batch_size": 4, "micro_batch": 3}, "no multiple"),
        ({"batch_size": 4, "processes": 3}, "no multiple"),
        ({"batch_size": 4, "processes": 2, "micro_batch": 4}, "no multiple"),
        ({"report_to": ["wandb", "wandb"]}, "twice"),
        ({"report_to": ["comet"]}, "tensorboard"),
        ({"validation_fraction": 1.0}, "less than 1"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FinetuningSettings(**settings)


def test_what_older_configurations_say_still_holds() -> None:
    text = (
        "coverage: {data: pairs.jsonl}\nfinetuning: {epochs: 2, learning_rate: 0.002, batch_size:"
        " 4, lora_rank: 4, lora_alpha: 8, lora_dropout: 0.1, max_tokens: 512, seed: 3}\n"
    )
    recipe = derive(parse_config(text, "f").finetuning, SMOLLM2, TICKETS, CPU, 8192)
    assert (recipe.epochs, recipe.learning_rate, recipe.rows_in_a_step) == (2.0, 0.002, 4)
    assert (recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout) == (4, 8, 0.1)
    assert (recipe.window, recipe.seed) == (512, 3)


def test_a_contradiction_is_told_with_its_line() -> None:
    text = "coverage: {data: pairs.jsonl}\nfinetuning:\n  method: full\n  lora_rank: 8\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "llamaduo.yaml")
    assert "llamaduo.yaml, line 3: finetuning.method full trains all" in caught.value.message


# --- told before it starts --------------------------------------------------------------------


def test_a_recipe_in_words_has_a_summary_and_a_reason_for_every_value() -> None:
    summary, *rows = in_words(derive(AUTO, SMOLLM2, TICKETS, CPU, 8192)).splitlines()
    assert summary.startswith("LoRA, 3 epochs, 120 steps, 35,040 tokens: about ")
    assert summary.endswith(" GB")
    cells = {row.split("\t")[0]: row.split("\t")[1:] for row in rows}
    assert cells["learning rate"][0] == "0.001"
    assert cells["adapter"][0] == "rank 8, alpha 16"
    assert cells["at once"] == ["4 pairs × 1", "a whole step at once"]
    assert all(len(row) == 2 and all(row) for row in cells.values())
    unknown = derive(AUTO, SMOLLM2, TICKETS, replace(CPU, flops=0.0), 8192)
    assert "for a time nobody knows" in in_words(unknown)
    both = replace(H100, count=2)
    settings = FinetuningSettings(method="full", processes=2, validation_fraction=0.1)
    words = in_words(derive(settings, GEMMA_2B, table_4(9000), both, 8192))
    assert words.startswith("all weights, 3 epochs")
    assert "× 2 processes" in words
    assert "900 pairs\ttaken out of the training pairs" in words


def test_every_value_that_is_chosen_has_a_reason() -> None:
    recipe = derive(AUTO, GEMMA_2B, TICKETS, H100, 8192)
    passed_on = {"warmup", "save_every_seconds", "processes", "report_to", "seed"}
    about_it = {"reasons", "forecast"}
    names = {field.name for field in fields(Recipe)}
    assert set(recipe.reasons) == names - passed_on - about_it | {"batch", "memory"}
    assert all(recipe.reasons.values())
