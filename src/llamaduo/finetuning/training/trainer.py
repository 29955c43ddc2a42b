"""A recipe carried out: the training itself, in this process. Imports torch: load lazily.

transformers' Trainer walks through the steps; the rows, their order, the loss and the checkpoints
are ours. The loss of a step is the mean over all response tokens in it, however they lie in
rows, micro-batches and devices.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn import functional
from transformers import PrinterCallback, TrainingArguments

from llamaduo.errors import StageFailed
from llamaduo.finetuning.models.model_folder import read_tokenizer
from llamaduo.finetuning.training.job import BEST, Job
from llamaduo.finetuning.training.loading import is_flat, load_for_training
from llamaduo.finetuning.training.packing import IGNORED, Collator, rows_of
from llamaduo.finetuning.training.progress import Progress, Tally, losses_of, peak_memory
from llamaduo.finetuning.training.resumable import Resumable, most
from llamaduo.finetuning.training.validation import Validation
from llamaduo.records import Notify, Recipe
from llamaduo.tasks.chat import EncodedPair


@dataclass(frozen=True, slots=True)
class Trained:
    """A model after training: a PEFT model, or a plain one where all weights were trained."""

    model: Any
    tally: Tally
    losses: tuple[float, ...]
    """Of each optimizer step."""
    peak_memory_bytes: int
    """Of the device that needed most."""
    validation: tuple[tuple[int, float], ...] = ()
    """Step and loss."""
    best_step: int | None = None


def train(job: Job, notify: Notify, *, resume: Path | None = None) -> Trained:
    """Train what ``job`` says, from the checkpoint ``resume`` if there is one.

    Raises:
        StageFailed: the loss is no longer a number, or a pair has nothing to learn.
        ModelError: no layer of the model takes an adapter.
        Stopped: it was asked to end; a checkpoint is written.
    """
    pairs, recipe = job.read_pairs(), job.recipe
    require_something_to_learn(pairs)
    learned, held_back = set_aside_for_validation(pairs, recipe)
    model = load_for_training(job.start, recipe, job.path)
    with _reports_beside(job):
        trainer = ResponseTrainer(
            model=model,
            args=arguments(recipe, job),
            train_dataset=rows_of(learned, size=_row_size(recipe), seed=recipe.seed),
            data_collator=Collator(_pad_token(job), is_flat(model)),
        )
    trainer.remove_callback(PrinterCallback)  # it prints every log to stdout
    trainer.add_callback(Progress(notify, trainer.tally, devices=max(1, recipe.processes)))
    validation = None
    if held_back:
        rows = rows_of(held_back, size=_row_size(recipe), seed=recipe.seed)
        validation = Validation(
            lambda: trainer.mean_loss(rows),
            trainer.log,
            model,
            job.path / BEST,
            recipe.patience,
        )
        trainer.add_callback(validation)
    trainer.keep(job, notify)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return Trained(
        trainer.model,
        trainer.tally,
        losses_of(trainer.state),
        most(peak_memory()),
        validation.history if validation else (),
        validation.best_step if validation else None,
    )


class ResponseTrainer(Resumable):
    """Trains on responses alone, and projects only their positions to the vocabulary.

    With 49,000 words, a prompt of 60 tokens and a response of 5, projecting every position and
    masking afterwards is a third of all the work; with Gemma's 256,000 most of the memory.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._scored: torch.Tensor | None = None
        super().__init__(*args, **options)
        self.model_accepts_loss_kwargs = True  # so that the tokens of a whole step are counted
        self.loss_is_scaled_for_ga = True  # by that count, below
        plain = self.accelerator.unwrap_model(self.model)
        plain.get_output_embeddings().register_forward_pre_hook(self._select)

    def _select(self, _: torch.nn.Module, hidden: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        """The positions that predict a response: 1 × positions × size."""
        if self._scored is None:
            return hidden
        return (hidden[0][self._scored].unsqueeze(0),)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: ARG002  # the signature is transformers'
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """The share of this micro-batch in the mean cross-entropy per response token of a step.

        Processes average their gradients, so each counts as many times as there are.
        """
        self.tally.tokens += inputs["tokens"]
        total, tokens = self._summed(model, inputs)
        self.tally.loss_tokens += tokens
        if num_items_in_batch is None:
            return total / max(1, tokens)
        share: torch.Tensor = total / num_items_in_batch.clamp(min=1)
        counted: torch.Tensor = share * self.accelerator.num_processes
        return counted

    def _summed(self, model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, int]:
        """Cross-entropy summed over response tokens, and their number."""
        labels = inputs["labels"]
        inputs = {name: each for name, each in inputs.items() if name not in {"labels", "tokens"}}
        # Position i predicts token i + 1.
        targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
        self._scored = targets != IGNORED
        try:
            logits = model(**inputs, use_cache=False).logits
        finally:
            scored, self._scored = self._scored, None
        targets = targets[scored]
        return functional.cross_entropy(logits[0].float(), targets, reduction="sum"), len(targets)

    @torch.no_grad()
    def mean_loss(self, rows: Any) -> float:
        """Of a response token in ``rows``, the same in every process: each takes its share."""
        size, rank = self.args.train_batch_size, self.args.process_index
        model: Any = self.model
        model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        for begin in range(rank * size, len(rows), size * self.args.world_size):
            batch = [rows[i] for i in range(begin, min(begin + size, len(rows)))]
            inputs = self._prepare_inputs(self.data_collator(batch))
            with self.compute_loss_context_manager(), self.accelerator.autocast():
                total, tokens = self._summed(model, inputs)
            sums += torch.tensor([total.item(), tokens], dtype=torch.float64).to(sums.device)
        model.train()
        if distributed.is_initialized():
            distributed.all_reduce(sums)
        return float(sums[0] / sums[1])


# --- what is trained on -------------------------------------------------------------------


def require_something_to_learn(pairs: Sequence[EncodedPair]) -> None:
    """Raise:
    StageFailed: a pair has no response tokens left, or no prompt to answer.
    """
    empty = [number for number, pair in enumerate(pairs, 1) if not pair.response or not pair.prompt]
    if empty:
        raise StageFailed(
            f"{len(empty)} of the {len(pairs)} pairs to train on have no response tokens left, or"
            f" no prompt: number {empty[0]} for one.",
            hint="Give these pairs a response, or check what chat_template.jinja makes of one.",
        )


def set_aside_for_validation(
    pairs: Sequence[EncodedPair], recipe: Recipe
) -> tuple[list[EncodedPair], list[EncodedPair]]:
    """Those to train on, and those to validate with: drawn by the seed, in their order."""
    drawn = set(random.Random(recipe.seed).sample(range(len(pairs)), recipe.validation_pairs))
    learned = [pair for i, pair in enumerate(pairs) if i not in drawn]
    return learned, [pairs[i] for i in sorted(drawn)]


def _row_size(recipe: Recipe) -> int | None:
    return recipe.window if recipe.packing else None


def _pad_token(job: Job) -> int:
    """Any id does: nothing looks at padding, and no loss is taken there."""
    tokenizer = read_tokenizer(Path(job.start.base))
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


# --- transformers' settings -----------------------------------------------------------------


def arguments(recipe: Recipe, job: Job) -> TrainingArguments:
    """``recipe`` in the words of transformers."""
    on_gpu = torch.cuda.is_available()
    settings = TrainingArguments(
        str(job.path),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup,  # below 1 it is a share of all steps
        seed=recipe.seed,
        data_seed=recipe.seed,
        bf16=recipe.dtype == "bfloat16",
        use_cpu=not on_gpu,
        activation_checkpointing=recipe.activation_checkpointing,
        use_liger_kernel=recipe.liger,
        liger_kernel_config={"cross_entropy": False, "fused_linear_cross_entropy": False}
        if recipe.liger
        else None,
        remove_unused_columns=False,  # the collator takes them all
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=list(recipe.report_to) or "none",
        run_name=f"cycle-{job.cycle:03d}",
        project="llamaduo",
        hub_private_repo=True,  # a Space that Trackio's own variables ask for
        save_strategy="no",  # checkpoints are written when it is time, not by the step
    )
    if settings.n_gpu > 1:  # transformers would split every batch among all that it sees
        settings._n_gpu = 1  # noqa: SLF001 - there is no other way to say so
    return settings


@contextmanager
def _reports_beside(job: Job) -> Iterator[None]:
    """TensorBoard's files lie beside the checkpoint: the job's own folder goes when it is done.
    transformers asks where while a trainer is made."""
    name = "TENSORBOARD_LOGGING_DIR"
    mine = "tensorboard" in job.recipe.report_to and name not in os.environ
    if mine:
        os.environ[name] = str(Path(job.into).with_name("tensorboard"))
    try:
        yield
    finally:
        if mine:
            del os.environ[name]
