"""Plans against what runs did: sizes of files to the byte, memory of a step within 15 percent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qvl.planning import peak_memory

pytestmark = [pytest.mark.slow, pytest.mark.swift]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    from qvl.data import DemoScenes

    root = tmp_path_factory.mktemp("scenes") / "demo"
    return DemoScenes(root=str(root), style="field", seed=3, splits={"train": 8, "val": 2}).prepare()


def words(recipe: str, scenes: Path, *more: str) -> list[str]:
    rows = [f"data.train.path={scenes}/train.jsonl", f"data.val.path={scenes}/val.jsonl", "data.prepare=null"]
    few = ["training.effective_batch_size=2", "training.max_steps=2", "training.save_steps=2", "augment_prob=0"]
    off = ["evaluation.num_samples=0", "evaluation.before_training=false"]
    return [f"recipe={recipe}", *rows, *few, *off, "training.save_strategy=steps", *more]


@pytest.fixture(scope="module", params=["stage1_aligner", "stage2_lora", "stage2_lora and checkpointing"])
def both(request, forked, scenes, tmp_path_factory):
    """A run, and the plan of it."""
    recipe, _, checkpointing = request.param.partition(" and ")
    out = tmp_path_factory.mktemp(recipe)
    typed = words(recipe, scenes, f"training.gradient_checkpointing={bool(checkpointing)}")
    path = {"PYTHONPATH": f"{HERE}:{HERE.parents[1]}:{HERE.parents[1] / 'launchers'}", "PEAKS": str(out / "peaks.json")}
    done = forked("measured_run", *typed, f"hydra.run.dir={out}/run", cwd=out, **path)
    assert done.returncode == 0, done.output[-4000:]
    return out, planned(typed)


def planned(typed: list[str]):
    from omegaconf import OmegaConf

    from qvl.command import compose
    from qvl.models import SHIPPED
    from qvl.opening import OpenedData
    from qvl.schema import register_schema
    from qvl.training import make_plan

    register_schema()
    cfg = compose([*typed, "plan.processes=1"])
    data = OpenedData(cfg)
    config = OmegaConf.to_container(cfg, resolve=True)
    return make_plan(config, data.train(), path=str(SHIPPED), shipped=str(SHIPPED), form=data.context.form)[0]


def test_the_file_of_weights_has_the_size_that_was_planned(both):
    out, plan = both
    [file] = (out / "run/checkpoint-2").glob("*.safetensors")
    assert plan.checkpoint_bytes[0] == file.stat().st_size


def test_files_of_a_model_in_bfloat16_have_the_sizes_that_were_planned(forked, scenes, tmp_path):
    typed = words("stage2_lora", scenes, "model.torch_dtype=bfloat16")
    done = forked("qvl.train", *typed, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert done.returncode == 0, done.output[-4000:]
    folder, plan = tmp_path / "run/checkpoint-2", planned(typed)
    assert plan.checkpoint_bytes[0] == (folder / "adapter_model.safetensors").stat().st_size
    assert plan.model.masters_bytes() == (folder / "trained_float32.safetensors").stat().st_size
    whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert plan.checkpoint_bytes[1] == pytest.approx(whole, rel=0.05)


def test_a_checkpoint_is_about_as_large_as_planned(both):
    out, plan = both
    whole = sum(path.stat().st_size for path in (out / "run/checkpoint-2").rglob("*") if path.is_file())
    assert plan.checkpoint_bytes[1] == pytest.approx(whole, rel=0.05)


def test_a_step_takes_the_memory_that_was_planned(both):
    out, plan = both
    measured = max(json.loads((out / "peaks.json").read_text()))
    model, tuning = plan.model, plan.model.tuning(checkpointing=plan.checkpointing)
    setting = replace(plan.setting, gpu=False)
    most = peak_memory(model.architecture, plan.load.largest, tuning, model.weights, setting)
    rounded = setting.bf16 * 2 * model.weights.matrices
    inside = most.peak - (most.weights - rounded) - most.optimizer  # these are there before a step
    assert inside == pytest.approx(measured, rel=0.15)
