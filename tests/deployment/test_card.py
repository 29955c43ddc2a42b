"""The model card: the target first, nothing invented, nothing of others read as markup."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from llamaduo.deployment.card import CardFacts, card, dataset_card, front_matter
from llamaduo.deployment.dataset import DataFacts, Personal
from llamaduo.deployment.licence import licence_of
from llamaduo.records import (
    Divergence,
    Interval,
    JudgeFinding,
    JudgingEffort,
    Measure,
    NonInferiority,
    Parity,
    ParityCheck,
    Terms,
    Verdict,
)
from llamaduo.tasks.settings import TaskSettings
from tests.deployment.published_runs import ALLOWED, TASK, bundle, scores

DATA = DataFacts(
    counts={"train": 64, "test": 16, "final": 8, "synthetic": 1234},
    reference_sources={"human": 80, "service": 1242},
    window=("2026-01-05", "2026-03-31"),
    timed=80,
    scripts=(("Latin", 0.96), ("Cyrillic", 0.04)),
    personal={"train": Personal({"email": 3}, {"email": ("aaaa", "bbbb")}), "test": Personal()},
    split_sha256="9f" * 32,
)
MISSED = Verdict(
    outcome="stopped",
    reason="No gain in 2 cycles.",
    cycle=3,
    best_cycle=1,
    reference_sources=("human", "service"),
    shortfalls=("mean precision 61.2 of 80",),
)


def facts(**changes: Any) -> CardFacts:
    made = CardFacts(bundle=bundle(), data=DATA, task=TASK, base=scores(12.0))
    return replace(made, **changes)


def matter(text: str) -> dict[str, Any]:
    """The front matter, as the Hub would read it."""
    block = re.match(r"---\n(.*?)---\n", text, re.S)
    assert block
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(io.StringIO(block[1]))
    return found


def body(text: str) -> str:
    return text.split("---\n", 2)[2]


def test_the_front_matter_is_the_hubs() -> None:
    found = matter(card(facts(languages=("en", "no", "not a code"))))
    assert found == {
        "license": "apache-2.0",
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "base_model_relation": "adapter",
        "language": ["en", "no"],
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["llamaduo", "classification", "lora"],
    }


def test_the_target_is_said_beside_whether_it_was_met() -> None:
    aims = ("precision mean score 85", "precision coverage percentage (ζ = 70) 80")
    text = body(card(facts(bundle=bundle(target=aims))))
    assert text.index("Target met") < text.index(f"The target, at least: {'; '.join(aims)}.")
    assert "The target, at least" not in card(facts())


def test_references_of_people_have_no_errors_of_a_model() -> None:
    assert "Scores come from LLM judges, which have errors of their own." in card(facts())
    missed = card(facts(bundle=bundle(verdict=MISSED)))
    assert "some references from a service LLM; both have errors of their own." in missed


def test_a_licence_that_the_hub_does_not_know_goes_by_another_name() -> None:
    found = matter(card(facts(bundle=bundle(licence="Acme-1.0"))))
    assert (found["license"], found["license_name"]) == ("other", "acme-1.0")
    unknown = card(facts(bundle=bundle(licence=None)))
    assert "license" not in matter(unknown)
    assert "unknown: see the base model's own page" in unknown


def test_the_verdict_stands_first() -> None:
    met = body(card(facts()))
    assert met.lstrip().splitlines()[2] == "**Target met.** Cycle 1 meets every target."
    missed = body(card(facts(bundle=bundle(verdict=MISSED, label="target missed"))))
    assert missed.lstrip().splitlines()[2] == "**TARGET MISSED.** No gain in 2 cycles."
    assert "- mean precision 61.2 of 80" in missed
    assert "It missed the target" in missed


def test_a_rehearsal_says_so_before_anything_else() -> None:
    text = card(facts(bundle=bundle(rehearsed=True)))
    assert body(text).index("REHEARSAL") < body(text).index("**Target met.**")
    assert "rehearsal" in matter(text)["tags"]


def test_the_data_is_counted_dated_and_its_personal_data_named() -> None:
    text = card(facts())
    assert "| synthetic | 1,234 |" in text
    assert "2026-01-05 to 2026-03-31 (80 pairs of 1,322 say when they were captured)" in text
    assert "human 80, service 1,242" in text
    assert "Latin 96 %, Cyrillic 4 %" in text
    assert "**not redacted**. It contains, in 2 pairs:\n\n- email addresses: 3" in text


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    bare = DataFacts(counts={"train": 1, "test": 1}, reference_sources={"human": 2})
    text = card(facts(data=bare, base=None, task=TaskSettings()))
    assert "Data window: not recorded" in text
    assert "None found in the data this model was trained on" in text
    assert "Languages: not stated." in text
    assert "Topic: not stated" in text
    assert "## Terms of the service LLM's provider\n\nNot stated." in text
    assert "behind" not in text
    assert "Found against the judges" not in text
    assert "own answers" not in text
    assert "## Parity" not in text
    assert "base model before" not in text


def test_the_scores_of_every_judge_and_the_panel() -> None:
    judges = ("openai-chat:judge-a", "anthropic:judge-b")
    panel = bundle(scores=scores(81.25, judges), final=scores(70.0, judges), judges=judges)
    text = card(facts(bundle=panel))
    shares = r"90.0 \[60.0, 98.0\] | 62.5 \[30.0, 86.0\] | 16 | 1 |"
    panel_line = r"| panel (all judges together) | precision | 81.2 \[75.2, 87.2\] | " + shares
    assert panel_line in text
    assert r"| anthropic:judge-b | similarity | 76.2 \[70.2, 82.2\] | " + shares in text
    assert "### This model, final split" in text
    assert r"| openai-chat:gpt-4o | precision | 12.0 \[6.0, 18.0\] |" in text
    assert r"Exact match: 37.5 \[12.5, 71.0\] over 4 prompts." in text


def test_another_metric_has_its_lines_and_its_parity() -> None:
    tone = scores(81.25)
    more = replace(tone, panel={**tone.panel, "tone_of_voice": tone.panel["precision"]})
    more = replace(more, judges=dict.fromkeys(tone.judges, more.panel))
    check = ParityCheck(
        form="merged",
        prompts=4,
        identical=3,
        templates_equal=True,
        exact_match_difference=0.0,
        score_difference={"tone_of_voice": -1.5},
        passed=True,
        reason="",
    )
    parity = Parity(cycle=1, prompts=4, required=0.99, checks=(check,))
    text = card(facts(bundle=bundle(scores=more, parity=parity)))
    assert "| openai-chat:gpt-4o | tone of voice | 81.2" in text
    assert "Precision, points | Tone of voice, points | Passed |" in text
    assert "| +0.0 | — | — | -1.5 | yes |" in text


# --- beside the service LLM, and what its judges are worth ----------------------------------


def test_the_ceiling_stands_beside_the_model_and_is_marked_where_it_is_favoured() -> None:
    found = bundle(ceiling=scores(95.0), ceiling_final=scores(94.0))
    own = card(facts(bundle=replace(found, verdict=MISSED)))
    human = card(facts(bundle=found))
    assert "### The service LLM's own answers, test split\n" in human
    assert "### The service LLM's own answers, final split\n" in human
    assert "favour" not in human
    assert "### The service LLM's own answers, test split (favoured)\n" in own
    assert "similarity is agreement with it, which favours its own answers." in own


def test_the_intervals_of_adaptive_judging_are_called_what_they_are() -> None:
    found = bundle()
    effort = JudgingEffort(
        stopping="adaptive", rounds=2, asked=50, fixed=200, standing="met", confidence=0.99
    )
    looks = "the 95 % interval, wide enough for all looks of adaptive judging together, clustered"
    assert looks not in card(facts(bundle=found))
    adaptive = replace(found, scores=replace(found.scores, effort=effort))
    assert looks in card(facts(bundle=adaptive))


def test_an_undecided_model_is_neither_praised_nor_blamed() -> None:
    verdict = replace(
        MISSED,
        outcome="undecided",
        prompts_needed=240,
        non_inferiority=NonInferiority(
            metric="precision",
            margin=5.0,
            difference=Measure(-2.5, Interval(-6.0, 1.0), 8, 32),
            standing="undecided",
        ),
    )
    text = card(facts(bundle=bundle(verdict=verdict, label="undecided")))
    assert (
        body(text).lstrip().splitlines()[2].startswith("**UNDECIDED: the evidence is too thin.**")
    )
    assert r"the mean precision differs by -2.5 \[-6.0, 1.0\] points" in text
    assert "32 responses to 8 prompts). At most 5.0 points behind: undecided." in text
    assert "A decision on the target would take about 240 test prompts." in text
    assert "- Whether it meets the target that was set for it is undecided" in text
    assert "TARGET MISSED" not in text
    assert "It missed the target" not in text


def test_what_was_found_against_the_judges_is_said() -> None:
    found = (
        JudgeFinding("constant", "judge-a gives 100 to all.", True),
        JudgeFinding("related", "judge-b is of the generator's family.", False),
    )
    text = card(facts(bundle=bundle(findings=found)))
    assert "- A judge is unfit: judge-a gives 100 to all." in text.split("## Base model")[0]
    evaluation = text.split("## Evaluation")[1]
    assert "- unfit: judge-a gives 100 to all." in evaluation
    assert "- judge-b is of the generator's family." in evaluation


def test_parity_is_shown_where_it_was_measured() -> None:
    check = ParityCheck(
        form="gguf Q8_0",
        prompts=200,
        identical=187,
        templates_equal=True,
        exact_match_difference=-0.5,
        score_difference={"precision": 0.25},
        first_divergence=Divergence(pair_id="p", at=3, expected="yes, SECRET", found="yes!"),
        passed=True,
        reason="",
    )
    parity = Parity(cycle=1, prompts=200, required=0.99, checks=(check,))
    text = card(facts(bundle=bundle(parity=parity)))
    assert "| gguf Q8\\_0 | 187 of 200 (93.5 %) | equal | -0.5 | — | +0.2 | yes |" in text
    assert "SECRET" not in text


def test_the_terms_are_printed_word_for_word_in_a_block() -> None:
    terms = Terms(service="openai-chat:gpt-4o", text="No rivals.\n```\n# <b>Heading</b>")
    text = card(facts(bundle=bundle(terms=terms)))
    assert "````text\nNo rivals.\n```\n# <b>Heading</b>\n````" in text
    assert "By their account the terms do not allow" in text
    assert "By their account the terms allow" in card(facts(bundle=bundle(terms=ALLOWED)))


@pytest.mark.parametrize(("form", "says"), [("merged", "pipeline("), ("adapter", "PeftModel")])
def test_how_to_run_it_follows_the_form(form: str, says: str) -> None:
    text = card(facts(bundle=bundle(form=form), files=("Modelfile", "model-Q8_0.gguf")))
    assert "llamaduo serve model" in text
    assert "ollama create tickets -f Modelfile" in text
    assert says in text
    assert "ollama" not in card(facts(bundle=bundle(form=form)))


def test_the_base_model_alone_is_called_that() -> None:
    text = card(facts(bundle=bundle(cycle=None, form="merged")))
    assert "this is the base model without fine-tuning" in text
    assert "trained on none of the pairs" in text
    assert "base_model_relation" not in matter(text)


def test_a_folder_of_this_machine_does_not_leave_it() -> None:
    text = card(facts(bundle=bundle(model="/home/ada/models/tiny", licence=None)))
    assert "/home/ada" not in text
    assert "| Base model | tiny |" in text
    assert "base_model" not in matter(text)


def test_seeds_versions_and_hashes_are_there() -> None:
    text = card(facts())
    for line in ("- llamaduo: 0.1.0", "- finetuning: 7", f"- split: {'9f' * 32}"):
        assert line in text


# --- text of others -------------------------------------------------------------------------

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://tracker.example/p.png)",
    "a | b\n\n# Heading",
    "**bold** `code` ~~gone~~ _it_",
    "{{ 7 * 7 }} {% raw %}",
    "---\nlicense: mit\n---",
    "<https://evil.example>",
    "`` ` ``\u202eright to left\x1b[31m",
)
_LIVE = re.compile(r"<(?:script|img|a|svg|iframe|h1 id)\b|\x1b|\u202e")


def rendered(text: str) -> str:
    """As GitHub and the Hub would: HTML in Markdown let through, tables on."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(body(text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_shown_and_not_read(text: str) -> None:
    hostile = bundle(
        name=text,
        model=text,
        licence=text,
        service=text,
        judges=(text,),
        scores=scores(50.0, (text,)),
        verdict=replace(MISSED, reason=text, shortfalls=(text,)),
        findings=(JudgeFinding("bias", text, True),),
        terms=Terms(service=text, text=text),
        versions={text: text},
    )
    task = TaskSettings(kind="classification", topic=text, labels=(text, "x"))
    made = facts(bundle=hostile, task=task, intended_use=text, languages=(text,))
    for page in (card(made), dataset_card(text, DATA, task, hostile.terms, rehearsed=True)):
        html = rendered(page)
        assert not _LIVE.search(html)
        assert html.count("<h1>") == 1
        assert "49 " not in html


