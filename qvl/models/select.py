"""Which checkpoint of a run is taken."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qvl.errors import CheckpointError
from qvl.metrics import higher_is_better, is_score
from qvl.runtime.checkpoint import list_checkpoints, step_of, verify
from qvl.runtime.part import holds_part

__all__ = ["LAST", "ChosenCheckpoint", "choose_checkpoint"]

LAST: Final = "last"
"""In the place of a metric: the checkpoint of the highest step."""

ADAPTER: Final = "adapter_config.json"
CONFIG: Final = "config.json"

_LOGGED = "eval_"  # in front of what an evaluation logs
_STATE = "trainer_state.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChosenCheckpoint:
    """A verified checkpoint.

    Attributes:
        folder: Where it lies.
        run: The folder of its run; None if it lies by itself.
        step: Optimiser steps done.
        reason: Why it was chosen, for people.
    """

    folder: Path
    run: Path | None
    step: int
    reason: str

    @property
    def has_adapter(self) -> bool:
        """Whether it holds an adapter."""
        return (self.folder / ADAPTER).is_file()

    @property
    def has_part(self) -> bool:
        """Whether it holds the weights of a part of a model."""
        return holds_part(self.folder)


def choose_checkpoint(path: Path, *, metric: str | None = None) -> ChosenCheckpoint:
    """Return the checkpoint that a path means, all its files compared with its manifest.

    Args:
        path: A checkpoint, or the folder of a run.
        metric: For a run: a score that was logged at evaluations, with or without the prefix `eval_` of the log, or
            `last`. None: what the run itself took for the best, the last one if it never compared.

    Raises:
        CheckpointError: There is none, it is damaged, no checkpoint has that metric, or neither its highest nor its
            lowest value is the best.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such folder")
    if any((path / name).is_file() for name in (ADAPTER, CONFIG)) or holds_part(path):
        run = path.parent if (path.parent / "run_manifest.json").is_file() else None
        return ChosenCheckpoint(path, run, verify(path).step, "named")
    steps = {step_of(folder): folder for folder in list_checkpoints(path)}
    if not steps:
        runs = sorted(folder.parent.name for folder in path.glob("*/run_manifest.json"))
        advice = f"; name one of its runs: {', '.join(runs)}" if runs else ""
        raise CheckpointError(f"{path}: is no checkpoint, and no run with one{advice}")
    known = {step: folder for step, folder in steps.items() if step is not None}
    step, reason = _choose(known, metric)
    verify(known[step])
    return ChosenCheckpoint(known[step], path, step, reason)


def _choose(steps: dict[int, Path], metric: str | None) -> tuple[int, str]:
    last = max(steps)
    if metric == LAST:
        return last, "last"
    state = _state(steps[last])
    if metric is None:
        best = state.get("best_global_step")
        if best in steps:
            return int(best), f"best of the run, {state['best_metric']:.6g}"
        _log.warning("%s: no checkpoint was found to be the best, taking the last one", steps[last].parent)
        return last, "last, none was found to be the best"
    return _choose_by(metric.removeprefix(_LOGGED), steps, state["log_history"])


def _choose_by(metric: str, steps: dict[int, Path], log: list[dict[str, Any]]) -> tuple[int, str]:
    name = f"{_LOGGED}{metric}"
    logged = {entry["step"]: float(entry[name]) for entry in log if name in entry}
    scores = {step: value for step, value in logged.items() if step in steps and math.isfinite(value)}
    if not scores:
        names = {name.removeprefix(_LOGGED) for entry in log for name in entry if name.startswith(_LOGGED)}
        measured = ", ".join([*sorted(filter(is_score, names)), LAST])
        raise CheckpointError(
            f"{steps[max(steps)].parent}: metric {metric!r} was not measured at any of {_listed(steps)}; "
            f"measured were {measured}"
        )
    try:
        choose = max if higher_is_better(metric) else min
    except ValueError as error:
        raise CheckpointError(f"metric: {error}") from error
    step = choose(scores, key=lambda number: scores[number])
    others = ", ".join(f"{scores[number]:.6g} at {number}" for number in sorted(scores))
    return step, f"best {metric} ({others})"


def _listed(steps: dict[int, Path]) -> str:
    return ", ".join(steps[step].name for step in sorted(steps))


def _state(folder: Path) -> dict[str, Any]:
    path = folder / _STATE
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    return state
