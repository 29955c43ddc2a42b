"""The figures: every series told apart without colour, nothing loaded from anywhere."""

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import ExtraMissing
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.evidence import gather
from llamaduo.reporting.figures import (
    COLOURS,
    LABEL_GAP,
    density_figure,
    funnel_figure,
    png,
    savings_figure,
    scores_figure,
    series_of,
    spread,
)
from llamaduo.reporting.figures.density import SIDE
from llamaduo.reporting.figures.savings import months_shown
from llamaduo.reporting.paper_case import LIGHT
from llamaduo.reporting.savings import Comparison, Local
from tests.reporting.runs import panel_score, rich_run, scores, start_run, whole_run

PATH = "{http://www.w3.org/2000/svg}path"
LINE = "{http://www.w3.org/2000/svg}line"


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  drawn by this process


def texts(svg: str) -> set[str]:
    return {element.text or "" for element in drawn(svg).iter("{http://www.w3.org/2000/svg}text")}


def test_series_are_the_means_and_what_has_a_target(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path))
    similarity, precision, over_70 = series_of(evidence, list(evidence.sets()))

    assert (similarity.name, similarity.values, similarity.target) == (
        "Similarity",
        (20.0, 55.5, 84.0),
        None,
    )
    assert (precision.values, precision.target) == ((12.0, 61.25, 91.5), 80.0)
    assert (over_70.name, over_70.values, over_70.target) == (
        "Precision ≥ 70",
        (6.0, 55.25, 85.5),
        90.0,
    )


def test_every_line_and_target_is_named_in_the_figure(tmp_path: Path) -> None:
    svg = scores_figure(gather(whole_run(tmp_path)))

    assert svg is not None
    assert texts(svg) >= {
        "Base model",
        "Cycle 0",
        "Cycle 1",
        "Precision: 91.5",
        "Precision ≥ 70: 85.5 %",
        "Similarity: 84.0",
        "target: Precision: 80.0",
        "target: Precision ≥ 70: 90.0 %",
    }


def test_lines_differ_in_dash_and_nothing_is_remote(tmp_path: Path) -> None:
    evidence = replace(gather(whole_run(tmp_path)), final=Answers(scores=scores(88.0, 80.0)))
    svg = scores_figure(evidence)

    assert svg is not None
    paths = list(drawn(svg).iter("{http://www.w3.org/2000/svg}path"))
    dashes = {path.get("stroke-dasharray") for path in paths if path.get("stroke-width") == "2"}
    shapes = {path.get("d") for path in paths if path.get("fill") in COLOURS.values()}
    assert len(dashes - {None}) == 3
    assert len(shapes) == 3
    assert "Final split" in texts(svg)
    assert "<image" not in svg
    assert "href=" not in svg


def test_every_score_has_its_interval_as_a_bar(tmp_path: Path) -> None:
    """Three sets with three series each; no bar stands where another does."""
    svg = scores_figure(gather(whole_run(tmp_path)))

    assert svg is not None
    bars = [line for line in drawn(svg).iter(LINE) if line.get("stroke-width") == "1.5"]
    places = {(bar.get("transform"), bar.get("x2"), bar.get("y2")) for bar in bars}
    assert len(bars) == len(places) == 9


def test_a_score_without_an_interval_has_no_bar(tmp_path: Path) -> None:
    plain = scores(50.0, 40.0)
    bare = {name: replace(one, interval=None, intervals={}) for name, one in plain.panel.items()}
    base = Answers(scores=replace(plain, panel=bare))
    svg = scores_figure(replace(gather(start_run(tmp_path)), base=base))

    assert svg is not None
    assert not [line for line in drawn(svg).iter(LINE) if line.get("stroke-width") == "1.5"]


def test_the_ceiling_is_beside_the_line_and_the_label_is_the_local_llms(tmp_path: Path) -> None:
    evidence = gather(rich_run(tmp_path))
    svg = scores_figure(evidence)
    series = series_of(evidence, list(evidence.sets()))

    assert svg is not None
    assert {"Service LLM", "Precision: 88.0", "Tone of voice: 78.0"} <= texts(svg)
    assert ">final split</tspan>" in svg
    assert len({one.colour for one in series}) == 3
    assert all(len(one.values) == len(one.intervals) == 6 for one in series)


