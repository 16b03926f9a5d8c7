"""Evaluations in which the model answers, its scores beside the loss."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError
from qvl.training.job import Evaluate
from qvl.training.precision import TrainedWeights

if TYPE_CHECKING:
    from swift.trainers import Seq2SeqTrainer as _Upstream
    from transformers.trainer_utils import EvalLoopOutput

    from qvl.callbacks import AnswerSteps
else:
    _Upstream = object

__all__ = ["ScoringTrainer"]

_PREFIX = "eval_"
_NO_SCORES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")

_log = logging.getLogger(__name__)


class ScoringTrainer(_Upstream):
    """Stands in front of the trainer that ms-swift picks: lets the model answer in evaluations where that is due.

    The scores are metrics like the loss: they go to the log, to TensorBoard, and `metric_for_best_model` may name them.
    Weights are answered with once: what is asked again after the same step gets the same scores.
    """

    ask: Evaluate
    """Lets the model answer and scores that, set before training."""

    answer_steps: AnswerSteps
    """Says when, set before training."""

    control: Any

    weights: TrainedWeights

    _name: str | None = None
    """Of the evaluation that `score` does."""

    _answered: tuple[int, str, Mapping[str, float]] | None = None
    """Step, name and metrics of the last evaluation with answers, while the weights are those."""

    def score(self, name: str) -> dict[str, float]:
        """Return the scores of the model as it stands, by their names in every file: `loss`, `detection/f1_50`, ...

        Args:
            name: `before` or `after`; the answers are written to `predictions_<name>.jsonl`.

        Raises:
            QvlError: The model could not answer.
        """
        metrics = self._known()
        if metrics is None:
            self._name = name
            try:
                metrics = self.evaluate()
            finally:
                self._name = None
        elif self._answered and self._answered[1] != name and self.is_world_process_zero():
            _copy(Path(self.args.output_dir), self._answered[1], name)
        scores = {key: value for key, value in _scores(metrics).items() if key not in _NO_SCORES}
        return dict(sorted(scores.items(), key=lambda pair: "/" in pair[0]))  # the loss first

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate; the random state of the training stays as it is, however often that is done."""
        import torch

        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices):
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        if self._answered and self._answered[0] == self.state.global_step:
            self._answered = (*self._answered[:2], dict(metrics))
        return metrics

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Measure the loss, then the answers if that is due; both are logged together."""
        output: EvalLoopOutput = super().evaluation_loop(*args, **kwargs)
        if (known := self._known()) is not None:
            output.metrics.update({key: value for key, value in known.items() if "/" in key})
        elif name := self._name or self._name_of_step():
            output.metrics.update(self._answer(name))
        return output

    def _name_of_step(self) -> str | None:
        if not self.answer_steps.is_due(self.state):
            return None
        return f"step-{self.state.global_step}" if self.answer_steps.every else "after"

    def _known(self) -> Mapping[str, float] | None:
        """Return the metrics of an evaluation with answers of these weights, if there was one."""
        if self._answered is None or self._answered[0] != self.state.global_step:
            return None
        return self._answered[2]

    def _answer(self, name: str) -> dict[str, float]:
        """Let the model answer and return the scores as upstream names metrics."""
        from qvl.callbacks import show_pictures

        model, step = self.accelerator.unwrap_model(self.model), self.state.global_step
        between = partial(self.callback_handler.on_prediction_step, self.args, self.state, self.control)
        with self.accelerator.autocast() if self.weights.are_widened else nullcontext():  # float32 among bfloat16
            answered = self.ask(model, self.template, name=name, between=between)
        show_pictures(self.callback_handler.callbacks, answered.pictures, step=step)
        metrics = {f"{_PREFIX}{key}": value for key, value in answered.scores.items()}
        if metrics:
            self._check_metric(metrics)
            self._answered = (step, name, metrics)
        return metrics

    def _check_metric(self, metrics: Mapping[str, float]) -> None:
        """Make sure that the metric of the best model is among those of its kind that are measured at all."""
        name = self._best_metric()
        kind = f"{name.split('/')[0]}/"
        if "/" in name and not any(metric.startswith(kind) for metric in metrics):
            known = ", ".join(_scores(metrics))
            raise ConfigError(
                f"training.metric_for_best_model: {name.removeprefix(_PREFIX)} is not measured on these validation "
                f"rows; measured are loss, token_acc, {known}"
            )

    def _best_metric(self) -> str:
        return _PREFIX + str(self.args.metric_for_best_model).removeprefix(_PREFIX)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Return whether this is the best model so far; one that was not asked, or whose score is undefined, is not."""
        name = self._best_metric()
        if "/" not in name or name in metrics:
            return bool(super()._determine_best_metric(metrics, trial))
        if self._known() is not None:
            _log.warning("%s is not defined after step %d; the best stays", name, self.state.global_step)
        return False

    def _load_best_model(self) -> None:
        """Load it, and forget what the last one answered."""
        super()._load_best_model()
        self._answered = None


def _scores(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key.removeprefix(_PREFIX): float(value) for key, value in metrics.items() if key.startswith(_PREFIX)}


def _copy(run: Path, old: str, new: str) -> None:
    shutil.copyfile(run / f"predictions_{old}.jsonl", run / f"predictions_{new}.jsonl")
