"""How fast is a fine-tuning on a processor, against the authors' settings?

    python benchmarks/training/cpu.py

Trains the embedded model on pairs with the lengths of the paper's Table 4, two ways in turn, in
one process: with the recipe that llamaduo derives, packed; and with the authors' settings (TRL's
SFTTrainer as it comes, batches of 4 padded pairs, dropout 0.05, loss on the response). Both are
LoRA of rank 8 on all linear layers in 32 bits, and time is of optimizer steps alone, less the
first. Between the turns the peak of a plain matrix product is measured. The share of that peak
counts what training needs: products with the weights, forward and back to the activations, for
tokens of pairs; the projection to the vocabulary, for tokens that carry loss. What padding and
other projections cost is not counted as work.

CPU seconds are reported beside the clock's: on a machine with other work they are what compares.
Writes ``cpu.json`` and ``cpu.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset
from lengths import random_pairs, table_4
from peft import LoraConfig
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from llamaduo.cli.session import model_cache
from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.recipes.hardware import this_machine
from llamaduo.finetuning.recipes.recipe import derive
from llamaduo.finetuning.recipes.sizes import size_of
from llamaduo.finetuning.settings import FinetuningSettings, LocalSettings
from llamaduo.finetuning.training.job import Job, write_job
from llamaduo.finetuning.training.loading import is_flat, load_for_training
from llamaduo.finetuning.training.packing import Collator, example, rows_of
from llamaduo.finetuning.training.trainer import ResponseTrainer, arguments
from llamaduo.records import Checkpoint, Recipe
from llamaduo.tasks.chat import EncodedPair
from llamaduo.tasks.quiet import quiet

HERE = Path(__file__).parent
OURS, AUTHORS = "recipe, packed", "authors' settings"
MIXTURE = 2_000
"""Pairs of the mixture that the recipe is derived for."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one way took for the pairs of one turn."""

    seconds: float
    cpu_seconds: float
    tokens: int
    loss_tokens: int


class Clock(TrainerCallback):
    """Time of every step but the first, which prepares what the others use, and what was in it."""

    def __init__(self, tally: Callable[[], tuple[int, int]]) -> None:
        self._tally, self._first, self._last = tally, None, None
        self.turn = Turn(0, 0, 0, 0)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = (time.monotonic(), time.process_time(), *self._tally())
        self._first = self._first or now
        self.turn = Turn(*(b - a for a, b in zip(self._first, now, strict=True)))


def ours(base: Checkpoint, pairs: Sequence[EncodedPair], recipe: Recipe, scratch: Path) -> Turn:
    """The trainer of a cycle, without checkpoints and events."""
    job = Job(
        key="benchmark",
        folder=str(scratch / "job"),
        start=base,
        recipe=recipe,
        cycle=0,
        pairs=len(pairs),
        into=str(scratch / "checkpoint"),
    )
    write_job(job, pairs)
    model = load_for_training(base, recipe, scratch)
    trainer = ResponseTrainer(
        model=model,
        args=arguments(recipe, job),
        train_dataset=rows_of(pairs, size=recipe.window, seed=recipe.seed),
        data_collator=Collator(0, is_flat(model)),
    )
    clock = Clock(lambda: (trainer.tally.tokens, trainer.tally.loss_tokens))
    return _timed(trainer, clock)


