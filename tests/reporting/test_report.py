"""The report as files: whole, self-contained, and never carrying out what it shows."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from llamaduo.records import Event
from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.report import MAX_SHOWN, write_report
from llamaduo.reporting.settings import CostSettings
from llamaduo.reporting.setup import ModelFacts, TaskFacts
from llamaduo.storage.jsonl import write_record, write_records
from tests.reporting.runs import (
    SPEND,
    judgements,
    pair,
    parity,
    response,
    rich_run,
    scores,
    start_run,
    verdict,
    whole_run,
    write_answers,
    write_batch,
    write_coverage,
)

PAYLOADS = (
    "<script>alert(1)</script>",
    "</pre></article></style></title><script src=//evil.example/x.js></script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)><a href="javascript:alert(1)">x</a>',
    "' onmouseover='alert(1)' style='background:url(https://evil.example/a)'",
    "{{ 7 * 7 }}{% raw %}{{ config }}",
    "<!--<iframe srcdoc='<script>alert(1)</script>'>-->",
    "![x](https://evil.example/x.png) [y](javascript:alert(1)) <https://evil.example>",
    "```\n</code><script>alert(1)</script>\n````\n# heading",
    "| a | b |\n| - | - |\n| <b>c</b> | d |",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#x3c;img src=x&#x3e;",
)


FIGURES = ("scores", "density", "funnel", "cost")


class Markup(HTMLParser):
    """The elements and attributes of a page, without its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def run_saying(folder: Path, text: str) -> Evidence:
    """A run in which everything that a user, a service LLM or a judge can write is ``text``."""
    start_run(folder)
    test = [pair(f"{number} {text}", text, system=text) for number in range(4)]
    write_coverage(folder, test)
    cycle = folder / "cycles" / "000"
    write_answers(cycle, scores(50.0, 40.0))
    write_batch(cycle, 10, {(text, text): 2})
    reached = verdict(0, "stopped", text, (text,))
    write_record(cycle / "verdict.json", reached)
    write_record(folder / "verdict.json", reached)
    responses = [response(one, 0, text) for one in test]
    found = [j for n, one in enumerate(responses) for j in judgements(one, n, n, text)]
    write_records(cycle / "responses.jsonl", responses)
    write_records(cycle / "judgements.jsonl", [replace(one, judge=text) for one in found])
    evidence = gather(folder, (replace(SPEND[0], stage=text, model=text),))
    setup = replace(
        evidence.setup,
        task=TaskFacts(text, text),
        service=ModelFacts(text),
        local=ModelFacts(text, text),
    )
    return replace(evidence, name=text, setup=setup)


def first_line(text: str) -> str:
    return text.split("\n", maxsplit=1)[0]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Markup:
    folder = tmp_path_factory.mktemp("harmless")
    return Markup(write_report(run_saying(folder, "harmless"), folder / "report").read_text())


