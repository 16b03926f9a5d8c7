from __future__ import annotations

import json
import shutil

import pytest

from qvl.errors import CheckpointError
from qvl.models import choose_checkpoint
from qvl.runtime.checkpoint import seal


@pytest.mark.parametrize(
    ("metric", "step", "reason"),
    [
        (None, 1, "best of the run, 0.5"),
        ("loss", 1, "best loss (0.5 at 1, 0.75 at 2)"),  # the lower the better
        ("eval_token_acc", 2, "best token_acc (0.5 at 1, 0.75 at 2)"),  # the higher the better
        ("detection/f1_50", 2, "best detection/f1_50 (0.5 at 1, 0.75 at 2)"),
        ("detection/rate_faulty", 1, "best detection/rate_faulty (0.5 at 1, 0.75 at 2)"),
        ("last", 2, "last"),
    ],
)
def test_the_checkpoint_of_a_run_is_chosen_by_metric(adapter_run, metric, step, reason):
    chosen = choose_checkpoint(adapter_run, metric=metric)
    assert (chosen.folder, chosen.run) == (adapter_run / f"checkpoint-{step}", adapter_run)
    assert (chosen.step, chosen.reason) == (step, reason)
    assert chosen.has_adapter


def test_a_checkpoint_that_is_named_is_taken(adapter_run):
    chosen = choose_checkpoint(adapter_run / "checkpoint-2", metric="loss")
    assert (chosen.step, chosen.run, chosen.reason) == (2, adapter_run, "named")


def test_a_run_whose_best_checkpoint_is_gone_gives_its_last_one(adapter_run, tmp_path):
    run = shutil.copytree(adapter_run, tmp_path / "run")
    shutil.rmtree(run / "checkpoint-1")
    assert choose_checkpoint(run).reason == "last, none was found to be the best"


def test_a_metric_that_was_not_measured_is_an_error_with_those_that_were(adapter_run):
    measured = "detection/count_bias, detection/f1_50, detection/rate_faulty, loss, token_acc, last"
    with pytest.raises(CheckpointError, match=rf"'f1' was not measured .* measured were {measured}"):
        choose_checkpoint(adapter_run, metric="f1")


def test_a_metric_without_a_good_direction_chooses_nothing(adapter_run):
    with pytest.raises(CheckpointError, match=r"detection/count_bias is best at 0"):
        choose_checkpoint(adapter_run, metric="detection/count_bias")


def test_a_value_that_is_not_finite_is_not_the_best(adapter_run, tmp_path):
    run = shutil.copytree(adapter_run, tmp_path / "run")
    path = run / "checkpoint-2" / "trainer_state.json"
    state = json.loads(path.read_text())
    state["log_history"][0]["eval_loss"] = float("nan")
    path.write_text(json.dumps(state))
    seal(run / "checkpoint-2", step=2)
    assert choose_checkpoint(run, metric="loss").step == 2


def test_a_damaged_checkpoint_is_refused(adapter_run, tmp_path):
    run = shutil.copytree(adapter_run, tmp_path / "run")
    (run / "checkpoint-1" / "optimizer.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"optimizer\.pt"):
        choose_checkpoint(run)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        choose_checkpoint(tmp_path / "gone")
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run_manifest.json").write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match="name one of its runs: 0, 1"):
        choose_checkpoint(tmp_path)
