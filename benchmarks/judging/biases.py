"""Whether the judge report has the biases that were planted, and tells bad judges from sound ones.

    python benchmarks/judging/biases.py

Simulated prompts, responses and judges: a standard deviation of 20 points between prompts, of 10
between responses to one, of 8 between repeats; scores are whole and from 0 to 100. Four local
responses and one of the service LLM to each prompt, two judgements of each by two judges, and
comparisons in both orders. Harder prompts get longer responses, the biased judge is milder
than the other to everyone, and the service's responses are better: none of these is a bias.

- Biases: a judge with planted ones and the same judge without. In how many of 1,000 seeds does the
  95 % interval of the report contain the truth? Asked for: 925.
- Judges that are no evidence: in how many of 200 seeds is each kind named and called unfit, and
  how many sound judges are?

Takes about seven minutes. Writes ``biases.json`` and ``biases.md`` beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.evaluation.judge_report import report_on_judges
from llamaduo.evaluation.suspicion import suspicions
from llamaduo.records import (
    Author,
    Comparison,
    Comparisons,
    Judged,
    Judgement,
    Judgements,
    JudgeReport,
    Mark,
    Measure,
    Response,
    Unscored,
)

HERE = Path(__file__).parent
SEEDS, BAD_SEEDS = 1000, 200
ASKED = 925
SIZES = (50, 200)
BETWEEN_PROMPTS, BETWEEN_RESPONSES, BETWEEN_REPEATS = 20.0, 10.0, 8.0
RESPONSES, REPEATS, CONTROLS = 4, 2, 4
LOCAL, SERVICE, MILDER = 42.5, 47.5, 5.0
"""Mean quality of local and service responses, and what the first judge gives to everyone."""
MODELS = {"own": "openai-chat:gpt-4o", "other": "anthropic:claude-opus-4-5"}

Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Planted:
    """Points for twice the words, percentage points for the first place, points for its family."""

    length: float = 0.0
    position: float = 0.0
    family: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """What was drawn: local and service responses with their worth, by response."""

    local: list[Response]
    service: list[Response]
    worth: dict[str, float]
    doublings: dict[str, float]
    """How many times the usual length a response has, as a power of two."""


def main() -> None:
    began = time.monotonic()
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "seeds": SEEDS,
        "biases": [
            row
            for n in SIZES
            for planted in (Planted(3.0, 20.0, 5.0), Planted())
            for row in recovered(n, planted)
        ],
        "judges": [told_apart(name, judge) for name, judge in JUDGES.items()],
    }
    found["seconds"] = round(time.monotonic() - began, 1)
    (HERE / "biases.json").write_text(json.dumps(found, indent=2) + "\n")
    text = "\n".join(page(found)) + "\n"
    (HERE / "biases.md").write_text(text)
    print(text)


# --- what is drawn ------------------------------------------------------------------------


def drawn(rng: Rng, prompts: int) -> Drawn:
    hardness = rng.normal(0, BETWEEN_PROMPTS, prompts)
    doublings = 0.02 * hardness[:, None] + rng.normal(0, 0.7, (prompts, RESPONSES))
    worth = LOCAL - hardness[:, None] + rng.normal(0, BETWEEN_RESPONSES, (prompts, RESPONSES))
    served = SERVICE - hardness + rng.normal(0, BETWEEN_RESPONSES, prompts)
    words = np.maximum(1, np.rint(32 * 2**doublings)).astype(int)
    local = [
        response(f"p{i}", k, "local", int(words[i, k]))
        for i in range(prompts)
        for k in range(RESPONSES)
    ]
    service = [response(f"p{i}", 0, "service", 32) for i in range(prompts)]
    return Drawn(
        local,
        service,
        dict(zip([r.id for r in (*local, *service)], [*worth.flat, *served], strict=True)),
        {r.id: float(np.log2(len(r.text) / 2 / 32)) for r in (*local, *service)},
    )


def response(pair_id: str, index: int, author: Author, words: int) -> Response:
    return Response(
        id=f"{author}-{pair_id}-{index}",
        pair_id=pair_id,
        index=index,
        author=author,
        text="w " * words,
        finish="stop",
        prompt_tokens=1,
        new_tokens=words,
        seconds=0.0,
    )


def judged(
    rng: Rng, judge: str, responses: Sequence[Response], worth: Sequence[float]
) -> list[Judgement]:
    noise = rng.normal(0, BETWEEN_REPEATS, (2, len(responses), REPEATS))
    marks = whole(np.asarray(worth)[None, :, None] + noise).tolist()
    return [
        judgement(judge, one, index, marks[0][at][index], marks[1][at][index])
        for at, one in enumerate(responses)
        for index in range(REPEATS)
    ]


def whole(points: Floats) -> NDArray[np.int64]:
    return np.clip(np.rint(points), 0, 100).astype(np.int64)


def judgement(judge: str, of: Response, index: int, similarity: int, precision: int) -> Judgement:
    return Judgement(
        response_id=of.id,
        pair_id=of.pair_id,
        judge=judge,
        index=index,
        marks={"similarity": Mark(similarity, ""), "precision": Mark(precision, "")},
        snapshot=f"{judge}-1",
        call="",
    )


# --- biases -------------------------------------------------------------------------------


def recovered(prompts: int, planted: Planted) -> Iterator[dict[str, Any]]:
    reports = [
        biased_report(np.random.default_rng([prompts, seed]), prompts, planted)
        for seed in range(SEEDS)
    ]
    unfit = sum(finding.unfit for report in reports for finding in report.findings)
    kinds: dict[str, Callable[[JudgeReport], Measure]] = {
        "length": lambda report: report.length_slope,
        "position": lambda report: report.position_preference,
        "family": lambda report: report.family_bias,
    }
    for kind, of in kinds.items():
        truth = getattr(planted, kind)
        found = [measure for report in reports if (measure := of(report)).interval is not None]
        within = [(m.interval.low, m.interval.high) for m in found if m.interval]
        yield {
            "prompts": prompts,
            "kind": kind,
            "planted": truth,
            "contained": sum(low <= truth <= high for low, high in within),
            "zero excluded": sum(not low <= 0 <= high for low, high in within),
            "said": sum(
                any(word(kind) in f.words for f in r.findings if f.kind == "bias") for r in reports
            ),
            "mean": round(fmean(m.value for m in found if m.value is not None), 2),
            "width": round(fmean(high - low for low, high in within), 2),
            "unfit": unfit,
        }


def word(kind: str) -> str:
    return {"length": "twice the words", "position": "what it reads", "family": "own family's"}[
        kind
    ]


def biased_report(rng: Rng, prompts: int, planted: Planted) -> JudgeReport:
    """The report of the first judge, which has the planted biases; the second has none."""
    them = drawn(rng, prompts)

    def by(judge: str, responses: Sequence[Response]) -> list[Judgement]:
        extra = [leaning(one, them, planted) if judge == "own" else 0.0 for one in responses]
        worth = [them.worth[one.id] + more for one, more in zip(responses, extra, strict=True)]
        return judged(rng, judge, responses, worth)

    def by_all(responses: list[Response]) -> Judged:
        scored = [one for judge in MODELS for one in by(judge, responses)]
        return Judged(tuple(responses), Judgements(tuple(scored), ()))

    return report_on_judges(
        by_all(them.local),
        (),
        Comparisons(tuple(compared(rng, them, planted.position))),
        models=MODELS,
        generator=MODELS["own"],
        controls=controls(rng, "own"),
        service=by_all(them.service),
    ).judges[0]


def leaning(one: Response, them: Drawn, planted: Planted) -> float:
    family = planted.family if one.author == "service" else 0.0
    return MILDER + family + planted.length * them.doublings[one.id]


def compared(rng: Rng, them: Drawn, preference: float) -> Iterator[Comparison]:
    """In so many percent of its comparisons the judge says first without looking."""
    rival = {one.pair_id: one for one in them.service}
    for one in them.local:
        other = rival[one.pair_id]
        ahead = them.worth[one.id] - them.worth[other.id]
        for local_first in (True, False):
            seen = ahead + rng.normal(0, BETWEEN_REPEATS)
            looks = "tie" if abs(seen) < 3 else "first" if (seen > 0) == local_first else "second"
            yield Comparison(
                response_id=one.id,
                rival_id=other.id,
                pair_id=one.pair_id,
                judge="own",
                index=0,
                local_first=local_first,
                better="first" if rng.random() < preference / 100 else looks,  # type: ignore[arg-type]
                reason="",
                snapshot="own-1",
                call="",
            )


def controls(rng: Rng, judge: str, right: float = 95.0, wrong: float = 50.0) -> list[Judgement]:
    """As in classification, where a wrong answer may earn half."""
    found: list[Judgement] = []
    for number in range(CONTROLS):
        ease = rng.normal(0, BETWEEN_PROMPTS)
        for kind, worth in (("right", right), ("wrong", wrong)):
            one = replace(response(f"c{number}", 0, "service", 1), id=f"{kind}:c{number}")
            at = worth + ease + rng.normal(0, BETWEEN_RESPONSES)
            found.append(judged(rng, judge, [one], [at])[0])
    return found


# --- judges that are no evidence ----------------------------------------------------------

Judge = Callable[[Rng, Judgements, list[Judgement]], tuple[Judgements, list[Judgement]]]
"""What becomes of a sound judge's judgements and controls."""


