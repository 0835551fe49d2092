import http.server
import socket
import threading
import time
from pathlib import Path

import pytest

from indexer.encoders import hub
from indexer.encoders.device import cuda_is_usable
from indexer.encoders.models import CPU_CHOICE, GPU_CHOICE, RECOMMENDED, available_models, choose_auto
from indexer.encoders.names import published_table


def put_in_hub_cache(folder: Path, repository: str) -> None:
    repo = folder / ("models--" + repository.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "snapshots" / "abc" / "open_clip_model.safetensors").write_bytes(b"weights")


@pytest.mark.parametrize("name", RECOMMENDED)
def test_recommended_models_are_in_open_clips_table(name: str) -> None:
    architecture, tag = name.split("/")
    assert published_table()[architecture][tag]["hf_hub"] == RECOMMENDED[name].repository + "/"


def test_auto_without_a_network_is_the_builtin_model_and_says_so_in_one_line() -> None:
    said: list[str] = []
    start = time.perf_counter()
    assert choose_auto(said.append, "cpu") == "builtin"
    assert time.perf_counter() - start < 1
    (line,) = said
    assert CPU_CHOICE in line
    assert "--model" in line


def test_auto_takes_the_recommended_model_that_is_here(tmp_path: Path) -> None:
    choice = GPU_CHOICE if cuda_is_usable() else CPU_CHOICE
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[choice].repository)
    said: list[str] = []
    assert choose_auto(said.append) == choice
    assert choice in said[0]
    assert "--model" in said[0]


def test_network_that_does_not_answer_costs_its_limit_and_only_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        start = time.perf_counter()
        assert [hub._answers(url, 0.3), hub._answers(url, 0.3)] == [False, False]
        assert time.perf_counter() - start < 0.6


def test_network_that_answers_is_reachable() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert hub._answers(f"http://127.0.0.1:{server.server_port}/", 5.0)
        finally:
            server.shutdown()
            thread.join()


def test_models_tells_what_is_here(tmp_path: Path) -> None:
    before = {entry.name: entry for entry in available_models()}
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[CPU_CHOICE].repository)
    after = {entry.name: entry for entry in available_models()}
    assert (before[CPU_CHOICE].cached, after[CPU_CHOICE].cached) == (False, True)
    assert after[CPU_CHOICE].size_megabytes == 605
    assert after[CPU_CHOICE].imagenet_top_1 == 0.7281
    assert next(iter(after)) == "builtin"


def test_models_lists_every_published_pair_when_asked() -> None:
    names = {entry.name for entry in available_models(every=True)}
    pairs = {f"{architecture}/{tag}" for architecture, tags in published_table().items() for tag in tags}
    assert pairs <= names
    assert len(pairs) > 100
