"""What left this machine, and what was taken out of it before."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from llamaduo.records import ImportFigures
from llamaduo.redaction.find import NOT_LOOKED_FOR, PERSONAL
from llamaduo.reporting.formatting import count, part
from llamaduo.reporting.tables.table import Column, Table
from llamaduo.service.address import is_this_machine
from llamaduo.service.egress import EgressRow


def personal_data(imported: ImportFigures) -> Table:
    """What the import found and put stand-ins for, by kind."""
    columns = (Column("Kind", numeric=False), Column("Found"), Column("In pairs"))
    accepted = imported.read - imported.duplicates - len(imported.refused)
    rows = tuple(
        (PERSONAL.get(one.kind, one.kind), count(one.found), part(one.pairs, accepted))
        for one in imported.redacted or ()
    )
    done = "Each got a stand-in, which is what the run trains on, judges and sends."
    return Table("Personal data", columns, rows, f"{done} {NOT_LOOKED_FOR}")


def egress(rows: Sequence[EgressRow]) -> Table:
    """Requests and bytes by host, and of how many pairs there was text in them."""
    columns = (
        Column("Host", numeric=False),
        Column("Requests"),
        Column("Bytes sent"),
        Column("Pairs"),
    )
    cells = tuple(
        (row.host, count(row.requests), count(row.bytes_out), count(row.pairs)) for row in rows
    )
    doubtful = sum(row.in_doubt for row in rows)
    notes = [
        "Pairs: those of the run with text of theirs in a request, each counted once a host."
        if rows
        else "Nothing was sent."
    ]
    if doubtful:
        notes.append(
            f"{count(doubtful)} of the requests may not have left; their bytes are not counted."
        )
    if here := [row.host for row in rows if is_this_machine(_name(row.host))]:
        notes.append(f"{', '.join(here)}: this machine itself, which nothing left for it.")
    return Table("What left this machine", columns, cells, " ".join(notes))


def _name(host: str) -> str:
    """``HOST:PORT`` or ``[ADDRESS]:PORT`` without its port."""
    return urlsplit(f"//{host}").hostname or ""
