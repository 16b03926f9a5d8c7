from __future__ import annotations

import json
from pathlib import Path

import pytest

from qvl.errors import CheckpointError, ConfigError
from qvl.models import find_resume, resolve_model
from qvl.runtime.checkpoint import checkpoint_folder, publish


def resolve(path: str) -> str:
    return resolve_model(path, run_folder=Path("unused"), prompts=[], seed=0)


def sealed(run: Path, step: int) -> Path:
    staging = run / "staging"
    staging.mkdir(parents=True)
    (staging / "weights").write_text(f"{run.name} {step}")
    publish(staging, checkpoint_folder(run, step))
    return checkpoint_folder(run, step)


def test_a_hub_id_is_left_as_it_is():
    assert resolve("Qwen/Qwen3-VL-4B-Instruct") == "Qwen/Qwen3-VL-4B-Instruct"


@pytest.mark.parametrize("path", ["qvl://big", "/no/such/folder", "./gone"])
def test_a_path_that_leads_nowhere_is_an_error(path):
    with pytest.raises(ConfigError, match=r"model\.path"):
        resolve(path)


def test_a_checkpoint_that_brings_code_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "evil.Config"}}))
    with pytest.raises(ConfigError, match="auto_map"):
        resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert resolve(str(tmp_path)) == str(tmp_path)
    (tmp_path / "evil.py").write_text("")
    with pytest.raises(ConfigError, match=r"evil\.py"):
        resolve(str(tmp_path))


def test_latest_is_the_newest_good_checkpoint_of_the_newest_run_that_has_one(tmp_path):
    old = sealed(tmp_path / "2026-01-01_10-00-00-aaaa", 9)
    middle = sealed(tmp_path / "2026-01-02_10-00-00-aaaa", 4)
    damaged = sealed(tmp_path / "2026-01-02_10-00-00-aaaa", 5)
    (damaged / "weights").write_text("gone bad")
    (tmp_path / "2026-01-03_10-00-00-aaaa").mkdir()
    assert find_resume("latest", tmp_path) == middle
    assert find_resume(str(old), tmp_path) == old
    assert find_resume(None, tmp_path) is None


def test_latest_without_any_checkpoint_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="latest"):
        find_resume("latest", tmp_path)
