"""Fetching from a hub that answers as it should, or does not."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FETCH = """
import time
time.sleep = lambda seconds: None  # the hub's library waits ever longer between its tries
from indexer.encoders.hub import fetch_first
try:
    print(fetch_first("someone/model", ("model.safetensors", "model.bin")).name)
except OSError as error:
    print("OSError:", error)
"""


class Hub(BaseHTTPRequestHandler):
    """Has model.bin, and answers for model.safetensors with a status of the test's choice."""

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        asked_first: int = self.server.asked_first  # type: ignore[attr-defined]
        status = asked_first if "safetensors" in self.path else 200
        body = b"weights" if status == 200 else b""
        self.send_response(status)
        if status == 404 and self.server.gives_reasons:  # type: ignore[attr-defined]
            self.send_header("X-Error-Code", "EntryNotFound")
        if asked_first != 200:  # what a login page of a hotel lacks
            self.send_header("ETag", '"' + "a" * 40 + '"')
            self.send_header("X-Repo-Commit", "b" * 40)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def fetched(server: ThreadingHTTPServer, folder: Path, status: int, *, gives_reasons: bool = True) -> str:
    """Fetch in a process of its own: the hub's library reads its settings as it is imported."""
    server.asked_first, server.gives_reasons = status, gives_reasons  # type: ignore[attr-defined]
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_CACHE": str(folder),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    ran = subprocess.run(
        [sys.executable, "-c", FETCH],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **settings},
        timeout=120,
    )
    return ran.stdout.strip()


@pytest.mark.parametrize("gives_reasons", [True, False])
def test_a_file_that_the_repository_lacks_is_replaced_by_the_next(
    server: ThreadingHTTPServer, tmp_path: Path, gives_reasons: bool
) -> None:
    assert fetched(server, tmp_path, 404, gives_reasons=gives_reasons) == "model.bin"


@pytest.mark.parametrize("status", [503, 200])
def test_a_hub_that_fails_is_not_taken_for_one_that_lacks_the_file(
    server: ThreadingHTTPServer, tmp_path: Path, status: int
) -> None:
    told = fetched(server, tmp_path, status)
    assert told.startswith("OSError: the hub did not answer for model.safetensors")
