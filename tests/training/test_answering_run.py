"""Runs whose model answers while it is trained: what is logged, which checkpoint is the best, and stops in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from transformers import TrainerCallback

from qvl.errors import PREEMPTED

pytestmark = [pytest.mark.slow, pytest.mark.swift]
HERE = Path(__file__).parent
METRIC = "eval_detection/f1_50"


class StopInAnswers(TrainerCallback):
    """Signals its own process after the first batch of answers of step 2."""

    def on_train_begin(self, args, state, control, **kwargs):
        from qvl.inference import Engine

        answers = Engine.answers

        def then_stop(engine, conversations):
            yield from answers(engine, conversations)
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        if os.environ.get("QVL_TEST_STOP"):
            Engine.answers = then_stop


@pytest.fixture(scope="module")
def train(forked, demo_folder):
    def run(folder: Path, *overrides: str, ends: int = 0, **environ: str) -> str:
        argv = [
            "recipe=stage2_lora",
            "debug=fast",
            f"hydra.run.dir={folder}",
            "data.prepare=null",
            f"data.train.path={demo_folder}/train.jsonl",
            f"data.val.path={demo_folder}/val.jsonl",
            "data.images_per_user_turn=1",
            "data.batching=random",
            "training.learning_rate=5e-3",
            "training.max_steps=3",
            "training.save_strategy=steps",
            "training.save_steps=1",
            "training.save_total_limit=null",
            "training.metric_for_best_model=detection/f1_50",
            "evaluation.every_steps=1",
            "evaluation.num_samples=2",
            "evaluation.num_pictures=1",
            "evaluation.batch_size=1",
            "evaluation.max_new_tokens=200",
            "evaluation.before_training=false",
            "trusted_targets=[test_answering_run.StopInAnswers]",
            "+callbacks.stop._target_=test_answering_run.StopInAnswers",
            *overrides,
        ]
        done = forked("qvl.train", *argv, cwd=folder.parent, PYTHONPATH=str(HERE), **environ)
        assert done.codes == [ends], done.output[-4000:]
        return done.output

    return run


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers") / "run"
    train(folder)
    return folder


def state(folder: Path) -> dict:
    return json.loads((folder / "checkpoint-3" / "trainer_state.json").read_text())


def measured(folder: Path) -> dict[int, float]:
    return {entry["step"]: entry[METRIC] for entry in state(folder)["log_history"] if METRIC in entry}


def weights(folder: Path) -> dict:
    return load_file(folder / "checkpoint-3" / "adapter_model.safetensors")


def assert_same_weights(folder: Path, other: Path) -> None:
    first, second = weights(folder), weights(other)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def test_the_best_checkpoint_is_that_of_the_best_score_of_answers(whole):
    scores = measured(whole)
    assert list(scores) == [1, 2, 3]
    assert len(set(scores.values())) > 1
    best = max(scores, key=lambda step: (scores[step], -step))
    assert state(whole)["best_global_step"] == best
    assert json.loads((whole / "metrics.json").read_text())["best_checkpoint"] == str(whole / f"checkpoint-{best}")


def test_scores_and_worst_pictures_stand_in_the_one_file_of_tensorboard(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = (whole / "tensorboard").iterdir()
    events = EventAccumulator(str(file), size_guidance={"images": 0}).Reload()
    found = {event.step: event.value for event in events.Scalars("eval/detection/f1_50")}
    assert found == pytest.approx(measured(whole))
    assert set(events.Tags()["images"]) == {"worst/1"}
    assert [event.step for event in events.Images("worst/1")] == [1, 2, 3]
    assert events.Images("worst/1")[0].encoded_image_string.startswith(b"\x89PNG")


def test_the_scores_are_those_of_the_files_of_answers(whole):
    from qvl.evaluation import read_predictions, score_predictions

    metrics = json.loads((whole / "metrics.json").read_text())
    for name, step in (("step-2", 2), ("after", 3)):
        predictions = read_predictions(whole / f"predictions_{name}.jsonl")
        assert len(predictions) == 2
        scores = score_predictions(predictions, line_tolerance=20.0).as_dict()
        assert scores["detection/f1_50"] == measured(whole)[step]
        if name in metrics:
            assert scores.items() <= metrics[name].items()


def test_the_last_step_is_answered_once(whole):
    assert (whole / "predictions_after.jsonl").read_text() == (whole / "predictions_step-3.jsonl").read_text()
    last = [entry for entry in state(whole)["log_history"] if entry["step"] == 3 and METRIC in entry]
    assert len(last) == 1
    after = json.loads((whole / "metrics.json").read_text())["after"]
    assert (after["loss"], after["token_acc"]) == (last[0]["eval_loss"], last[0]["eval_token_acc"])


def test_answers_do_not_change_what_is_trained(train, whole, tmp_path):
    silent = ("evaluation.num_samples=0", "training.metric_for_best_model=loss", "training.eval_strategy='no'")
    train(tmp_path / "run", *silent)
    assert_same_weights(whole, tmp_path / "run")
    assert not list((tmp_path / "run").glob("predictions_*"))


def test_a_run_that_is_stopped_in_the_middle_of_its_answers_goes_on_with_them(train, whole, tmp_path):
    run = tmp_path / "run"
    said = train(run, ends=PREEMPTED, QVL_TEST_STOP="1")
    assert "this run leaves after step 2" in said
    assert not (run / "predictions_step-2.jsonl").exists()
    train(run)
    assert_same_weights(whole, run)
    assert measured(run) == measured(whole)
    for key in ("best_metric", "best_global_step"):
        assert state(run)[key] == state(whole)[key]
    results = [json.loads((path / "metrics.json").read_text()) for path in (run, whole)]
    assert results[0]["after"] == results[1]["after"]
    assert Path(results[0]["best_checkpoint"]).name == Path(results[1]["best_checkpoint"]).name
