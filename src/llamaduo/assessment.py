"""The stages that say how good a model is: it answers, and judges score what it answered.

Each is loaded when it is finished already, like those of :mod:`llamaduo.stages`. The local LLM
and the service LLM are assessed by the same judges and the same code, which is what makes their
scores comparable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from llamaduo.config import Config
from llamaduo.curation.languages import script_of
from llamaduo.evaluation.assess import Conclusions, Keep, Material, Rules, assess
from llamaduo.evaluation.human import HumanScores, read_human_scores
from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.handover import handed_over
from llamaduo.inference.answers import answer
from llamaduo.records import (
    Checkpoint,
    Event,
    Judged,
    Judgement,
    Judgements,
    Pair,
    PanelReport,
    Response,
    Scores,
    Unscored,
)
from llamaduo.run import Run, named, step
from llamaduo.service.client import connect
from llamaduo.service.protocol import ServiceLLM
from llamaduo.service.settings import ServiceSettings
from llamaduo.storage.jsonl import read_record, read_records, write_record, write_records
from llamaduo.tasks.labels import with_labels

SERVICE, SERVICE_FINAL = "service", "service-final"
"""Where the service LLM's own answers to the test split, and to the final split, are."""


# --- answers ------------------------------------------------------------------------------


def infer_into(
    run: Run, where: str, checkpoint: Checkpoint, pairs: Sequence[Pair], max_new_tokens: int
) -> tuple[Response, ...]:
    """K responses to each prompt, into the folder ``where`` of the run."""
    folder = run.directory.root / where
    responses, figures = folder / "responses.jsonl", folder / "inference.json"

    def work() -> None:
        from llamaduo.inference.infer import infer

        with handed_over(run, checkpoint) as place:
            _, measured = infer(
                checkpoint,
                pairs,
                run.config.inference,
                max_new_tokens=max_new_tokens,
                into=responses,
                at=place,
                notify=named(run, where),
            )
        write_record(figures, measured)

    def load() -> tuple[Response, ...]:
        return read_records(responses, Response)

    return step(run, f"{where}/infer", work, load, [responses, figures])


def answer_into(run: Run, where: str, pairs: Sequence[Pair]) -> tuple[Response, ...]:
    """The service LLM's own responses to each prompt, into the folder ``where`` of the run."""
    path = run.directory.root / where / "responses.jsonl"

    async def ask() -> tuple[Response, ...]:
        async with connected(run, [run.config.service]) as (service,):
            times = run.config.judging.service_responses
            return await answer(pairs, service, times, notify=named(run, where))

    def work() -> None:
        write_records(path, asyncio.run(ask()))

    def load() -> tuple[Response, ...]:
        return read_records(path, Response)

    return step(run, f"{where}/answer", work, load, [path])


# --- judging ------------------------------------------------------------------------------


def judge_into(
    run: Run,
    where: str,
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    ceiling: Judged | None = None,
) -> Scores:
    """Every judge about the responses: controls first, then scores (Eq. 3 to 6), then, where they
    are wanted, comparisons with the service LLM's, which is the ``ceiling``. What there is to say
    about the judges is written first: the stage may fail by it."""
    folder = run.directory.root / where
    names = ("controls", "judgements", "unscored", "scores", "breakdown", "judges")
    kinds = ("jsonl", "jsonl", "jsonl", "json", "json", "json")
    files = [folder / f"{name}.{kind}" for name, kind in zip(names, kinds, strict=True)]
    compares = run.config.judging.pairwise and ceiling is not None
    if compares:
        files += [folder / "comparisons.jsonl", folder / "uncompared.jsonl"]

    def keep(report: PanelReport) -> None:
        write_record(folder / "judges.json", report)

    def work() -> None:
        # What is left of judges that were unfit says nothing about those of now.
        (folder / "judges.json").unlink(missing_ok=True)
        found, drawn = asyncio.run(_assess(run, where, responses, pairs, keep, ceiling))
        write_records(folder / "controls.jsonl", found.controls.scored)
        write_records(folder / "judgements.jsonl", found.judgements.scored)
        write_records(folder / "unscored.jsonl", found.judgements.unscored)
        if compares:
            write_records(folder / "comparisons.jsonl", found.comparisons.scored)
            write_records(folder / "uncompared.jsonl", found.comparisons.unscored)
        write_record(folder / "breakdown.json", drawn.breakdown)
        write_record(folder / "scores.json", drawn.scores)

    def load() -> Scores:
        return read_record(folder / "scores.json", Scores)

    return step(run, f"{where}/judge", work, load, files)