def told_apart(name: str, judge: tuple[int, float, str, Judge]) -> dict[str, Any]:
    prompts, mean, kind, spoil = judge
    named: Counter[str] = Counter()
    for seed in range(BAD_SEEDS if kind else 5 * BAD_SEEDS):
        rng = np.random.default_rng([prompts, int(mean), seed])
        them = drawn(rng, prompts)
        shift = mean - LOCAL
        worth = [them.worth[one.id] + shift for one in them.local]
        sound = Judgements(tuple(judged(rng, "own", them.local, worth)), ())
        findings = suspicions("own", *spoil(rng, sound, controls(rng, "own")))
        named.update({f.kind for f in findings if f.unfit})
        named["unfit"] += any(f.unfit for f in findings)
    return {
        "judge": name,
        "prompts": prompts,
        "mean": mean,
        "kind": kind,
        "seeds": BAD_SEEDS if kind else 5 * BAD_SEEDS,
        "named": named[kind] if kind else 0,
        "unfit": named["unfit"],
    }


def remarked(one: Judgement, mark: Callable[[int], int]) -> Judgement:
    return replace(one, marks={m: Mark(mark(old.score), "") for m, old in one.marks.items()})


def scale(highest: int, since: float) -> Judge:
    """Marks from 0 to ``highest`` from that share of the judgements on."""

    def spoil(
        _: Rng, sound: Judgements, checks: list[Judgement]
    ) -> tuple[Judgements, list[Judgement]]:
        start = int(since * len(sound.scored))
        late = [remarked(one, lambda s: round(s * highest / 100)) for one in sound.scored[start:]]
        return Judgements((*sound.scored[:start], *late), ()), checks

    return spoil


