"""What commands say of the machine before they begin."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Here
from verbs import ROOT

from qvl import command
from qvl.schema import machine

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the machines of these tests are others")

TINY = ROOT / "qvl/models/tiny_checkpoint"
FakeTool = Callable[..., None]
TRAIN = ("recipe=stage2_lora", "debug=fast")
ASK = ("model=qvl://tiny", "pictures=photos", "out=answers.jsonl")


@pytest.fixture(autouse=True)
def machine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    command._note.cache_clear()


def findings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of a refusal, one a finding."""
    first, *more = done.stderr.removeprefix("error: ").splitlines()
    return more or [first]


@pytest.mark.parametrize(
    ("verb", "words"),
    [("train", (*TRAIN, "seed=1,2", "hydra.launcher.dry_run=true")), ("infer", ASK)],
)
def test_a_driver_that_torch_cannot_use_is_one_line_and_no_run_folder(
    verb: str, words: tuple[str, ...], here: Here, fake_tool: FakeTool, tmp_path: Path
) -> None:
    fake_tool(4, driver="470.82.01")
    done = here(verb, *words, cwd=tmp_path)
    assert done.returncode == 2
    assert len(findings(done)) == 1, "of two jobs too"
    assert "470.82.01" in done.stderr
    assert "Traceback" not in done.stderr
    assert [*tmp_path.glob("multirun_outputs/*/*/0")] == []
    assert not (tmp_path / "answers.jsonl").exists()


def test_faulty_names_of_devices_are_all_told(
    here: Here, fake_tool: FakeTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tool(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-a0,7")
    done = here("train", *TRAIN, "hydra.launcher.dry_run=true", cwd=tmp_path)
    assert (done.returncode, len(findings(done))) == (2, 2)
    assert not (tmp_path / "multirun_outputs").exists()
    pool = here(
        "train", *TRAIN, "hydra.launcher.devices='1,5'", "seed=1,2", "hydra.launcher.dry_run=true", cwd=tmp_path
    )
    assert (pool.returncode, len(findings(pool))) == (2, 1)


@pytest.mark.parametrize("word", ["hydra/launcher=cpu_2x2", "hydra.launcher.devices=''"])
def test_the_cpu_of_a_machine_with_gpus_is_asked_for_by_an_empty_pool(
    word: str, here: Here, fake_tool: FakeTool, tmp_path: Path
) -> None:
    fake_tool(4, driver="470.82.01")
    done = here("train", *TRAIN, word, "hydra.launcher.dry_run=true", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_cpu_of_a_machine_without_gpus_is_a_note(here: Here, tmp_path: Path) -> None:
    done = here("train", *TRAIN, "seed=1,2", "hydra.launcher.dry_run=true", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert done.stderr.startswith("note: ")


def test_everything_that_is_missing_is_told_at_once_and_where_it_is_asked_for(here: Here, tmp_path: Path) -> None:
    words = ("model=qwen3_vl_4b", "model.path=nobody/nothing/at/all", "model.attn_impl=flash_attention_2")
    asked = ("deepspeed=zero2",) if "deepspeed" not in machine.gather().packages else ()
    done = here("train", *TRAIN, *words, *asked, cwd=tmp_path)
    assert done.returncode == 2
    told = [line.split(": ")[1] for line in findings(done)]
    assert told == ["model.attn_impl", *(["deepspeed.config"] if asked else []), "model.path"]
    assert not (tmp_path / "multirun_outputs").exists()


def test_a_disk_that_is_full_is_told_before_a_run_folder_is_made(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "room_bytes", lambda folder: 10_000)  # a stage 1 checkpoint: the aligner alone
    words = ("recipe=stage1_aligner", "debug=fast", f"model.path={TINY}", f"hydra.run.dir={tmp_path}/run")
    done = here("train", *words, cwd=tmp_path)
    assert (done.returncode, len(findings(done))) == (2, 1)
    assert "training.save_total_limit" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_command_for_another_machine_and_one_that_asks_no_model_are_not_held_back(
    here: Here, fake_tool: FakeTool, tmp_path: Path
) -> None:
    fake_tool(4, driver="470.82.01")
    done = here("train", *TRAIN, "hydra.launcher.gpus_per_job=1", "hydra.launcher.export=jobs", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "jobs" / "jobs.jsonl").is_file()
    scored = here("evaluate", "predictions=none.jsonl", cwd=tmp_path)
    assert "torch" not in scored.stderr


def test_the_engines_of_inference_are_looked_at(here: Here, tmp_path: Path) -> None:
    done = here("infer", *ASK, "engine=vllm", "device_map=cuda:1", cwd=tmp_path)
    assert [line.split(": ")[1] for line in findings(done)] == ["device_map", "engine"]
    assert here("infer", *ASK, "attn_impl=flash", cwd=tmp_path).returncode == 2