@given(st.text(max_size=60))
def test_no_topic_makes_markup(topic: str) -> None:
    found = rendered(card(facts(task=TaskSettings(topic=topic))))
    plain = rendered(card(facts(task=TaskSettings(topic="x"))))
    assert re.findall(r"<\w+", found) == re.findall(r"<\w+", plain)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(min_size=1) | st.lists(st.text())
    )
)
def test_front_matter_reads_back_as_it_was_written(values: dict[str, Any]) -> None:
    text = front_matter(values)
    wanted = {key: value for key, value in values.items() if value}
    read = {
        key: json.loads(value)
        for key, _, value in (line.partition(": ") for line in text.splitlines()[1:-2])
    }
    assert read == wanted


@pytest.mark.parametrize("value", ["no", "2026-11-22", "1e3", "null", "~", "a: b", "- x", "#c"])
def test_front_matter_keeps_text_text(value: str) -> None:
    assert matter(front_matter({"key": value, "list": [value]}) + "x") == {
        "key": value,
        "list": [value],
    }


# --- the dataset's card ---------------------------------------------------------------------


def test_the_dataset_card_names_its_files_and_what_was_found() -> None:
    text = dataset_card("tickets-data", DATA, TASK, None, rehearsed=False)
    configs = matter(text)["configs"]
    assert [config["config_name"] for config in configs] == ["coverage", "synthetic"]
    assert {"split": "final", "path": "data/final.jsonl"} in configs[0]["data_files"]
    assert "- email addresses: 3" in text
    assert "not stated" in text


