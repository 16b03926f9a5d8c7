"""The front end: how a command is read, how fast it answers, where a run lands."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra_plugins.qvl_torchrun_launcher import _node
from omegaconf import OmegaConf
from verbs import run_python

from qvl import command
from qvl.command import compose, run, tidy
from qvl.errors import ConfigError
from qvl.schema import TrainConfig, register_schema

TORCH = re.compile(r"\b(torch|swift|transformers|datasets|cv2)$", re.MULTILINE)
STARTER = """
import os, sys
from hydra.core.hydra_config import HydraConfig
from qvl.command import run

for _ in range(3):
    if os.fork() == 0:
        run(lambda cfg: sys.stdout.write(HydraConfig.get().runtime.output_dir + "\\n"), config_name="train")
        sys.exit()
for _ in range(3):
    os.wait()
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Run a command in an empty folder; the answer is what the verb saw of each job: its config and its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    seen: list[Any] = []

    def main(cfg: Any) -> None:
        seen.append((OmegaConf.to_container(cfg, resolve=True), Path(HydraConfig.get().runtime.output_dir)))

    def typed(*argv: str) -> list[Any]:
        monkeypatch.setattr(sys, "argv", ["qvl-train", *argv])
        seen.clear()
        run(main, config_name="train", schema=TrainConfig)
        return list(seen)

    return typed


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ([], []),
        (["recipe=a"], ["+recipe=a"]),
        (["+recipe=a"], ["+recipe=a"]),
        (["++recipe=a"], ["+recipe=a"]),
        (["seed=1", "debug=d", "x=2", "recipe=a"], ["+recipe=a", "+debug=d", "seed=1", "x=2"]),
        (["recipe=a,b"], ["+recipe=a,b"]),
        (["training.extra.x=1"], ["++training.extra.x=1"]),
        (["+training.extra.x=1"], ["+training.extra.x=1"]),
        (["data=a.jsonl"], ["data=jsonl", "data.train.path=a.jsonl", "data.val=null"]),
        (["data='my rows.jsonl'"], ["data=jsonl", "data.train.path='my rows.jsonl'", "data.val=null"]),
        (["data=a.jsonl", "data.val.path=b.jsonl"], ["data=jsonl", "data.train.path=a.jsonl", "data.val.path=b.jsonl"]),
        (["recipes=a", "x.recipe=a", "model=recipe"], ["recipes=a", "x.recipe=a", "model=recipe"]),
    ],
)
def test_overrides_are_brought_into_the_form_of_hydra(typed: list[str], wanted: list[str]) -> None:
    assert tidy(typed) == wanted
    assert tidy(wanted) == wanted


def test_a_recipe_is_given_once() -> None:
    with pytest.raises(ConfigError, match="recipe is given 2 times"):
        tidy(["recipe=a", "+recipe=a"])


def test_recipe_with_and_without_plus_is_the_same_run(start: Callable[..., list[Any]]) -> None:
    with_plus, without = start("+recipe=stage2_lora"), start("recipe=stage2_lora")
    assert with_plus[0][0] == without[0][0]
    assert with_plus[0][0]["run_name"] == "stage2_lora"


def test_a_debug_choice_wins_over_the_recipe_in_any_order(start: Callable[..., list[Any]]) -> None:
    for line in ("debug=fast recipe=stage2_lora", "+recipe=stage2_lora +debug=fast"):
        assert start(*line.split())[0][0]["training"]["max_steps"] == 2


def test_a_value_of_the_command_line_wins_over_both(start: Callable[..., list[Any]]) -> None:
    assert start("training.max_steps=7", "debug=fast", "recipe=stage2_lora")[0][0]["training"]["max_steps"] == 7


def test_options_may_stand_anywhere(start: Callable[..., list[Any]], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [tiny, _self_]\n\nmax_pixels: 8192\n")
    basic = "hydra/launcher=basic"
    jobs = start("model=mine", "--config-dir", ".", "seed=1,2", basic, "-m", "recipe=stage1_aligner")
    assert [(cfg["seed"], cfg["model"]["max_pixels"]) for cfg, _ in jobs] == [(1, 8192), (2, 8192)]


def test_a_run_lands_below_multirun_outputs_with_what_was_asked(
    start: Callable[..., list[Any]], tmp_path: Path
) -> None:
    ((cfg, folder),) = start("run_name=mine", "training.extra.neftune_noise_alpha=5")
    assert folder.parents[1] == tmp_path / "multirun_outputs" / "mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{8}", folder.parent.name)
    assert {path.name for path in folder.iterdir()} == {"job.yaml", "status.json"}
    assert cfg["paths"]["root"] == str(tmp_path)
    assert cfg["training"]["extra"] == {"neftune_noise_alpha": 5}


def test_no_file_that_others_can_read_holds_a_secret_that_was_typed(
    start: Callable[..., list[Any]], tmp_path: Path
) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwxyz012345"
    ((_, folder),) = start(f"prompts.user={secret}")
    files = [path for path in folder.parent.rglob("*") if path.is_file()]
    assert {"job.yaml", "multirun.yaml", "status.json", "sweep.json"} <= {path.name for path in files}
    open_files = [path for path in files if path.stat().st_mode & 0o077]
    assert len(open_files) >= 2
    assert [path for path in open_files if secret in path.read_text()] == []


