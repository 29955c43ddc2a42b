"""From a finished run to the bundle in place: forms, the parity gate, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from llamaduo.deploy import Deployed, best_checkpoint, deploy
from llamaduo.deployment.bundle import Bundle, open_bundle
from llamaduo.deployment.model_files import count_weights
from llamaduo.errors import ParityMissed, RunError, StageFailed, UsageError
from llamaduo.handover import handed_over
from llamaduo.inference.served import Served
from llamaduo.packing import bundle_best
from llamaduo.records import Checkpoint, Measure, Parity, Response, Scores, Verdict
from llamaduo.run import Run, own_run
from llamaduo.stages import base_model, read_split
from llamaduo.storage.jsonl import read_record, read_records, write_record
from llamaduo.storage.run_directory import RunDirectory
from tests.cycle.small_loop import configuration, prepare, run_loop
from tests.llamas import build_llama
from tests.serving.made import serving
from tests.silent_server import silent

FLATTERED = {"exact_match": Measure(value=100.0, interval=None, prompts=8, responses=16)}
"""Free metrics that a run of the small loop does not have."""


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, with the adapter bundle that the loop packed."""
    into = finished_run.with_name(tmp_path.name)
    shutil.copytree(finished_run, into)
    return into


@contextmanager
def owned(directory: Path, base_url: str, **overrides: str) -> Iterator[Run]:
    folder = directory.parents[1]
    config = configuration(folder, base_url, **overrides)
    with own_run(config, RunDirectory(directory), root=folder, cache=folder / "cache") as run:
        yield run


def deployed(directory: Path, base_url: str, *, check: bool = False, **overrides: str) -> Deployed:
    asked: list[tuple[str, int]] = []
    with owned(directory, base_url, **overrides) as run:
        return deploy(run, check=check, ask_leave=lambda *call: asked.append(call))


def test_the_loop_leaves_an_adapter_bundle_that_opens(finished_run: Path) -> None:
    bundle = open_bundle(finished_run / "bundle")
    assert (bundle.form, bundle.name, bundle.label) == ("adapter", "small", "target missed")
    assert bundle.target == ("precision mean score 99",)
    assert bundle.verdict == read_record(finished_run / "verdict.json", Verdict)
    assert bundle.final == read_record(next(finished_run.glob("final/*/scores.json")), Scores)
    assert set(bundle.seeds) == {"coverage", "finetuning", "inference", "synthesis"}
    assert "$lm_response" in bundle.templates["judge"][-1].content
    assert bundle.versions.keys() >= {"llamaduo", "python", "torch", "transformers", "peft"}
    assert bundle.data.keys() >= {"split", "coverage/train.jsonl", "coverage/test.jsonl"}
    assert "target missed" in (finished_run / "bundle" / "README.md").read_text().lower()


def test_tokens_of_every_split_and_batch_are_counted(finished_run: Path) -> None:
    lengths = json.loads((finished_run / "coverage" / "lengths.json").read_text())
    assert lengths["tokens"].keys() == {"train", "test", "final"}
    batch = json.loads((finished_run / "cycles" / "000" / "tokens.json").read_text())
    kept = json.loads((finished_run / "cycles" / "000" / "curation.json").read_text())["kept"]
    assert batch["pairs"] == kept
    assert batch["shortest"] <= batch["mean"] <= batch["longest"]


def test_a_merged_bundle_needs_nothing_else(copy: Path, base_url: str) -> None:
    bundle = deployed(copy, base_url, check=True).bundle
    assert open_bundle(copy / "bundle") == bundle
    assert "model.safetensors" in bundle.files
    assert not any(name.startswith("adapter") for name in bundle.files)
    assert bundle.parity == read_record(copy / "parity.json", Parity)
    assert [check.form for check in bundle.parity.checks] == ["merged"]
    assert (copy / "parity" / "merged.jsonl").is_file()
    for name in bundle.files:
        if name.endswith((".json", ".md", ".jinja")):
            assert str(copy.parents[1]) not in (copy / "bundle" / name).read_text()


def test_every_form_is_checked_before_it_is_promoted(copy: Path, base_url: str) -> None:
    bundle = deployed(
        copy,
        base_url,
        check=True,
        **{
            "deployment.form": "adapter",
            "deployment.gguf": "[F16, Q8_0]",
            "deployment.parity": "0",
        },
    ).bundle
    assert bundle.parity is not None
    forms = {check.form: check for check in bundle.parity.checks}
    assert list(forms) == ["adapter", "gguf F16", "gguf Q8_0"]
    assert all(check.templates_equal for check in forms.values())
    assert {"adapter_model.safetensors", "model-F16.gguf", "model-Q8_0.gguf", "Modelfile"} <= set(
        bundle.files
    )
    assert "model.safetensors" not in bundle.files


