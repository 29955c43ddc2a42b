"""A run verifies; whatever is changed in it afterwards is found and named."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llamaduo.assessment import rules_of
from llamaduo.config import read_resolved
from llamaduo.deployment.parity import Candidate, compare
from llamaduo.errors import RunError, RunIncompatible
from llamaduo.evaluation.assess import Conclusions, Material, conclude
from llamaduo.records import Event, Judged, Judgement, Judgements, Pair, Parity, Response
from llamaduo.storage.jsonl import read_records, write_record
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification.checks import Check
from llamaduo.verification.verify import NOT_CHECKED, verify
from tests.verification.tampering import edit_json, edit_ledger, edit_lines, seal, tree

BASE, FIRST = "base", "cycles/000"


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def verified(run: Path) -> dict[str, Check]:
    return {check.name: check for check in verify(RunDirectory(run))}


def wrong(run: Path) -> dict[str, str]:
    """What differs, by the name of the check."""
    return {name: check.detail for name, check in verified(run).items() if check.ok is False}


def test_a_run_that_nobody_touched(run: Path) -> None:
    checks = verified(run)
    assert wrong(run) == {}
    assert all(check.ok for check in checks.values())
    assert [*checks][:4] == ["files", "ledger", "import", "split"]
    assert {f"{BASE}/judgements", f"{FIRST}/synthesis", f"{FIRST}/curation"} <= checks.keys()
    assert {"final/000/scores", "verdict", "spend", "bundle"} <= checks.keys()
    assert {"service/responses", "service/scores", "service-final/scores"} <= checks.keys()
    lines = (run / BASE / "judgements.jsonl").read_text().count("\n")
    controls = (run / BASE / "controls.jsonl").read_text().count("\n")
    assert controls == 2 * 4
    assert checks[f"{BASE}/judgements"].checked == lines + controls
    assert checks[f"{BASE}/judgements"].unit == "judgement"
    assert "precision mean score 99" in checks["verdict"].detail


def test_nothing_is_written_and_nothing_is_sent(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = tree(run)
    assert wrong(run) == {}
    assert tree(run) == before


def test_a_ledger_with_a_log_beside_it_is_read_with_it_and_left_alone(run: Path) -> None:
    with closing(sqlite3.connect(run / "ledger.sqlite")) as writer:
        writer.execute("UPDATE attempts SET input_tokens = 1 WHERE rowid = 1")
        writer.commit()
        assert (run / "ledger.sqlite-wal").stat().st_size
        before = tree(run)
        assert "1 and" in wrong(run)["spend"]
        assert tree(run) == before


def test_progress_of_the_longest_parts_is_told(run: Path) -> None:
    events: list[Event] = []
    verify(RunDirectory(run), notify=events.append)
    assert {"judgements", "requests", "pairs"} <= {event.unit for event in events}


# --- what was changed ---------------------------------------------------------------------


def raw_scores(run: Path) -> None:
    """Another score in the raw reply behind a judgement."""
    call = json.loads((run / BASE / "judgements.jsonl").read_text().splitlines()[0])["call"]
    with closing(sqlite3.connect(run / "ledger.sqlite")) as ledger:
        select = "SELECT reply FROM attempts WHERE key = ?"
        reply = json.loads(ledger.execute(select, (call,)).fetchone()[0])
    message = reply["choices"][0]["message"]
    marks = json.loads(message["content"])
    marks["precision"]["score"] = 99
    message["content"] = json.dumps(marks)
    assert edit_ledger(
        run, "UPDATE attempts SET reply = ? WHERE key = ?", (json.dumps(reply).encode(), call)
    )


def a_call_is_gone(run: Path) -> None:
    call = json.loads((run / BASE / "judgements.jsonl").read_text().splitlines()[0])["call"]
    assert edit_ledger(run, "DELETE FROM attempts WHERE key = ?", (call,))


def a_reply_is_torn(run: Path) -> None:
    call = json.loads((run / BASE / "judgements.jsonl").read_text().splitlines()[0])["call"]
    assert edit_ledger(run, "UPDATE attempts SET reply = '{' WHERE key = ?", (call,))


def judgement(field: str, value: object) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        edit_lines(run / BASE / "judgements.jsonl", lambda rows: rows[0].update({field: value}))

    return change


def mark(part: str, value: object) -> Callable[[Path], None]:
    """Another score, or reason, of precision in a judgement."""

    def change(run: Path) -> None:
        edit_lines(
            run / BASE / "judgements.jsonl",
            lambda rows: rows[0]["marks"]["precision"].update({part: value}),
        )

    return change


def mark_left_out(run: Path) -> None:
    def forget(rows: Any) -> None:
        for row in rows:
            del row["marks"]["precision"]

    edit_lines(run / BASE / "judgements.jsonl", forget)


def rounds(run: Path) -> None:
    edit_json(run / BASE / "scores.json", lambda found: found["effort"].update(rounds=9))


def judgement_left_out(run: Path) -> None:
    edit_lines(run / BASE / "judgements.jsonl", lambda rows: rows[1:])


def judgement_twice(run: Path) -> None:
    edit_lines(run / BASE / "judgements.jsonl", lambda rows: [rows[0], *rows])


def judgement_unscored(run: Path) -> None:
    """A bad judgement, made one that did not count."""
    path = run / BASE / "judgements.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    judgement_left_out(run)
    keys = ("response_id", "pair_id", "judge", "index", "call")
    lost = {key: first[key] for key in keys} | {"kind": "malformed", "reason": "not JSON"}
    (run / BASE / "unscored.jsonl").write_text(json.dumps(lost) + "\n")


def response_text(run: Path) -> None:
    edit_lines(run / FIRST / "responses.jsonl", lambda rows: rows[0].update(text="better"))


def response_left_out(run: Path) -> None:
    edit_lines(run / FIRST / "responses.jsonl", lambda rows: rows[1:])


def scores(run: Path) -> None:
    def change(found: Any) -> None:
        found["panel"]["precision"]["mean_score"] = 99.5

    edit_json(run / FIRST / "scores.json", change)


def verdict(run: Path) -> None:
    edit_json(run / "verdict.json", lambda found: found.update(outcome="passed", shortfalls=[]))


def verdict_of_a_cycle(run: Path) -> None:
    edit_json(run / FIRST / "verdict.json", lambda found: found.update(best_cycle=1))


def reference(run: Path) -> None:
    for name in ("accepted", "test"):
        edit_lines(run / "coverage" / f"{name}.jsonl", lambda rows: rows[0].update(response="x"))


def held_out_into_train(run: Path) -> None:
    coverage = run / "coverage"
    moved = json.loads((coverage / "test.jsonl").read_text().splitlines()[0])
    edit_lines(coverage / "train.jsonl", lambda rows: [*rows, moved])


def service_response(run: Path) -> None:
    edit_lines(run / "service" / "responses.jsonl", lambda rows: rows[0].update(text="worse"))


def service_response_left_out(run: Path) -> None:
    edit_lines(run / "service" / "responses.jsonl", lambda rows: rows[1:])


def control(run: Path) -> None:
    """Another score of a right response."""
    edit_lines(
        run / BASE / "controls.jsonl",
        lambda rows: rows[0]["marks"]["precision"].update(score=1),
    )


def control_left_out(run: Path) -> None:
    edit_lines(run / BASE / "controls.jsonl", lambda rows: rows[1:])


def breakdown(run: Path) -> None:
    edit_json(run / BASE / "breakdown.json", lambda found: found["slices"][0].update(prompts=99))


def judge_report(run: Path) -> None:
    edit_json(run / BASE / "judges.json", lambda found: found["judges"][0].update(refused=9))


def split_hash(run: Path) -> None:
    edit_json(run / "coverage" / "split.json", lambda found: found.update(sha256="0" * 64))


def import_count(run: Path) -> None:
    edit_json(run / "coverage" / "import.json", lambda found: found.update(read=999))


def raw_pair_invented(run: Path) -> None:
    def change(rows: Any) -> Any:
        return [*rows, rows[0] | {"id": "f" * 16, "response": "invented"}]

    edit_lines(run / FIRST / "raw.jsonl", change)


def seed_is_held_out(run: Path) -> None:
    test = json.loads((run / "coverage" / "test.jsonl").read_text().splitlines()[0])["id"]
    edit_lines(run / FIRST / "raw.jsonl", lambda rows: rows[0]["provenance"].update(seeds=[test]))


def held_out_pair_kept(run: Path) -> None:
    pair = json.loads((run / "coverage" / "test.jsonl").read_text().splitlines()[0])
    edit_lines(run / FIRST / "synthetic.jsonl", lambda rows: [*rows, pair])


def pair_not_kept(run: Path) -> None:
    edit_lines(run / FIRST / "synthetic.jsonl", lambda rows: rows[1:])


def curation_count(run: Path) -> None:
    edit_json(run / FIRST / "curation.json", lambda found: found.update(kept=found["kept"] + 1))


def portrait(run: Path) -> None:
    edit_json(run / FIRST / "portrait.json", lambda found: found.update(warnings=["all is well"]))


def portrait_not_hashed(run: Path) -> None:
    """The portrait is there, but the manifest does not know it."""

    def forget(manifest: Any) -> None:
        del manifest["stages"][f"{FIRST}/curate"]["files"][f"{FIRST}/portrait.json"]

    edit_json(run / "manifest.json", forget)


def training_pairs(run: Path) -> None:
    edit_json(run / FIRST / "training.json", lambda found: found.update(pairs=3))


def tokens(run: Path) -> None:
    assert edit_ledger(run, "UPDATE attempts SET output_tokens = 9999 WHERE rowid = 2")


def dollars(run: Path) -> None:
    assert edit_ledger(run, "UPDATE attempts SET usd = 5.0 WHERE rowid = 2")


def request_in_the_ledger(run: Path) -> None:
    assert edit_ledger(run, "UPDATE attempts SET request = request || ' ' WHERE rowid = 2")


def bundle_scores(run: Path) -> None:
    edit_json(
        run / "bundle" / "bundle.json",
        lambda found: found["scores"]["free"]["exact_match"].update(value=99.5),
    )


def bundle_label(run: Path) -> None:
    edit_json(run / "bundle" / "bundle.json", lambda found: found.update(label="target met"))


def bundle_seed(run: Path) -> None:
    edit_json(run / "bundle" / "bundle.json", lambda found: found["seeds"].update(finetuning=7))


def bundle_of_a_real_run(run: Path) -> None:
    found = json.loads((run / "bundle" / "bundle.json").read_text())["rehearsed"]
    edit_json(run / "bundle" / "bundle.json", lambda one: one.update(rehearsed=not found))


def bundle_data(run: Path) -> None:
    edit_json(
        run / "bundle" / "bundle.json",
        lambda found: found["data"].update({"coverage/train.jsonl": "0" * 64}),
    )


def dollars_of_another_kind(run: Path) -> None:
    assert edit_ledger(run, "UPDATE attempts SET usd = X'5B5D' WHERE rowid = 2")


def a_folder_in_the_place_of_a_file(run: Path) -> None:
    path = run / FIRST / "training.json"
    path.unlink()
    path.mkdir()


def nested_too_deep(run: Path) -> None:
    (run / "bundle" / "bundle.json").write_text("[" * 200_000)


def stray_weights(run: Path) -> None:
    (run / "bundle" / "other.safetensors").write_bytes(b"weights")


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (raw_scores, f"{BASE}/judgements", "in its reply 99"),
        (a_call_is_gone, f"{BASE}/judgements", "the ledger has no answer to this request"),
        (a_reply_is_torn, f"{BASE}/judgements", "the stored reply cannot be read"),
        (mark("score", 98), f"{BASE}/judgements", "precision is 98"),
        (mark("score", 98), f"{BASE}/scores", "judges.openai-chat:rehearsal.precision"),
        (mark("reason", "fine"), f"{BASE}/judgements", "precision_reason is 'fine'"),
        (judgement("call", "0" * 64), f"{BASE}/judgements", "call is '000"),
        (judgement("response_id", "nobody-0"), f"{BASE}/judgements", "is not recorded"),
        (judgement("response_id", "nobody-0"), f"{BASE}/scores", "not among"),
        (judgement_left_out, f"{BASE}/judgements", "is not recorded"),
        (judgement_twice, f"{BASE}/judgements", "is recorded twice"),
        (judgement_unscored, f"{BASE}/judgements", "unscored, but its reply has the scores"),
        (control, f"{BASE}/judgements", "precision is 1, in its reply"),
        (control_left_out, f"{BASE}/judgements", "is not recorded"),
        (service_response, "service/responses", "is not what the service LLM replied"),
        (service_response, "service/judgements", "the ledger has no answer to this request"),
        (service_response_left_out, "service/responses", "is not recorded"),
        (breakdown, f"{BASE}/scores", "breakdown.json: slices"),
        (judge_report, f"{BASE}/scores", "judges.json: judges"),
        (response_text, f"{FIRST}/judgements", "the ledger has no answer to this request"),
        (response_left_out, f"{FIRST}/responses", "responses, not 2"),
        (scores, f"{FIRST}/scores", "panel.precision.mean_score is 99.5"),
        (scores, "bundle", "scores"),
        (verdict, "verdict", 'outcome is "passed", derived again it is "stopped"'),
        (verdict, "bundle", "verdict"),
        (verdict_of_a_cycle, "verdict", "cycles/000/verdict.json: best_cycle is 1"),
        (reference, "import", "another prompt or response than its id says"),
        (reference, "split", "another prompt or response than its id says"),
        (reference, f"{BASE}/judgements", "the ledger has no answer to this request"),
        (held_out_into_train, "split", "is in both the train and the test split"),
        (held_out_into_train, f"{FIRST}/training", "was trained on and is held out"),
        (split_hash, "split", "sha256"),
        (import_count, "import", "999 rows were read"),
        (raw_pair_invented, f"{FIRST}/synthesis", "pair ffffffffffffffff is not in the reply"),
        (seed_is_held_out, f"{FIRST}/synthesis", "no train pair"),
        (held_out_pair_kept, f"{FIRST}/curation", "is a held-out one"),
        (held_out_pair_kept, "cycles/001/training", "is held out"),
        (pair_not_kept, f"{FIRST}/curation", "are not the"),
        (curation_count, f"{FIRST}/curation", "curation.json: kept is"),
        (portrait, f"{FIRST}/curation", "portrait.json: warnings"),
        (training_pairs, f"{FIRST}/training", "training.json counts 3 pairs"),
        (tokens, "spend", "9999 tokens"),
        (dollars, "spend", "is down for $5.000000"),
        (request_in_the_ledger, "ledger", "its key is not the hash of its request"),
        (bundle_scores, "bundle", "free.exact_match.value is 99.5"),
        (bundle_label, "bundle", '"target met"'),
        (bundle_seed, "bundle", "seeds.finetuning"),
        (bundle_of_a_real_run, "bundle", "rehearsed"),
        (bundle_data, "bundle", "data.coverage/train.jsonl"),
        (stray_weights, "bundle", "no hash of it"),
    ],
)
def test_a_change_is_found_even_when_the_hashes_were_made_to_match(
    run: Path, change: Callable[[Path], None], check: str, says: str
) -> None:
    change(run)
    seal(run)
    found = wrong(run)
    assert says in found.get(check, f"{check} is ok"), found
    assert "files" not in found


def test_a_file_that_does_not_fit_its_hash(run: Path) -> None:
    weights = run / FIRST / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    (run / BASE / "inference.json").unlink()
    detail = wrong(run)["files"]
    assert f"{FIRST}/checkpoint/adapter_model.safetensors is not the file" in detail
    assert f"{BASE}/inference.json of stage base/infer is missing" in detail


def test_a_bundle_with_other_weights(run: Path) -> None:
    packed = [p for p in (run / "bundle").rglob("*.safetensors") if p.is_file()]
    packed[0].write_bytes(b"other weights")
    assert "is not the file that the bundle left" in wrong(run)["bundle"]


def test_a_name_taken_out_of_the_manifest(run: Path) -> None:
    def forget(manifest: Any) -> None:
        del manifest["stages"]["base/judge"]["files"]["base/judgements.jsonl"]

    edit_json(run / "manifest.json", forget)
    assert "no hash of judgements.jsonl" in wrong(run)["files"]


def test_a_manifest_that_points_outside_the_run(run: Path) -> None:
    def point(manifest: Any) -> None:
        manifest["stages"]["import"]["files"]["../../etc/passwd"] = "0"

    edit_json(run / "manifest.json", point)
    assert "outside the run" in wrong(run)["files"]


def test_a_damaged_line_is_one_difference_and_the_rest_is_checked(run: Path) -> None:
    path = run / BASE / "judgements.jsonl"
    path.write_text("not JSON\n" + path.read_text())
    found = wrong(run)
    assert "line 1: not a Judgement" in found[f"{BASE}/judgements"]
    assert f"{FIRST}/judgements" not in found


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (dollars_of_another_kind, "ledger", "is damaged: its usd is b'[]'"),
        (a_folder_in_the_place_of_a_file, f"{FIRST}/training", "Is a directory"),
        (nested_too_deep, "bundle", "cannot be read"),
        (mark_left_out, f"{BASE}/scores", "nothing can be computed from"),
        (rounds, f"{BASE}/judgements", "effort.rounds is 9, of 1 at most"),
        (rounds, f"{BASE}/scores", "effort.rounds is 9, of 1 at most"),
    ],
)
def test_what_is_damaged_beyond_reading_is_a_difference_and_the_rest_is_checked(
    run: Path, change: Callable[[Path], None], check: str, says: str
) -> None:
    change(run)
    assert says in wrong(run)[check]
    assert "verdict" in verified(run)


def test_prompts_that_were_taken_out_leave_calls_behind_no_record(run: Path) -> None:
    lost = json.loads((run / BASE / "responses.jsonl").read_text().splitlines()[0])["pair_id"]

    def without(rows: Any) -> Any:
        return [row for row in rows if row["pair_id"] != lost]

    for name in ("responses", "judgements"):
        edit_lines(run / BASE / f"{name}.jsonl", without)
    seal(run)
    assert "stand behind no record (judge " in verified(run)["spend"].detail


def with_parity(run: Path) -> dict[str, str]:
    """Parity of a form that answers one test prompt in another way; its answers."""
    test = read_records(run / "coverage" / "test.jsonl", Pair)
    expected = {pair.id: pair.response for pair in test}
    found = expected | {test[0].id: "something else"}
    (run / "parity").mkdir()
    for name, answers in (("training-time", expected), ("merged", found)):
        rows = [{"pair_id": one, "text": text} for one, text in answers.items()]
        (run / "parity" / f"{name}.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    check = compare(test, expected, Candidate("merged", found), required=0.1)
    write_record(run / "parity.json", Parity(cycle=0, prompts=8, required=0.1, checks=(check,)))
    return found


def test_parity_is_counted_again_from_the_answers(run: Path) -> None:
    answers = with_parity(run)
    check = verified(run)["parity"]
    assert (check.ok, check.checked, check.unit) == (True, len(answers), "answer")

    def praise(found: Any) -> None:
        found["checks"][0].update(identical=8, first_divergence=None)

    edit_json(run / "parity.json", praise)
    detail = wrong(run)["parity"]
    assert "parity.json, merged: identical is 8, derived again it is 7" in detail
    (run / "parity" / "merged.jsonl").unlink()
    assert "merged.jsonl is missing" in wrong(run)["parity"]


def test_what_no_check_can_tell_is_not_claimed(run: Path) -> None:
    """Replies, records and hashes rewritten together hold: nothing in a run is signed."""
    raw_scores(run)
    edit_lines(
        run / BASE / "judgements.jsonl", lambda rows: rows[0]["marks"]["precision"].update(score=99)
    )
    found = concluded(run)
    write_record(run / BASE / "scores.json", found.scores)
    write_record(run / BASE / "breakdown.json", found.breakdown)
    write_record(run / BASE / "judges.json", found.report)
    seal(run)
    assert wrong(run) == {}
    assert "nothing in a run is signed" in NOT_CHECKED


def concluded(run: Path) -> Conclusions:
    """What follows from the judgements of the base model as they are now."""
    config, _ = read_resolved(run / "run.yaml")
    responses = read_records(run / BASE / "responses.jsonl", Response)
    ceiling = Judged(
        read_records(run / "service" / "responses.jsonl", Response),
        Judgements(read_records(run / "service" / "judgements.jsonl", Judgement), ()),
    )
    material = Material(
        responses=responses,
        pairs=read_records(run / "coverage" / "test.jsonl", Pair),
        controls=Judgements(read_records(run / BASE / "controls.jsonl", Judgement), ()),
        judgements=Judgements(read_records(run / BASE / "judgements.jsonl", Judgement), ()),
        rounds=1,
        ceiling=ceiling,
    )
    accepted = read_records(run / "coverage" / "accepted.jsonl", Pair)
    return conclude(material, rules_of(config, run, BASE, responses, accepted))


def test_a_ledger_that_is_gone(run: Path) -> None:
    (run / "ledger.sqlite").unlink()
    found = wrong(run)
    assert "ledger.sqlite is missing" in found["ledger"]
    assert f"{BASE}/judgements" in found


def test_many_differences_are_counted_and_a_few_are_shown(run: Path) -> None:
    def all_of(rows: Any) -> None:
        for row in rows:
            precision = row["marks"]["precision"]
            precision["score"] = 100 - precision["score"]

    edit_lines(run / BASE / "judgements.jsonl", all_of)
    lines = wrong(run)[f"{BASE}/judgements"].splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("and ")


def test_a_portrait_without_a_hash_is_found(run: Path) -> None:
    portrait_not_hashed(run)
    assert "no hash of portrait.json" in wrong(run)["files"]


def without_portrait(run: Path) -> None:
    """As a version left it that drew none."""
    portrait_not_hashed(run)
    (run / FIRST / "portrait.json").unlink()


def test_a_run_of_before_there_were_portraits_holds(run: Path) -> None:
    without_portrait(run)
    assert wrong(run) == {}


def test_a_batch_that_an_older_version_curated_otherwise_is_not_called_wrong(run: Path) -> None:
    without_portrait(run)
    folder = run / FIRST
    kept = (folder / "synthetic.jsonl").read_text().splitlines()
    lost = {"pair": json.loads(kept[0]), "step": "decontamination", "reason": "r", "lost_to": None}
    edit_lines(folder / "synthetic.jsonl", lambda rows: rows[1:])
    edit_lines(folder / "dropped.jsonl", lambda rows: [*rows, lost])
    seal(run)
    check = verified(run)[f"{FIRST}/curation"]
    assert check.ok is None
    assert "An older llamaduo curated this batch by other rules" in check.detail


def test_nor_is_one_that_dropped_the_same_for_other_reasons(run: Path) -> None:
    edit_lines(run / FIRST / "dropped.jsonl", lambda rows: [row | {"reason": "r"} for row in rows])
    seal(run)
    assert "are not what curating" in wrong(run)[f"{FIRST}/curation"]
    without_portrait(run)
    assert verified(run)[f"{FIRST}/curation"].ok is None


# --- runs that are not whole --------------------------------------------------------------


def keep_until(run: Path, last: str) -> None:
    """The run as it was when ``last`` had finished."""

    def cut(manifest: Any) -> None:
        names = list(manifest["stages"])
        for name in names[names.index(last) + 1 :]:
            del manifest["stages"][name]

    edit_json(run / "manifest.json", cut)
    (run / "verdict.json").unlink()
    shutil.rmtree(run / "bundle")


@pytest.mark.parametrize(
    "last", ["split", "service/answer", "base/judge", "cycles/000/judge", "cycles/000/curate"]
)
def test_an_unfinished_run_is_verified_as_far_as_it_got(run: Path, last: str) -> None:
    keep_until(run, last)
    assert wrong(run) == {}
    checks = verified(run)
    assert "no verdict yet" in checks["verdict"].detail
    assert ("service/responses" in checks) == (last != "split")
    assert ("base/judgements" in checks) == (last not in ("split", "service/answer"))
    assert "bundle" not in checks


def test_cycles_of_an_earlier_target_are_named_and_not_compared(run: Path) -> None:
    """As after lowering the target to what cycle 0 reaches: the later cycles are still there."""
    path = run / "run.yaml"
    path.write_text(path.read_text().replace("mean_score: 99", "mean_score: 0"))
    before = wrong(run)["verdict"]
    assert "cycles/000/verdict.json" in before
    passed = {"outcome": "passed", "reason": "Cycle 0 meets every target.", "shortfalls": []}
    for name in ("verdict.json", f"{FIRST}/verdict.json"):
        edit_json(run / name, lambda found: found.update(passed, cycle=0, best_cycle=0))
    check = verified(run)["verdict"]
    assert check.ok, check.detail
    assert "Cycle 1 was run for a target that has been changed since" in check.detail


def test_a_pass_that_the_final_split_had_to_confirm_and_did_not(run: Path) -> None:
    """The loop's own verdict in the place of the run's, whether the final split was judged or
    its stages were taken out."""

    def forget(manifest: Any) -> None:
        for name in [stage for stage in manifest["stages"] if stage.startswith("final/")]:
            del manifest["stages"][name]

    path = run / "run.yaml"
    text = path.read_text().replace("mean_score: 99", "mean_score: 0")
    path.write_text(text.replace("worse_than_service_by: null", "worse_than_service_by: 1"))
    assert "worse_than_service_by: 1" in path.read_text()
    passed = {"outcome": "passed", "reason": "Cycle 0 meets every target.", "shortfalls": []}
    for name in ("verdict.json", f"{FIRST}/verdict.json"):
        edit_json(run / name, lambda found: found.update(passed, cycle=0, best_cycle=0))
    assert "non_inferiority.difference" in wrong(run)["verdict"]
    edit_json(run / "manifest.json", forget)
    assert 'derived again it is "undecided"' in wrong(run)["verdict"]


def test_a_budget_that_ended_before_the_final_split_was_judged(run: Path) -> None:
    def forget(manifest: Any) -> None:
        for name in [stage for stage in manifest["stages"] if stage.startswith("final/")]:
            del manifest["stages"][name]

    missing = " The budget ended before the final split was judged (limits.budget_usd)."
    edit_json(run / "verdict.json", lambda v: v.update(reason=v["reason"] + missing))
    assert "verdict" in wrong(run)
    path = run / "run.yaml"
    path.write_text(path.read_text().replace("budget_usd: null", "budget_usd: 1.0"))
    edit_json(run / "manifest.json", forget)
    assert "verdict" not in wrong(run)


def test_without_the_sdk_the_replies_are_left_out_and_that_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without_openai(name: str, package: str | None = None) -> Any:
        return None if name == "openai" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_openai)
    checks = verified(run)
    left_out = checks[f"{BASE}/judgements"]
    assert left_out.ok is None
    assert "pip install 'llamaduo[openai]'" in left_out.detail
    assert checks[f"{FIRST}/synthesis"].ok is None
    assert checks["spend"].ok is None
    assert checks[f"{BASE}/scores"].ok is True
    a_call_is_gone(run)
    assert "is not in the ledger" in wrong(run)[f"{BASE}/judgements"]


def test_a_run_of_another_format_is_refused(run: Path) -> None:
    edit_json(run / "manifest.json", lambda found: found.update(format=99))
    with pytest.raises(RunIncompatible, match="run format 99"):
        verify(RunDirectory(run))


def test_a_configuration_that_cannot_be_read(run: Path) -> None:
    (run / "run.yaml").write_text("nothing: of use\n")
    with pytest.raises(RunError, match="not the configuration of a run"):
        verify(RunDirectory(run))
