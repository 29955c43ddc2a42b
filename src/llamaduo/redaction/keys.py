"""Secrets: API keys by the shapes that their makers gave them, tokens, private keys, passwords.

A shape alone would also find placeholders (``sk-your-key-here``), so what follows a prefix must
look drawn by chance, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from llamaduo.redaction.identifiers import Span

_PREFIXES = """
    sk-proj- sk-svcacct- sk-admin- sk-ant- sk-or-v1- sk- sk_live_ sk_test_ rk_live_ rk_test_
    whsec_ ghp_ gho_ ghs_ ghu_ ghr_ github_pat_ glpat- npm_ pypi- hf_ AIza ya29. GOCSPX- xoxa-
    xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- SG. dop_v1_ shpat_ shpss_ shpca_ glsa_ r8_ gsk_ xai-
    pplx- nvapi- lin_api_ secret_ dckr_pat_ tvly- sq0atp- sq0csp- dapi ATATT"""
"""Of OpenAI, Anthropic, Stripe, GitHub, GitLab, Google, Slack and others. One that begins with
another comes before it."""
PREFIXES: Final = tuple(_PREFIXES.split())
PREFIX = re.compile("|".join(map(re.escape, PREFIXES)))
_PREFIXED = re.compile(rf"(?<![A-Za-z0-9_-])(?:{PREFIX.pattern})([A-Za-z0-9_.-]{{16,512}}+)")
_AMAZON = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
JWT = re.compile(r"(?<![\w.-])eyJ[\w-]{8,8192}+\.eyJ[\w-]{8,8192}+\.[\w-]{8,2048}+", re.ASCII)
_TELEGRAM = re.compile(r"(?<!\w)[0-9]{8,10}:AA[\w-]{33}(?![\w-])", re.ASCII)
_WEBHOOK = re.compile(r"hooks\.slack\.com/services/(T\w{5,12}/B\w{5,12}/\w{20,30})", re.ASCII)
_BEARER = re.compile(r"\b(?:Bearer|Basic)[ \t]{1,3}([A-Za-z0-9._~+/-]{20,4096}+)=*", re.I)
_ASSIGNED = re.compile(
    r"(?:api[_-]?key|secret|token|passwo?r?d|pwd|(?:access|account)[_-]?key)['\"]?"
    r"[ \t]{0,3}[:=][ \t]{0,3}['\"]?([A-Za-z0-9_.~+/=-]{16,512}+)",
    re.I,
)
_AFTER_WORDS = {
    _BEARER: ("bearer", "basic"),
    _ASSIGNED: ("key", "secret", "token", "passw", "pwd"),
    _WEBHOOK: ("hooks.slack.com",),
}
_IN_ADDRESS = re.compile(
    r"(?<![a-z0-9])[a-z][a-z0-9+.-]{1,15}://[^\s/:@]{0,64}:([^\s/@]{3,128})@([^\s/:@?#]{1,253})",
    re.I,
)
_PRIVATE = re.compile(r"-----BEGIN ((?:[A-Z0-9]{1,12} ){0,3})PRIVATE KEY(?: BLOCK)?-----")
_END = "-----END "
_BODY = re.compile(r"[A-Za-z0-9+/=]{0,512}+(?:\r?\n[A-Za-z0-9+/=]{1,128}+(?![^\r\n])){0,256}+")
"""What follows the first line of a private key that is cut off: the rest of it, whole lines."""
MARK = "EXAMPLE"
"""In a stand-in for a key, token or password; placeholders have it in any case."""
_PLACEHOLDER = re.compile(
    r"example|your|placeholder|changeme|dummy|x{6}|\*{3}|<|\$\{?[a-z]|1234567890abcdef|^password$"
    r"|^pass$|^secret$",
    re.I,
)


def secrets(text: str) -> Iterator[Span]:
    """API keys, tokens, private keys and passwords in addresses."""
    found = [*_tokens(text)]
    if "://" in text:
        found += (m.span(1) for m in _IN_ADDRESS.finditer(text) if _is_real_login(m[1], m[2]))
    found += _private_keys(text)
    last = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


def _tokens(text: str) -> Iterator[Span]:
    """Each expression is tried only where what it begins with is somewhere in the text."""
    if _has(text, PREFIXES):
        yield from (m.span() for m in _PREFIXED.finditer(text) if _is_random(m[1]))
    if _has(text, ("AKIA", "ASIA")):
        yield from (m.span() for m in _AMAZON.finditer(text) if not _PLACEHOLDER.search(m[0]))
    if "eyJ" in text:
        yield from (m.span() for m in JWT.finditer(text) if MARK not in m[0])
    if ":AA" in text:
        yield from (m.span() for m in _TELEGRAM.finditer(text) if _is_random(m[0]))
    small = text.lower()
    for expression, words in _AFTER_WORDS.items():
        if _has(small, words):
            yield from (m.span(1) for m in expression.finditer(text) if _is_random(m[1]))


def _has(text: str, words: Iterable[str]) -> bool:
    return any(word in text for word in words)


def _is_random(key: str) -> bool:
    """Whether it can have been drawn by chance: letters and digits, one long piece, varied."""
    longest = max(re.split(r"[^A-Za-z0-9]+", key), key=len)
    mixed = any(c.isdigit() for c in key) and any(c.isalpha() for c in key)
    return mixed and len(longest) >= 12 and len(set(key)) >= 8 and not _PLACEHOLDER.search(key)


def _is_real_login(password: str, host: str) -> bool:
    local = host in ("localhost", "127.0.0.1") or host.split(".")[-2:-1] == ["example"]
    return not local and host != "host" and not _PLACEHOLDER.search(password)


def _private_keys(text: str) -> Iterator[Span]:
    """Private keys in PEM, to the line that ends each; where none does, with what follows."""
    after = 0
    unended = False
    for match in _PRIVATE.finditer(text):
        if match.start() < after:
            continue
        end = -1 if unended else text.find(_END, match.end())
        unended = end < 0
        after = _cut_off(text, match.end()) if unended else _line_end(text, end)
        if not match[1].startswith(MARK):
            yield match.start(), after


def _cut_off(text: str, start: int) -> int:
    """The end of what can be the body of a key."""
    body = _BODY.match(text, start)
    return body.end() if body else start


def _line_end(text: str, place: int) -> int:
    """The end of the dashes that close the line which begins at ``place``."""
    closing = text.find("-----", place + len(_END), place + len(_END) + 60)
    return place + len(_END) if closing < 0 else closing + 5