def judged_in(root: Path, where: str) -> Judged:
    """What a finished assessment left in the folder ``where`` of the run directory ``root``."""
    folder = root / where
    judgements = Judgements(
        read_records(folder / "judgements.jsonl", Judgement),
        read_records(folder / "unscored.jsonl", Unscored),
    )
    return Judged(read_records(folder / "responses.jsonl", Response), judgements)


async def ask_judges(
    run: Run,
    where: str,
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    *,
    stage: str,
) -> Judgements:
    """Every judge of the run about every response; ``stage`` is what the ledger calls it."""
    async with connected(run, run.config.judges) as judges:
        settings, task = run.config.judging, run.config.task
        notify = named(run, where)
        return await judge(responses, pairs, judges, settings, task, stage=stage, notify=notify)


async def _assess(
    run: Run,
    where: str,
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    keep: Keep,
    ceiling: Judged | None,
) -> tuple[Material, Conclusions]:
    accepted = read_records(run.directory.coverage / "accepted.jsonl", Pair)
    rules = rules_of(run.config, run.root, where, responses, accepted)
    if unfilled := _of_a_person(run.config, run.root).unfilled:
        detail = f"{unfilled} lines of {run.config.judging.human_scores} are not filled in"
        run.notify(Event("judge", 0, None, "notice", detail))
    async with connected(run, run.config.judges) as judges:
        notify = named(run, where)
        return await assess(
            responses,
            pairs,
            judges,
            rules,
            where=where,
            keep=keep,
            ceiling=ceiling,
            notify=notify,
        )


def judging_of(config: Config, where: str) -> JudgingSettings:
    """How the set ``where`` is judged: adaptively, if at all, where the loop decides by it. The
    service LLM's own answers and the final split are what others are compared with: whole."""
    if where == "base" or where.startswith("cycles/"):
        return config.judging
    return config.judging.model_copy(update={"stopping": "fixed"})


def rules_of(
    config: Config,
    root: Path,
    where: str,
    responses: Sequence[Response],
    accepted: Sequence[Pair],
) -> Rules:
    """By what ``responses``, the set ``where``, are assessed in a run of the ``accepted`` pairs. A
    person's scores, from ``root``, count where they are about the very text.

    Raises:
        DataError: ``judging.human_scores`` cannot be read.
    """
    texts = {response.id: response.text for response in responses}
    given = _of_a_person(config, root).scores
    return Rules(
        judging=judging_of(config, where),
        target=config.target,
        task=config.task,
        measured=with_labels(config.task, accepted),
        generator=config.service.model,
        models={settings.model: settings.model for settings in config.judges},
        script_of=script_of,
        human=tuple(one for one in given if one.is_about_one_of(texts)),
    )


def _of_a_person(config: Config, root: Path) -> HumanScores:
    path = config.judging.human_scores
    return read_human_scores(root / path) if path else HumanScores()


@asynccontextmanager
async def connected(
    run: Run, services: Sequence[ServiceSettings]
) -> AsyncIterator[list[ServiceLLM]]:
    """Clients for ``services``, which share the run's ledger, budget and pace."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                connect(
                    settings,
                    run.ledger,
                    budget_usd=run.config.limits.budget_usd,
                    redactor=run.redactor,
                    pacers=run.pacers,
                )
            )
            for settings in services
        ]
