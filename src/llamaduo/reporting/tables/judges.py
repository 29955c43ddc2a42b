"""What the judges are worth: findings first, then what was measured about each, what a person
says to it, and what judging took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llamaduo.records import (
    PANEL,
    HumanAgreement,
    JudgeFinding,
    JudgeReport,
    JudgingEffort,
    PanelReport,
)
from llamaduo.reporting.answers import AnsweredSet
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import (
    UNKNOWN,
    count,
    decimal,
    measured_points,
    of,
    part,
)
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible


def findings(evidence: Evidence) -> tuple[JudgeFinding, ...]:
    """What is wrong with the judges, over all sets: each said once, the worst first."""
    found = {
        finding: None
        for one in evidence.sets()
        if one.answers.judges
        for report in one.answers.judges.judges
        for finding in report.findings
    }
    return tuple(sorted(found, key=lambda finding: not finding.unfit))


def finding_words(finding: JudgeFinding) -> str:
    """A finding in a sentence, its weight before it."""
    return f"Unfit: {finding.words}" if finding.unfit else finding.words


# --- each judge ---------------------------------------------------------------------------


def judge_report(evidence: Evidence) -> tuple[Table, ...]:
    """The judges of the set that judging stopped at, or of the best cycle, or of the last set with
    a report; and a person beside them."""
    reported = [one for one in evidence.sets() if one.answers.judges]
    best = [one for one in reported if one.cycle and one.cycle == evidence.best]
    if not reported:
        return ()
    return tuple(_tables(evidence.stopped_judging or (best or reported)[-1], evidence))


def _tables(one: AnsweredSet, evidence: Evidence) -> Iterator[Table]:
    report = one.answers.judges
    if report is None or not report.judges:
        return
    columns = (
        Column("Judge", numeric=False),
        *(Column(visible(judge.judge), ranged=True) for judge in report.judges),
    )
    rows = tuple(
        (name, *(cells[name] for cells in (_cells(judge, evidence) for judge in report.judges)))
        for name in _cells(report.judges[0], evidence)
    )
    note = " ".join([*_alpha(report, evidence), _JUDGES, *_snapshots(report)])
    by = ", by control responses alone" if report.of_controls else ""
    yield Table(f"The judges of {one.words}{by}", columns, rows, note)
    if report.human:
        yield agreement_table(report.human, evidence)


_JUDGES = (
    "Repaired: replies that took a second question. Length: points for twice the words, among"
    " responses to one prompt. Position: how much more often the first of two responses wins."
    " Family: points more for responses of its own family than judges of others give, beyond what"
    " it gives more anyway. In brackets the 95 % interval, clustered by prompt."
)


def _cells(judge: JudgeReport, evidence: Evidence) -> Mapping[str, str]:
    """One judge's column, by the names of its rows; the rows are the same for every judge."""
    deviations = {
        f"Deviation between repeats, {evidence.words(metric)}": decimal(
            judge.repeat_deviation.get(metric)
        )
        for metric in evidence.metrics
    }
    asked = judge.scored + judge.refused + judge.malformed
    return {
        "Family": visible(judge.family),
        "Related to the generator": "yes" if judge.related else "no",
        "Judgements scored": of(judge.scored, asked),
        "Refused": count(judge.refused),
        "Malformed": count(judge.malformed),
        "Repaired": count(judge.repaired),
        **deviations,
        "Length, points": measured_points(judge.length_slope),
        "Position, points": measured_points(judge.position_preference),
        "Family, points": measured_points(judge.family_bias),
        "Snapshots": count(len(judge.snapshots)),
    }


def _snapshots(report: PanelReport) -> Iterator[str]:
    """The models that the replies name, by judge."""
    for judge in report.judges:
        if judge.snapshots:
            named = (f"{visible(name)} ({count(n)})" for name, n in judge.snapshots.items())
            yield f"{visible(judge.judge)} answered as {', '.join(named)}."


def _alpha(report: PanelReport, evidence: Evidence) -> Iterator[str]:
    found = {name: alpha for name, alpha in report.alpha.items() if alpha is not None}
    if found:
        said = ", ".join(f"{evidence.words(name)} {alpha:.2f}" for name, alpha in found.items())
        yield (
            f"Agreement between judges (Krippendorff’s alpha, interval level; 1 is perfect, 0 what"
            f" chance gives): {said}."
        )


def agreement_table(found: tuple[HumanAgreement, ...], evidence: Evidence) -> Table:
    """How every judge, and the panel, agrees with a person."""
    columns = (
        Column("Judge", numeric=False),
        Column("Metric", numeric=False),
        Column("Responses"),
        Column("Spearman"),
        Column("Weighted kappa"),
    )
    rows = tuple(
        (
            "the panel" if one.judge == PANEL else visible(one.judge),
            evidence.title(one.metric),
            count(one.responses),
            _correlation(one.spearman),
            _correlation(one.kappa),
        )
        for one in found
    )
    return Table("Agreement with a person", columns, rows, _HUMAN)


_HUMAN = (
    "Spearman’s rank correlation, and kappa with quadratic weights over five grades of 20 points;"
    " both from −1 to 1."
)


def _correlation(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}".replace("-", "−")


# --- what it took -------------------------------------------------------------------------


def judging_effort(evidence: Evidence) -> Table | None:
    """Judgements asked for by set, against all that fixed judging would have asked for."""
    lines = [
        (one, scores.effort)
        for one in evidence.sets()
        if (scores := one.answers.scores) and scores.effort
    ]
    if not lines:
        return None
    columns = (
        Column("Set", numeric=False),
        Column("Stopping", numeric=False),
        Column("Rounds"),
        Column("Judgements, of fixed"),
        Column("Saved, %"),
        Column("Target", numeric=False),
    )
    rows = tuple((one.name, *_effort_cells(effort, one.ceiling)) for one, effort in lines)
    aimed = [effort for one, effort in lines if not one.ceiling]
    note = _effort_note([effort for _, effort in lines], aimed)
    return Table("What judging took", columns, rows, note)


def _effort_cells(effort: JudgingEffort, ceiling: bool) -> Row:
    """The target is the local LLM's: the service LLM's own answers have none."""
    return (
        effort.stopping,
        count(effort.rounds),
        of(effort.asked, effort.fixed),
        decimal(_saved(effort.asked, effort.fixed)),
        UNKNOWN if ceiling else effort.standing,
    )


def _saved(asked: int, fixed: int) -> float | None:
    return 100 * (1 - asked / fixed) if fixed else None


def _effort_note(efforts: list[JudgingEffort], aimed: list[JudgingEffort]) -> str:
    asked, fixed = sum(one.asked for one in efforts), sum(one.fixed for one in efforts)
    note = (
        f"{count(asked)} judgements were asked for; every judge on K × M of every prompt would be"
        f" {count(fixed)}: {decimal(_saved(asked, fixed))} % saved."
    )
    if not aimed:
        return note
    undecided = sum(one.standing == "undecided" for one in aimed)
    return (
        f"{note} Left undecided: {part(undecided, len(aimed))} sets that have a target. It is the"
        " whole intervals that say so, also where the verdict goes by the figures alone."
    )
