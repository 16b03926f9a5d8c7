"""Weights on disk as the hub has them, whatever layout transformers gives them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["hub_layout"]


@contextmanager
def hub_layout(model: nn.Module) -> Iterator[None]:
    """Let a model that is saved in the block have the layout of the hub; every whole model has to be saved so.

    Experts are (experts, hidden, 2 x inner) there, and so for transformers 4.57 and other readers. transformers 5 turns
    them when it loads them, but not when it saves them: it turns only what does not have the shape of the model.

    Args:
        model: As `from_pretrained` has made it; of any other nothing changes.
    """
    from transformers.core_model_loading import Transpose, WeightConverter

    conversions = vars(model).get("_weight_conversions") or ()
    turned = [
        operation
        for conversion in conversions
        if isinstance(conversion, WeightConverter)
        for operation in conversion.operations
        if isinstance(operation, Transpose) and operation.check_dims
    ]
    for operation in turned:
        operation.check_dims = False
    try:
        yield
    finally:
        for operation in turned:
            operation.check_dims = True
