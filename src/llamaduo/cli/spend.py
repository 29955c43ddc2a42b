"""`llamaduo spend`: what a run has paid, what it may have, and what that brought."""

from __future__ import annotations

from dataclasses import asdict

from llamaduo.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NameOption,
    RehearseOption,
)


def spend(
    config: ConfigOption = DEFAULT_CONFIG,
    name: NameOption = None,
    rehearse: RehearseOption = False,
    json: JsonOption = False,
) -> None:
    """Money by stage, model and state: settled, in doubt after a crash, lost to retries."""
    from llamaduo.cli.output import print_json, print_tables
    from llamaduo.cli.session import begin_existing
    from llamaduo.reporting.tables.egress import egress
    from llamaduo.reporting.tables.spending import spending, total, unpriced
    from llamaduo.service.egress import read_egress
    from llamaduo.service.ledger import read_spend
    from llamaduo.storage.lock import is_locked

    directory = begin_existing(config, name, rehearse).directory
    in_flight = is_locked(directory.root)
    rows = read_spend(directory.ledger)
    left = read_egress(directory.ledger)
    if json:
        print_json(
            {
                "run": str(directory.root),
                "in_flight": in_flight,
                "rows": [asdict(row) for row in rows],
                "total": asdict(total(rows)),
                "unpriced": unpriced(rows),
                "egress": [asdict(row) for row in left],
            }
        )
    else:
        table = spending(rows, in_flight=in_flight)
        print_tables([table, egress(left)])
        if not rows:
            _say(table.note)


def _say(note: str) -> None:
    from llamaduo.cli.output import console

    console().print(note, markup=False)