def test_a_sweep_lands_in_one_folder_with_a_folder_per_job(start: Callable[..., list[Any]], tmp_path: Path) -> None:
    jobs = start("augment_prob=0,0.5", "recipe=stage1_aligner,stage2_lora", "run_name=mine", "hydra/launcher=basic")
    assert len(jobs) == 4
    assert len({folder.parent for _, folder in jobs}) == 1
    assert [folder.name for _, folder in jobs] == ["0", "1", "2", "3"]
    assert jobs[0][1].parents[1] == tmp_path / "multirun_outputs" / "mine"


def test_one_process_of_several_may_share_a_given_folder(
    start: Callable[..., list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert start(f"hydra.run.dir={tmp_path}/shared")[0][1] == tmp_path / "shared"


def test_starts_in_one_second_get_a_folder_each(tmp_path: Path) -> None:
    folders = run_python("-c", STARTER, cwd=tmp_path).stdout.splitlines()
    assert len({*folders}) == len(folders) == 3
    assert all(Path(folder).is_dir() for folder in folders)


def test_a_verb_that_a_scheduler_gives_several_devices_is_checked_and_goes_to_torchrun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[int] = []
    monkeypatch.setattr(_node, "this_node", lambda environ: SimpleNamespace(count=2, processes=4))
    monkeypatch.setattr(_node, "run_on_node", lambda node, task, cfg, redact: task.name)
    monkeypatch.setattr(command, "check_job", lambda cfg, job, processes: checked.append(processes))
    monkeypatch.setattr(HydraConfig, "get", lambda: None)
    task = command._on_nodes(lambda cfg: pytest.fail("it ran here"), "qvl.train:main")
    assert task(OmegaConf.create()) == "qvl.train:main"
    assert checked == [8]


def test_an_added_folder_is_used_by_compose(tmp_path: Path) -> None:
    register_schema()
    (tmp_path / "tuner").mkdir()
    (tmp_path / "tuner" / "mine.yaml").write_text("defaults: [llm_lora, _self_]\n\nlora_rank: 3\n")
    assert compose(["tuner=mine"], folder=tmp_path).tuner.lora_rank == 3


def test_environment_is_left_as_it_was(start: Callable[..., list[Any]]) -> None:
    before = dict(os.environ)
    start()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("mine", "seen"), [(None, "PCI_BUS_ID"), ("FASTEST_FIRST", "FASTEST_FIRST")])
def test_a_verb_counts_devices_as_nvidia_smi_does(
    mine: str | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if mine:
        monkeypatch.setenv("CUDA_DEVICE_ORDER", mine)
    monkeypatch.setattr(sys, "argv", ["qvl-train", "hydra.mode=RUN"])
    orders = []
    run(lambda cfg: orders.append(os.environ["CUDA_DEVICE_ORDER"]), config_name="train", schema=TrainConfig)
    assert orders == [seen]


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--info", "defaults-tree"], ["-sc", "query=bash"]])
def test_a_question_is_answered_within_a_second_and_without_torch(flags: list[str], tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = run_python(
            "-m", "qvl.train", "recipe=stage2_lora", *flags, cwd=tmp_path, COMP_LINE="qvl-train +recipe="
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert answer.returncode == 0, answer.stderr
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 1.0:
            break
    assert min(seconds) < 1.0
    imports = run_python("-X", "importtime", "-m", "qvl.train", "--cfg", "job", cwd=tmp_path).stderr
    assert "qvl.command" in imports
    assert TORCH.findall(imports) == []
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_groups_and_a_command(tmp_path: Path) -> None:
    answer = run_python("-m", "qvl.train", "--help", cwd=tmp_path)
    assert answer.returncode == 0
    assert "recipe: pretrain_tiny, pretrain_tiny_pairs, stage1_aligner, stage2_lora" in answer.stdout
    assert "python -m qvl.train recipe=stage2_lora" in answer.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("qvl-train +recipe=", "+recipe=stage2_lora"),
        ("qvl-train recipe=st", "recipe=stage1_aligner"),
        ("qvl-train recipe=stage2_lora tuner=", "tuner=llm_lora"),
        ("qvl-train debug=fast recipe=stage2_lora training.warm", "training.warmup_ratio="),
    ],
)
def test_tab_completes(line: str, offered: str, tmp_path: Path) -> None:
    answer = run_python("-m", "qvl.train", "-sc", "query=bash", cwd=tmp_path, COMP_LINE=line)
    assert offered in answer.stdout.split()
    assert answer.stderr == ""


def test_tab_after_a_mistake_stays_silent(tmp_path: Path) -> None:
    line = "qvl-train recipe=nothing modle=tiny tuner="
    assert run_python("-m", "qvl.train", "-sc", "query=bash", cwd=tmp_path, COMP_LINE=line).stderr == ""
