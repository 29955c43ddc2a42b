"""Is a paid reply lost, or bought twice, when the process is killed at any moment?

    python benchmarks/service/kills.py [--kills 1000] [--seed 0] [--out FOLDER]

A run judges responses, 32 calls in flight, against the rehearsal service in a process of its own,
which answers 30 % of all requests with a 503 and keeps its own append-only record. The run lives
in a child that is forked from this process, so that it is at work at once, and gets a SIGKILL at
a random moment; the next life goes on from its ledger. When a run has come to its end, the next
one begins with other questions, until there were enough kills. Three things are counted:

- replies that the run had acknowledged (handed over by the client) and that its ledger lacks after
  the life, or has differently, and acknowledged replies that were bought again;
- replies that were bought and are of no use because the life ended: in each life at most as many
  as were in flight;
- records of a finished run (judgements; of each answer the request, tokens, price and text) that
  are not those of a run with the same questions that was never killed. Times and attempts aside.

Writes ``kills.json`` and ``kills.md`` to FOLDER, by default beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import Message, Pair, Provenance, Question, Reply, Response, pair_id
from llamaduo.rehearsal.process import running_rehearsal
from llamaduo.service.client import connect
from llamaduo.service.ledger import Ledger
from llamaduo.service.ledger_schema import readable
from llamaduo.service.retry import Backoff
from llamaduo.service.settings import ServiceSettings
from llamaduo.storage.journal import read_rows
from llamaduo.tasks.settings import TaskSettings

IN_FLIGHT = 32
LONGER = 1.15
"""Each life of a run may be this much longer than the one before: on a machine that has become
busy, lives in which nothing is answered must not go on for ever."""
RESPONSES, JUDGEMENTS = 45, 2
"""Questions of a run: 90. What was answered is read again in every life."""
LONGEST_LIFE = 0.6
"""Of the time that a run takes when it is left alone, as measured last on this machine."""
FAULTS = ("--fault", "503=0.3", "--latency", "0.002:0.03", "--seed", "1")
PATIENT = Backoff(first=0.005, most=0.05)
HERE = Path(__file__).parent


@dataclass
class Tally:
    """What was found. ``wasted`` has, by life, the replies that were bought and not kept."""

    kills: int = 0
    lives: int = 0
    runs: int = 0
    requests: int = 0
    acknowledged: int = 0
    lost: int = 0
    bought_again: int = 0
    different: int = 0
    undisturbed_seconds: list[float] = field(default_factory=list)
    wasted: Counter[int] = field(default_factory=Counter)

    def passed(self) -> bool:
        most = max(self.wasted, default=0)
        return not (self.lost or self.bought_again or self.different) and most <= IN_FLIGHT


class Acknowledging:
    """A service LLM that writes down, past any kill, which replies its caller has got."""

    def __init__(self, service: Any, path: Path) -> None:
        self._service = service
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.name: str = service.name
        self.concurrency: int = service.concurrency

    def leave(self) -> None:
        self._service.leave()

    async def ask(self, question: Question) -> Reply:
        reply: Reply = await self._service.ask(question)
        os.write(self._file, f"{reply.key} {_digest(reply.text.encode())}\n".encode())
        return reply


class Referee:
    """The service's record, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8")
        self._open = 0
        self.requests = 0

    def paid(self) -> list[str]:
        """The bodies of which a reply was bought since the last look, when all are answered."""
        found: list[str] = []
        quiet = 0
        while self._open > 0 or quiet < 2:
            lines = [json.loads(line) for line in self._file]
            quiet = 0 if lines else quiet + 1
            for line in lines:
                self._count(line, found)
            time.sleep(0.003)
        return found

    def _count(self, line: dict[str, Any], found: list[str]) -> None:
        if line["event"] == "asked":
            self._open += 1
            self.requests += 1
        elif line["event"] == "delivered":
            self._open -= 1
            if line["paid"]:
                found.append(line["sha256"])


def main() -> int:
    options = _parser().parse_args()
    began = time.monotonic()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "asked.jsonl"
        record.touch()
        with running_rehearsal(record, options=FAULTS) as address:
            referee, draw = Referee(record), random.Random(options.seed)
            for number in (-2, -1):  # imports and caches, before any fork; then the time it takes
                tally.undisturbed_seconds = [
                    _timed_run(Path(folder) / f"{number}", address, number)
                ]
            referee.paid()
            gc.freeze()  # a child that collects what was made before would copy all of it
            while tally.kills < options.kills:
                _killed_run(Path(folder), address, referee, draw, tally, options.kills)
                _say(tally, options.kills)
            tally.requests = referee.requests
    _write(tally, time.monotonic() - began, options.out)
    return 0 if tally.passed() else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Kill a run at random moments, again and again.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go")
    return parser