def everywhere(mark: Callable[[Rng, int], int]) -> Judge:
    def spoil(
        rng: Rng, sound: Judgements, checks: list[Judgement]
    ) -> tuple[Judgements, list[Judgement]]:
        scored, marked = (
            [remarked(one, lambda s: mark(rng, s)) for one in these]
            for these in (sound.scored, checks)
        )
        return Judgements(tuple(scored), ()), marked

    return spoil


def silent(kind: str, share: float) -> Judge:
    """The last ``share`` of the judgements are lost."""

    def spoil(
        _: Rng, sound: Judgements, checks: list[Judgement]
    ) -> tuple[Judgements, list[Judgement]]:
        start = int((1 - share) * len(sound.scored))
        lost = [
            Unscored(
                response_id=one.response_id,
                pair_id=one.pair_id,
                judge=one.judge,
                index=one.index,
                kind=kind,  # type: ignore[arg-type]
                reason="",
            )
            for one in sound.scored[start:]
        ]
        return Judgements(sound.scored[:start], tuple(lost)), checks

    return spoil


def _perfect(
    _: Rng, sound: Judgements, checks: list[Judgement]
) -> tuple[Judgements, list[Judgement]]:
    return Judgements(tuple(remarked(one, lambda _: 100) for one in sound.scored), ()), checks


