"""Evidence as tables: pure functions, every cell already written as text.

A terminal, a Markdown file and an HTML page show the same tables. No share is printed without
its denominator, and what the run does not know is a dash.
"""

from llamaduo.reporting.tables.counts import stage_counts
from llamaduo.reporting.tables.effort import spend, timings
from llamaduo.reporting.tables.egress import egress, personal_data
from llamaduo.reporting.tables.forecast import calls_ahead, work_ahead
from llamaduo.reporting.tables.funnel import funnel_table
from llamaduo.reporting.tables.judges import (
    agreement_table,
    finding_words,
    findings,
    judge_report,
    judging_effort,
)
from llamaduo.reporting.tables.languages import drops_by_language, scores_by_language
from llamaduo.reporting.tables.losses import drops_by_reason, drops_of_batch, refused_rows
from llamaduo.reporting.tables.measures import differences, free_scores, win_rates
from llamaduo.reporting.tables.parity import parity_result, parity_table
from llamaduo.reporting.tables.portrait import portrait_tables, portraits_of, warnings_of
from llamaduo.reporting.tables.savings import break_even, own_costs, paper_case, paper_errata
from llamaduo.reporting.tables.scores import scores_by_cycle
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.reporting.tables.tokens import token_statistics
from llamaduo.reporting.tables.training import recipes
from llamaduo.reporting.tables.weakness import Weakness, weakness

__all__ = [
    "Column",
    "Row",
    "Table",
    "Weakness",
    "agreement_table",
    "break_even",
    "calls_ahead",
    "differences",
    "drops_by_language",
    "drops_by_reason",
    "drops_of_batch",
    "egress",
    "finding_words",
    "findings",
    "free_scores",
    "funnel_table",
    "judge_report",
    "judging_effort",
    "own_costs",
    "paper_case",
    "paper_errata",
    "parity_result",
    "parity_table",
    "personal_data",
    "portrait_tables",
    "portraits_of",
    "recipes",
    "refused_rows",
    "scores_by_cycle",
    "scores_by_language",
    "spend",
    "stage_counts",
    "timings",
    "token_statistics",
    "warnings_of",
    "weakness",
    "win_rates",
    "work_ahead",
]
