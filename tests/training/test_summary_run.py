"""The recipe for summaries from end to end, on the shipped model and generated pictures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]  # a whole run in a process of its own


def test_the_recipe_for_summaries_runs_offline_and_shows_what_was_measured(tmp_path):
    command = ["-m", "qvl.train", "recipe=stage2_summary", "debug=fast", "hydra.run.dir=run"]
    sizes = ["data.prepare.splits={train: 8, val: 2}", "data.prepare.irrelevant={train: 4, val: 2}"]
    done = subprocess.run(
        [sys.executable, *command, *sizes, "training.learning_rate=1e-3"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "│ loss" in done.stdout
    assert "detection" not in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["after"]["loss"] < metrics["before"]["loss"]
    assert list(metrics["after"]) == ["loss"]
    plan = json.loads((tmp_path / "run" / "epochs.jsonl").read_text().splitlines()[0])["plan"]
    assert {name: source["turns"] for name, source in plan["sources"].items()} == {"pictures": 8, "irrelevant": 4}
