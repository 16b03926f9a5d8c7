"""A whole run on a GPU, in the precision of the real models."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.swift]


@pytest.mark.parametrize("recipe", ["stage1_aligner", "stage2_lora"])
def test_a_run_in_bfloat16_lowers_the_loss(tmp_path, demo_folder, tiny_folder, recipe):
    command = [
        sys.executable,
        "-m",
        "qvl.train",
        f"+recipe={recipe}",
        f"hydra.run.dir={tmp_path}/run",
        f"model.path={tiny_folder}",
        "model.torch_dtype=bfloat16",
        "data.prepare=null",
        f"data.train.path={demo_folder}/train.jsonl",
        f"data.val.path={demo_folder}/val.jsonl",
        "training.effective_batch_size=2",
        "training.max_steps=8",
        "evaluation.num_samples=0",
    ]
    subprocess.run(command, check=True, timeout=600)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["after"]["loss"] < metrics["before"]["loss"]