def test_a_split_without_pairs_is_not_promised() -> None:
    data = replace(DATA, counts={"train": 2, "test": 1, "final": 0, "synthetic": 0})
    configs = matter(dataset_card("d", data, TASK, None, rehearsed=False))["configs"]
    assert [file["split"] for file in configs[0]["data_files"]] == ["train", "test"]
    assert len(configs) == 1


# --- the base model's licence ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: mit\n---\n# X", "mit"),
        ("---\nlicense: other\nlicense_name: acme-1.0\n---\n", "acme-1.0"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit, gpl]\n---\n", None),
        ("---\nlicense: '<b>'\n---\n", None),
        ("---\n: : :\n---\n", None),
        ("---\n- a list\n---\n", None),
        ("# license: mit", None),
        ("", None),
    ],
)
def test_the_licence_is_what_the_base_models_own_card_says(
    tmp_path: Path, readme: str, licence: str | None
) -> None:
    (tmp_path / "README.md").write_text(readme)
    assert licence_of("acme/tiny", tmp_path) == licence


def test_without_a_card_only_the_embedded_models_licence_is_known(tmp_path: Path) -> None:
    assert licence_of("smollm2-135m-instruct", tmp_path) == "apache-2.0"
    assert licence_of("acme/tiny", tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert licence_of("acme/tiny", tmp_path) is None
