"""Keeps a server for as long as whoever started this lives: ``python -I keeper.py COMMAND …``.

When standard input closes, the command ends with everything that it has started in its group. A
process that is killed closes it too, whatever killed it, so nobody is left holding a GPU's memory.
Runs as a script, and imports nothing but the standard library: it is there at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

END_SECONDS = 60.0
"""That a server has to end by itself."""
_GONE_SECONDS = 5.0
_POLL_SECONDS = 0.02


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: our starter decides
    command = sys.argv[1:]
    try:
        server = subprocess.Popen(  # noqa: S603 - the user's own command, and no shell
            command, stdin=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        sys.stdout.write(f"{command[0]} cannot be started: {error}\n")
        return 127
    threading.Thread(target=_end_with_the_starter, args=(server.pid,), daemon=True).start()
    code = server.wait()
    _end_workers(server.pid)
    return code if code >= 0 else 128 - code


def _end_with_the_starter(group: int) -> None:
    while os.read(0, 1024):
        pass
    _send(group, signal.SIGTERM)
    time.sleep(END_SECONDS)
    _send(group, signal.SIGKILL)


def _end_workers(group: int) -> None:
    """Those that outlived the server, and wait until the memory that they held is free."""
    deadline = time.monotonic() + _GONE_SECONDS
    while _send(group, signal.SIGKILL) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _send(group: int, sent: signal.Signals) -> bool:
    """Whether anybody was there to get it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sent)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