def test_a_model_of_which_all_weights_were_trained_is_deployed_and_served(
    base_url: str, tmp_path: Path
) -> None:
    """A base model, which got its chat template from us."""
    prepare(tmp_path)
    (build_llama(tmp_path / "model") / "chat_template.jinja").unlink()
    asked = {
        "coverage.final_fraction": "0",
        "limits.cycles": "1",
        "finetuning.method": "full",
        "finetuning.learning_rate": "0.005",
        "inference.responses_per_prompt": "1",
        "judging.judgements_per_response": "1",
        "deployment.parity": "0.9",
    }
    run = tmp_path / "runs" / "whole"
    run_loop(configuration(tmp_path, base_url, **asked), tmp_path, run.name)
    packed = open_bundle(run / "bundle")
    assert (packed.form, packed.cycle) == ("merged", 0)
    trained = load_file(run / "cycles" / "000" / "checkpoint" / "model.safetensors")
    assert load_file(run / "bundle" / "model.safetensors").keys() == trained.keys()
    with pytest.raises(UsageError, match=r"cycle 0 of .* has none: all of its weights"):
        deployed(run, base_url, check=False, **asked, **{"deployment.form": "adapter"})
    bundle = deployed(run, base_url, check=True, **asked, **{"deployment.gguf": "[F16]"}).bundle
    assert bundle.parity
    assert [check.form for check in bundle.parity.checks] == ["merged", "gguf F16"]
    assert all(check.templates_equal and check.passed for check in bundle.parity.checks)
    kept = load_file(run / "bundle" / "model.safetensors")
    assert all((kept[name] == tensor).all() for name, tensor in trained.items())
    expected = read_records(run / "parity" / "merged.jsonl", Response)
    asked_of = {pair.id: pair for pair in read_split(run / "coverage").test.pairs}
    with serving([run]) as server:
        for answer in expected:
            messages = [
                {"role": m.role, "content": m.content} for m in asked_of[answer.pair_id].messages
            ]
            reply = server.post({"model": "whole", "messages": messages, "temperature": 0}).json()
            assert reply["choices"][0]["message"]["content"] == answer.text
    # No server that runs could load an adapter that trains tokens which it does not have.
    with owned(run, base_url, **asked) as it:
        server_runs = it.config.inference.model_copy(update={"engine": "openai"})
        other = replace(it, config=it.config.model_copy(update={"inference": server_runs}))
        with (
            pytest.raises(UsageError, match=r"was given ChatML's tokens"),
            handed_over(other, base_model(it)),
        ):
            pass
        # And the loop, run again, leaves what was deployed where it is.
        verdict = read_record(run / "verdict.json", Verdict)
        bundle_best(it, best_checkpoint(it, verdict), verdict, bundle.scores)
    assert open_bundle(run / "bundle") == bundle


def test_the_bundle_that_was_deployed_stays_when_the_run_is_resumed(
    copy: Path, base_url: str
) -> None:
    before = deployed(copy, base_url).bundle
    with owned(copy, base_url) as run:
        verdict = read_record(copy / "verdict.json", Verdict)
        scores = read_record(copy / "cycles" / f"{verdict.best_cycle:03d}" / "scores.json", Scores)
        best = Checkpoint(
            model=before.model,
            base=str(copy.parents[1] / "model"),
            adapter=str(copy / "cycles" / f"{verdict.best_cycle:03d}" / "checkpoint"),
            cycle=verdict.best_cycle,
            window=before.window,
            fingerprint=before.fingerprint,
        )
        bundle_best(run, best, verdict, scores)
        assert open_bundle(copy / "bundle") == before
        bundle_best(run, best, replace(verdict, outcome="passed", reason="Easier."), scores)
        after = open_bundle(copy / "bundle")
        assert (after.form, after.label) == ("merged", "target met")
        assert after.files["model.safetensors"] == before.files["model.safetensors"]
        assert "**Target met.** Easier." in (copy / "bundle" / "README.md").read_text()
        bundle_best(run, best, verdict, replace(scores, free=FLATTERED))
    assert open_bundle(copy / "bundle").form == "adapter"


# --- what is refused ----------------------------------------------------------------------


@pytest.fixture
def silent_server() -> Iterator[Served]:
    with silent() as url:
        yield Served(url, "silent")


