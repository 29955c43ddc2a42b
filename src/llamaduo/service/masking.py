"""No key in what is printed or logged, whoever wrote the line.

SDKs log whole requests when asked to (``OPENAI_LOG=debug``), and a traceback may quote a header.
So every key that was read is known here, and so is the look of the headers that carry one.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

MASK = "[secret]"
_SHORTEST = 8
"""A shorter key, as local servers take, may be a part of an ordinary word."""
_HEADER = re.compile(
    r"""((?:authorization|x-api-key|x-goog-api-key|api-key|x-amz-security-token)
    (?:\\?["'])?\s*[:=,]\s*(?:b(?=["']))?(?:\\?["'])?)  # what is before the value
    (?:(?:bearer|basic)\s+)?[^\s"',;)}\]\\]+""",
    re.IGNORECASE | re.VERBOSE,
)
_SIGNED = re.compile(r"(AWS4-HMAC-SHA256\s+)[^\r\n\"'\\]+")


class _Known:
    """The keys that this process has read: as global as the log that they are kept out of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, key: str) -> None:
        with self._lock:
            if key not in self._keys:
                self._keys |= {key}
                longest_first = sorted(self._keys, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def mask(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


_known = _Known()


def hide(key: str) -> None:
    """Mask ``key`` from now on, unless it is too short to be told from a word."""
    if len(key) >= _SHORTEST:
        _known.add(key)


def masked(text: str) -> str:
    """``text`` without any key that was read, and without the values of headers that carry one."""
    text = _SIGNED.sub(rf"\1{MASK}", _known.mask(text))
    return _HEADER.sub(rf"\1{MASK}", text)


def install() -> None:
    """Mask every log record of this process, whatever logger or handler it goes through, and
    every traceback that ends a thread. Doing it twice does it once."""
    made = logging.getLogRecordFactory()
    if not isinstance(made, _Masking):
        logging.setLogRecordFactory(_Masking(made))
    threading.excepthook = _show_thread


def show_traceback(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """What ``sys.excepthook`` does, masked."""
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))


def _show_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        show_traceback(args.exc_type, args.exc_value, args.exc_traceback)


class _Masking:
    """Makes log records whose text is masked, with that of their traceback."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        record.msg, record.args = masked(_message(record)), None
        if record.exc_info and record.exc_info[0]:
            record.exc_text = masked(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None  # a handler of another kind would format it again
        if record.stack_info:
            record.stack_info = masked(record.stack_info)
        return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit: say both
        return f"{record.msg} {record.args}"