def authors(base: Checkpoint, pairs: Sequence[EncodedPair], recipe: Recipe, scratch: Path) -> Turn:
    """TRL's trainer with the settings of Table 5 and batches of 4."""
    rows = [example(pair) for pair in pairs]
    seen = [0, 0]

    class Counting(SFTTrainer):
        def compute_loss(self, model: Any, inputs: Any, **options: Any) -> Any:
            seen[0] += int(inputs["attention_mask"].sum())
            seen[1] += int((inputs["labels"] != -100).sum())
            return super().compute_loss(model, inputs, **options)

    trainer = Counting(
        model=AutoModelForCausalLM.from_pretrained(
            base.base, dtype=torch.float32, local_files_only=True
        ),
        args=SFTConfig(
            str(scratch),
            num_train_epochs=1,
            per_device_train_batch_size=4,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            max_length=None,
            bf16=False,
            use_cpu=True,
            activation_checkpointing=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=False,
            logging_steps=1,
            disable_tqdm=True,
            report_to="none",
            save_strategy="no",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=read_tokenizer(Path(base.base)),
        peft_config=LoraConfig(
            r=8,
            lora_alpha=16,
            lora_dropout=0.05,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    return _timed(trainer, Clock(lambda: (seen[0], seen[1])))


def _timed(trainer: Any, clock: Clock) -> Turn:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    if not clock.turn.tokens:
        raise SystemExit("All pairs fit into one step, and the first is not timed: more --pairs.")
    return clock.turn


WAYS = {OURS: ours, AUTHORS: authors}


# --- the peak, and what is work ---------------------------------------------------------------


def peak(size: int = 2048, repeats: int = 6) -> tuple[float, float]:
    """Operations a second of a plain product of 32-bit matrices, by the clock and by CPU time."""
    one, other = torch.randn(size, size), torch.randn(size, size)
    best = [0.0, 0.0]
    for _ in range(repeats):
        begun = time.monotonic(), time.process_time()
        one @ other
        took = time.monotonic() - begun[0], time.process_time() - begun[1]
        best = [max(b, 2 * size**3 / t) for b, t in zip(best, took, strict=True)]
    return best[0], best[1]


def operations(base: Checkpoint, turn: Turn) -> float:
    """Multiplications and additions that the pairs of ``turn`` need."""
    size = size_of(Path(base.base))
    layers = 4.0 * size.linear_parameters * turn.tokens
    return layers + 4.0 * size.vocabulary * size.hidden * turn.loss_tokens


# --- the run ----------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    base = obtain(LocalSettings(), model_cache())
    lengths = [(length * 2 // 3, length - length * 2 // 3) for length in table_4(MIXTURE)]
    settings = FinetuningSettings(packing=True, processes=0, save_every_minutes=0)
    recipe = derive(settings, size_of(Path(base.base)), lengths, this_machine(), base.window)
    rows = options.rows_at_once or recipe.micro_batch
    recipe = replace(recipe, epochs=1.0, accumulation=1, micro_batch=rows)
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    peaks = []
    for number in range(options.rounds):
        pairs = random_pairs(options.pairs, size_of(Path(base.base)).vocabulary, seed=number)
        peaks.append(peak())
        ways = list(WAYS.items())
        for way, run in ways if number % 2 else ways[::-1]:
            with tempfile.TemporaryDirectory() as scratch:
                turns[way].append(run(base, pairs, recipe, Path(scratch)))
            print(number, way, turns[way][-1], flush=True)
    return results(base, recipe, turns, peaks, options)


def results(
    base: Checkpoint,
    recipe: Recipe,
    turns: dict[str, list[Turn]],
    peaks: list[tuple[float, float]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    best = [max(each) for each in zip(*peaks, strict=True)]
    ways = {}
    for way, each in turns.items():
        ways[way] = {
            "loss tokens/s": median(t.loss_tokens / t.seconds for t in each),
            "tokens/s": median(t.tokens / t.seconds for t in each),
            "loss tokens per CPU second": median(t.loss_tokens / t.cpu_seconds for t in each),
            "share of peak": median(operations(base, t) / t.seconds / best[0] for t in each),
            "share of peak, CPU seconds": median(
                operations(base, t) / t.cpu_seconds / best[1] for t in each
            ),
        }
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{this_machine().name}, {torch.get_num_threads()} threads,"
        f" {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}",
        "model": base.model,
        "pairs a turn": options.pairs,
        "rounds": options.rounds,
        "recipe": {
            name: value
            for name, value in asdict(recipe).items()
            if name not in {"reasons", "forecast"}
        },
        "peak, GFLOPS": best[0] / 1e9,
        "ways": ways,
        "times faster": ways[OURS]["loss tokens/s"] / ways[AUTHORS]["loss tokens/s"],
        "times faster, CPU seconds": ways[OURS]["loss tokens per CPU second"]
        / ways[AUTHORS]["loss tokens per CPU second"],
        "each turn": {way: [asdict(turn) for turn in each] for way, each in turns.items()},
    }


def as_table(found: dict[str, Any]) -> str:
    about = (
        f"{found['model']}, LoRA of rank 8, 32 bits; {found['rounds']} rounds of"
        f" {found['pairs a turn']} pairs with the lengths of Table 4 (mean 95, deviation 53, at"
        f" most 1,024); {found['machine']}; {found['date']}. Medians over the rounds. The peak of"
        f" a plain matrix product in the same run: {found['peak, GFLOPS']:.0f} GFLOPS."
    )
    heads = "| | tokens with loss/s | all tokens/s | share of the peak | of CPU seconds |"
    lines = ["# Fine-tuning on a processor", "", about, "", heads, "| --- " * 5 + "|"]
    for way, row in found["ways"].items():
        lines.append(
            f"| {way} | {row['loss tokens/s']:.1f} | {row['tokens/s']:.0f} |"
            f" {row['share of peak']:.0%} | {row['share of peak, CPU seconds']:.0%} |"
        )
    summary = (
        f"Packed is {found['times faster']:.2f} × as fast by the clock,"
        f" {found['times faster, CPU seconds']:.2f} × by CPU seconds."
    )
    lines += ["", summary, ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=96, help="in a turn of each way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows-at-once", type=int, help="packed; the recipe's if left out")
    parser.add_argument("--threads", type=int, help="of torch; all cores if left out")
    parser.add_argument("--into", type=Path, default=HERE / "cpu.json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with quiet(logging), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = measure(options)
    options.into.write_text(json.dumps(found, indent=2) + "\n")
    options.into.with_suffix(".md").write_text(as_table(found))
    print(as_table(found))


if __name__ == "__main__":
    main()
