from __future__ import annotations

import json
from pathlib import Path

import pytest

from qvl.errors import CheckpointError, ConfigError
from qvl.models import find_resume, names_own, resolve_model
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
    run = tmp_path / "2026-01-03_10-00-00-aaaa"
    assert find_resume("latest", run) == middle
    assert find_resume(str(old), run) == old
    assert find_resume(None, run) is None


def test_latest_finds_the_jobs_of_earlier_sweeps(tmp_path):
    sealed(tmp_path / "2026-01-01_10-00-00-aaaa", 7)
    sealed(tmp_path / "2026-01-02_10-00-00-aaaa" / "9", 4)
    last = sealed(tmp_path / "2026-01-02_10-00-00-aaaa" / "10", 5)
    run = tmp_path / "2026-01-03_10-00-00-aaaa" / "0"
    run.mkdir(parents=True)
    (run.parent / "sweep.json").write_text("{}")
    assert find_resume("latest", run) == last


def test_latest_without_any_checkpoint_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="latest"):
        find_resume("latest", tmp_path / "run")


def resumable(run: Path, step: int) -> Path:
    staging = run / "staging"
    staging.mkdir(parents=True)
    (staging / "rng_state.pth").write_text(f"{step}")
    publish(staging, checkpoint_folder(run, step))
    return checkpoint_folder(run, step)


@pytest.mark.parametrize("value", [None, "latest", "other"])
def test_a_run_goes_on_from_its_own_newest_good_checkpoint(tmp_path, caplog, value):
    run, other = tmp_path / "2026-01-02", resumable(tmp_path / "2026-01-03", 99)
    older, newer, damaged = (resumable(run, step) for step in (2, 10, 11))
    (damaged / "rng_state.pth").unlink()
    sealed(run, 12)  # weights only
    caplog.set_level("INFO", logger="qvl")
    assert find_resume(str(other) if value == "other" else value, run) == newer
    assert [word in caplog.text for word in (str(damaged), "weights only", f"from {newer}, step 10")] == [True] * 3
    assert find_resume(str(older), run) == older
    assert names_own(str(older), run) and not names_own(str(other), run)


def test_a_run_without_a_good_checkpoint_of_its_own_begins_again(tmp_path, caplog):
    (resumable(tmp_path, 3) / "rng_state.pth").write_text("damaged")
    assert find_resume(None, tmp_path) is None
    assert "the run begins again" in caplog.text
