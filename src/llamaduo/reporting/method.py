"""How the run was done, and what its figures cannot say: facts and caveats in words."""

from __future__ import annotations

from collections.abc import Iterator

from llamaduo.records import Metric
from llamaduo.redaction.find import NOT_LOOKED_FOR
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, decimal, part, plural, usd
from llamaduo.reporting.metric_names import words_of
from llamaduo.reporting.tables import findings

LEAKS_SHOWN = 5
FEW_PROMPTS = 50
"""Below this a mean is good to no more than about ± 6 points."""

Fact = tuple[str, str]


def method_facts(evidence: Evidence) -> tuple[Fact, ...]:
    """(term, statement) pairs: models, split, sampling, judging, target, limits."""
    return tuple((term, text) for term, text in _facts(evidence) if text)


def _facts(evidence: Evidence) -> Iterator[Fact]:
    setup = evidence.setup
    task = f"{setup.task.kind}: {setup.task.topic}" if setup.task.topic else setup.task.kind
    revision = f", revision {setup.local.revision}" if setup.local.revision else ""
    yield "Task", task
    yield "Local LLM", setup.local.model + revision
    yield "Service LLM", setup.service.model
    yield "Judges", ", ".join(setup.judges)
    yield "Split", _split(evidence)
    yield "Near-duplicates across the split", _leaks(evidence)
    yield "Lengths", _lengths(evidence)
    yield "References", _references(evidence)
    yield "Personal data", _redaction(evidence)
    yield "Responses per prompt (K)", _sampling(evidence)
    yield "Judgements per response and judge (M)", count(setup.judging.judgements_per_response)
    yield "Further metrics", _rubrics(evidence)
    yield "Judging", _judging(evidence)
    yield "Score thresholds (ζ)", ", ".join(str(zeta) for zeta in setup.judging.score_thresholds)
    yield "Target (ε)", "; ".join(_targets(evidence))
    yield "Intervals", _INTERVALS
    yield "Limits", _limits(evidence)
    yield "Shared frames that did not count in curation", _discounted(evidence)
    yield "Written by", f"llamaduo {setup.llamaduo.version}" if setup.llamaduo.version else ""


def _split(evidence: Evidence) -> str:
    split = evidence.split
    if split is None:
        return ""
    return (
        f"{count(split.train)} train, {count(split.test)} test, {count(split.final)} final, in"
        f" {plural(split.clusters, 'cluster')} of near-duplicate prompts; sha256 {split.sha256}"
    )


def _leaks(evidence: Evidence) -> str:
    if evidence.split is None:
        return ""
    leaks = evidence.split.leaks
    if not leaks:
        return "none"
    shown = ", ".join(f"{train} ~ {held}" for train, held in leaks[:LEAKS_SHOWN])
    more = f" and {count(len(leaks) - LEAKS_SHOWN)} more" if len(leaks) > LEAKS_SHOWN else ""
    return f"{plural(len(leaks), 'pair')} (train ~ held out): {shown}{more}"


def _lengths(evidence: Evidence) -> str:
    lengths = evidence.lengths
    if lengths is None:
        return ""
    return (
        f"{part(lengths.fits, lengths.pairs)} pairs fit the window of {count(lengths.window)}"
        f" tokens; the longest prompt has {count(lengths.longest_prompt)}, the longest response"
        f" {count(lengths.longest_response)}"
    )


def _references(evidence: Evidence) -> str:
    return "; ".join(
        f"{split}: " + ", ".join(f"{count(number)} {source}" for source, number in sources.items())
        for split, sources in evidence.references.items()
    )


def _redaction(evidence: Evidence) -> str:
    if evidence.imported is None:
        return ""
    redacted = evidence.imported.redacted
    if redacted is None:
        return "redaction was off: nothing was looked for"
    found = sum(one.found for one in redacted)
    what = f"{plural(found, 'piece')} replaced by stand-ins" if found else "none was found"
    return f"{what}. {NOT_LOOKED_FOR}"


def _sampling(evidence: Evidence) -> str:
    facts = evidence.setup.inference
    parts = [
        "" if facts.responses_per_prompt is None else count(facts.responses_per_prompt),
        "" if facts.temperature is None else f"temperature {facts.temperature:g}",
        "" if facts.top_p is None else f"top-p {facts.top_p:g}",
    ]
    return ", ".join(text for text in parts if text)


def _rubrics(evidence: Evidence) -> str:
    metrics = evidence.setup.judging.metrics
    return "; ".join(f"{words_of(name)}: {rubric}" for name, rubric in metrics.items())


