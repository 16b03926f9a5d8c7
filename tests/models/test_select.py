from __future__ import annotations

import json
import shutil

import pytest

from qvl.errors import CheckpointError
from qvl.models import choose_checkpoint


@pytest.mark.parametrize(
    ("metric", "step", "reason"),
    [
        (None, 1, "best of the run, 0.5"),
        ("eval_loss", 1, "best eval_loss (0.5 at 1, 0.75 at 2)"),  # the lower the better
        ("eval_token_acc", 2, "best eval_token_acc (0.5 at 1, 0.75 at 2)"),  # the higher the better
        ("last", 2, "last"),
    ],
)
def test_the_checkpoint_of_a_run_is_chosen_by_metric(adapter_run, metric, step, reason):
    chosen = choose_checkpoint(adapter_run, metric=metric)
    assert (chosen.folder, chosen.run) == (adapter_run / f"checkpoint-{step}", adapter_run)
    assert (chosen.step, chosen.reason) == (step, reason)
    assert chosen.has_adapter


def test_a_checkpoint_that_is_named_is_taken(adapter_run):
    chosen = choose_checkpoint(adapter_run / "checkpoint-2", metric="eval_loss")
    assert (chosen.step, chosen.run, chosen.reason) == (2, adapter_run, "named")


def test_a_run_whose_best_checkpoint_is_gone_gives_its_last_one(adapter_run, tmp_path):
    run = shutil.copytree(adapter_run, tmp_path / "run")
    shutil.rmtree(run / "checkpoint-1")
    assert choose_checkpoint(run).reason == "last, none was found to be the best"


def test_a_metric_that_was_not_measured_is_an_error_with_those_that_were(adapter_run):
    with pytest.raises(
        CheckpointError, match=r"'f1' was not measured .* measured were eval_loss, eval_token_acc, last"
    ):
        choose_checkpoint(adapter_run, metric="f1")


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
