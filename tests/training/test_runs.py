"""Whole runs in processes of their own, on a tiny model with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from qvl.sweep.events import read_events
from qvl.sweep.reading import Reader

pytestmark = [pytest.mark.slow, pytest.mark.swift]


def command(recipe: str, out: Path, data: Path, model: Path, *overrides: str) -> list[str]:
    return [
        "qvl.train",
        f"+recipe={recipe}",
        "+debug=fast",
        f"hydra.run.dir={out}",
        f"model.path={model}",
        "data.prepare=null",
        "data.images_per_user_turn=2",
        f"data.train.path={data}/train.jsonl",
        f"data.val.path={data}/val.jsonl",
        "data.train.limit=null",
        "data.val.limit=null",
        "evaluation.num_samples=0",
        "training.effective_batch_size=2",
        "training.max_steps=4",
        "training.save_strategy=steps",
        "training.save_steps=1",
        "training.save_total_limit=null",
        *overrides,
    ]


@pytest.fixture(scope="module")
def run(forked, tmp_path_factory):
    """Runs a command in one process or several and returns what it says."""
    folder = tmp_path_factory.mktemp("cwd")

    def run(arguments: list[str], *, fails: bool = False, ranks: int = 1, **environ: str) -> str:
        done = forked(*arguments, cwd=folder, ranks=ranks, **environ)
        assert [code != 0 for code in done.codes] == [fails] * ranks, done.output[-4000:]
        return done.output

    return run


def weights(checkpoint: Path) -> dict[str, object]:
    [file] = checkpoint.glob("*.safetensors")
    return load_file(file)


def same(first: dict[str, object], second: dict[str, object]) -> bool:
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


@pytest.fixture(scope="module", params=["stage1_aligner", "stage2_lora"])
def whole_run(request, run, tmp_path_factory, demo_folder, tiny_folder):
    """A run of four steps; nine rows make five turns, three steps an epoch: step 4 is in epoch 2."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    output = run(command(request.param, out, demo_folder, tiny_folder, "evaluation.num_samples=2"))
    return request.param, out, output


def test_a_run_ends_with_a_table_and_leaves_what_is_needed_to_repeat_it(whole_run):
    _, out, output = whole_run
    assert "F1@0.5" in output
    assert "python -m qvl.visualize predictions=" in output
    manifest = json.loads((out / "run_manifest.json").read_text())
    assert [entry["rows"] for entry in manifest["data"]] == [9, 4]
    assert all(len(entry["sha256"]) == 64 for entry in manifest["data"])
    assert manifest["packages"]["ms-swift"].startswith("4.")
    assert "learning_rate" in (out / "config.yaml").read_text()
    assert list((out / "tensorboard").glob("events*"))
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["after"]["loss"] < metrics["before"]["loss"]
    assert_speed_is_told(out, metrics["speed"], output)
    assert len((out / "predictions_after.jsonl").read_text().splitlines()) == 4
    dump = (out / "conversation.txt").read_text()
    assert "masked, labels -100" in dump
    assert "trained on" in dump
    assert "<|image_pad|> x 48" in dump


def assert_speed_is_told(out: Path, speed: dict[str, float], output: str) -> None:
    names = {"samples_per_second", "tokens_per_second", "useful_share", "data_wait_share"}  # no more on a CPU
    assert speed.keys() == names
    assert 0.4 < speed["useful_share"] <= 1
    assert 0 < speed["data_wait_share"] < 1
    assert f"{speed['samples_per_second']:.3g} samples/s" in output
    progress = json.loads((out / "progress.json").read_text())
    assert {name for name in (*names, "mfu") if progress[name] is not None} == names
    events = read_events(sorted((out / "tensorboard").glob("events*")), Reader(), growing=False)[0]
    assert [point.step for point in events["train/useful_share"].points] == [1, 2, 3, 4]
    assert {f"train/{name}" for name in names} < events.keys()


def test_a_resumed_run_inside_epoch_2_is_bit_identical(run, whole_run, tmp_path, demo_folder, tiny_folder):
    recipe, out, _ = whole_run
    resume = f"training.resume_from_checkpoint={out}/checkpoint-3"
    run(command(recipe, tmp_path / "resumed", demo_folder, tiny_folder, resume))
    assert same(weights(out / "checkpoint-4"), weights(tmp_path / "resumed" / "checkpoint-4"))
    assert not same(weights(out / "checkpoint-4"), weights(out / "checkpoint-3"))


def test_a_damaged_checkpoint_is_refused_and_the_newest_good_one_named(
    run, whole_run, tmp_path, demo_folder, tiny_folder
):
    recipe, out, _ = whole_run
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    (copy / "checkpoint-4" / "optimizer.pt").unlink()
    resume = f"training.resume_from_checkpoint={copy}/checkpoint-4"
    output = run(command(recipe, tmp_path / "resumed", demo_folder, tiny_folder, resume), fails=True)
    assert "optimizer.pt" in output
    assert "checkpoint-3" in output


