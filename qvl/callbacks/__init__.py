"""Callbacks of the transformers trainer; a name is imported when it is asked for, since that loads torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qvl.callbacks.account import EpochAccount
    from qvl.callbacks.begin import CallAtBegin
    from qvl.callbacks.epoch import EpochToDataset
    from qvl.callbacks.profiler import TorchProfiler
    from qvl.callbacks.progress import ProgressBar

__all__ = ["CallAtBegin", "EpochAccount", "EpochToDataset", "ProgressBar", "TorchProfiler"]

_HOMES = {
    "CallAtBegin": "begin",
    "EpochAccount": "account",
    "EpochToDataset": "epoch",
    "ProgressBar": "progress",
    "TorchProfiler": "profiler",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
