"""Callbacks of the transformers trainer; a name is imported when it is asked for, since that loads torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qvl.callbacks.account import EpochAccount, RowCount
    from qvl.callbacks.answers import AnswerSteps, show_pictures
    from qvl.callbacks.begin import CallAtBegin
    from qvl.callbacks.epoch import EpochToDataset
    from qvl.callbacks.preemption import EvaluationCut, Preemption
    from qvl.callbacks.profiler import TorchProfiler
    from qvl.callbacks.progress import ProgressBar, ProgressFile
    from qvl.callbacks.ranks import RanksAgree
    from qvl.callbacks.telemetry import FIGURES, MicroBatch, Telemetry

__all__ = [
    "FIGURES",
    "AnswerSteps",
    "CallAtBegin",
    "EpochAccount",
    "EpochToDataset",
    "EvaluationCut",
    "MicroBatch",
    "Preemption",
    "ProgressBar",
    "ProgressFile",
    "RanksAgree",
    "RowCount",
    "Telemetry",
    "TorchProfiler",
    "show_pictures",
]

_HOMES = {
    "FIGURES": "telemetry",
    "AnswerSteps": "answers",
    "CallAtBegin": "begin",
    "EpochAccount": "account",
    "EpochToDataset": "epoch",
    "EvaluationCut": "preemption",
    "MicroBatch": "telemetry",
    "Preemption": "preemption",
    "ProgressBar": "progress",
    "ProgressFile": "progress",
    "RanksAgree": "ranks",
    "RowCount": "account",
    "Telemetry": "telemetry",
    "TorchProfiler": "profiler",
    "show_pictures": "answers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