def _judging(evidence: Evidence) -> str:
    judging = evidence.setup.judging
    parts = [
        f"repeats and judges by their {judging.aggregate}",
        f"stopping {judging.stopping}" if judging.stopping else "",
        "pairwise comparison with the service LLM in both orders" if judging.pairwise else "",
    ]
    return ", ".join(text for text in parts if text)


def _targets(evidence: Evidence) -> Iterator[str]:
    for metric in evidence.setup.metrics:
        yield from _target(evidence, metric)
    target = evidence.setup.target
    for name, least in target.free.items():
        yield f"{words_of(name)} ≥ {decimal(least)}"
    if target.win_rate is not None:
        yield f"win rate against the service LLM ≥ {decimal(target.win_rate)} %"
    if target.not_worse_than_service_by is not None:
        allowed = decimal(target.not_worse_than_service_by)
        yield f"on the final split at most {allowed} points of precision behind the service LLM"
    if target.evidence == "interval":
        yield "met by the whole interval, not by the score alone"


def _target(evidence: Evidence, metric: Metric) -> Iterator[str]:
    target, words = evidence.setup.target_of(metric), evidence.words(metric)
    if target.mean_score is not None:
        yield f"mean {words} ≥ {decimal(target.mean_score)}"
    for zeta, share in sorted(target.coverage_percentage.items()):
        yield f"{words} ≥ {zeta} for {decimal(share)} % of responses"


_INTERVALS = (
    "95 %, clustered by prompt, because responses to one prompt are not independent: Student’s t"
    " for means and differences, Wilson’s on an effective sample size for shares; where judging was"
    " adaptive, 95 % for all its looks together (Šidák)"
)


def _limits(evidence: Evidence) -> str:
    limits = evidence.setup.limits
    parts = [
        f"at most {plural(limits.cycles, 'cycle')}" if limits.cycles else "",
        f"stops after {plural(limits.patience, 'cycle')} without a gain of"
        f" {decimal(limits.min_gain)}"
        if limits.patience
        else "",
        "" if limits.budget_usd is None else f"never more than {usd(limits.budget_usd)}",
    ]
    return ", ".join(text for text in parts if text)


def _discounted(evidence: Evidence) -> str:
    frames = [f for cycle in evidence.cycles if cycle.curation for f in cycle.curation.discounted]
    return "; ".join(f"“{frame}”" for frame in dict.fromkeys(frames))


# --- caveats --------------------------------------------------------------------------------


def caveats(evidence: Evidence) -> tuple[str, ...]:
    """What a careful reader would object to, said by the report itself."""
    found = (
        _service_references(evidence),
        _selection(evidence),
        _size(evidence),
        _related_judge(evidence),
        _WORD,
    )
    return tuple(text for text in found if text)


_WORD = (
    "“Precision” is the paper’s word for how well a response answers its prompt; it is not the"
    " measure of information retrieval."
)


def _service_references(evidence: Evidence) -> str:
    own, whole = evidence.own_references
    if not own:
        return ""
    return (
        f"{part(own, whole)} references that responses are judged against are the service LLM’s own"
        " replies: there, similarity measures agreement with it, not quality."
    )


def _selection(evidence: Evidence) -> str:
    if evidence.split is None:
        return ""
    if not evidence.split.final:
        return (
            "No final split: the test split was selected on. Every cycle was judged on it and the"
            " best one chosen by it, so its score is somewhat flattering. Set"
            " coverage.final_fraction to have some pairs judged once, after the loop."
        )
    if evidence.final.scores is None:
        return (
            f"The final split of {plural(evidence.split.final, 'pair')} has not been judged; it is"
            " judged once, after the loop."
        )
    return (
        "The final split was judged after the loop, which chose nothing by it: trust its scores"
        " before the test split’s, unless target or limits were changed after it had been seen."
    )


def _size(evidence: Evidence) -> str:
    best = evidence.best.answers.scores if evidence.best else None
    if best is None:
        return ""
    few = best.prompts < FEW_PROMPTS
    warning = " Few as they are, read the intervals and not the scores." if few else ""
    return (
        f"Scores rest on {plural(best.prompts, 'prompt')}.{warning} More judgements of the same"
        " responses narrow an interval by next to nothing; more prompts do."
    )


def _related_judge(evidence: Evidence) -> str:
    told = any(finding.kind == "related" for finding in findings(evidence))
    if told or evidence.rehearsed or evidence.setup.service.model not in evidence.setup.judges:
        return ""
    return (
        f"{evidence.setup.service.model} both wrote the synthetic pairs and judged the responses;"
        " a judge that is related to the generator tends to be lenient. Set judging.judges to a"
        " model of another family."
    )
