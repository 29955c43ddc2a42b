"""The verdict, the facts and the caveats, in words."""

from dataclasses import replace
from pathlib import Path

from llamaduo.records import SplitFigures
from llamaduo.reporting.evidence import Answers, Evidence, gather
from llamaduo.reporting.headline import headline
from llamaduo.reporting.method import caveats, method_facts
from llamaduo.reporting.settings import CostSettings
from tests.reporting.runs import SPEND, scores, start_run, verdict, whole_run


def with_final(evidence: Evidence, pairs: int) -> Evidence:
    return replace(evidence, split=SplitFigures(64, 16, pairs, "9f" * 32, 71))


def test_the_headline_of_a_run_that_passed(tmp_path: Path) -> None:
    found = headline(gather(whole_run(tmp_path), SPEND))

    assert (found.outcome, found.title) == ("passed", "Target met")
    assert [(fact.name, fact.value, fact.note) for fact in found.facts] == [
        ("Mean precision, cycle 1", "91.5", "target 80.0, base model 12.0"),
        ("Synthetic pairs kept", "96", "beside 64 of the train split"),
        ("Cost of 1,260 calls", "$2.48", ""),
    ]


def test_the_headline_of_a_run_that_stopped_says_what_is_missing(tmp_path: Path) -> None:
    reached = verdict(1, "stopped", "No gain in 2 cycles.", ("mean precision 71.0 of 80.0",))
    found = headline(replace(gather(whole_run(tmp_path)), verdict=reached))

    assert (found.sign, found.title) == ("■", "Stopped: target missed")
    assert found.shortfalls == ("mean precision 71.0 of 80.0",)


def test_a_cycles_verdict_is_not_the_runs(tmp_path: Path) -> None:
    found = headline(replace(gather(whole_run(tmp_path)), verdict=None))

    assert found.title == "Not finished"
    assert found.reason.startswith("The last verdict is cycle 1’s: passed.")


def test_an_unknown_price_makes_the_cost_a_lower_bound(tmp_path: Path) -> None:
    rows = (SPEND[0], replace(SPEND[1], usd=0.0, priced=False))
    facts = headline(gather(whole_run(tmp_path), rows)).facts

    assert facts[-1].value == "≥ $2.16"


def test_stated_traffic_adds_when_it_pays(tmp_path: Path) -> None:
    folder = whole_run(tmp_path)
    tokens = {"input_tokens_per_month": 0, "output_tokens_per_month": 0}
    never = CostSettings(**tokens, hardware_usd=1.0)
    at_once = CostSettings(**tokens)

    said = headline(gather(folder, SPEND, cost=never)).facts[-1]
    free = headline(gather(folder, cost=at_once)).facts[-1]

    assert (said.name, said.value, said.note) == ("Break-even", "never", "")
    assert (free.value, free.note) == ("0.0 months", "saves $0 a month with all traffic on it")


def test_what_a_model_that_missed_its_target_would_save_is_said_with_that_condition(
    tmp_path: Path,
) -> None:
    cost = CostSettings(input_tokens_per_month=10**9, output_tokens_per_month=0, hardware_usd=1.0)
    evidence = gather(whole_run(tmp_path), SPEND, cost=cost)
    missed = replace(evidence, verdict=verdict(1, "stopped", "No gain in 2 cycles."))

    assert "missed the target" not in headline(evidence).facts[-1].note
    assert headline(missed).facts[-1].note.endswith("if it is used though it missed the target")


def test_the_final_split_stands_beside_the_score_that_was_selected_on(finished_run: Path) -> None:
    evidence = gather(finished_run)
    final = evidence.final.scores

    assert final is not None
    assert (
        f"final split {final.panel['precision'].mean_score:.1f}" in headline(evidence).facts[0].note
    )


def test_the_method_names_what_someone_else_would_need(tmp_path: Path) -> None:
    facts = dict(method_facts(gather(whole_run(tmp_path))))

    assert facts["Task"] == "classification: support-ticket triage"
    assert facts["Judges"] == "openai-chat:judge-a, anthropic:judge-b"
    assert facts["Split"] == (
        "64 train, 16 test, 0 final, in 71 clusters of near-duplicate prompts; sha256 " + "9f" * 32
    )
    assert facts["Near-duplicates across the split"] == "1 pair (train ~ held out): aaaa ~ bbbb"
    assert facts["Responses per prompt (K)"] == "4, temperature 0.7, top-p 0.95"
    assert facts["Judgements per response and judge (M)"] == "2"
    assert facts["Score thresholds (ζ)"] == "50, 70"
    assert facts["Target (ε)"] == "mean precision ≥ 80.0; precision ≥ 70 for 90.0 % of responses"
    assert facts["Shared frames that did not count in curation"] == "“Classify the ticket:”"


def test_references_by_the_service_llm_are_a_caveat(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path))
    human = replace(evidence, references={"test": {"human": 16}})

    assert "4 of 16 (25.0 %) references" in caveats(evidence)[0]
    assert not any("own replies" in text for text in caveats(human))


def test_what_the_final_split_allows_to_say(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path))
    waiting = with_final(evidence, 8)
    judged = replace(waiting, final=Answers(scores=scores(88.0, 80.0)))

    assert any("the test split was selected on" in text for text in caveats(evidence))
    assert any("8 pairs has not been judged" in text for text in caveats(waiting))
    assert any("the loop, which chose nothing by it" in text for text in caveats(judged))


def test_a_judge_that_wrote_the_training_data_is_a_caveat(tmp_path: Path) -> None:
    folder = start_run(tmp_path)
    (folder / "run.yaml").write_text('service: {model: "openai-chat:gpt-4o"}')

    assert any("related to the generator" in text for text in caveats(gather(folder)))
