"""The figure: every series told apart without colour, nothing loaded from anywhere."""

import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.errors import ExtraMissing
from llamaduo.reporting.evidence import Answers, gather
from llamaduo.reporting.figures import COLOURS, LABEL_GAP, scores_figure, series_of, spread
from tests.reporting.runs import scores, start_run, whole_run


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
        "Precision  91.5",
        "Precision ≥ 70  85.5 %",
        "Similarity  84.0",
        "target: Precision  80.0",
        "target: Precision ≥ 70  90.0 %",
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


def test_one_scored_set_is_a_figure_and_none_is_not(tmp_path: Path) -> None:
    evidence = gather(start_run(tmp_path))

    assert scores_figure(evidence) is None
    assert scores_figure(replace(evidence, base=Answers(scores=scores(12.0, 20.0)))) is not None


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