def test_a_form_that_answers_worse_is_not_promoted(
    copy: Path, base_url: str, silent_server: Served
) -> None:
    before = open_bundle(copy / "bundle")
    asked: list[tuple[str, int]] = []
    with (
        owned(copy, base_url, **{"deployment.parity": "1"}) as run,  # hardly worse, but worse
        pytest.raises(ParityMissed, match=r"server .* loses .* points of") as refused,
    ):
        deploy(run, check=True, ask_leave=lambda *call: asked.append(call), server=silent_server)
    assert refused.value.exit_code == 3
    assert open_bundle(copy / "bundle") == before
    parity = read_record(copy / "parity.json", Parity)
    server = parity.checks[-1]
    assert (server.identical, server.passed) == (0, False)
    assert server.first_divergence is not None
    assert asked == [(f"server {silent_server.url}", 2 * server.prompts * 2)]
    assert not list(copy.glob(".bundle-*"))


def test_an_unfinished_run_has_nothing_to_deploy(copy: Path, base_url: str) -> None:
    (copy / "verdict.json").unlink()
    with pytest.raises(RunError, match="no verdict yet"):
        deployed(copy, base_url)


def test_only_what_is_behind_the_model_is_among_its_data(copy: Path, base_url: str) -> None:
    path = copy / "verdict.json"
    verdict = read_record(path, Verdict)
    found = {}
    for best in (0, 1):
        write_record(path, replace(verdict, best_cycle=best))
        data = deployed(copy, base_url, check=False, **{"deployment.form": "adapter"}).bundle.data
        found[best] = {name for name in data if name != "split"}
    coverage = {f"coverage/{name}.jsonl" for name in ("accepted", "train", "test", "final")}
    assert found == {0: coverage, 1: coverage | {"cycles/000/synthetic.jsonl"}}


def test_a_verdict_of_a_cycle_that_is_not_there_is_refused(copy: Path, base_url: str) -> None:
    path = copy / "verdict.json"
    write_record(path, replace(read_record(path, Verdict), best_cycle=7))
    with pytest.raises(RunError, match=r"calls cycle 7 the best, of which .* has no cycles/007"):
        deployed(copy, base_url)


def test_scores_that_were_changed_are_no_evidence(copy: Path, base_url: str) -> None:
    best = read_record(copy / "verdict.json", Verdict).best_cycle
    path = copy / "cycles" / f"{best:03d}" / "scores.json"
    write_record(path, replace(read_record(path, Scores), free=FLATTERED))
    with pytest.raises(RunError, match=r"scores\.json was changed since"):
        deployed(copy, base_url)


def test_pairs_that_were_changed_are_not_counted_in_a_card(copy: Path, base_url: str) -> None:
    path = copy / "coverage" / "train.jsonl"
    path.write_text(path.read_text().replace("human", "service"))
    with pytest.raises(RunError, match=r"train\.jsonl was changed since"):
        deployed(copy, base_url, check=False, **{"deployment.form": "adapter"})


def test_too_little_room_is_found_out_before_the_work(
    copy: Path, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = count_weights(copy.parents[1] / "model")
    usage = shutil.disk_usage(copy)
    free = weights * 4 + weights * 2  # float32 and F16, and not a byte for Q8_0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    wanted = {"deployment.gguf": "[F16]"}
    assert "model-F16.gguf" in deployed(copy, base_url, check=False, **wanted).bundle.files
    with pytest.raises(StageFailed, match="as float32, F16, Q8_0 need about") as refused:
        deployed(copy, base_url, check=False, **{"deployment.gguf": "[F16, Q8_0]"})
    assert "deployment.dtype=bfloat16" in refused.value.hint
    halved = {"deployment.gguf": "[F16, Q8_0]", "deployment.dtype": "bfloat16"}
    assert deployed(copy, base_url, check=False, **halved).bundle.dtype == "bfloat16"


def test_what_too_few_judges_scored_says_nothing(
    copy: Path, base_url: str, silent_server: Served
) -> None:
    """A judge that is asked for the impossible: no reply of it can be scored."""
    with (
        owned(copy, f"{silent_server.url}", **{"judging.max_unscored": "0.5"}) as run,
        pytest.raises(ParityMissed, match="too few were scored to say how much it lost"),
    ):
        deploy(run, check=True, ask_leave=lambda *_: None, server=silent_server)


def test_a_checkpoint_that_was_changed_is_not_deployed(copy: Path, base_url: str) -> None:
    best = read_record(copy / "verdict.json", Verdict).best_cycle
    weights = copy / "cycles" / f"{best:03d}" / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    before: Bundle = open_bundle(copy / "bundle")
    with pytest.raises(RunError, match="was changed since"):
        deployed(copy, base_url)
    assert open_bundle(copy / "bundle") == before