# --- one run and its lives ----------------------------------------------------------------


def _killed_run(
    folder: Path,
    address: str,
    referee: Referee,
    draw: random.Random,
    tally: Tally,
    most_kills: int,
) -> None:
    """Live and die until the run is at its end, and compare it with one that was left alone."""
    run, number = folder / f"run-{tally.runs}", tally.runs
    bought: list[list[str]] = []
    finished = False
    while not finished:
        before = _acknowledged(run)
        longest = LONGEST_LIFE * tally.undisturbed_seconds[-1] * LONGER ** len(bought)
        life = draw.uniform(0.0, longest) if tally.kills < most_kills else None
        finished = _live(run, address, number, life)
        tally.kills += not finished
        bought.append(referee.paid())
        tally.lost += _missing(run)
        tally.bought_again += len(_named_by(before, run) & {body[:24] for body in bought[-1]})
    tally.lives += len(bought)
    tally.runs += 1
    tally.acknowledged += len(_acknowledged(run))
    tally.wasted.update(_wasted(bought))
    left_alone = folder / f"undisturbed-{number}"
    tally.undisturbed_seconds.append(_timed_run(left_alone, address, number))
    referee.paid()
    tally.different += _differences(run, left_alone)


def _live(run: Path, address: str, number: int, seconds: float | None) -> bool:
    """Fork a life of the run and kill it after ``seconds``. Whether it came to its end first."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _one_run(run, address, number)
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # one that has ended is a zombie, and takes it
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise SystemExit(f"a life of {run.name} ended by itself with {os.WEXITSTATUS(status)}")
    return True


def _one_run(run: Path, address: str, number: int) -> None:
    run.mkdir(exist_ok=True)
    result = asyncio.run(_judge(run, address, number))
    (run / "judgements.json.new").write_text(json.dumps(result))
    (run / "judgements.json.new").replace(run / "judgements.json")


def _timed_run(run: Path, address: str, number: int) -> float:
    began = time.perf_counter()
    _one_run(run, address, number)
    return time.perf_counter() - began


async def _judge(run: Path, address: str, number: int) -> dict[str, Any]:
    settings = ServiceSettings(
        model="openai-chat:rehearsal", base_url=address, concurrency=IN_FLIGHT
    )
    with Ledger.open(run / "ledger.sqlite") as ledger:
        async with connect(settings, ledger, backoff=PATIENT) as service:
            pairs, responses = _questions(number)
            judging = JudgingSettings(judgements_per_response=JUDGEMENTS)
            judges = [Acknowledging(service, run / "acknowledged")]
            return asdict(await judge(responses, pairs, judges, judging, TaskSettings()))


def _questions(number: int) -> tuple[list[Pair], list[Response]]:
    pairs = [_pair(f"Ticket {number}.{n}: the printer on floor {n} is out.") for n in range(20)]
    responses = [_response(pairs[n % 20], n) for n in range(RESPONSES)]
    return pairs, responses


def _pair(text: str) -> Pair:
    messages = (Message("user", text),)
    return Pair(
        id=pair_id(messages, "printer"),
        messages=messages,
        response="printer",
        reference_source="human",
        provenance=Provenance(origin="coverage", source="made"),
    )


def _response(pair: Pair, index: int) -> Response:
    return Response(
        id=f"{pair.id}-{index}",
        pair_id=pair.id,
        index=index,
        author="local",
        text=f"printer, answer {index}",
        finish="stop",
        prompt_tokens=1,
        new_tokens=1,
        seconds=0.0,
    )


# --- what became of it --------------------------------------------------------------------


def _acknowledged(run: Path) -> dict[str, str]:
    """The digest of each reply that the run was given, by its key. A torn last line is none."""
    path = run / "acknowledged"
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return dict(line.split() for line in lines if line.endswith("\n"))


def _answers(run: Path) -> Iterator[tuple[Any, ...]]:
    path = run / "ledger.sqlite"
    if path.is_file():
        yield from read_rows(
            path,
            "SELECT key, reply, stage, model, request, status, snapshot, input_tokens,"
            " output_tokens, usd FROM attempts WHERE state = 'answered' ORDER BY key",
            readable,
        )


def _text(reply: bytes) -> str:
    return str(json.loads(reply)["choices"][0]["message"]["content"])


def _missing(run: Path) -> int:
    """Acknowledged replies that the ledger lacks, or has differently."""
    kept = {row[0]: _digest(_text(row[1]).encode()) for row in _answers(run)}
    return sum(kept.get(key) != text for key, text in _acknowledged(run).items())


def _named_by(keys: Iterable[str], run: Path) -> set[str]:
    """The beginnings of the digests of the requests with these keys: the service puts that of
    a request into the id of its reply."""
    wanted = set(keys)
    ids = (json.loads(row[1])["id"] for row in _answers(run) if row[0] in wanted)
    return {id_.removeprefix("chatcmpl-") for id_ in ids}


def _wasted(bought: list[list[str]]) -> list[int]:
    """For each life of a run, the replies it bought that had to be bought again."""
    last = {body: life for life, bodies in enumerate(bought) for body in bodies}
    return [
        sum(last[body] > life for body in bodies) + len(bodies) - len(set(bodies))
        for life, bodies in enumerate(bought)
    ]


def _differences(run: Path, left_alone: Path) -> int:
    """Records that only one of the two runs has, times and attempts aside."""
    return len(_records(run) ^ _records(left_alone))


def _records(run: Path) -> set[str]:
    judgements = json.loads((run / "judgements.json").read_text())
    rows = ([_text(row[1]), *row] for row in _answers(run))
    answers = ([*row[:2], *row[3:]] for row in rows)  # the text, without the raw reply
    return {json.dumps(one) for one in (*judgements["scored"], *judgements["unscored"], *answers)}


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# --- results ------------------------------------------------------------------------------


def _say(tally: Tally, most: int) -> None:
    sys.stderr.write(f"\r{tally.kills} of {most} kills, {tally.runs} runs")
    sys.stderr.flush()


def _write(tally: Tally, seconds: float, out: Path) -> None:
    wasted = sorted(tally.wasted.elements())
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "kills": tally.kills,
        "lives": tally.lives,
        "runs": tally.runs,
        "requests": tally.requests,
        "in_flight": IN_FLIGHT,
        "acknowledged": tally.acknowledged,
        "acknowledged_lost": tally.lost,
        "acknowledged_bought_again": tally.bought_again,
        "records_different": tally.different,
        "undisturbed_seconds": round(median(tally.undisturbed_seconds), 3),
        "wasted_in_a_life": {str(count): lives for count, lives in sorted(tally.wasted.items())},
        "most_wasted_in_a_life": max(wasted, default=0),
        "wasted_by_kill": round(sum(wasted) / max(1, tally.kills), 2),
        "passed": tally.passed(),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "kills.json").write_text(json.dumps(result, indent=2) + "\n")
    text = _page(result)
    (out / "kills.md").write_text(text)
    sys.stderr.write("\n")
    print(text)


def _page(found: dict[str, Any]) -> str:
    made_on = f"{found['at']}; {found['machine']}, Python {found['python']}"
    wasted = f"{found['most_wasted_in_a_life']} (mean {found['wasted_by_kill']} a kill)"
    rows = (
        ("kills, in lives, of runs", f"{found['kills']:,}, {found['lives']:,}, {found['runs']:,}"),
        ("requests that the service counted", f"{found['requests']:,}"),
        ("replies acknowledged", f"{found['acknowledged']:,}"),
        ("of them lost", found["acknowledged_lost"]),
        ("of them bought again", found["acknowledged_bought_again"]),
        (f"most replies bought twice in a life ({found['in_flight']} calls in flight)", wasted),
        ("records unlike those of a run that was not killed", found["records_different"]),
    )
    lines = "\n".join(f"| {what} | {value} |" for what, value in rows)
    return (
        "# Random kills\n\n"
        f"`python benchmarks/service/kills.py --kills {found['kills']}`, {made_on};"
        f" {found['seconds']:,.0f} s. 30 % of the requests were answered with a 503.\n\n"
        f"| what | found |\n| --- | ---: |\n{lines}\n\n"
        f"{'Passed.' if found['passed'] else 'FAILED.'}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
