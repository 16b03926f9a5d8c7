"""Runs that are told to stop, or killed, and go on: real processes, real signals, a tiny model.

QVL_TEST_STOPS=20 stops the run of two processes twenty times.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from qvl.errors import PREEMPTED
from qvl.runtime.checkpoint import list_checkpoints, step_of, verify

pytestmark = [pytest.mark.slow, pytest.mark.swift]
HERE = Path(__file__).parent
NUM_STOPS = int(os.environ.get("QVL_TEST_STOPS", "3"))


class Runs:
    """Starts runs that are alike but for what a test says."""

    def __init__(self, forked, data: Path, model: Path) -> None:
        self.forked = forked
        self.overrides = [
            "recipe=stage2_lora",
            "debug=fast",
            f"model.path={model}",
            "data.prepare=null",
            "data.images_per_user_turn=2",
            f"data.train.path={data}/train.jsonl",
            f"data.val.path={data}/val.jsonl",
            "data.train.limit=null",
            "data.val.limit=null",
            "evaluation.num_samples=0",
            "training.per_device_eval_batch_size=1",
            "training.effective_batch_size=2",
            "training.max_steps=7",
            "training.save_steps=100",
            "training.save_total_limit=null",
            "trusted_targets=[stop_at.StopAt]",
            "+callbacks.stop._target_=stop_at.StopAt",
        ]

    def go(self, folder: Path, *overrides: str, stop: str = "never:0:0", ranks: int = 1):
        """Start a run and wait for its end."""
        batch = f"training.per_device_train_batch_size={2 // ranks}"
        argv = [*self.overrides, batch, f"hydra.run.dir={folder}", *overrides]
        environ = {"QVL_TEST_STOP": stop, "PYTHONPATH": str(HERE)}
        return self.forked("qvl.train", *argv, cwd=folder.parent, ranks=ranks, **environ)


@pytest.fixture(scope="module")
def runs(forked, demo_folder, tiny_folder):
    return Runs(forked, demo_folder, tiny_folder)


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """A run that nobody interrupts: seven steps, three an epoch, evaluated after each second one."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    ends(runs.go(folder), 0)
    return folder


def ends(run, *codes: int) -> str:
    """Make sure how each process ended, and return what they said."""
    assert run.codes == [*codes], run.output[-3000:]
    return run.output


def losses(folder: Path, step: int) -> list[dict[str, float]]:
    """Return what was logged up to a checkpoint, without clock times."""
    state = json.loads((folder / f"checkpoint-{step}" / "trainer_state.json").read_text())
    names = ("step", "epoch", "loss", "grad_norm", "learning_rate", "eval_loss")
    return [{name: entry[name] for name in names if name in entry} for entry in state["log_history"]]


def assert_same_run(folder: Path, other: Path, step: int = 7) -> None:
    first, second = (load_file(path / f"checkpoint-{step}" / "adapter_model.safetensors") for path in (folder, other))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    assert losses(folder, step) == losses(other, step)
    accounts = [(path / "epochs.jsonl").read_text() for path in (folder, other)]
    assert accounts[0] == accounts[1]
    metrics = [json.loads((path / "metrics.json").read_text()) for path in (folder, other)]
    for name in ("before", "after", "global_step"):
        assert metrics[0][name] == metrics[1][name]


def test_a_run_that_is_stopped_anywhere_goes_on_as_if_it_had_not_been(runs, whole, tmp_path):
    """Before an evaluation, at the end of an epoch, in evaluations in and after epoch 2, and when the result is scored.

    A checkpoint made for a stop holds the optimiser, whatever is said about the others.
    """
    run, only = tmp_path / "run", "training.save_only_model=true"
    for stop in ("step:2:0", "step:3:0:SIGUSR1", "prediction:4:0", "prediction:7:0", "closing:7:0"):
        ends(runs.go(run, only, stop=stop), PREEMPTED)
    progress = json.loads((run / "progress.json").read_text())
    assert (progress["step"], progress["max_steps"], progress["gpu_memory_gb"]) == (7, 7, None)
    assert progress["loss"] > 0
    assert [step_of(path) for path in list_checkpoints(run)] == [2, 3, 4, 7]
    assert not (run / "metrics.json").exists()
    ends(runs.go(run, only), 0)
    assert_same_run(run, whole)
    written = (run / "checkpoint-7" / "qvl_manifest.json").stat().st_mtime_ns
    said = ends(runs.go(run, only), 0)  # finished: it shows its result
    assert "finished already" in said
    assert (run / "checkpoint-7" / "qvl_manifest.json").stat().st_mtime_ns == written


def test_after_kill_9_the_newest_good_checkpoint_is_taken_and_the_account_is_whole(runs, whole, tmp_path):
    run = tmp_path / "run"
    ends(runs.go(run, "training.save_steps=1", stop="step:6:0:SIGKILL"), -9)
    (run / "checkpoint-5" / "optimizer.pt").write_bytes(b"")
    said = ends(runs.go(run, "training.save_steps=1"), 0)
    assert f"passed over: {run}/checkpoint-5" in "".join(said.split("\n")).replace(" " * 9, "")
    assert "checkpoint-4, step 4" in said
    assert_same_run(run, whole)


def test_another_configuration_in_the_same_folder_is_refused(runs, whole):
    said = ends(runs.go(whole, "training.learning_rate=0.123"), 2)
    assert "training.learning_rate: it was 0.0005, now it is 0.123" in said


def test_a_run_that_saves_nothing_stops_all_the_same(runs, tmp_path):
    ends(runs.go(tmp_path, "training.save_strategy='no'", stop="step:1:0"), PREEMPTED)
    assert not list(tmp_path.glob("*checkpoint*"))


def test_two_processes_stop_at_one_step_and_go_on_as_if_they_had_not(runs, tmp_path):
    """A signal at random steps and moments, to either of the processes or both."""
    draw = random.Random(5)
    steps = 7 if NUM_STOPS <= 3 else 4 * NUM_STOPS
    length = f"training.max_steps={steps}"
    run, whole_run = tmp_path / "run", tmp_path / "whole"
    ends(runs.go(whole_run, length, ranks=2), 0, 0)
    for step in sorted(draw.sample(range(1, steps, 2), NUM_STOPS)):
        before = {step_of(path) for path in list_checkpoints(run)}
        stop = f"step:{step}:{draw.choice(['0', '1', '01'])}:SIGTERM:0.3"
        ends(runs.go(run, length, stop=stop, ranks=2), PREEMPTED, PREEMPTED)
        [new] = {step_of(path) for path in list_checkpoints(run)} - before
        assert new in (step, step + 1)
        verify(run / f"checkpoint-{new}")
    ends(runs.go(run, length, ranks=2), 0, 0)
    assert_same_run(run, whole_run, steps)
