"""Personal data out, stand-ins in, and back again.

Equal values get equal stand-ins everywhere in a run, different ones different ones; the book
(:mod:`llamaduo.redaction.book`) has the table, and is on the disk before a text is handed on.
For a text that holds no stand-in yet, ``restore(redact(text)) == text``; and what was redacted
is not changed by redacting it again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from llamaduo.errors import RunError
from llamaduo.redaction import standins
from llamaduo.redaction.book import Book
from llamaduo.redaction.find import find
from llamaduo.redaction.restoring import SHORTEST, Restoring
from llamaduo.redaction.settings import Mode, RedactionSettings
from llamaduo.redaction.spans import MIXED, Place, Span, is_within, united, widened

_MOST_ROUNDS = 20
_MOST_REDRAWN = 8
_MOST_TRIES = 2_000
_MOST_KEPT = 1_000
_LONGEST_KEPT = 20_000
"""Texts that were looked through lately, and their characters: the questions of a stage share
most of their messages."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text with stand-ins, and how many there are of each kind."""

    text: str
    kinds: Mapping[str, int] = field(default_factory=dict)


class Redactor:
    """The stand-ins of one run. ``writable`` is False where a run is only looked at: a value
    that the book does not have then stays, since nothing is sent.

    ``counts`` has what was replaced since it was made, by kind.
    """

    def __init__(
        self, settings: RedactionSettings, book: Book | None = None, *, writable: bool = True
    ) -> None:
        self.mode: Mode = settings.mode
        self.counts: Counter[str] = Counter()
        self._book = book or Book.in_memory()
        self._writable = writable
        self._patterns = {name: re.compile(text) for name, text in settings.patterns.items()}
        self._kept: dict[str, Redaction] = {}
        self._avoided: set[str] = set()
        """What would be a stand-in, but that some text holds it already."""

    # --- out ------------------------------------------------------------------------------

    def redact(self, text: str) -> str:
        """``text`` with stand-ins for all that is found in it; the text itself with mode off.

        Raises:
            RunError: the table cannot be written.
        """
        return self.redact_all((text,))[0].text

    def redact_all(self, texts: Iterable[str]) -> list[Redaction]:
        """Every text redacted, and what was found in it, with one wait for the disk."""
        return self._handed_on([self._redact(text) for text in texts])

    def redact_raw(self, texts: Sequence[str]) -> list[Redaction]:
        """:meth:`redact_all` for texts that never were redacted: what one of them holds of its
        own, another's value does not get as a stand-in. Turned back, it would show that value."""
        redactions = [self._redact(text) for text in texts]
        for _ in range(_MOST_REDRAWN):
            if not (held := self._new_and_held_in(texts)):
                break
            self._avoided |= held
            self._book.forget(self._book.unwritten)
            self._kept.clear()
            redactions = [self._redact(text) for text in texts]
        return self._handed_on(redactions)

    def found_in(self, text: str) -> Mapping[str, int]:
        """What would be replaced in ``text``, by kind; nothing with mode off."""
        if self.mode == "off":
            return {}
        if kept := self._kept.get(text):
            return kept.kinds
        found = Counter(span.kind for span in self._find(text))
        if not found:
            self._keep(text, Redaction(text))
        return found

    # --- and back -------------------------------------------------------------------------

    def restore(self, text: str) -> str:
        """``text`` with every stand-in turned back, as far as it stands as it was written."""
        return self._book.stand_ins.restore(text)

    def restoring(self) -> Restoring:
        """The same for a text that arrives in pieces."""
        return Restoring(self._book.stand_ins)

    def restore_stream(self, pieces: Iterable[str]) -> Iterator[str]:
        """The pieces of a text with every stand-in turned back, wherever it was cut."""
        restoring = self.restoring()
        for piece in pieces:
            if shown := restoring.feed(piece):
                yield shown
        if shown := restoring.end():
            yield shown

    def _handed_on(self, redactions: list[Redaction]) -> list[Redaction]:
        self._book.write()
        for one in redactions:
            self.counts.update(one.kinds)
        return redactions

    def _new_and_held_in(self, texts: Iterable[str]) -> set[str]:
        """The stand-ins, drawn since the table was written, that are in ``texts``."""
        if not (new := self._book.new()):
            return set()
        places = self._book.stand_ins.places
        return new.intersection(text[start:end] for text in texts for start, end in places(text))

    # --- one text -------------------------------------------------------------------------

    def _redact(self, text: str) -> Redaction:
        if self.mode == "off":
            return Redaction(text)
        if kept := self._kept.get(text):
            return kept
        spans = self._find(text)
        redacted = self._exactly(text, spans) if spans else text
        return self._keep(text, Redaction(redacted, Counter(span.kind for span in spans)))

    def _keep(self, text: str, redaction: Redaction) -> Redaction:
        if len(text) <= _LONGEST_KEPT:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[text] = redaction
        return redaction

    def _exactly(self, text: str, spans: Sequence[Span]) -> str:
        """With stand-ins that turn back into ``text``: a new one that the text happens to hold
        elsewhere is drawn again."""
        for _ in range(_MOST_REDRAWN):
            before = self._book.unwritten
            redacted = self._replaced(text, spans)
            new = self._book.unwritten - before
            if not new or self.restore(redacted) == text:
                return redacted
            self._avoided.update(self._book.forget(new))
        return self._replaced(text, spans)

    def _replaced(self, text: str, spans: Sequence[Span]) -> str:
        """Replace, and look again: a stand-in beside other text may look like something else,
        and then both get one together."""
        for _ in range(_MOST_ROUNDS):
            redacted, places = self._write(text, spans)
            again = self._find(redacted)
            if not again:
                return redacted
            spans = widened(spans, places, again)
        return self._stand_in(MIXED, text)

    def _write(self, text: str, spans: Sequence[Span]) -> tuple[str, list[Place]]:
        """The text with stand-ins, and where each stands in it."""
        parts: list[str] = []
        places: list[Place] = []
        last = length = 0
        for span in spans:
            stand_in = self._stand_in(span.kind, text[span.start : span.end])
            start = length + span.start - last
            parts += (text[last : span.start], stand_in)
            last, length = span.end, start + len(stand_in)
            places.append((start, length))
        return "".join((*parts, text[last:])), places

    def _find(self, text: str) -> list[Span]:
        """What is to be replaced, in order and apart; stand-ins are known."""
        spans = [Span(one.start, one.end, one.kind) for one in find(text)]
        if not self._patterns:
            return spans
        ours = list(self._book.stand_ins.places(text))
        for name, pattern in self._patterns.items():
            found = (match.span() for match in pattern.finditer(text))
            spans += (Span(*one, name) for one in found if not is_within(one, ours))
        return united(spans)

    # --- one value ------------------------------------------------------------------------

    def _stand_in(self, kind: str, value: str) -> str:
        if (known := self._book.find(kind, value)) is not None:
            return known
        if not self._writable:
            return value
        for tries in range(_MOST_TRIES):
            drawn = self._draw(kind, value, tries)
            if self._is_usable(drawn, value):
                self._book.add(kind, value, drawn)
                return drawn
        raise RunError(
            f"No stand-in is left for another value of the kind {kind}.",
            hint="Check redaction.patterns: an expression may match far more than was meant.",
        )

    def _draw(self, kind: str, value: str, tries: int) -> str:
        words = "\0".join((kind, standins.identity(kind, value), str(tries)))
        seed = hmac.digest(self._book.secret, words.encode(errors="surrogatepass"), hashlib.sha256)
        random = Random(int.from_bytes(seed))
        return standins.draw(kind, value, random, tries, self._patterns.get(kind))

    def _is_usable(self, drawn: str, value: str) -> bool:
        taken = drawn in self._book.stand_ins or drawn in self._avoided
        return len(drawn) >= SHORTEST and not taken and value not in drawn and not find(drawn)


def open_redactor(settings: RedactionSettings, path: Path) -> Redactor:
    """The redactor of a run whose table is at ``path``; nothing is written with mode off.

    Raises:
        RunError: the table is damaged or cannot be written.
    """
    return Redactor(settings, None if settings.mode == "off" else Book.open(path))


def read_redactor(settings: RedactionSettings, path: Path) -> Redactor:
    """The same for a run that is only looked at: nothing is written.

    Raises:
        RunError: the table is missing or damaged.
    """
    book = None if settings.mode == "off" else Book.read(path)
    return Redactor(settings, book, writable=False)
