"""Token statistics of every data set: the layout of the paper's Table 4."""

from __future__ import annotations

from collections.abc import Iterator

from llamaduo.records import TokenStatistics
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import count, decimal
from llamaduo.reporting.tables.table import Column, Row, Table


def token_statistics(evidence: Evidence) -> Table:
    """Shortest, longest, mean and deviation of each split and each synthetic batch.

    A run of an older version has none, and the note says so.
    """
    columns = (
        Column("Set", numeric=False),
        Column("Pairs"),
        Column("Min"),
        Column("Max"),
        Column("Avg."),
        Column("Std."),
    )
    rows = tuple(_row(name, tokens) for name, tokens in _sets(evidence))
    return Table("Tokens of a pair", columns, rows, _NOTE if rows else _MISSING)


_NOTE = (
    "Prompt and response together, in the local LLM’s tokens. Std. is the population standard"
    " deviation. A synthetic set is what curation kept."
)
_MISSING = "Not measured in this run."


def _sets(evidence: Evidence) -> Iterator[tuple[str, TokenStatistics]]:
    tokens = evidence.lengths.tokens if evidence.lengths else {}
    for split, statistics in tokens.items():
        yield f"{split.capitalize()} split", statistics
    for cycle in evidence.cycles:
        if cycle.tokens:
            yield f"Synthetic, after cycle {cycle.cycle}", cycle.tokens


def _row(name: str, tokens: TokenStatistics) -> Row:
    return (
        name,
        count(tokens.pairs),
        count(tokens.shortest),
        count(tokens.longest),
        decimal(tokens.mean),
        decimal(tokens.deviation),
    )
