"""What synthesis did to the data: the train split beside the synthetic pairs of each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal

from llamaduo.records import Portrait, Side, TokenStatistics, Wording
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, decimal, part
from llamaduo.reporting.tables.table import Column, Row, Table
from llamaduo.tasks.showing import visible

Named = tuple[str, Portrait]
"""A portrait, and what its synthetic pairs are called."""

MAX_TONGUES = 4
"""Scripts or languages shown of a set of texts, the commonest first."""
MAX_LABELS = 50
Field = Literal["instruction", "response"]
_FIELDS: Final[tuple[Field, ...]] = ("instruction", "response")


def portraits_of(evidence: Evidence) -> tuple[Named, ...]:
    """The portrait of every batch that has one: runs of older versions have none."""
    return tuple((f"after cycle {c.cycle}", c.portrait) for c in evidence.cycles if c.portrait)


def portrait_tables(portraits: Sequence[Named]) -> tuple[Table, ...]:
    """Everything that the portraits say but their warnings; nothing where there are none."""
    if not portraits:
        return ()
    families = (_families(name, one) for name, one in portraits if one.families)
    return (_wording(portraits), _lengths(portraits), *_labels(portraits), *families)


def warnings_of(portraits: Sequence[Named]) -> tuple[str, ...]:
    """The warnings as sentences, each with the batch that it is about where there are several."""
    several = len(portraits) > 1
    return tuple(
        visible(f"Batch {name}: {warning}" if several else warning)
        for name, one in portraits
        for warning in one.warnings
    )


def _columns(portraits: Sequence[Named], first: str) -> tuple[Column, ...]:
    synthetic = (Column(name, group="Synthetic pairs") for name, _ in portraits)
    return Column(first, numeric=False), Column("Train split"), *synthetic


# --- wording --------------------------------------------------------------------------------


def _wording(portraits: Sequence[Named]) -> Table:
    rows = tuple(_wording_rows([one for _, one in portraits]))
    columns = _columns(portraits, "")
    return Table("The train split beside the synthetic pairs", columns, rows, _WORDING_NOTE)


_WORDING_NOTE = (
    "Distinct-n: how many of a text’s runs of n words are different ones, counted over equally many"
    " of both sides, for it falls with the number of runs; so the train split has another figure"
    " beside each batch. Templates: as many equally large ones would make two instructions be of"
    " the same as often as they are. Sets of more than 10,000 pairs are looked at in an evenly"
    " spaced sample."
)


def _wording_rows(portraits: Sequence[Portrait]) -> Iterator[Row]:
    yield _row("Pairs", portraits, lambda side: count(side.pairs))
    if any(side.sampled < side.pairs for one in portraits for side in (one.train, one.synthetic)):
        yield _row("… looked at", portraits, lambda side: count(side.sampled))
    yield _row("Responses that refuse", portraits, lambda side: part(side.refusals, side.sampled))
    for field in _FIELDS:
        told = portraits[0].train.instruction.languages is not None
        name = f"{'Languages' if told else 'Scripts'} of the {field}s"
        yield _row(name, portraits, partial(_tongues, field))
    for field in _FIELDS:
        for place, size in enumerate((1, 2, 3)):
            cells = (_distinct(one, field, place) for one in portraits)
            yield f"Distinct-{size} of the {field}s", UNKNOWN, *cells
    yield _row("Templates", portraits, _templates)


def _row(name: str, portraits: Sequence[Portrait], cell: Callable[[Side], str]) -> Row:
    """The train split is the same for every batch."""
    return name, cell(portraits[0].train), *(cell(one.synthetic) for one in portraits)


def _text(side: Side, field: Field) -> Wording:
    return side.instruction if field == "instruction" else side.response


def _tongues(field: Field, side: Side) -> str:
    """The commonest scripts, or languages, with their shares: ``latin 98.0 %, han 2.0 %``."""
    text = _text(side, field)
    found = text.scripts if text.languages is None else text.languages
    whole = sum(found.values())
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{visible(name)} {100 * n / whole:.1f} %" for name, n in ordered[:MAX_TONGUES]]
    more = [f"{len(ordered) - MAX_TONGUES} more"] if len(ordered) > MAX_TONGUES else []
    return ", ".join([*shown, *more]) or UNKNOWN


def _distinct(portrait: Portrait, field: Field, place: int) -> str:
    before, now = (
        _text(side, field).distinct[place] for side in (portrait.train, portrait.synthetic)
    )
    return UNKNOWN if before is None or now is None else f"{now:.2f} (train: {before:.2f})"


def _templates(side: Side) -> str:
    if side.templates is None:
        return "no two alike"
    hardly = side.templates > side.sampled
    return "hardly any two alike" if hardly else f"{side.templates:,.0f}"


# --- lengths, labels, families --------------------------------------------------------------


def _lengths(portraits: Sequence[Named]) -> Table:
    sides = [("Train split", portraits[0][1].train)]
    sides += [(f"Synthetic, {name}", one.synthetic) for name, one in portraits]
    columns = (
        Column("Set", numeric=False),
        Column("Text", numeric=False),
        *(Column(name) for name in ("Min", "Max", "Avg.", "Std.")),
    )
    rows = tuple(row for name, side in sides for row in _length_rows(name, side))
    return Table(f"Lengths in {portraits[0][1].unit}", columns, rows)


def _length_rows(name: str, side: Side) -> Iterator[Row]:
    yield name, "pair", *_figures(side.lengths)
    yield name, "instruction", *_figures(side.instruction.lengths)
    yield name, "response", *_figures(side.response.lengths)


def _figures(found: TokenStatistics | None) -> Row:
    if found is None:
        return (UNKNOWN,) * 4
    bounds = count(found.shortest), count(found.longest)
    return *bounds, decimal(found.mean), decimal(found.deviation)


def _labels(portraits: Sequence[Named]) -> Iterator[Table]:
    """A row for each label, the commonest in the train split first; none for other tasks."""
    ours = portraits[0][1].train.labels
    if ours is None:
        return
    theirs = [one.synthetic.labels or {} for _, one in portraits]
    every = dict.fromkeys([*ours, *(label for found in theirs for label in found)])
    labels = sorted(every, key=lambda label: -ours.get(label, 0))
    rows = tuple(
        (visible(label), *(_share(label, found) for found in (ours, *theirs)))
        for label in labels[:MAX_LABELS]
    )
    hidden = len(labels) - len(rows)
    note = f"{hidden} more labels are in portrait.json." if hidden > 0 else ""
    yield Table("Labels", _columns(portraits, "Label"), rows, note)


def _share(label: str, found: Mapping[str, int]) -> str:
    return part(found.get(label, 0), sum(found.values()))


def _families(name: str, portrait: Portrait) -> Table:
    columns = (
        Column("One of its instructions", numeric=False),
        Column("Train split"),
        Column("Synthetic pairs"),
    )
    rows = tuple(
        (visible(f.example), f"{100 * f.train:.1f} %", f"{100 * f.synthetic:.1f} %")
        for f in portrait.families
    )
    return Table(f"Largest template families, {name}", columns, rows, _FAMILIES_NOTE)


_FAMILIES_NOTE = (
    "A family: instructions whose ROUGE-L with the family’s first one reaches 0.5 outside of shared"
    " frames. Shares are of the pairs looked at."
)
