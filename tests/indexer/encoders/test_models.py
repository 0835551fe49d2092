import http.server
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from indexer.encoders import hub, models
from indexer.encoders.device import cuda_is_usable
from indexer.encoders.models import (
    CPU_CHOICE,
    GPU_CHOICE,
    RECOMMENDED,
    available_models,
    choose_auto,
    is_complete,
)
from indexer.encoders.names import BUILTIN, hub_files, published_table, resolve


def put_in_hub_cache(folder: Path, repository: str, file: str = "open_clip_model.safetensors") -> None:
    repo = folder / ("models--" + repository.replace("/", "--"))
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "snapshots" / "abc" / file).write_bytes(b"weights")


def put_tokenizer_in_hub_cache(folder: Path, repository: str) -> None:
    snapshot = folder / ("models--" + repository.replace("/", "--")) / "snapshots" / "abc"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (snapshot / name).write_text("{}")


@pytest.mark.parametrize("name", RECOMMENDED)
def test_recommended_models_are_in_open_clips_table(name: str) -> None:
    architecture, tag = name.split("/")
    assert published_table()[architecture][tag]["hf_hub"] == RECOMMENDED[name].repository + "/"


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give a hub that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def waiting_calls(server: socket.socket) -> int:
    server.setblocking(False)
    calls = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            calls += 1
    return calls


def test_auto_without_a_network_is_the_builtin_model_and_says_so_in_one_line(
    silent_hub: socket.socket,
) -> None:
    said: list[str] = []
    assert choose_auto(said.append, "cpu") == "builtin"
    assert waiting_calls(silent_hub) == 0
    (line,) = said
    assert CPU_CHOICE in line
    assert "--model" in line


def test_auto_takes_the_recommended_model_that_is_here(tmp_path: Path) -> None:
    choice = GPU_CHOICE if cuda_is_usable() else CPU_CHOICE
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[choice].repository)
    put_tokenizer_in_hub_cache(tmp_path / "hub", RECOMMENDED[choice].repository)
    said: list[str] = []
    assert choose_auto(said.append) == choice
    assert choice in said[0]
    assert "--model" in said[0]


def test_network_that_does_not_answer_costs_its_limit_and_only_once(silent_hub: socket.socket) -> None:
    url = hub._endpoint()
    assert [hub._answers(url, 0.3), hub._answers(url, 0.3)] == [False, False]
    silent_hub.settimeout(60)
    silent_hub.accept()[0].close()  # the first call may come late
    assert waiting_calls(silent_hub) == 0


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


def test_a_model_without_its_tokenizer_is_not_said_to_be_here(tmp_path: Path) -> None:
    repository = RECOMMENDED[GPU_CHOICE].repository
    put_in_hub_cache(tmp_path / "hub", repository)
    before = {entry.name: entry for entry in available_models()}
    put_tokenizer_in_hub_cache(tmp_path / "hub", repository)
    after = {entry.name: entry for entry in available_models()}
    assert (before[GPU_CHOICE].cached, after[GPU_CHOICE].cached) == (False, True)


def test_auto_without_the_tokenizer_and_a_network_is_the_builtin_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "choose_device", lambda wanted: "cuda:0")
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[GPU_CHOICE].repository)
    said: list[str] = []
    assert choose_auto(said.append) == "builtin"
    assert f"the tokenizer of {GPU_CHOICE} is not on this computer" in said[0]


def test_auto_is_the_builtin_model_when_only_the_tokenizer_cannot_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "choose_device", lambda wanted: "cuda:0")
    monkeypatch.setattr(models, "hub_reachable", lambda: True)  # it answers, and then has nothing
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[GPU_CHOICE].repository)
    said: list[str] = []
    assert choose_auto(said.append) == "builtin"
    assert "fetching its tokenizer" in said[0]
    assert "its tokenizer comes from" in said[1]


def test_models_lists_what_the_hub_cache_holds(tmp_path: Path) -> None:
    put_in_hub_cache(tmp_path / "hub", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K")
    put_in_hub_cache(tmp_path / "hub", "somebody/else")
    known = {BUILTIN, *RECOMMENDED}
    listed = [entry for entry in available_models() if not entry.exported and entry.name not in known]
    assert [(entry.name, entry.cached) for entry in listed] == [("ViT-L-14/datacomp_xl_s13b_b90k", True)]


def listed_beside_the_known() -> list[str]:
    known = {BUILTIN, *RECOMMENDED}
    return [entry.name for entry in available_models() if not entry.exported and entry.name not in known]


def test_models_lists_cached_weights_whatever_their_file_is_called(tmp_path: Path) -> None:
    put_in_hub_cache(tmp_path / "hub", "jienengchen/ViTamin-S", "pytorch_model.bin")
    assert listed_beside_the_known() == ["ViTamin-S/datacomp1b"]


def test_models_lists_what_shares_its_weights_with_a_recommended_one(tmp_path: Path) -> None:
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED["ViT-B-32/openai"].repository)
    assert listed_beside_the_known() == ["ViT-B-32-quickgelu/openai"]


def test_the_table_is_not_imported_for_what_it_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise AssertionError("3 s for nothing")

    monkeypatch.setattr(models, "published_table", fail)
    put_in_hub_cache(tmp_path / "hub", "somebody/llm", "pytorch_model.bin")
    put_in_hub_cache(tmp_path / "hub", RECOMMENDED[CPU_CHOICE].repository)
    assert listed_beside_the_known() == []


def test_the_text_of_the_table_names_every_repository() -> None:
    entries = [entry for tags in published_table().values() for entry in tags.values()]
    repositories = {hub_files(entry)[0] for entry in entries} - {""}
    assert {each for each in repositories if not models._is_in_table(each)} == set()


def test_the_recommended_models_that_share_their_weights_are_known_as_such() -> None:
    counts = Counter(hub_files(entry)[0] for tags in published_table().values() for entry in tags.values())
    assert [facts.is_shared for facts in RECOMMENDED.values()] == [
        counts[facts.repository] > 1 for facts in RECOMMENDED.values()
    ]


def test_a_model_without_its_tokenizer_is_not_complete(tmp_path: Path) -> None:
    repository = RECOMMENDED[GPU_CHOICE].repository
    put_in_hub_cache(tmp_path / "hub", repository)
    files = resolve(GPU_CHOICE, lambda _line: None, fetch=False)
    before = is_complete(files)
    put_tokenizer_in_hub_cache(tmp_path / "hub", repository)
    assert (before, is_complete(files)) == (False, True)
