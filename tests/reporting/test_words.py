"""The verdict, the facts and the caveats, in words."""

from dataclasses import replace
from pathlib import Path

from llamaduo.records import SplitFigures
from llamaduo.reporting.answers import Answers
from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.headline import headline
from llamaduo.reporting.method import caveats, method_facts
from llamaduo.reporting.settings import CostSettings
from llamaduo.storage.jsonl import write_record
from tests.reporting.runs import (
    SPEND,
    panel_report,
    rich_run,
    scores,
    start_run,
    verdict,
    whole_run,
)


def with_final(evidence: Evidence, pairs: int) -> Evidence:
    return replace(evidence, split=SplitFigures(64, 16, pairs, "9f" * 32, 71))


def test_the_headline_of_a_run_that_passed(tmp_path: Path) -> None:
    found = headline(gather(whole_run(tmp_path), SPEND))

    assert (found.outcome, found.title) == ("passed", "Target met")
    assert [(fact.name, fact.value, fact.note) for fact in found.facts] == [
        (
            "Mean precision, cycle 1",
            "91.5",
            "95 % interval 87.5 to 95.5, target 80.0, base model 12.0",
        ),
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


# --- intervals, the service LLM, decisions -------------------------------------------------


def test_a_run_that_is_undecided_says_what_a_decision_takes(tmp_path: Path) -> None:
    found = headline(gather(rich_run(tmp_path)))
    facts = {fact.name: (fact.value, fact.note) for fact in found.facts}

    assert (found.outcome, found.title) == ("undecided", "Undecided: the evidence is too thin")
    assert facts["Test prompts that a decision needs"] == ("240", "there are 16")
    assert facts["At most 5.0 points behind the service LLM"] == (
        "undecided",
        "mean precision on the final split, local minus service: −6.0 [−9.5, −2.5]",
    )
    assert facts["Mean precision, cycle 1"][1] == (
        "98.8 % interval 87.5 to 95.5, target 80.0, base model 12.0, service LLM 95.0,"
        " final split 88.0"
    )
    assert facts["Mean tone of voice, cycle 1"][0] == "81.5"
    assert facts["Label accuracy, cycle 1"] == (
        "89.5",
        "95 % interval 85.5 to 93.5, target 95.0, base model 10.0",
    )
    assert facts["Win rate, cycle 1"] == ("50.0 %", "98.8 % interval 38.5 to 61.5, target 45.0")


def test_the_method_names_how_it_was_judged(tmp_path: Path) -> None:
    facts = dict(method_facts(gather(rich_run(tmp_path))))

    assert facts["Further metrics"] == "tone of voice: 100 is friendly and plain, 0 is rude."
    assert facts["Judging"] == (
        "repeats and judges by their median, stopping adaptive, pairwise comparison with the"
        " service LLM in both orders"
    )
    assert facts["Target (ε)"] == (
        "mean precision ≥ 80.0; precision ≥ 70 for 90.0 % of responses; mean tone of voice ≥ 70.0;"
        " label accuracy ≥ 95.0; win rate against the service LLM ≥ 45.0 %; on the final split at"
        " most 5.0 points of precision behind the service LLM; met by the whole interval, not by"
        " the score alone"
    )
    assert "clustered by prompt" in facts["Intervals"]


def test_few_prompts_keep_their_warning(tmp_path: Path) -> None:
    evidence = gather(whole_run(tmp_path))
    best = evidence.cycles[1]
    many = replace(best, answers=Answers(scores=replace(scores(91.5, 84.0), prompts=200)))
    enough = replace(evidence, cycles=(evidence.cycles[0], many))

    assert any("16 prompts. Few as they are, read the intervals" in c for c in caveats(evidence))
    assert any("200 prompts. More judgements" in text for text in caveats(enough))
    assert not any("No interval" in text for text in (*caveats(evidence), *caveats(enough)))


def test_a_related_judge_is_said_once(tmp_path: Path) -> None:
    folder = start_run(tmp_path)
    (folder / "run.yaml").write_text('service: {model: "openai-chat:gpt-4o"}')
    write_record(folder / "base" / "judges.json", panel_report())

    assert not any("related to the generator" in text for text in caveats(gather(folder)))


def test_agreement_is_called_that_everywhere(tmp_path: Path) -> None:
    evidence = gather(rich_run(tmp_path, references="service"))

    assert (evidence.title("similarity"), evidence.words("similarity")) == (
        "Agreement",
        "agreement",
    )
    assert (evidence.title("rouge_l"), evidence.words("rouge_l")) == ("ROUGE-L", "ROUGE-L")
    assert (evidence.title("exact_match"), evidence.words("exact_match")) == (
        "Exact match, %",
        "exact match",
    )
