"""What the local LLM saves, against Table 2 by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.reporting.evidence import Evidence, gather
from llamaduo.reporting.migration_cost import migration_usd, own_case
from llamaduo.reporting.paper_case import HEAVY, HEAVY_TABLE, LIGHT
from llamaduo.reporting.savings import Comparison, Local, Rate, Traffic, compare
from llamaduo.reporting.settings import CostSettings
from llamaduo.reporting.setup import ModelFacts, OriginFacts, PriceFacts, StandInFacts
from llamaduo.reporting.tables import break_even, own_costs, paper_case, paper_errata, spend
from tests.reporting.runs import SPEND, start_run, whole_run

dollars = st.floats(0, 1e6).map(lambda value: round(value, 2))
COST = CostSettings(
    input_tokens_per_month=300_000_000,
    output_tokens_per_month=30_000_000,
    hardware_usd=5_078.0,
    servers=2,
    power_usd_per_month=30.0,
    tuning_usd=800.0,
)


# --- arithmetic -----------------------------------------------------------------------------


def test_the_papers_light_workload() -> None:
    found = LIGHT.comparison

    assert found.service_monthly == 30 * 65
    assert found.local.at_once == 800 + 2_539
    assert found.local_after(2) == 3_399
    assert found.local_after(12) == 3_699
    assert found.service_after(12) == 23_400
    assert found.break_even == pytest.approx(3_339 / 1_920)
    assert found.first_month == 2


def test_the_papers_heavy_workload_by_its_text_and_by_its_table() -> None:
    text, table = HEAVY.comparison, HEAVY_TABLE.comparison

    assert text.service_monthly == 30 * 400
    assert text.break_even == pytest.approx(21_112 / 11_760)
    assert table.service_monthly == 30 * 325
    assert (table.local_after(2), table.service_after(2)) == (21_592, 19_500)
    assert table.break_even == pytest.approx(21_112 / 9_510)
    assert table.first_month == 3
    assert table.local_after(12) == 23_992


@given(dollars, dollars, dollars, dollars, st.integers(1, 16), dollars)
def test_the_break_even_is_where_both_cost_the_same(
    monthly: float, spent: float, tuning: float, hardware: float, servers: int, power: float
) -> None:
    local = Local(
        migration_usd=spent,
        tuning_usd=tuning,
        hardware_usd=hardware,
        servers=servers,
        power_usd_per_month=power,
    )
    one = Comparison(monthly, local)

    if one.break_even is None:
        assert monthly <= servers * power
        assert one.first_month is None
        assert one.saved_after(1200) <= 0
    else:
        cost = one.service_after(one.break_even)
        assert one.local_after(one.break_even) == pytest.approx(cost, rel=1e-6, abs=1e-6) or (
            not one.break_even and monthly >= servers * power
        )
        assert one.saved_after(one.break_even + 1) >= -1e-6 * cost


@pytest.mark.parametrize(
    ("monthly", "local", "months", "said"),
    [
        (100.0, Local(hardware_usd=50.0), 0.5, "After 0.5 months, in month 1"),
        (100.0, Local(hardware_usd=200.0), 2.0, "After 2.0 months, in month 2"),
        (100.0, Local(), 0.0, "At once"),
        (30.0, Local(hardware_usd=1.0, power_usd_per_month=30.0), None, "Never: a month"),
        (0.0, Local(hardware_usd=1.0), None, "Never: a month of the local LLM costs $0"),
        (10.0, Local(power_usd_per_month=30.0), None, "Never"),
    ],
)
def test_the_break_even_in_words(
    monthly: float, local: Local, months: float | None, said: str
) -> None:
    one = Comparison(monthly, local)

    assert one.break_even == months
    assert break_even(one).startswith(said)


def test_traffic_is_priced_per_million_tokens() -> None:
    assert compare(Traffic(2_000_000, 500_000), Rate(5.0, 15.0), Local()).service_monthly == 17.5


# --- the user's case ------------------------------------------------------------------------


def evidence(folder: Path, *, rehearsed: bool = False) -> Evidence:
    return gather(whole_run(folder, rehearsed=rehearsed), SPEND, cost=COST)


def with_price(found: Evidence, price: PriceFacts | None, model: str) -> Evidence:
    return replace(found, setup=replace(found.setup, service=ModelFacts(model, price=price)))


def test_the_runs_own_spend_is_part_of_the_cost(tmp_path: Path) -> None:
    found = with_price(evidence(tmp_path), PriceFacts(5.0, 15.0), "openai-chat:mine")
    case = own_case(found)

    assert case is not None
    assert case.comparison is not None
    assert case.comparison.service_monthly == 1_950
    assert case.local.migration_usd == pytest.approx(2.475)
    assert case.comparison.local_after(0) == pytest.approx(5_880.475)
    assert case.comparison.local_after(1) == pytest.approx(5_940.475)
    paid, over_time = own_costs(case)
    assert ("Once: hardware, 2 servers", "", "$5,078") in paid.rows
    assert ("A month, together; local: power", "$1,950", "$60") in paid.rows
    assert [row[0] for row in over_time.rows] == ["1 month", "2 months", "6 months", "12 months"]
    assert over_time.rows[0] == ("1 month", "$1,950", "$5,940", "−$3,990")
    assert over_time.rows[3] == ("12 months", "$23,400", "$6,600", "$16,800")
    assert "openai-chat:mine at $5 in and $15 out" in paid.note


def test_a_listed_price_needs_no_setting(tmp_path: Path) -> None:
    case = own_case(evidence(tmp_path))

    assert case is not None
    assert case.model == "openai-chat:gpt-4o"
    assert case.rate is not None
    assert case.rate.output > case.rate.input > 0


@pytest.mark.parametrize("model", ["openai-chat:no-such-model", "unheard-of:model", "<b>"])
def test_an_unknown_price_is_said_and_not_guessed(tmp_path: Path, model: str) -> None:
    case = own_case(with_price(evidence(tmp_path), None, model))

    assert case is not None
    assert case.comparison is None
    (paid,) = own_costs(case)
    assert "—" in paid.rows[-1]
    assert f"No price is known for {model}: set service.price." in paid.note


def test_unpriced_calls_make_the_spend_a_lower_bound(tmp_path: Path) -> None:
    rows = (SPEND[0], replace(SPEND[1], usd=0.0, priced=False))
    case = own_case(replace(evidence(tmp_path), spend=rows))

    assert case is not None
    assert case.unpriced == ("openai-chat:gpt-4o",)
    paid, over_time = own_costs(case)
    assert paid.rows[0][-1] == "≥ $2.16"
    assert paid.rows[3][-1].startswith("≥ ")
    assert "lower bound" in over_time.note


def test_a_rehearsal_stands_with_what_its_calls_would_have_cost(tmp_path: Path) -> None:
    named = "openai-chat:rehearsal-of-openai-chat-mine"
    real = StandInFacts("openai-chat:mine", price=PriceFacts(5.0, 15.0), name=named)
    found = with_price(evidence(tmp_path, rehearsed=True), None, named)
    origin = OriginFacts("0.1.0", rehearsed=True, stands_in_for=(real,))
    rows = (replace(SPEND[1], model=named, usd=0.0, priced=False),)
    found = replace(found, setup=replace(found.setup, llamaduo=origin), spend=rows)

    case = own_case(found)

    spent, unpriced = migration_usd(found)
    assert (round(spent, 9), unpriced) == (30_000 * 5e-6 + 24_000 * 15e-6, ())
    assert case is not None
    assert case.model == "openai-chat:mine"
    assert case.rate == Rate(5.0, 15.0)
    assert "This was a rehearsal" in own_costs(case)[0].note
    assert "The same calls to openai-chat:mine would have cost about $0.5100" in spend(found).note


def test_a_rehearsal_of_unknown_models_has_no_price(tmp_path: Path) -> None:
    found = evidence(tmp_path, rehearsed=True)

    assert migration_usd(found) == (0.0, ("openai-chat:judge-a", "openai-chat:gpt-4o"))


@pytest.mark.parametrize(
    "cost",
    [None, CostSettings(), CostSettings(input_tokens_per_month=5, hardware_usd=1.0)],
)
def test_traffic_is_never_guessed(tmp_path: Path, cost: CostSettings | None) -> None:
    assert own_case(gather(start_run(tmp_path), cost=cost)) is None


# --- the paper's case as a table ------------------------------------------------------------


def test_the_papers_table_is_mended_beside_what_was_printed() -> None:
    rows = paper_case().rows

    assert rows[0][1:] == ("$1,950", "$30", "$3,900", "$3,399", "$23,400", "$3,699", "1.7")
    assert rows[1][1:] == ("$1,950", "$30", "$3,900", "$3,369", "$23,400", "$3,699", "under 2")
    assert rows[2][1:] == ("$12,000", "$240", "$24,000", "$21,592", "$144,000", "$23,992", "1.8")
    assert rows[3][1:] == ("$9,750", "$240", "$19,500", "$21,592", "$117,000", "$23,992", "2.2")
    assert rows[4][1:] == (*rows[3][1:-1], "under 2")
    assert all(len(row) == len(paper_case().columns) for row in rows)
    assert "$3,399" in paper_errata()[0]
    assert "$400 a day" in paper_errata()[1]
    assert "after 2.2 months" in paper_errata()[2].replace("\n", " ")
