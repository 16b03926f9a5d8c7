"""Evaluations with answers, on a trainer that only says what upstream's would say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qvl.callbacks import AnswerSteps
from qvl.errors import ConfigError
from qvl.training.scoring import ScoringTrainer

torch = pytest.importorskip("torch")


class Upstream:
    """Evaluates and chooses the best as transformers does."""

    def evaluate(self):
        output = self.evaluation_loop()
        self.logged.append(dict(output.metrics))
        return output.metrics

    def evaluation_loop(self):
        torch.rand(3)
        return SimpleNamespace(metrics={"eval_loss": 1.0, "eval_runtime": 2.0})

    def _determine_best_metric(self, metrics, trial):
        return metrics[f"eval_{self.args.metric_for_best_model}"] > 0.5

    def _load_best_model(self): ...

    def is_world_process_zero(self):
        return True


class Trainer(ScoringTrainer, Upstream):
    def __init__(self, folder, *, every=2, metric="detection/f1_50", scores=None):
        self.args = SimpleNamespace(output_dir=str(folder), metric_for_best_model=metric)
        self.state = SimpleNamespace(global_step=0, max_steps=9)
        self.accelerator = SimpleNamespace(unwrap_model=lambda model: model)
        self.weights = SimpleNamespace(are_widened=False)
        self.control = SimpleNamespace()
        self.callback_handler = SimpleNamespace(callbacks=[], on_prediction_step=lambda args, state, control: control)
        self.model = self.template = None
        self.answer_steps = AnswerSteps(every)
        self.scores = {"detection/f1_50": 0.25} if scores is None else scores
        self.logged, self.asked = [], []

    def ask(self, model, template, *, name, between):
        self.asked.append((self.state.global_step, name))
        between()
        (self.folder / f"predictions_{name}.jsonl").write_text(f"{self.state.global_step}\n")
        return SimpleNamespace(scores=self.scores, pictures=())

    @property
    def folder(self):
        from pathlib import Path

        return Path(self.args.output_dir)

    def at(self, step):
        self.state.global_step = step
        return self.evaluate()


def test_the_model_answers_before_after_and_at_the_steps_in_between(tmp_path):
    trainer = Trainer(tmp_path)
    scores = trainer.score("before")
    assert scores == {"loss": 1.0, "detection/f1_50": 0.25}
    metrics = [trainer.at(step) for step in (1, 2, 3, 4, 9)]
    assert trainer.score("after") == scores
    assert trainer.asked == [(0, "before"), (2, "step-2"), (4, "step-4"), (9, "step-9")]
    assert (tmp_path / "predictions_after.jsonl").read_text() == "9\n"
    assert ["eval_detection/f1_50" in entry for entry in metrics] == [False, True, False, True, True]
    assert trainer.logged[1:] == metrics


def test_with_every_steps_0_the_last_step_is_the_evaluation_after_training(tmp_path):
    trainer = Trainer(tmp_path, every=0)
    trainer.at(4)
    trainer.at(9)
    trainer.score("after")
    assert trainer.asked == [(9, "after")]


def test_an_evaluation_at_the_same_step_gets_the_same_scores_without_asking_again(tmp_path):
    trainer = Trainer(tmp_path)
    assert trainer.at(2) == trainer.at(2)
    assert trainer.asked == [(2, "step-2")]


def test_other_weights_at_the_end_are_asked_again(tmp_path):
    trainer = Trainer(tmp_path)
    trainer.at(9)
    trainer._load_best_model()
    trainer.score("after")
    assert trainer.asked == [(9, "step-9"), (9, "after")]


def test_a_run_that_answers_nothing_measures_the_loss_alone(tmp_path):
    trainer = Trainer(tmp_path, every=None, scores={}, metric="loss")
    assert trainer.score("before") == {"loss": 1.0}
    trainer.at(9)
    assert trainer.score("after") == {"loss": 1.0}
    assert len(trainer.logged) == 3


def test_the_random_state_stays_as_it_is(tmp_path):
    before = torch.random.get_rng_state()
    Trainer(tmp_path).at(2)
    assert bool((torch.random.get_rng_state() == before).all())


@pytest.mark.parametrize("prefix", ["", "eval_"])
def test_an_evaluation_without_answers_leaves_the_best_as_it_is(tmp_path, prefix):
    trainer = Trainer(tmp_path, scores={"detection/f1_50": 0.75})
    assert trainer._determine_best_metric(trainer.at(2), None)
    trainer.args.metric_for_best_model = f"{prefix}detection/f1_50"
    assert not trainer._determine_best_metric(trainer.at(3), None)


def test_a_score_that_is_not_defined_leaves_the_best_as_it_is(tmp_path, caplog):
    trainer = Trainer(tmp_path, metric="detection/ap_boxes")
    assert not trainer._determine_best_metric(trainer.at(2), None)
    assert "eval_detection/ap_boxes is not defined after step 2; the best stays" in caplog.text


def test_a_score_of_a_kind_that_is_not_measured_ends_the_run_at_once(tmp_path):
    trainer = Trainer(tmp_path, metric="summary/f1")
    with pytest.raises(ConfigError, match=r"metric_for_best_model: summary/f1 is not measured .* detection/f1_50"):
        trainer.score("before")
