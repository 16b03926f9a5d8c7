from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from qvl.machine import HubState, checkpoint_bytes, hub_state, room_bytes, weights_bytes

NAME = "someone/model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub, without a hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    use_hub(monkeypatch, "http://127.0.0.1:9")
    hub_state.cache_clear()
    return tmp_path


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


def keep(cache: Path, *files: str) -> Path:
    """Lay files into the cache as the hub's client does."""
    folder = cache / "models--someone--model" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (cache / "models--someone--model" / "refs").mkdir()
    (cache / "models--someone--model" / "refs" / "main").write_text("abc")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    for name in files:
        (folder / name).write_text(json.dumps(index) if name.endswith("index.json") else "1234")
    return folder


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("files", "is_whole"),
    [
        (["config.json", "model.safetensors"], True),
        (["config.json", INDEX, "model-1.safetensors", "model-2.safetensors"], True),
        (["config.json", INDEX, "model-1.safetensors"], False),  # the download was cut short
        (["config.json"], False),  # only the tokenizer was wanted
    ],
)
def test_weights_that_lie_in_the_cache_need_no_hub(
    files: list[str], is_whole: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(cache, *files)
    assert hub_state(NAME) == (HubState.CACHED if is_whole else HubState.UNREACHABLE)
    hub_state.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub_state(NAME) == (HubState.CACHED if is_whole else HubState.OFFLINE)


@pytest.mark.parametrize(
    ("status", "state"), [(200, HubState.REACHABLE), (404, HubState.MISSING), (503, HubState.UNREACHABLE)]
)
def test_the_hub_is_asked_once(status: int, state: HubState, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "abc")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        assert [hub_state(NAME), hub_state(NAME)] == [state, state]
        server.shutdown()
    assert asked == [f"/{NAME}/resolve/main/config.json"]


def test_a_name_that_is_none_is_missing(cache: Path) -> None:
    assert hub_state("a/b/c") == HubState.MISSING


def test_the_bytes_of_weights_are_those_of_all_their_files(cache: Path) -> None:
    assert weights_bytes(keep(cache, "model.safetensors")) == 4
    assert weights_bytes(cache) is None


def test_a_checkpoint_is_never_taken_for_more_than_it_is() -> None:
    weights = 8_900_000_000  # 4B in bfloat16; its adapter with the aligner is 284 MB, stage 1 trains 109.1 M numbers
    kinds = {"trains_all": False, "trains_aligner": True, "optimiser": False}
    assert 0 < checkpoint_bytes(weights, is_whole=False, **kinds) < 284e6
    kinds["optimiser"] = True
    stage1 = checkpoint_bytes(weights, is_whole=True, **kinds)
    assert weights < stage1 < weights + 8 * 109.1e6
    full = checkpoint_bytes(weights, is_whole=True, trains_all=True, trains_aligner=True, optimiser=True)
    assert full == 3 * weights


def test_room_is_that_of_the_disk_where_the_folder_will_lie_and_of_what_will_be_deleted(tmp_path: Path) -> None:
    run = tmp_path / "sweep"
    (run / "0" / "checkpoint-2").mkdir(parents=True)
    with (run / "0" / "checkpoint-2" / "model.safetensors").open("wb") as file:
        file.truncate(2**43)  # takes no room itself
    assert 0 < room_bytes(tmp_path / "a" / "b") < 2**43 < room_bytes(run)