def _sound(
    _: Rng, sound: Judgements, checks: list[Judgement]
) -> tuple[Judgements, list[Judgement]]:
    return sound, checks


JUDGES: dict[str, tuple[int, float, str, Judge]] = {
    "always 100": (50, 60, "constant", everywhere(lambda *_: 100)),
    "95 to 100 for anything": (
        50,
        60,
        "blind",
        everywhere(lambda rng, _: 95 + int(rng.integers(6))),
    ),
    "0 to 10 from the start": (50, 60, "scale", everywhere(lambda _, s: round(s / 10))),
    "0 to 10 after half": (50, 60, "scale", scale(10, 0.5)),
    "0 to 10 for the last fifth": (50, 60, "scale", scale(10, 0.8)),
    "1 to 5 after half": (50, 60, "scale", scale(5, 0.5)),
    "0 or 1 after half": (50, 60, "scale", scale(1, 0.5)),
    "0 to 10 after half, weak model": (50, 20, "scale", scale(10, 0.5)),
    "0 to 50 after half": (200, 60, "scale", scale(50, 0.5)),
    "refuses three of four": (50, 60, "refusals", silent("refused", 0.75)),
    "dies after half": (50, 60, "refusals", silent("refused", 0.5)),
    "answers in prose": (50, 60, "prose", silent("malformed", 1.0)),
    "sound": (200, 60, "", _sound),
    "sound, 4 prompts": (4, 60, "", _sound),
    "sound, 16 prompts, weak model": (16, 5, "", _sound),
    "sound, 50 prompts, weak model": (50, 5, "", _sound),
    "sound, perfect model": (50, 100, "", _perfect),
}


# --- the page -----------------------------------------------------------------------------


def page(found: dict[str, Any]) -> Iterator[str]:
    yield "# Judging: biases planted and found, bad judges told apart"
    yield ""
    yield (
        f"`python benchmarks/judging/biases.py`, {found['at']}; {found['machine']}, Python"
        f" {found['python']}; {found['seconds']:.0f} s."
    )
    yield ""
    yield f"## Planted biases in {found['seeds']} seeds"
    yield ""
    yield (
        f"Asked for: the 95 % interval contains the truth in {ASKED} of 1,000 seeds. Length is in"
        " points for twice the words, position in percentage points, family in points. *Said*"
        " counts the reports with a finding: the whole interval beyond a margin that matters."
    )
    yield ""
    yield "| prompts | bias | planted | found, mean | width | contained | zero excluded | said | |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in found["biases"]:
        reached = row["contained"] >= ASKED * found["seeds"] / 1000
        yield (
            f"| {row['prompts']} | {row['kind']} | {row['planted']:g} | {row['mean']} |"
            f" {row['width']} | {row['contained']} | {row['zero excluded']} | {row['said']} |"
            f" {'reached' if reached else 'NOT reached'} |"
        )
    unfit = sum(row["unfit"] for row in found["biases"] if row["kind"] == "length")
    yield ""
    yield f"None of these judges is unfit; so called: {unfit}."
    yield ""
    yield "## Judges that are no evidence"
    yield ""
    yield "| judge | prompts | true mean | seeds | named rightly | called unfit | |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in found["judges"]:
        wanted = row["seeds"] if row["kind"] else 0
        well = (row["unfit"], row["named"]) == (wanted, wanted)
        named = f"{row['named']} ({row['kind']})" if row["kind"] else ""
        yield (
            f"| {row['judge']} | {row['prompts']} | {row['mean']} | {row['seeds']} | {named} |"
            f" {row['unfit']} | {'all' if well and wanted else 'none' if well else 'see'} |"
        )


if __name__ == "__main__":
    main()