def test_a_checkpoint_holds_only_what_the_recipe_trains(whole_run, tiny_folder):
    recipe, out, output = whole_run
    trained = weights(out / "checkpoint-4")
    if recipe == "stage2_lora":
        parts = {"merger" if "merger" in name else "lora" if "lora_" in name else name for name in trained}
        assert parts == {"merger", "lora"}
        assert len(trained) == 4 * 7 * 2 + 24
        return
    base = weights(tiny_folder)
    assert trained.keys() == {name for name in base if "merger" in name}
    assert all((trained[name] != base[name]).any() for name in trained)
    assert not (out / "checkpoint-4" / "config.json").exists()
    assert "whole model  python -m qvl.export checkpoint=" in output


def test_two_processes_train_the_same_weights_as_one(run, tmp_path, demo_folder, tiny_folder):
    """Five turns on two processes: the last step has a filler that must not change anything, and neither do answers."""
    sgd = (
        "training.extra.optim=sgd",
        "training.learning_rate=0.1",
        "training.aligner_lr=0.1",
    )  # Adam would amplify noise
    order = "data.batching=exact"  # the turns of a step do not depend on the number of processes
    shared = (*sgd, order, "training.max_steps=3", "training.per_device_train_batch_size=1", "tuner.lora_dropout=0.0")
    one, two = tmp_path / "one", tmp_path / "two"
    run(command("stage2_lora", one, demo_folder, tiny_folder, *shared))
    answers = ("evaluation.every_steps=1", "evaluation.num_samples=1", "evaluation.max_new_tokens=8")
    best = "training.metric_for_best_model=detection/f1_50"
    run(command("stage2_lora", two, demo_folder, tiny_folder, *shared, *answers, best), ranks=2)
    start, first, second = (
        weights(path) for path in (one / "checkpoint-1", one / "checkpoint-3", two / "checkpoint-3")
    )
    moved = max(abs(first[name] - start[name]).max() for name in first)
    assert max(abs(first[name] - second[name]).max() for name in first) < 1e-3 * moved
    for name in ("before", "step-1", "step-2", "step-3", "after"):  # one turn, so the second process has none
        assert len((two / f"predictions_{name}.jsonl").read_text().splitlines()) == 2
    assert json.loads((two / "metrics.json").read_text())["best_checkpoint"] == str(two / "checkpoint-1")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tuner.modules_to_save=[model.visual.mergr]"], ["model.visual.mergr", "model.visual.merger"]),
        (["global_max_length=300"], ["global_max_length=300", "train.jsonl:"]),
        (["++training.extra.neftune_nois_alpha=1"], ["neftune_noise_alpha"]),
    ],
)
def test_a_mistake_ends_the_run_before_the_first_step(run, tmp_path, demo_folder, tiny_folder, overrides, words):
    output = run(command("stage2_lora", tmp_path / "run", demo_folder, tiny_folder, *overrides), fails=True)
    assert all(word in output for word in words), output[-2000:]
    assert "Traceback" not in output
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_loss_that_is_not_finite_stops_the_run(run, tmp_path, demo_folder, tiny_folder):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    from safetensors.numpy import save_file

    values = dict(weights(broken))
    values["model.language_model.norm.weight"] = values["model.language_model.norm.weight"] * float("nan")
    save_file(values, broken / "model.safetensors", metadata={"format": "pt"})
    off = ("evaluation.before_training=false",)
    output = run(command("stage2_lora", tmp_path / "run", demo_folder, broken, *off), fails=True)
    assert "the loss is nan" in output
    assert not list((tmp_path / "run").glob("checkpoint-*"))


OWN_TRAINER = """
from qvl.training import SwiftTrainer, TrainingResult


class OwnTrainer(SwiftTrainer):
    def run(self, job, *, evaluate):
        (job.output_dir / "own").touch()
        scores = {"loss": 0.0}
        return TrainingResult(before=scores, after=scores, checkpoint=None, best_checkpoint=None, global_step=0)
"""


def test_a_trainer_of_ones_own_runs_when_the_command_trusts_it(run, tmp_path, demo_folder, tiny_folder):
    (tmp_path / "mine.py").write_text(OWN_TRAINER)
    own = ("training.trainer._target_=mine.OwnTrainer", "trusted_targets=[mine.OwnTrainer]")
    run(command("stage2_lora", tmp_path / "run", demo_folder, tiny_folder, *own), PYTHONPATH=str(tmp_path))
    assert (tmp_path / "run" / "own").exists()
