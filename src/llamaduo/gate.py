"""The parity gate: the test prompts, greedy, through every form of the model that is to be used.

The training-time model answers first: the adapter beside the base, as it was while it was
trained. Each form is compared with it (:mod:`llamaduo.deployment.parity`). Where answers
differ, the run's judges score both, which costs ``2 × answers that differ × M`` calls a judge.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llamaduo.assessment import ask_judges
from llamaduo.deployment.bundle import Bundle
from llamaduo.deployment.parity import Candidate, Gains, compare, differing, gains
from llamaduo.errors import StageFailed
from llamaduo.evaluation.judge import check_unscored
from llamaduo.evaluation.scores import score
from llamaduo.inference.served import Served, greedy_served
from llamaduo.records import (
    Checkpoint,
    Event,
    Judged,
    Metric,
    MetricScores,
    Pair,
    Parity,
    Response,
)
from llamaduo.run import Run
from llamaduo.service.ledger import AFTER_THE_LOOP
from llamaduo.storage.jsonl import write_records

AskLeave = Callable[[str, int], None]
"""Called before judges are asked, with the form and the calls that it takes at most; raises
when they may not be made."""


@dataclass(frozen=True, slots=True)
class Forms:
    """What is to be checked: the bundle being built, and a server that runs it already."""

    folder: Path
    bundle: Bundle
    server: Served | None = None


def check_parity(
    run: Run,
    best: Checkpoint,
    forms: Forms,
    asked: Sequence[Pair],
    *,
    into: Path,
    ask_leave: AskLeave,
) -> Parity:
    """Send ``asked`` through every form and through ``best``, and compare.

    Leaves the answers in the folder ``into``, a file for each form.

    Raises:
        StageFailed: none of the prompts could be answered.
        ServiceError: a judge or a server did not answer.
    """
    shutil.rmtree(into, ignore_errors=True)  # answers of an earlier check
    pairs, expected = _training_time(run, best, forms.bundle, asked, into)
    checks = []
    for candidate in _candidates(run, best, forms, pairs, into):
        scored = _scored(run, pairs, expected, candidate, ask_leave)
        required = run.config.deployment.parity
        checks.append(compare(pairs, expected, candidate, required=required, scored=scored))
    return Parity(
        cycle=best.cycle,
        prompts=len(pairs),
        required=run.config.deployment.parity,
        checks=tuple(checks),
    )


def _training_time(
    run: Run, best: Checkpoint, bundle: Bundle, asked: Sequence[Pair], into: Path
) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """The prompts that fit the window, and the training-time model's answer to each."""
    answers = _greedy(run, best, asked, bundle, into / "training-time.jsonl", as_trained=True)
    if not answers:
        raise StageFailed("No test prompt was answered, so there is nothing to compare.")
    return tuple(pair for pair in asked if pair.id in answers), answers


# --- the forms ----------------------------------------------------------------------------


def _candidates(
    run: Run, best: Checkpoint, forms: Forms, pairs: tuple[Pair, ...], into: Path
) -> Iterator[Candidate]:
    yield _safetensors(run, best, forms, pairs, into)
    for path in sorted(forms.folder.glob("*.gguf")):
        yield _gguf(run, best, forms.bundle, path, pairs, into)
    if forms.server:
        yield _served(run, best, forms.bundle, forms.server, pairs, into)


def _safetensors(
    run: Run, best: Checkpoint, forms: Forms, pairs: tuple[Pair, ...], into: Path
) -> Candidate:
    folder, form = str(forms.folder), forms.bundle.form
    if form == "merged":
        packed = replace(best, base=folder, adapter=None)
    else:
        packed = replace(best, adapter=folder)
    answers = _greedy(run, packed, pairs, forms.bundle, into / f"{form}.jsonl")
    return Candidate(form, answers, _template_note(best, forms.folder, pairs))


def _template_note(best: Checkpoint, folder: Path, pairs: Sequence[Pair]) -> str:
    from llamaduo.finetuning.models.model_folder import read_tokenizer
    from llamaduo.tasks.chat import encode_prompt

    trained, packed = read_tokenizer(Path(best.base)), read_tokenizer(folder)
    if trained.chat_template != packed.chat_template:
        return "its text is not that of the base model"
    apart = sum(
        encode_prompt(trained, pair.messages) != encode_prompt(packed, pair.messages)
        for pair in pairs
    )
    return f"{apart} of {len(pairs)} prompts become other tokens" if apart else ""


def _gguf(
    run: Run, best: Checkpoint, bundle: Bundle, path: Path, pairs: tuple[Pair, ...], into: Path
) -> Candidate:
    """Through llama.cpp's own chat template and tokenizer, as whoever has the file alone."""
    from llamaduo.inference.llamacpp import greedy_chat, load_gguf, threads_told

    form = f"gguf {path.stem.rpartition('-')[2]}"
    answers = {}
    with closing(load_gguf(path, window=best.window, threads=threads_told())) as server:
        for done, pair in enumerate(pairs, start=1):
            answer = greedy_chat(server, pair.messages, bundle.generation.max_new_tokens)
            answers[pair.id] = answer.text
            run.notify(Event(f"parity: {form}", done, len(pairs), "responses"))
        note = _gguf_note(best, path, server, pairs)
    _keep(into / f"{path.stem}.jsonl", answers)
    return Candidate(form, answers, note)


