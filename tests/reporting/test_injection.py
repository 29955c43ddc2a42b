"""Whatever pairs, responses, judges and names say, no report carries it out.

Each payload goes through a real run directory, ``gather`` and ``write_report``, and is opened in
Chromium: the page as written, the page without its content security policy, the Markdown rendered
with HTML allowed and without, and the drawings on their own. The control is the same payload in a
page that escapes nothing.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from llamaduo.records import (
    Breakdown,
    Confusion,
    Family,
    JudgeFinding,
    Mark,
    PanelReport,
    Portrait,
    Scores,
    Side,
    Slice,
    Unscored,
    WinRate,
    Wording,
)
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.report import write_report
from llamaduo.storage.jsonl import write_record, write_records
from tests.reporting.browser import CHROMIUM, open_all
from tests.reporting.payloads import ALIVE, CONTROL, PAYLOADS
from tests.reporting.runs import (
    JUDGES,
    SPEND,
    judgements,
    measure,
    pair,
    panel_report,
    parity,
    response,
    scores,
    verdict,
    write_answers,
    write_batch,
    write_coverage,
    write_json,
)

AT_ONCE = 9
"""Payloads in one run: a report prints that many responses."""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
Pages = dict[str, tuple[str, bytes]]
"""By name: the type of a page and its bytes."""
FIGURES = ("scores", "density", "funnel", "cost")


def name_of(texts: Sequence[str]) -> str:
    """The first of ``texts`` that a folder can be called."""
    usable = (text for text in texts if not {"/", "\0"} & set(text) and len(text.encode()) < 200)
    return next(usable, "run")


def attacked_run(root: Path, texts: Sequence[str]) -> Path:
    """A run that says ``texts`` wherever a user, a service LLM or a judge can say something."""
    folder = root / name_of(texts)
    first = texts[0]
    configuration = {
        "llamaduo": {"version": first},
        "task": {"kind": first, "topic": first},
        "service": {"model": first, "price": {"input": 5.0, "output": 15.0}},
        "local": {"model": first, "revision": first},
        "judging": {
            "judges": [{"model": text} for text in texts],
            "metrics": dict.fromkeys(texts, first),
        },
        "target": {"free": dict.fromkeys(texts, 50.0), "win_rate": 50.0},
        "synthesis": {"pairs": 50},
        "cost": {"input_tokens_per_month": 5_000_000, "output_tokens_per_month": 5_000_000},
    }
    write_json(folder / "run.yaml", configuration)  # YAML is JSON's superset
    test = [pair(f"{n} {text}", text, system=text) for n, text in enumerate(texts)]
    write_coverage(folder, test)
    refused = [{"place": text, "reason": text} for text in texts]
    write_json(
        folder / "coverage" / "import.json", {"read": 99, "duplicates": 0, "refused": refused}
    )
    write_cycle(folder / "cycles" / "000", test, texts)
    write_record(folder / "verdict.json", verdict(0, "stopped", first, tuple(texts)))
    checks = [
        replace(parity().checks[1], form=text, reason=text, template_note=text) for text in texts
    ]
    write_record(folder / "parity.json", replace(parity(), checks=tuple(checks)))
    return folder


def write_cycle(folder: Path, test: Sequence[object], texts: Sequence[str]) -> None:
    write_answers(folder, scores_saying(texts))
    write_record(folder / "breakdown.json", breakdown_saying(texts))
    write_record(folder / "judges.json", judges_saying(texts))
    write_batch(folder, 50, {(text, text): 1 for text in texts})
    batch = json.loads((folder / "curation.json").read_text()) | {"discounted": list(texts)}
    write_json(folder / "curation.json", batch)
    write_record(folder / "portrait.json", portrait(texts))
    write_record(folder / "verdict.json", verdict(0, "stopped", texts[0], tuple(texts)))
    lost = [
        Unscored(response_id=text, pair_id=text, judge=text, index=0, kind="malformed", reason=text)
        for text in texts
    ]
    write_records(folder / "unscored.jsonl", lost)
    write_records(folder / "uncompared.jsonl", lost)
    responses = [response(one, 0, text) for one, text in zip(test, texts, strict=True)]  # type: ignore[arg-type]
    write_records(folder / "responses.jsonl", responses)
    found = [
        replace(judgement, judge=text)
        for n, (one, text) in enumerate(zip(responses, texts, strict=True))
        for judgement in (
            replace(two, marks={**two.marks, text: Mark(5, text)})
            for two in judgements(one, 10 * n, 10 * n, text)[:2]
        )
    ]
    write_records(folder / "judgements.jsonl", found)


def scores_saying(texts: Sequence[str]) -> Scores:
    """Scores by judges, of metrics and of free metrics that are called so."""
    plain = scores(50.0, 40.0)
    judge = scores(50.0, 40.0, unscored=1).judges[JUDGES[0]]
    more = dict.fromkeys(texts, judge["precision"])
    rate = WinRate(wins=1, ties=2, losses=3, rate=measure(33.0), unscored=4)
    return replace(
        plain,
        judges={text: {**judge, **more} for text in texts},
        panel={**plain.panel, **more},
        free=dict.fromkeys(texts, measure(50.0)),
        versus_service=dict.fromkeys(texts, measure(-5.0)),
        win_rates=dict.fromkeys(texts, rate),
    )


def breakdown_saying(texts: Sequence[str]) -> Breakdown:
    found = dict.fromkeys(texts, measure(50.0))
    slices = tuple(
        Slice(by="label", name=text, prompts=4, responses=16, measures=found)
        for text in [*texts] * 11  # more than the short table has room for
    )
    counts = ((1,) * (len(texts) + 1),) * len(texts)
    return Breakdown(slices=slices, confusion=Confusion(labels=tuple(texts), counts=counts))


def judges_saying(texts: Sequence[str]) -> PanelReport:
    said = panel_report()
    judges = tuple(
        replace(
            said.judges[0],
            judge=text,
            family=text,
            snapshots={text: 1, f"{text}2": 1},
            repeat_deviation={text: 1.0},
            findings=(JudgeFinding("bias", text, unfit=True),),
        )
        for text in texts
    )
    human = tuple(replace(said.human[0], judge=text, metric=text) for text in texts)
    return PanelReport(judges=judges, alpha=dict.fromkeys(texts, 0.5), human=human)


def portrait(texts: Sequence[str]) -> Portrait:
    counts = dict.fromkeys(texts, 1)
    wording = Wording(
        lengths=None, scripts=counts, languages=counts, distinct=(0.5,) * 3, distinct_over=(9,) * 3
    )
    side = Side(
        pairs=len(texts),
        sampled=len(texts),
        lengths=None,
        instruction=wording,
        response=wording,
        labels=counts,
        refusals=0,
        templates=None,
    )
    families = tuple(Family(text, 0.5, 0.5) for text in texts)
    return Portrait(
        train=side, synthetic=side, unit="words", families=families, warnings=tuple(texts)
    )


def report_of(root: Path, texts: Sequence[str]) -> Path:
    """The folder of the report of a run that says ``texts``."""
    folder = attacked_run(root, texts)
    spend = tuple(replace(SPEND[0], stage=text, model=text) for text in texts)
    return write_report(gather(folder, spend, tell=list), root / "report").parent


def rendered(folder: Path, *, html: bool) -> str:
    """``report.md`` as a page that a viewer would make of it."""
    viewer = MarkdownIt("commonmark", {"html": html}).enable("table")
    return str(viewer.render((folder / "report.md").read_text()))


def pages_of(folder: Path) -> Pages:
    """Every way in which a report is opened."""
    page = (folder / "report.html").read_text()
    bare, policies = POLICY.subn("", page)
    assert policies == 1
    found = {
        "page": page,
        "bare": bare,
        "html": rendered(folder, html=True),
        "markdown": rendered(folder, html=False),
    }
    pages = {name: ("text/html", text.encode()) for name, text in found.items()}
    return pages | {
        name: ("image/svg+xml", (folder / f"{name}.svg").read_bytes()) for name in FIGURES
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Pages]:
    """Reports that show every payload between them, in every place."""
    texts = [payload.text() for payload in PAYLOADS]
    chunks = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
    return [pages_of(report_of(tmp_path_factory.mktemp("attacked"), one)) for one in chunks]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return pages_of(report_of(tmp_path_factory.mktemp("harmless"), ["harmless"]))


def test_the_payloads_are_many_and_distinct() -> None:
    assert len({payload.raw for payload in ALIVE}) >= 60
    assert len({payload.raw for payload in PAYLOADS}) == len(PAYLOADS)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_no_payload_runs_in_a_browser_and_each_would(reports: list[Pages], tmp_path: Path) -> None:
    pages = {
        f"/report/{number}/{name}": page
        for number, report in enumerate(reports)
        for name, page in report.items()
    }
    careless = {
        f"/careless/{payload.number}": ("text/html", payload.careless().encode())
        for payload in ALIVE
    }
    expected = {CONTROL + payload.number for payload in ALIVE}

    marks, opened = open_all({**pages, **careless}, expected, tmp_path)

    quiet = [payload.raw for payload in ALIVE if CONTROL + payload.number not in marks]
    assert quiet == [], "the control: each of these should have run where nothing is escaped"
    ran = [payload.raw for payload in PAYLOADS if payload.number in marks]
    assert ran == []
    assert set(pages) <= set(opened)
    assert all(length > 500 for path, length in opened.items() if path in pages)


class Attributes(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def elements(report: Pages, name: str) -> set[tuple[str, str]]:
    """(tag, attribute) of everything on a page, and (tag, "") for the tag itself."""
    found = Attributes(report[name][1].decode()).found
    return {(tag, attribute) for tag, attributes in found for attribute in ("", *attributes)}


def addresses(report: Pages, name: str) -> set[str]:
    """What a page would load."""
    found = Attributes(report[name][1].decode()).found
    return {value for _, attributes in found for key, value in attributes.items() if key in LOADS}


LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "formaction", "poster"}


@pytest.mark.parametrize("name", ["page", "html", "markdown"])
def test_no_payload_becomes_markup(reports: list[Pages], harmless: Pages, name: str) -> None:
    """Without a browser: the pages have the elements and attributes of a harmless one."""
    allowed = elements(harmless, name)

    assert not {"script", "iframe", "a", "object", "link"} & {tag for tag, _ in allowed}
    assert not [attribute for _, attribute in allowed if attribute.startswith("on")]
    for report in reports:
        assert elements(report, name) <= allowed
        assert addresses(report, name) <= {f"{figure}.svg" for figure in FIGURES}


def test_every_payload_is_shown_as_the_text_it_is(reports: list[Pages]) -> None:
    shown = "".join(text for one in reports for text in _Text(one["page"][1].decode()).text)

    for payload in PAYLOADS:
        lines = [line for line in payload.text().splitlines() if line.isprintable()]
        assert all(line in shown for line in lines)


class _Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text.append(data)
