"""A browser that opens pages side by side, does to each what a reader could, and says what ran."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE = 120
"""Seconds, for a machine that is very busy; a page that never answers is a failure."""

HARNESS = """<!doctype html><meta charset="utf-8"><body><script>
const marks = new Set(), opened = [];
function mark(number) { marks.add(number); }
const PAGES = %s, EXPECTED = %s;
const asleep = ms => new Promise(done => setTimeout(done, ms));
function poke(frame) {
  const page = frame.contentDocument;
  if (!page) return;
  for (const element of page.querySelectorAll('*')) {
    for (const name of element.getAttributeNames())
      if (name.startsWith('on')) element.dispatchEvent(new Event(name.slice(2)));
    if (element.matches('a, button'))
      element.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
    for (const name of ['mouseover', 'focus'])
      element.dispatchEvent(new Event(name, {bubbles: true}));
  }
  opened.push([frame.dataset.path, page.documentElement.innerHTML.length]);
}
async function main() {
  const frames = PAGES.map(path => Object.assign(document.createElement('iframe'), {src: path}));
  await Promise.all(frames.map((frame, n) => new Promise(done => {
    frame.dataset.path = PAGES[n];
    frame.onload = () => { frame.onload = null; poke(frame); done(); };
    document.body.append(frame);
  })));
  for (let round = 0; round < 100 && EXPECTED.some(n => !marks.has(n)); round++) {
    await asleep(100);
    for (const number of await (await fetch('/visited')).json()) marks.add(number);
  }
  await asleep(500);
  for (const number of await (await fetch('/visited')).json()) marks.add(number);
  await fetch('/result', {method: 'POST', body: JSON.stringify({marks: [...marks], opened})});
}
main();
</script>"""


class Visits(ThreadingHTTPServer):
    """Serves pages from memory on loopback and remembers who asked for ``/owned/NUMBER``."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, tuple[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages = pages
        self.owned: set[int] = set()
        self.strange: set[str] = set()
        self.result: dict[str, Any] = {}
        self.finished = threading.Event()


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Visits

    def do_GET(self) -> None:
        if self.path == "/visited":
            self._reply("application/json", json.dumps(sorted(self.server.owned)).encode())
        elif self.path.startswith("/owned/"):
            self.server.owned.add(int(self.path.removeprefix("/owned/")))
            self._reply("text/plain", b"")
        elif self.path in self.server.pages:
            self._reply(*self.server.pages[self.path])
        else:
            self.server.strange.add(self.path)
            self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.result = json.loads(body)
        self._reply("text/plain", b"")
        self.server.finished.set()

    def _reply(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def open_all(
    pages: Mapping[str, tuple[str, bytes]], expected: set[int], home: Path
) -> tuple[set[int], dict[str, int]]:
    """Open every page at once; the marks that were set, and how long each opened page was.

    Waits for the marks that are expected, and half a second for those that are not.
    """
    listed = json.dumps(sorted(pages))
    harness = HARNESS % (listed, json.dumps(sorted(expected)))
    server = Visits({**pages, "/": ("text/html", harness.encode())})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = _start(f"http://127.0.0.1:{server.server_address[1]}/", home)
    try:
        assert server.finished.wait(PATIENCE), "the browser did not come back"
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        server.shutdown()
        server.server_close()
    return set(server.result["marks"]), dict(server.result["opened"])


def _start(address: str, home: Path) -> subprocess.Popen[bytes]:
    assert CHROMIUM is not None
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={home}",
    )
    return subprocess.Popen(
        [CHROMIUM, *options, address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
