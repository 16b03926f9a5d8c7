"""The recipe for summaries from end to end, on the shipped model and generated pictures."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]


def test_the_recipe_for_summaries_runs_offline_and_shows_what_was_measured(forked, tmp_path):
    command = ["qvl.train", "recipe=stage2_summary", "debug=fast", "hydra.run.dir=run"]
    sizes = ["data.prepare.splits={train: 8, val: 2}", "data.prepare.irrelevant={train: 4, val: 2}"]
    done = forked(*command, *sizes, "training.learning_rate=1e-3", cwd=tmp_path)
    assert done.returncode == 0, done.output[-4000:]
    assert "│ loss" in done.stdout
    assert "│ summaries: F1" in done.stdout
    assert "│ F1@0.5" not in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["after"]["loss"] < metrics["before"]["loss"]
    names = ("exact_match", "same_facts", "readable", "precision", "recall", "f1")
    losses = ["loss", "loss_irrelevant", "loss_pictures"]
    assert list(metrics["after"]) == [*losses, "token_acc", *(f"summary/{name}" for name in names)]
    plan = json.loads((tmp_path / "run" / "epochs.jsonl").read_text().splitlines()[0])["plan"]
    assert {name: source["turns"] for name, source in plan["sources"].items()} == {"pictures": 8, "irrelevant": 4}
