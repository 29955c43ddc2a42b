"""The corridor: the paper's Figure 1, from coverage data to a verdict.

Data walks forward from room to room. The one step back, from new synthetic pairs to the next
fine-tune, is taken here and nowhere else. Every line below is a stage of
:mod:`llamaduo.stages` that is loaded when it is finished already, so calling :func:`migrate`
again resumes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from llamaduo.assessment import (
    SERVICE,
    SERVICE_FINAL,
    answer_into,
    infer_into,
    judge_into,
    judged_in,
)
from llamaduo.errors import BudgetExceeded
from llamaduo.evaluation.verdict import confirm, reach_verdict, unconfirmed
from llamaduo.packing import bundle_best
from llamaduo.records import (
    Checkpoint,
    FinalSplit,
    InferenceFigures,
    Judged,
    Pair,
    Scores,
    Split,
    TestSplit,
    Verdict,
)
from llamaduo.run import Run
from llamaduo.stages import (
    answer_tokens,
    base_model,
    collect,
    curate_batch,
    divide,
    finetune_cycle,
    measure,
    measure_batch,
    report_on,
    synthesize_after,
)
from llamaduo.storage.jsonl import read_record, write_record


@dataclass(frozen=True, slots=True)
class ScoredCheckpoint:
    """What one cycle came to: the checkpoint, and how it scored on the test split."""

    checkpoint: Checkpoint
    scores: Scores


def migrate(run: Run) -> Verdict:
    """Run the loop to a verdict, or on from where it was left.

    Raises:
        LlamaduoError: a stage could not be done; what was finished stays, and calling again
            goes on from there.
        Paused: ``run.only`` asked for a single stage, and it is done.
    """
    split = divide(run, collect(run))  # Phase 1: ① ②
    base = base_model(run)
    tokens = answer_tokens(run, measure(run, split, base), base)

    cycles: list[ScoredCheckpoint] = []
    try:
        verdict = _align(run, split, base, tokens, cycles)  # Phase 2: ③ to ⑥
        verdict = _confirm(run, split, cycles, verdict, tokens)
    except BudgetExceeded:
        if not cycles:
            raise
        verdict = _verdict(run, split, cycles, budget_exhausted=True)
    best = cycles[verdict.best_cycle]
    bundle_best(run, best.checkpoint, verdict, best.scores)  # Phase 3: ⑦
    write_record(run.directory.verdict, verdict)
    report_on(run)
    return verdict


def _align(
    run: Run, split: Split, base: Checkpoint, tokens: int, cycles: list[ScoredCheckpoint]
) -> Verdict:
    """③ fine-tune, ④ infer, ⑤ judge, ⑥ synthesize, until the verdict is not "continue"."""
    ceiling = _ceiling(run, SERVICE, split.test)
    _assess(run, "base", base, split.test, tokens, ceiling)
    synthetic: list[Pair] = []
    while True:
        cycle = len(cycles)
        start = cycles[-1].checkpoint if cycles and _continues(run) else base
        checkpoint = finetune_cycle(run, cycle, split.train, synthetic, start)
        scores = _assess(run, f"cycles/{cycle:03d}", checkpoint, split.test, tokens, ceiling)
        cycles.append(ScoredCheckpoint(checkpoint, scores))
        verdict = _verdict(run, split, cycles)
        if verdict.outcome != "continue":
            return verdict
        raw = synthesize_after(run, cycle, split.train)
        kept = curate_batch(run, cycle, raw, synthetic, split)
        measure_batch(run, cycle, kept, base)
        synthetic += kept


def _confirm(
    run: Run, split: Split, cycles: list[ScoredCheckpoint], verdict: Verdict, tokens: int
) -> Verdict:
    """Judge the best checkpoint on the final split, once. Nothing is chosen by it; a pass may
    have to stand against the service LLM there."""
    if not split.final.pairs:
        return verdict
    best = verdict.best_cycle
    try:
        ceiling = _ceiling(run, SERVICE_FINAL, split.final)
        model = cycles[best].checkpoint
        scores = _assess(run, f"final/{best:03d}", model, split.final, tokens, ceiling)
    except BudgetExceeded:
        return unconfirmed(verdict, run.config.target)
    return confirm(verdict, scores, run.config.target)


def _ceiling(run: Run, where: str, held_out: TestSplit | FinalSplit) -> Judged | None:
    """The service LLM's own answers, judged like any others. None where nobody wants them."""
    if not run.config.judging.service_responses:
        return None
    responses = answer_into(run, where, held_out.pairs)
    judge_into(run, where, responses, held_out.pairs)
    return judged_in(run.directory.root, where)


def _assess(
    run: Run,
    where: str,
    checkpoint: Checkpoint,
    held_out: TestSplit | FinalSplit,
    tokens: int,
    ceiling: Judged | None,
) -> Scores:
    responses = infer_into(run, where, checkpoint, held_out.pairs, tokens)
    return judge_into(run, where, responses, held_out.pairs, ceiling)


def _continues(run: Run) -> bool:
    return run.config.finetuning.start_from == "previous"


def _verdict(
    run: Run, split: Split, cycles: list[ScoredCheckpoint], *, budget_exhausted: bool = False
) -> Verdict:
    """The verdict so far, beside the cycle it was reached in. Recomputed, never loaded: it
    costs nothing, and the target or the limits may have been changed since."""
    verdict = reach_verdict(
        [one.scores for one in cycles],
        run.config.target,
        run.config.limits,
        reference_sources=tuple(sorted({p.reference_source for p in split.test.pairs})),
        spent_usd=run.ledger.loop_usd(),
        budget_exhausted=budget_exhausted,
    )
    best = run.directory.cycle(verdict.best_cycle)
    verdict = replace(verdict, inference=read_record(best / "inference.json", InferenceFigures))
    write_record(run.directory.cycle(len(cycles) - 1) / "verdict.json", verdict)
    return verdict
