"""What every training run imports, for a process that runs are forked from."""

from __future__ import annotations

import importlib
import os
from collections.abc import MutableMapping
from typing import Final

__all__ = ["PRELOADED", "grow_segments", "preload", "quiet_upstream"]

PRELOADED: Final = (
    "torch.utils.tensorboard",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
    "transformers.models.qwen3_vl.processing_qwen3_vl",
    "transformers.models.qwen2.tokenization_qwen2",
    "peft.utils.transformers_weight_conversion",
    "swift.pipelines.train.sft",
    "swift.trainers.seq2seq_trainer",
    "swift.infer_engine.transformers_engine",
    "swift.callbacks.mapping",
    "swift.optimizers.mapping",
    "swift.loss_scale.mapping",
    "swift.metrics.mapping",
    "swift.agent_template.mapping",
    "qvl.callbacks",
    "qvl.inference",
    "qvl.models",
    "qvl.prompts",
    "qvl.training",
)
"""Modules, in this order; none of them touches a device."""


def preload() -> None:
    """Import what a training run imports, which takes most of its start."""
    quiet_upstream()
    for name in PRELOADED:
        importlib.import_module(name)


def quiet_upstream() -> None:
    """Keep hundreds of lines of arguments and modules off the screen; read by upstream when it is imported."""
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


def grow_segments(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let the memory of a GPU be taken in segments that grow, unless the user chose something else.

    Batches have many lengths; blocks that fit none of them would be left over until memory runs out. torch reads this
    when it first uses a GPU, so it has to be set before; without one it means nothing.

    Args:
        environ: Environment of this process; both names of the variable count, the older one wins in torch.
    """
    if "PYTORCH_CUDA_ALLOC_CONF" not in environ:
        environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
