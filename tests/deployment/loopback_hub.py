"""A Hub on loopback: the endpoints that publishing uses, with their answers, and a record of all.

It keeps repositories in memory and can be told to refuse, to lose a file, or to make every
repository public. Written from the Hub's HTTP interface, not from our client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "hf_canaryCANARY0123456789canaryCANARY"  # noqa: S105  nobody's
LARGE = (".safetensors", ".gguf", ".jsonl")


@dataclass
class Repo:
    """One repository. ``sha`` changes with every commit."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        content = repr((sorted(self.files.items()), self.commits)).encode()
        return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@dataclass
class LoopbackHub:
    """What the server has, what it was asked, and how it misbehaves."""

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    """By "models/OWNER/NAME" or "datasets/OWNER/NAME"."""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    """A part of a path → the status it is answered with."""
    lose: set[str] = field(default_factory=set)
    always_public: bool = False

    def written(self) -> list[str]:
        """The paths of everything but looking."""
        return [path for method, path in self.asked if method != "GET"]


@contextmanager
def loopback_hub() -> Iterator[LoopbackHub]:
    hub = LoopbackHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on standard error."""

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def _answer(self, method: str) -> None:
            path = urlsplit(self.path).path
            hub.asked.append((method, self.path))
            body = self._body()
            status, value = _respond(hub, method, path, body, self.headers.get("Authorization"))
            raw = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(raw)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

    return Handler


def _respond(
    hub: LoopbackHub, method: str, path: str, body: bytes, authorization: str | None
) -> tuple[int, Any]:
    if path.startswith("/objects/"):  # the store: its addresses are signed, not the request
        hub.objects[path.removeprefix("/objects/")] = body
        return 200, {}
    for part, status in hub.refuse.items():
        if part in path:
            return status, {"error": f"refused with {status}"}
    if path != "/api/agent-harnesses" and authorization != f"Bearer {TOKEN}":
        return 401, {"error": "Invalid credentials in Authorization header"}
    if path == "/api/repos/create":
        return _create(hub, json.loads(body))
    if path in _FIXED:
        return 200, _FIXED[path]
    return _about_a_repository(hub, method, path, body)


_FIXED: dict[str, dict[str, Any]] = {
    "/api/agent-harnesses": {},
    "/api/whoami-v2": {"type": "user", "name": "ada"},
    "/api/validate-yaml": {"errors": [], "warnings": []},
}


def _create(hub: LoopbackHub, asked: dict[str, Any]) -> tuple[int, Any]:
    name = f"{asked['organization']}/{asked['name']}"
    key = f"{asked.get('type', 'model')}s/{name}"
    if key in hub.repos:
        return 409, {"error": "You already created this repo"}
    private = asked.get("visibility") == "private" and not hub.always_public
    hub.repos[key] = Repo(private, {".gitattributes": b"*.safetensors filter=lfs\n"})
    return 200, {"url": f"{hub.address}/{name}"}


def _about_a_repository(hub: LoopbackHub, method: str, path: str, body: bytes) -> tuple[int, Any]:
    if found := re.fullmatch(r"/(datasets/)?(.+)\.git/info/lfs/objects/batch", path):
        return 200, {"objects": [_place(hub, one) for one in json.loads(body)["objects"]]}
    found = re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)(/.*)?", path)
    repo = hub.repos.get(found[1]) if found else None
    if found is None or repo is None:
        return 404, {"error": "Repository not found"}
    match (found[2] or "").split("/")[1:]:
        case ["preupload", "main"]:
            return 200, {"files": [_mode(repo, one["path"]) for one in json.loads(body)["files"]]}
        case ["commit", "main"]:
            return _commit(hub, found[1].removeprefix("models/"), repo, body)
        case []:
            return 200, _described(found[1], repo)
    return 404, {"error": "no such endpoint"}


def _place(hub: LoopbackHub, asked: dict[str, Any]) -> dict[str, Any]:
    placed = {"oid": asked["oid"], "size": asked["size"]}
    if asked["oid"] in hub.objects:
        return placed
    upload = {"href": f"{hub.address}/objects/{asked['oid']}", "header": {}}
    return placed | {"actions": {"upload": upload}}


def _mode(repo: Repo, path: str) -> dict[str, Any]:
    large = path.endswith(LARGE)
    there = {"oid": _digest(repo.files[path], large)} if path in repo.files else {}
    mode = "lfs" if large else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False} | there


def _digest(content: bytes, large: bool) -> str:
    """As the Hub names content: its sha256 in the large store, git's hash elsewhere."""
    if large:
        return hashlib.sha256(content).hexdigest()
    blob = f"blob {len(content)}\0".encode() + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def _commit(hub: LoopbackHub, page: str, repo: Repo, body: bytes) -> tuple[int, Any]:
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    header = lines[0]["value"]
    if header.get("parentCommit") not in (None, repo.sha):
        return 412, {"error": "A commit has happened since. Please refresh and try again."}
    for line in lines[1:]:
        value = line["value"]
        if value["path"] in hub.lose:
            continue
        if line["key"] == "file":
            repo.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            repo.files[value["path"]] = hub.objects[value["oid"]]
            repo.large.add(value["path"])
        elif line["key"] == "deletedFile":
            del repo.files[value["path"]]
    repo.commits.append(header["summary"])
    return 200, {"commitOid": repo.sha, "commitUrl": f"{hub.address}/{page}/commit/{repo.sha}"}


def _described(key: str, repo: Repo) -> dict[str, Any]:
    siblings = []
    for name, content in repo.files.items():
        one: dict[str, Any] = {
            "rfilename": name,
            "size": len(content),
            "blobId": _digest(content, large=False),
        }
        if name in repo.large:
            digest = _digest(content, large=True)
            one["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
        siblings.append(one)
    name = key.partition("/")[2]
    return {"id": name, "private": repo.private, "sha": repo.sha, "siblings": siblings}