def test_one_scored_set_is_a_figure_and_none_is_not(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))

    assert scores_figure(evidence) is None
    assert scores_figure(replace(evidence, base=Answers(scores=scores(12.0, 20.0)))) is not None


def test_each_scored_set_has_its_panel_and_lines_of_three_weights(tmp_path: Path) -> None:
    svg = density_figure(gather(whole_run(tmp_path)))

    assert svg is not None
    assert texts(svg) >= {"Cycle 1", "16 responses", "90 % of the density", "Precision"}
    assert "Base model" not in texts(svg)  # this run kept no judgements of it
    paths = [path for path in drawn(svg).iter(PATH) if path.get("fill") == COLOURS["precision"]]
    assert len({path.get("stroke-width") for path in paths}) == 3
    assert all(path.get("d") for path in paths)


def test_an_iso_line_lies_where_the_scores_are(tmp_path: Path) -> None:
    """All scores at (80, 20): right of the middle, and below it."""
    panel = {str(n): panel_score(similarity=80.0, precision=20.0) for n in range(9)}
    svg = density_figure(replace(gather(start_run(tmp_path)), base=Answers(panel=panel)))

    assert svg is not None
    (outer, *_) = [p for p in drawn(svg).iter(PATH) if p.get("fill") == COLOURS["precision"]]
    corners = re.findall(r"(-?[\d.]+),(-?[\d.]+)", outer.get("d") or "")
    across = [float(x) / SIDE for x, _ in corners]
    down = [float(y) / SIDE for _, y in corners]
    assert 0.7 < min(across) < max(across) < 0.9
    assert 0.7 < min(down) < max(down) < 0.9


def test_every_stage_of_a_batch_has_its_bar_and_its_number(tmp_path: Path) -> None:
    svg = funnel_figure(gather(whole_run(tmp_path)))

    assert svg is not None
    assert texts(svg) >= {
        "After cycle 0",
        "Asked for",
        "128",
        "after novelty",
        "99 (77 %)",
        "96 (75 %); next fine-tuning: 160 pairs",
    }


def test_nothing_measured_is_no_figure(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))

    assert density_figure(evidence) is None
    assert funnel_figure(evidence) is None


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (LIGHT.comparison, {"Break-even after 1.7 months.", "GPT-4o: $23,400", "local: $3,699"}),
        (Comparison(10.0, Local(power_usd_per_month=20.0)), {"GPT-4o: $120", "local: $240"}),
        (Comparison(0.0, Local()), {"GPT-4o: $0", "local: $0"}),
    ],
)
def test_costs_are_two_lines_told_apart_by_dash_and_name(
    comparison: Comparison, said: set[str]
) -> None:
    svg = savings_figure((("Light", comparison),), service="GPT-4o")

    assert texts(svg) >= {"Light", *said}
    lines = [path for path in drawn(svg).iter(PATH) if path.get("stroke-width") == "2"]
    assert len({path.get("stroke-dasharray") for path in lines}) == 2


def test_a_late_break_even_is_still_drawn() -> None:
    assert months_shown(Comparison(100.0, Local(hardware_usd=1_600.0))) == 24
    assert months_shown(Comparison(100.0, Local(hardware_usd=90_000.0))) == 60
    assert months_shown(LIGHT.comparison) == 12


def test_text_of_a_user_is_text_in_a_figure() -> None:
    svg = savings_figure((("</svg><script>x</script>", LIGHT.comparison),))

    assert "</svg><script>x</script>" in texts(svg)
    assert not list(drawn(svg).iter("{http://www.w3.org/2000/svg}script"))


def test_a_png_is_one() -> None:
    svg = savings_figure((("Light", LIGHT.comparison),))

    assert png(svg).startswith(b"\x89PNG\r\n\x1a\n")


def test_without_the_extra_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)

    with pytest.raises(ExtraMissing) as caught:
        scores_figure(gather(whole_run(tmp_path)))

    assert "pip install 'llamaduo[report]'" in caught.value.hint


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_keep_their_order_and_their_distance(heights: list[float]) -> None:
    placed = spread(heights)
    ordered = sorted(zip(heights, placed, strict=True))

    for (lower, below), (upper, above) in pairwise(ordered):
        assert above - below >= LABEL_GAP - 1e-9 or lower == upper
    assert all(height <= 100 for height in placed)
    assert len({round(height, 6) for height in placed}) == len(placed)