def _gguf_note(best: Checkpoint, path: Path, server: Any, pairs: Sequence[Pair]) -> str:
    from llamaduo.deployment.gguf import read_chat_template
    from llamaduo.finetuning.models.model_folder import read_tokenizer
    from llamaduo.inference.llamacpp import rendered, tokenized
    from llamaduo.tasks.chat import encode_prompt, spells_special_token

    tokenizer = read_tokenizer(Path(best.base))
    if read_chat_template(path) != tokenizer.chat_template:
        return "its text is not that of the base model"
    # llama.cpp reads a special token that a message spells as one; our servers do not.
    plain = [pair for pair in pairs if not spells_special_token(tokenizer, pair.messages)]
    apart = sum(
        tuple(tokenized(server, rendered(server, pair.messages)))
        != encode_prompt(tokenizer, pair.messages)
        for pair in plain
    )
    return f"{apart} of {len(plain)} prompts become other tokens" if apart else ""


def _served(
    run: Run, best: Checkpoint, bundle: Bundle, served: Served, pairs: tuple[Pair, ...], into: Path
) -> Candidate:
    from llamaduo.finetuning.models.model_folder import read_tokenizer
    from llamaduo.tasks.chat import encode_prompt

    tokenizer = read_tokenizer(Path(best.base))
    form, answers, apart = f"server {served.url}", {}, 0
    for done, pair in enumerate(pairs, start=1):
        answered = greedy_served(served, pair.messages, bundle.generation.max_new_tokens)
        answers[pair.id] = answered.answer.text
        ours = len(encode_prompt(tokenizer, pair.messages))
        apart += answered.prompt_tokens not in (None, ours)
        run.notify(Event("parity: server", done, len(pairs), "responses"))
    _keep(into / "server.jsonl", answers)
    note = f"it counts other tokens in {apart} of {len(pairs)} prompts" if apart else ""
    return Candidate(form, answers, note)


def _greedy(
    run: Run,
    checkpoint: Checkpoint,
    pairs: Sequence[Pair],
    bundle: Bundle,
    into: Path,
    *,
    as_trained: bool = False,
) -> dict[str, str]:
    from llamaduo.inference.infer import infer

    settings = run.config.inference.model_copy(
        update={
            "responses_per_prompt": 1,
            "temperature": 0.0,
            "engine": "transformers",
            "constrained": "off",
        }
    )
    responses, _ = infer(
        checkpoint,
        pairs,
        settings,
        max_new_tokens=bundle.generation.max_new_tokens,
        into=into,
        stage=f"parity: {into.stem}",
        as_trained=as_trained,
        notify=run.notify,
    )
    return {response.pair_id: response.text for response in responses}


@dataclass(frozen=True, slots=True)
class GreedyAnswer:
    """One line of ``parity/FORM.jsonl``, of a form that this process did not run itself."""

    pair_id: str
    text: str


def _keep(path: Path, answers: Mapping[str, str]) -> None:
    write_records(path, [GreedyAnswer(*item) for item in answers.items()])


# --- scoring what differs -------------------------------------------------------------------


def _scored(
    run: Run,
    pairs: Sequence[Pair],
    expected: Mapping[str, str],
    candidate: Candidate,
    ask_leave: AskLeave,
) -> Gains | None:
    """What the form gains in score, from the answers that differ alone."""
    apart = differing(expected, candidate.answers)
    if not apart:
        return None
    repeats = run.config.judging.judgements_per_response
    ask_leave(candidate.form, 2 * len(apart) * repeats * len(run.config.judges))
    asked = [pair for pair in pairs if pair.id in set(apart)]
    try:
        before = _panel(run, asked, expected, candidate.form)
        after = _panel(run, asked, candidate.answers, candidate.form)
    except StageFailed:  # means over what little was scored would compare different answers
        return dict.fromkeys(run.config.judging.all_metrics)
    return gains(before, after, differing=len(apart), prompts=len(pairs))


def _panel(
    run: Run, pairs: Sequence[Pair], answers: Mapping[str, str], form: str
) -> dict[Metric, MetricScores]:
    """The panel's scores of these answers.

    Raises:
        StageFailed: more judgements than ``judging.max_unscored`` allows do not count.
        ServiceError: a judge did not answer.
    """
    responses = tuple(_responses(pairs, answers))
    judgements = asyncio.run(
        ask_judges(run, f"parity of {form}", responses, pairs, stage=AFTER_THE_LOOP)
    )
    check_unscored(len(judgements.scored), judgements.unscored, run.config.judging)
    judged = Judged(responses, judgements)
    return score(judged, pairs, run.config.judging, run.config.task).panel


def _responses(pairs: Iterable[Pair], answers: Mapping[str, str]) -> Iterator[Response]:
    for pair in pairs:
        yield Response(
            id=pair.id,
            pair_id=pair.id,
            index=0,
            author="local",
            text=answers[pair.id],
            finish="stop",
            prompt_tokens=0,
            new_tokens=0,
            seconds=0.0,
        )
