"""Models from the Hub, from a small one on loopback that speaks as much of its API as we use."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SAFE = {"config.json": b"{}", "model.safetensors": b"weights", "README.md": b"Apache-2.0"}
REPOSITORIES: dict[str, dict[str, bytes]] = {
    "owner/safe": SAFE
    | {
        "pytorch_model.bin": b"pickle",
        "consolidated.safetensors": b"the same, for others",
        "original/model.safetensors": b"the same, for others",
    },
    "owner/guarded": SAFE,
    "owner/pickled": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
}
SCRIPT = """
import json, sys
from llamaduo.errors import ModelError
from llamaduo.finetuning.models.hub import download, is_cached, revision_of
found = []
for name, revision in json.loads(sys.argv[1]):
    try:
        folder = download(name, revision)
        files = sorted(path.name for path in folder.iterdir())
        found.append([revision_of(folder), files, is_cached(name, revision)])
    except ModelError as error:
        found.append([error.message, error.hint])
print(json.dumps(found))
"""


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = unquote(self.path).partition("?")[0].strip("/").split("/")
        match parts:
            case ["api", "models", owner, name, "tree", _]:
                self._tree(f"{owner}/{name}")
            case ["api", "models", owner, name, "revision", revision]:
                self._info(f"{owner}/{name}", revision)
            case [owner, name, "resolve", _, file]:
                self._file(f"{owner}/{name}", file)
            case _:
                self._send(404, b"")

    def _info(self, name: str, revision: str) -> None:
        if name == "owner/gated":
            self._send(403 if self.headers["Authorization"] else 401, b"", "GatedRepo")
        elif name == "owner/down":
            self._send(503, b"")
        elif self.headers["Authorization"]:
            self._send(401, b"", message="Invalid credentials in Authorization header")
        elif name not in REPOSITORIES:
            self._send(404, b"", "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self._send(404, b"", "RevisionNotFound")
        else:
            files = [{"rfilename": file} for file in REPOSITORIES[name]]
            info = {"id": name, "modelId": name, "sha": COMMIT, "siblings": files}
            self._send(200, json.dumps(info).encode())

    def _tree(self, name: str) -> None:
        entries = [
            {"type": "file", "path": file, "size": len(content), "oid": hashed(content)}
            for file, content in REPOSITORIES[name].items()
        ]
        self._send(200, json.dumps(entries).encode())

    def _file(self, name: str, file: str) -> None:
        if name == "owner/guarded" and file != "README.md":  # as the Hub guards most gated models
            self._send(401, b"", "GatedRepo")
            return
        content = REPOSITORIES[name][file]
        self._send(200, content, etag=hashed(content))

    def _send(
        self, status: int, content: bytes, error: str = "", etag: str = "", message: str = ""
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Length": str(len(content)),
            "X-Repo-Commit": COMMIT,
            "X-Error-Code": error,
            "X-Error-Message": message,
            "ETag": f'"{etag}"' if etag else "",
        }
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def downloads(home: Path, asked: list[list[str | None]], **environment: str) -> Any:
    """What :func:`download` gives or says, each in order, in a process with a Hub of its own."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        env=keep | {"HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def test_models_of_the_hub(endpoint: str, tmp_path: Path) -> None:
    asked: list[list[str | None]] = [
        ["owner/safe", None],
        ["owner/safe", COMMIT],
        ["owner/pickled", None],
        ["owner/gated", None],
        ["owner/guarded", COMMIT],
        ["owner/none", None],
        ["owner/safe", "v9"],
        ["owner/down", None],
    ]
    safe, pinned, pickled, gated, guarded, missing, revision, down = downloads(
        tmp_path, asked, HF_ENDPOINT=endpoint
    )
    # A name without a revision is of today's commit, which is known from then on.
    assert safe == pinned == [COMMIT, ["README.md", "config.json", "model.safetensors"], True]
    assert "owner/pickled has no weights as safetensors" in pickled[0]
    assert "pytorch_model.bin" in pickled[0]
    assert "refs/pr/" in pickled[1]
    assert "owner/gated is gated" in gated[0]
    assert "https://huggingface.co/owner/gated" in gated[1]
    assert "hf auth login, or set HF_TOKEN" in gated[1]
    assert [text.replace("guarded", "gated") for text in guarded] == gated
    assert "no model owner/none" in missing[0]
    assert "HF_TOKEN" in missing[1]
    assert "no revision v9" in revision[0]
    assert "the Hub answers with an error (503)" in down[0]

    # With a token whose account has not accepted it, signing in again would not help; with one
    # that is wrong, nothing else would.
    (_, hint), refused = downloads(
        tmp_path,
        [["owner/gated", None], ["owner/else", None]],
        HF_ENDPOINT=endpoint,
        HF_TOKEN="hf_x",  # noqa: S106 - of nobody
    )
    assert "hf auth whoami" in hint
    assert "The Hub refuses the token" in refused[0]
    assert "HF_TOKEN" in refused[1]

    # Offline, what is here is used, and nothing else is asked for.
    here, gone = downloads(
        tmp_path,
        [["owner/safe", None], ["owner/else", None]],
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HUB_OFFLINE="1",
    )
    assert here == safe
    assert "HF_HUB_OFFLINE is set" in gone[0]
    assert "hf download owner/else" in gone[1]
