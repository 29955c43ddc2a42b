"""From tokens to text that can be shown: whole characters, and nothing of a stop string. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet one."""

Decode = Callable[[Sequence[int]], str]


class TokenText:
    """The text of tokens that come one by one. All pieces together are ``decode`` of all tokens,
    but where a decoder takes back what it said: SentencePiece's breaks a whole run of bytes for
    one that is wrong. What has been shown stays.

    A piece ends where a character does: bytes of one that is not complete are kept back, and
    so is a character that really is U+FFFD, until the next one shows that it is not half of
    another. Tokens are decoded after those before them, because a decoder may drop a space at
    the beginning of a text.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._shown = 0  # so many of them have been shown, after the text of the others
        self._text = ""  # theirs

    def push(self, token: int) -> str:
        """The text that ``token`` completes; often all of its own, sometimes nothing."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        if text.endswith(_BROKEN) or len(text) <= len(self._text):
            return ""
        piece = text[len(self._text) :]
        self._tokens = self._tokens[self._shown :]
        self._shown = len(self._tokens)
        self._text = self._decode(self._tokens)
        return piece

    def rest(self) -> str:
        """What was kept back, broken or not: the answer has ended."""
        return self._decode(self._tokens)[len(self._text) :]


class StopStrings:
    """Ends a text before the first of some strings, without showing a part of it on the way.

    The first is the one that is complete first; of two that are complete at once, the longer.
    So the text does not depend on the pieces that it comes in.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = sorted(filter(None, stops), key=len, reverse=True)
        self._kept = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """The text that can be shown now. After :attr:`stopped` there is no more."""
        text = self._kept + piece
        found = [(text.find(stop) + len(stop), -len(stop)) for stop in self._stops if stop in text]
        if found:
            end, length = min(found)
            self._kept, self.stopped = "", True
            return text[: end + length]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._kept = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was kept back as the possible beginning of a stop string that did not come."""
        kept, self._kept = self._kept, ""
        return kept


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
