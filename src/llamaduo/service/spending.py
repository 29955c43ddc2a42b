"""What the ledger's calls come to, by stage and model, whoever owns the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from llamaduo.service.ledger_schema import readable
from llamaduo.storage.journal import Row, read_rows

AFTER_THE_LOOP = "parity"
"""The stage whose calls are made when the loop has ended."""
ATTACK = "attack"
"""The stage whose calls try what a judge falls for; they are no part of the loop either."""
LOOP_USD = (
    "SELECT COALESCE(SUM(usd), 0.0) FROM attempts"  # noqa: S608 - our own constants
    f" WHERE stage NOT IN ('{AFTER_THE_LOOP}', '{ATTACK}')"
)
SPEND = """
    WITH calls AS (
      SELECT *, state = 'sent' AND batch IN (
        SELECT id FROM batches WHERE state IN ('preparing', 'submitted')) IS TRUE AS waits,
      state = 'failed' AND COALESCE(charged, held_usd > 0) AS may_cost,
      state = 'answered' AND key IN (
        SELECT instead_of FROM attempts WHERE instead_of IS NOT NULL) AS useless,
      rowid AS place FROM attempts)
    SELECT stage, model, SUM(state = 'answered'), SUM(state = 'sent' AND NOT waits),
    SUM(state = 'failed'), COALESCE(SUM(input_tokens), 0), COALESCE(SUM(output_tokens), 0),
    COALESCE(SUM(usd), 0.0), SUM(state = 'answered' AND snapshot IS NOT NULL AND usd IS NULL) = 0,
    COALESCE(SUM(cached_tokens), 0),
    TOTAL(CASE WHEN state = 'sent' AND NOT waits THEN held_usd END),
    SUM(waits), TOTAL(CASE WHEN waits THEN held_usd END),
    SUM(may_cost), TOTAL(CASE WHEN may_cost THEN held_usd END),
    SUM(useless), TOTAL(CASE WHEN useless THEN usd END)
    FROM calls GROUP BY stage, model ORDER BY MIN(place)"""


@dataclass(frozen=True, slots=True)
class SpendRow:
    """The calls of one stage to one model. Of a sum that ends in ``_usd_at_most`` nobody knows
    how much was charged; it is in no other sum.

    ``in_doubt`` counts attempts whose answer never arrived, or has not yet; ``waiting`` those
    in a batch that is under way. ``charged`` of the ``failed`` may have been charged. ``unused``
    of the ``answered`` were paid and of no use: the question was asked again. ``priced`` is
    False when answers without a known price count as 0.
    """

    stage: str
    model: str
    answered: int
    in_doubt: int
    failed: int
    input_tokens: int
    output_tokens: int
    usd: float
    priced: bool = True
    cached_tokens: int = 0
    in_doubt_usd_at_most: float = 0.0
    waiting: int = 0
    waiting_usd_at_most: float = 0.0
    charged: int = 0
    charged_usd_at_most: float = 0.0
    unused: int = 0
    unused_usd: float = 0.0


def read_spend(path: Path) -> tuple[SpendRow, ...]:
    """What was spent, of a ledger that another process may own; empty if there is none.

    Raises:
        RunError: the file is not a ledger.
    """
    return spend_rows(read_rows(path, SPEND, readable)) if path.is_file() else ()


def spend_rows(rows: Iterable[Row]) -> tuple[SpendRow, ...]:
    """The rows of :data:`SPEND`."""
    found = (SpendRow(*values) for values in rows)
    return tuple(replace(row, priced=bool(row.priced)) for row in found)
