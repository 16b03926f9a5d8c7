"""What `make demo` promises, on the shipped model and the demo scenes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]


def test_stage_2_raises_the_score_on_scenes_that_the_shipped_model_never_saw(tmp_path):
    command = [sys.executable, "-m", "qvl.train", "+recipe=stage2_lora", "hydra.run.dir=run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    before, after = metrics["before"], metrics["after"]
    assert after["f1"] >= before["f1"] + 0.1
    assert after["loss"] < before["loss"]
    assert after["parse_rate"] >= 0.95
    assert "look at it   python -m qvl.visualize predictions=" in done.stdout
