"""What may leave this machine, and what did.

A host that ``service.egress_hosts`` does not allow is refused before anything runs, and again
for every single request. What leaves is in the ledger: host, bytes, and whose text it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llamaduo.errors import UsageError
from llamaduo.redaction.redactor import Redactor
from llamaduo.service import address
from llamaduo.service.ledger_schema import readable
from llamaduo.service.redacting import check_body
from llamaduo.service.settings import ServiceSettings
from llamaduo.storage.journal import read_rows

if TYPE_CHECKING:
    import httpx2

_USUAL_PORTS = {"https": 443, "http": 80}


def check_allowed(settings: ServiceSettings) -> None:
    """Find out whether ``settings`` may be spoken to.

    Raises:
        UsageError: its host is not among ``service.egress_hosts``.
    """
    parts = urlsplit(address.base_url(settings))
    port = parts.port or _USUAL_PORTS.get(parts.scheme, 0)
    Door(settings).check_host(parts.hostname or "", port)


@dataclass(frozen=True, slots=True)
class Door:
    """What every request of one service LLM passes on its way out."""

    settings: ServiceSettings
    redactor: Redactor | None = None

    def check(self, request: httpx2.Request, pairs: tuple[str, ...] = ()) -> None:
        """Look at a request whose body has been read; ``pairs`` are the ids that it is about.

        Raises:
            UsageError: it goes to a host that is not allowed.
            QuestionRefused: strict mode, and there is personal data in its body.
        """
        url = request.url
        self.check_host(url.host, url.port or _USUAL_PORTS.get(url.scheme, 0))
        if self.redactor is not None:
            check_body(self.redactor, request.content, pairs)

    def check_host(self, host: str, port: int) -> None:
        """The first half of :meth:`check`."""
        allowed = self.settings.egress_hosts
        if allowed is None or is_allowed(host, port, allowed):
            return
        names = ", ".join(allowed) or "none, so only this machine"
        raise UsageError(
            f"{self.settings.model}: {host} is not among the hosts that anything may be sent to"
            f" ({names}).",
            hint="If it may be, add it to egress_hosts of this service in llamaduo.yaml.",
        )


def is_allowed(host: str, port: int, allowed: tuple[str, ...]) -> bool:
    """Whether ``allowed`` has ``host``, itself or as ``*.SUFFIX``. An entry with a port is for
    that port alone. This machine's own loopback always is."""
    name = host.lower().rstrip(".")
    listed = any(_matches(name, port, entry.lower()) for entry in allowed)
    return listed or address.is_this_machine(name)


def _matches(name: str, port: int, entry: str) -> bool:
    head, colon, tail = entry.rpartition(":")
    if colon and not entry.endswith("]"):  # of [::1] the colons are no port's
        if int(tail) != port:
            return False
        entry = head
    entry = entry.strip("[]")
    return name.endswith(entry[1:]) if entry.startswith("*.") else name == entry


# --- the record ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EgressRow:
    """What left for one host: requests, bytes of their bodies, and of how many pairs there was
    text in them. ``in_doubt`` requests may have left; their bytes are not known."""

    host: str
    requests: int
    in_doubt: int
    bytes_out: int
    pairs: int


_LEFT = """
    WITH requests AS (
      SELECT host, bytes_out, pairs FROM attempts
      WHERE bytes_out > 0 OR (bytes_out IS NULL AND state = 'sent' AND batch IS NULL)
      UNION ALL SELECT host, bytes_out, pairs FROM controls
    )
    SELECT COALESCE(host, 'not recorded'), COUNT(*), SUM(bytes_out IS NULL),
    COALESCE(SUM(bytes_out), 0),
    (SELECT COUNT(DISTINCT value) FROM requests AS same, json_each(same.pairs)
     WHERE same.host IS requests.host)
    FROM requests GROUP BY host ORDER BY host"""


def read_egress(path: Path) -> tuple[EgressRow, ...]:
    """What left, by host, of a ledger that another process may own; empty if there is none.

    Raises:
        RunError: the file is not a ledger.
    """
    if not path.is_file():
        return ()
    return tuple(EgressRow(*values) for values in read_rows(path, _LEFT, readable))