@pytest.fixture(scope="module", params=PAYLOADS)
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A payload, and the folder of the report that shows it."""
    folder = tmp_path_factory.mktemp("attacked")
    return request.param, write_report(run_saying(folder, request.param), folder / "r").parent


def test_no_payload_changes_the_markup(attacked: tuple[str, Path], harmless: Markup) -> None:
    payload, folder = attacked
    page = Markup((folder / "report.html").read_text())

    assert page.elements == harmless.elements
    assert first_line(payload) in "".join(page.text)


def test_no_payload_becomes_markdown(attacked: tuple[str, Path]) -> None:
    payload, folder = attacked
    tokens = MarkdownIt("commonmark").enable("table").parse((folder / "report.md").read_text())
    inline = [child for token in tokens for child in token.children or ()]

    assert not {"html_block", "html_inline", "link_open"} & {t.type for t in (*tokens, *inline)}
    images = [f"{name}.svg" for name in FIGURES]
    assert [i.attrs["src"] for i in inline if i.type == "image"] == images
    assert "heading" not in {token.content for token in tokens if token.type == "inline"}
    assert any(first_line(payload) in t.content for t in tokens if t.type == "fence")


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    page = write_report(gather(whole_run(tmp_path), SPEND), tmp_path / "report").read_text()
    elements = Markup(page).elements

    assert "script" not in {tag for tag, _ in elements}
    assert not {"src", "href", "xlink:href", "srcset", "action"} & {
        a for _, at in elements for a in at
    }
    assert not [a for _, at in elements for a in at if a.startswith("on")]
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page


def test_the_page_has_the_verdict_first_and_everything_after_it(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    write_record(folder / "parity.json", parity())
    page = write_report(gather(folder, SPEND), tmp_path / "report").read_text()
    text = " ".join("".join(Markup(page).text).split())
    order = [
        "Target met",
        "Every target is met by cycle 1.",
        "Panel of 2 judges",
        "Precision against similarity",
        "Pairs of each batch",
        "Every stage, by cycle",
        "Refused, dropped and unscored, by reason",
        "Tokens of a pair",
        "Worst",
        "answer 0",
        "Reason 0.",
        "Middle",
        "Best",
        "answer 15",
        "Calls, tokens and dollars",
        "Parity with the training-time model",
        "Your traffic is not known.",
        "Break-even after 1.7 months.",
        "The paper’s case (Table 2), mended",
        "No final split: the test split was selected on.",
        "9f" * 32,
    ]

    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "4 of 16 (25.0 %) references" in text
    assert "similarity measures agreement with it" in text
    assert "REHEARSAL" not in text


def test_everything_about_judging_is_in_both_files(tmp_path: Path) -> None:
    folder = write_report(gather(rich_run(tmp_path), SPEND), tmp_path / "report").parent
    page = Markup((folder / "report.html").read_text())
    text = " ".join("".join(page.text).split())
    order = [
        "Undecided: the evidence is too thin",
        "Unfit: openai-chat:judge-a gives 100",
        "91.5 [87.5, 95.5]",
        "P-Match, %",
        "Metrics that cost nothing",
        "Difference from the service LLM, in points",
        "Win rate against the service LLM",
        "The weakest slices of cycle 1",
        "All 12 slices",
        "Labels that cycle 1 confuses",
        "The judges of cycle 1",
        "Agreement with a person",
        "What judging took",
        "tone of voice 85.0",  # the best response by its samples
    ]

    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)
    assert [tag for tag, _ in page.elements].count("details") == 1
    markdown = (folder / "report.md").read_text()
    assert r"**91.5 \[87.5, 95.5\]**" in markdown
    assert "All 12 slices are in report.html." in markdown
    assert "- **Judges:** Unfit: openai-chat:judge-a gives 100" in markdown
    assert "Tone of voice **85**: Plain." in markdown


def test_a_report_without_what_judging_can_leave_has_no_empty_sections(tmp_path: Path) -> None:
    page = write_report(gather(whole_run(tmp_path)), tmp_path / "report").read_text()

    for title in ("Where it is weak", "What the judges are worth", "Win rate", "P-Match"):
        assert title not in page


def test_both_files_say_that_a_rehearsal_was_one(tmp_path: Path) -> None:
    write_report(gather(whole_run(tmp_path, rehearsed=True)), tmp_path / "report")

    for name in ("report.md", "report.html"):
        said = (tmp_path / "report" / name).read_text()
        assert "REHEARSAL: the service LLM in this run was a program" in said
        assert said.index("REHEARSAL") < said.rindex("Target met")


def test_a_report_of_an_unfinished_run(tmp_path: Path) -> None:
    folder = start_run(tmp_path / "begun")
    page = write_report(gather(folder), folder / "report").read_text()

    assert "Not finished" in page
    assert "Nothing was scored yet." in page
    assert "No batch was synthesized." in page
    assert page.count("<svg") == 1  # the paper's case, which needs no run
    assert not (folder / "report" / "scores.svg").exists()


def test_stated_traffic_replaces_the_papers_case_in_the_figure(tmp_path: Path) -> None:
    cost = CostSettings(
        input_tokens_per_month=400_000_000, output_tokens_per_month=0, hardware_usd=2_539.0
    )
    folder = whole_run(tmp_path)
    write_report(gather(folder, SPEND, cost=cost), folder / "report")

    for name in ("report.md", "report.html"):
        said = (folder / "report" / name).read_text()
        assert "Your traffic is not known." not in said
        assert "What is paid" in said
        assert "Break-even.**" in said or "<b>Break-even.</b>" in said
        assert "The paper’s case (Table 2), mended" in said
    assert "Your traffic" in (folder / "report" / "cost.svg").read_text()


def test_every_figure_is_there_as_svg_and_png(tmp_path: Path) -> None:
    folder = write_report(gather(whole_run(tmp_path), SPEND), tmp_path / "report").parent

    for name in FIGURES:
        assert (folder / f"{name}.svg").read_text().startswith("<svg")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_the_tables_are_there_and_the_loss_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    events: list[Event] = []

    page = write_report(gather(whole_run(tmp_path)), tmp_path / "report", notify=events.append)

    assert "pip install &#39;llamaduo[report]&#39;" in page.read_text()
    assert "Panel of 2 judges" in page.read_text()
    assert "<svg" not in page.read_text()
    assert [event.done for event in events] == [1, 2]
    assert all("llamaduo[report]" in event.detail for event in events)


def test_a_long_text_is_cut_and_says_how_much_is_left(tmp_path: Path) -> None:
    page = write_report(run_saying(tmp_path, "x" * (MAX_SHOWN + 1234)), tmp_path / "report")

    assert "1,234 more characters are in the run directory" in page.read_text()


def test_writing_again_replaces_the_report(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path), SPEND)

    first = write_report(evidence, tmp_path / "report").read_bytes()
    second = write_report(evidence, tmp_path / "report").read_bytes()

    assert first == second
    names = {path.name for path in (tmp_path / "report").iterdir()}
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")}
    assert names == {"report.html", "report.md", *figures}
